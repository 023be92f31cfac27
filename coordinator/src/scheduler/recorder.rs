//! Results that come in at the same moment are recorded together: one statement, one commit.
//!
//! One task per replica. While it waits for the database whatever else comes in is gathered, so that the busier
//! it is the more a commit carries; a result that comes alone is recorded at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    error::{Doing as _, Error},
    limits::{REPORTS_AT_ONCE_MAX, REPORTS_TOGETHER_MAX},
    scheduler::rhythm::Rhythm,
    storage::{
        in_time,
        leases::{self, Ended},
    },
    trial::{LeaseRef, Report},
};

/// How long a connection is kept for the next results: for as long as the pool would take it for alive.
const KEEP: Duration = Duration::from_secs(1);

/// The way to the task. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    inbox: mpsc::Sender<Told>,
}

/// A report, and where it is waited for.
struct Told {
    fence: LeaseRef,
    report: Report,
    answer: oneshot::Sender<Option<News>>,
}

/// A result that was recorded together with others.
pub struct News {
    /// What it ended.
    pub ended: Ended,
    /// Whether those who wait for a result of its study are to hear of it: of those that were recorded together
    /// one is enough.
    pub is_to_be_told: bool,
}

impl Recorder {
    /// Starts the task.
    pub fn start(
        pool: PgPool,
        rhythm: Arc<Rhythm>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (inbox, told) = mpsc::channel(REPORTS_AT_ONCE_MAX);
        tasks.spawn(stop.clone().run_until_cancelled_owned(run(pool, rhythm, told)));
        Self { inbox }
    }

    /// Records a report together with others. `None` if that cannot be done, whatever the reason: it must
    /// then be looked at by itself, with [`leases::complete`].
    pub async fn record(&self, fence: &LeaseRef, report: &Report) -> Option<News> {
        let (answer, answered) = oneshot::channel();
        let told = Told { fence: *fence, report: report.clone(), answer };
        self.inbox.send(told).await.ok()?;
        answered.await.ok()?
    }
}

async fn run(pool: PgPool, rhythm: Arc<Rhythm>, mut inbox: mpsc::Receiver<Told>) {
    let mut waiting: Vec<Told> = Vec::new();
    let mut kept = None;
    loop {
        if waiting.is_empty() {
            let first = match timeout(KEEP, inbox.recv()).await {
                Ok(first) => first,
                Err(_) => {
                    kept = None;
                    inbox.recv().await
                }
            };
            let Some(first) = first else { return };
            waiting.push(first);
        }
        let its_turn = rhythm.to_record().await;
        waiting = rhythm.reports(waiting, &mut inbox, REPORTS_TOGETHER_MAX).await;
        let (batch, twice) = each_trial_once(waiting);
        waiting = twice;
        let recorded = in_time(record(&pool, &mut kept, &batch)).await;
        rhythm.recorded(recorded.as_ref().map_or(0, HashMap::len));
        drop(its_turn);
        let mut recorded = recorded.unwrap_or_else(|error| {
            kept = None;
            // Each meets it by itself, or finds that it has been recorded all the same.
            tracing::debug!(%error, reports = batch.len(), "not recorded together");
            HashMap::new()
        });
        let mut studies = HashSet::new();
        for told in batch {
            let news = recorded
                .remove(&told.fence.trial_id)
                .map(|ended| News { ended, is_to_be_told: studies.insert(ended.study_id) });
            // Who has gone asks again, and is told that its report is known.
            let _ = told.answer.send(news);
        }
    }
}

/// One report of each trial, by trial; the others must wait.
fn each_trial_once(told: Vec<Told>) -> (Vec<Told>, Vec<Told>) {
    let mut seen = HashSet::new();
    let (mut batch, twice): (Vec<Told>, Vec<Told>) =
        told.into_iter().partition(|told| seen.insert(told.fence.trial_id));
    batch.sort_by_key(|told| told.fence.trial_id);
    (batch, twice)
}

async fn record(
    pool: &PgPool,
    kept: &mut Option<PoolConnection<Postgres>>,
    batch: &[Told],
) -> Result<HashMap<i64, Ended>, Error> {
    let db = match kept {
        Some(db) => db,
        None => kept.insert(pool.acquire().await.doing("record results")?),
    };
    let reports = batch.iter().map(|told| (&told.fence, &told.report));
    let ended = leases::complete_together(db, &reports.collect::<Vec<_>>()).await?;
    Ok(ended.into_iter().map(|ended| (ended.trial_id, ended)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;

    fn told(trial_id: i64, value: f64) -> Told {
        Told {
            fence: LeaseRef { trial_id, attempt: 1, lease_id: Uuid::nil() },
            report: Report { value, measurements: BTreeMap::new(), is_pruned: false },
            answer: oneshot::channel().0,
        }
    }

    #[test]
    fn of_two_reports_of_a_trial_the_later_waits() {
        let said = |told: &Vec<Told>| -> Vec<(i64, f64)> {
            told.iter().map(|told| (told.fence.trial_id, told.report.value)).collect()
        };
        let (batch, twice) = each_trial_once(vec![told(7, 0.1), told(3, 0.2), told(7, 0.3)]);
        assert_eq!(said(&batch), [(3, 0.2), (7, 0.1)], "in the order in which trials are locked");
        assert_eq!(said(&twice), [(7, 0.3)]);
    }
}
