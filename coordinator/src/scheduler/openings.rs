//! Which studies have something to give: one look at the database for all who ask at once.
//!
//! A hint that saves questions, never a decision: whether a trial may be handed out is decided by the
//! statements that hand it out. Who takes a look takes with it one of the trials that were seen there, so
//! that ten thousand askers do not run after the same ten.

use std::cmp::Reverse;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use sqlx::PgPool;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    error::{Doing as _, Error},
    storage::studies::{self, Opening},
    trial::Asker,
};

/// The last look, shared by all who ask this replica.
pub struct Openings {
    pool: PgPool,
    last: Mutex<Option<Arc<Look>>>,
    /// When this replica last changed what there is to give, other than by a result.
    changed: std::sync::Mutex<Instant>,
}

/// The studies as they were seen once, and what has been taken of them since.
pub struct Look {
    at: Instant,
    studies: Vec<Seen>,
}

struct Seen {
    opening: Opening,
    /// Of `due` and `room` what nobody has taken yet; below zero if more tried.
    due: AtomicI64,
    room: AtomicI64,
    taken: AtomicI64,
}

/// Where an asker should try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// A trial waits in the queue of this study.
    Queue {
        /// The study's key.
        study_id: i64,
        /// Whether grants must take turns.
        is_limited: bool,
    },
    /// A trial can be planned for this study.
    Plan {
        /// The study's key.
        study_id: i64,
        /// Whether grants must take turns.
        is_limited: bool,
    },
}

impl Openings {
    /// Nothing seen yet.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, last: Mutex::default(), changed: std::sync::Mutex::new(Instant::now()) }
    }

    /// What there is to give has changed, other than by a result: looks begun before are worth nothing.
    pub fn changed(&self) {
        *self.changed.lock().expect("nobody panics while holding a time") = Instant::now();
    }

    /// A look that was begun at `since` or after, and after the last [change](Openings::changed). Those who
    /// come while one is taken share the next.
    pub async fn look(&self, since: Instant) -> Result<Arc<Look>, Error> {
        let mut last = self.last.lock().await;
        let since = since.max(*self.changed.lock().expect("nobody panics while holding a time"));
        if let Some(look) = last.as_ref().filter(|look| look.at >= since) {
            return Ok(Arc::clone(look));
        }
        // What changes from here on is seen by the next look.
        let at = Instant::now();
        let mut connection = self.pool.acquire().await.doing("reach the database")?;
        let studies = studies::openings(&mut connection).await?.into_iter().map(Seen::of).collect();
        let look = Arc::new(Look { at, studies });
        *last = Some(Arc::clone(&look));
        Ok(look)
    }
}

impl Look {
    /// When it was begun.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Takes one trial of a study that the asker serves: of those of the highest priority that have something
    /// the one that has the fewest running, so that no study starves beside its like; of equals the older.
    /// `skip` were tried in vain.
    pub fn take(&self, asker: &Asker, skip: &[i64]) -> Option<Try> {
        let mut served: Vec<&Seen> = self
            .studies
            .iter()
            .filter(|seen| seen.is_served_by(asker) && !skip.contains(&seen.opening.study_id))
            .collect();
        served.sort_by_key(|seen| {
            let running = seen.opening.running + seen.taken.load(Relaxed);
            (Reverse(seen.opening.priority), running)
        });
        served.into_iter().find_map(Seen::take)
    }

    /// Whether there have been studies that the asker serves, and all of them have ended.
    pub fn all_ended(&self, asker: &Asker) -> bool {
        let mut served = self.studies.iter().filter(|seen| seen.is_served_by(asker)).peekable();
        served.peek().is_some() && served.all(|seen| seen.opening.is_final)
    }
}

impl Seen {
    fn of(opening: Opening) -> Self {
        let (due, room) = (AtomicI64::new(opening.due), AtomicI64::new(opening.room));
        Self { opening, due, room, taken: AtomicI64::new(0) }
    }

    fn is_served_by(&self, asker: &Asker) -> bool {
        let Opening { name, kinds, .. } = &self.opening;
        kinds.iter().any(|kind| asker.objectives.contains(kind))
            && (asker.studies.is_empty() || asker.studies.contains(name))
    }

    fn take(&self) -> Option<Try> {
        let Opening { study_id, is_limited, .. } = self.opening;
        let found = if self.due.fetch_sub(1, Relaxed) > 0 {
            Some(Try::Queue { study_id, is_limited })
        } else if self.room.fetch_sub(1, Relaxed) > 0 {
            Some(Try::Plan { study_id, is_limited })
        } else {
            None
        };
        if found.is_some() {
            self.taken.fetch_add(1, Relaxed);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn opening(study_id: i64, running: i64, due: i64, room: i64) -> Opening {
        Opening {
            study_id,
            name: format!("study-{study_id}"),
            kinds: vec!["external".into()],
            priority: 0,
            is_final: false,
            is_limited: false,
            running,
            due,
            room,
        }
    }

    fn look(openings: Vec<Opening>) -> Look {
        Look { at: Instant::now(), studies: openings.into_iter().map(Seen::of).collect() }
    }

    fn asker(studies: &[&str]) -> Asker {
        Asker {
            worker_id: Uuid::nil(),
            slot: 0,
            objectives: vec!["external".into()],
            studies: studies.iter().map(|&name| name.to_owned()).collect(),
            label: String::new(),
            device: String::new(),
        }
    }

    #[test]
    fn what_was_seen_is_taken_once_and_shared_evenly() {
        let look = look(vec![opening(1, 0, 1, 2), opening(2, 1, 0, 5)]);
        let taken: Vec<Option<Try>> = (0..9).map(|_| look.take(&asker(&[]), &[])).collect();
        let (queue, plan) = (Some(Try::Queue { study_id: 1, is_limited: false }), |study_id| {
            Some(Try::Plan { study_id, is_limited: false })
        });
        assert_eq!(taken[..5], [queue, plan(1), plan(2), plan(1), plan(2)]);
        assert_eq!(taken[5..], [plan(2), plan(2), plan(2), None]);
    }

    #[test]
    fn an_asker_gets_what_it_serves_and_has_not_tried() {
        let look = look(vec![opening(1, 0, 0, 9), opening(2, 5, 0, 9)]);
        assert_eq!(
            look.take(&asker(&["study-2"]), &[]),
            Some(Try::Plan { study_id: 2, is_limited: false })
        );
        assert_eq!(
            look.take(&asker(&[]), &[1]),
            Some(Try::Plan { study_id: 2, is_limited: false })
        );
        assert_eq!(look.take(&asker(&["study-3"]), &[]), None);
        let other = Asker { objectives: vec!["whetstone".into()], ..asker(&[]) };
        assert_eq!(look.take(&other, &[]), None);
    }

    #[test]
    fn a_higher_priority_goes_first_and_leaves_what_it_has_not() {
        let look = look(vec![opening(1, 0, 0, 9), Opening { priority: 1, ..opening(2, 7, 0, 1) }]);
        let plan = |study_id| Some(Try::Plan { study_id, is_limited: false });
        assert_eq!(look.take(&asker(&[]), &[]), plan(2));
        assert_eq!(look.take(&asker(&[]), &[]), plan(1));
    }

    #[test]
    fn all_have_ended_only_where_there_were_some() {
        let ended = Opening { is_final: true, ..opening(1, 0, 0, 0) };
        let look = look(vec![ended, opening(2, 0, 0, 0)]);
        assert!(look.all_ended(&asker(&["study-1"])));
        assert!(!look.all_ended(&asker(&[])));
        assert!(!look.all_ended(&asker(&["study-3"])));
    }
}
