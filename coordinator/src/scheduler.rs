//! Who gets what, when: the handle that the API holds.
//!
//! Nothing here is remembered that Postgres does not know. Keepers hold warm copies; the change
//! counter only shortens waiting, and whoever waits also looks again by itself.

pub mod believed;
mod fitting;
pub mod insights;
pub mod keeper;
mod openings;
pub mod plan;
pub mod prospects;
pub mod pruning;
pub mod reaper;
mod recorder;
mod rhythm;
mod vacancies;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::PgPool;
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    error::{Doing as _, Error},
    scheduler::{
        keeper::Keeper,
        openings::{Look, Openings, Try},
        recorder::{News, Recorder},
        rhythm::Rhythm,
        vacancies::Vacancies,
    },
    storage::{
        self, in_time,
        leases::{self, Ended, Recorded},
        metrics::Metric,
        studies,
        workers::{self, Standing},
    },
    trial::{Asker, Directive, FailureClass, Lease, LeaseRef, Renewed, Report, TrialState},
    worker::DrainOrder,
};

/// How often one who waits looks for itself: what another replica did, or a back-off that is over.
const POLL: Duration = Duration::from_secs(1);

/// How long before a call the look may have been begun by which it is answered.
const LOOKS_TOGETHER: Duration = Duration::from_millis(2);

/// Leases that a trial told to stop may still run for, as a multiple of the lease.
const CANCEL_GRACE: u32 = 2;

/// Leases that are being handed out at once: the other connections are for those who hold one.
const GRANTS_AT_ONCE_MAX: usize = 10;

/// Hands out leases and takes reports. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    lease_ttl: Duration,
    /// One keeper per study that has been asked for; a keeper that ended is replaced.
    keepers: Mutex<HashMap<i64, Keeper>>,
    /// Counts changes that waiters may want to see.
    changes: watch::Sender<u64>,
    openings: Openings,
    vacancies: Vacancies,
    recorder: Recorder,
    rhythm: Arc<Rhythm>,
    grants: Semaphore,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Whether an asker's slot holds a lease, because an answer was lost.
#[derive(Clone, Copy)]
enum Holds {
    /// It has not been looked up.
    Perhaps,
    /// It held none a moment ago, as far as this replica knows.
    Hardly,
    /// It was looked up, or its worker is new.
    Nothing,
}

/// What an asker gets.
#[derive(Debug)]
pub enum Answer {
    /// A trial to work on.
    Lease(Box<Lease>),
    /// Nothing now. `idle` if every study that the asker serves has ended.
    Nothing {
        /// Nothing is left to wait for.
        idle: bool,
    },
    /// Nothing now or later: the worker is to go.
    Drained(DrainOrder),
}

impl Scheduler {
    /// A scheduler on a database; `lease_ttl` is how long a lease lasts without a heartbeat.
    pub fn new(pool: PgPool, lease_ttl: Duration, stop: CancellationToken) -> Self {
        let changes = watch::Sender::new(0);
        let tasks = TaskTracker::new();
        let rhythm = Arc::new(Rhythm::default());
        let inner = Inner {
            openings: Openings::new(pool.clone()),
            vacancies: Vacancies::default(),
            recorder: Recorder::start(pool.clone(), Arc::clone(&rhythm), &stop, &tasks),
            rhythm,
            grants: Semaphore::new(GRANTS_AT_ONCE_MAX),
            pool,
            lease_ttl,
            keepers: Mutex::default(),
            changes,
            stop,
            tasks,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The database.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// How long a lease lasts without a heartbeat.
    pub fn lease_ttl(&self) -> Duration {
        self.inner.lease_ttl
    }

    /// How long a trial that was told to stop may still run.
    pub fn cancel_grace(&self) -> Duration {
        self.inner.lease_ttl * CANCEL_GRACE
    }

    /// Set when the coordinator stops; everything that waits ends.
    pub fn stop(&self) -> &CancellationToken {
        &self.inner.stop
    }

    /// Tasks that must end before the process may.
    pub fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// Changes as they happen in this replica. A hint: it carries no data and may miss others'.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Wakes everybody who waits for a change, and the keeper of the study that changed.
    pub fn changed(&self, study_id: i64) {
        self.inner.openings.changed();
        self.has_result(study_id);
    }

    /// The same where the change is a result.
    fn has_result(&self, study_id: i64) {
        self.inner.changes.send_modify(|count| *count += 1);
        self.keeper(study_id).wake();
    }

    /// One lease for one slot: the one it holds, else a queued trial, else a newly planned one.
    /// Waits up to `wait` for one to turn up.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the database is away; [`Error::Stopping`].
    pub async fn lease(&self, asker: &Asker, wait: Duration) -> Result<Answer, Error> {
        let deadline = Instant::now() + wait;
        let mut changes = self.changes();
        let is_vacant = self.inner.vacancies.take(asker, Instant::now());
        let mut holds = if is_vacant { Holds::Hardly } else { Holds::Perhaps };
        if !is_vacant {
            let known = async { workers::register(&mut *self.connection().await?, asker).await };
            match in_time(known).await? {
                Standing::Drained(order) => return in_time(self.send_away(asker, order)).await,
                Standing::New => holds = Holds::Nothing,
                Standing::Known => {}
            }
            self.inner.vacancies.seen(asker, Instant::now());
        }
        let called = Instant::now();
        // Who else has come just now looks with this one.
        let mut since = called.checked_sub(LOOKS_TOGETHER).unwrap_or(called);
        loop {
            changes.borrow_and_update();
            let look = in_time(self.inner.openings.look(since)).await?;
            if let Some(lease) = self.lease_now(asker, &look, holds).await? {
                tracing::debug!(
                    study = lease.study,
                    trial.number = lease.number,
                    trial.attempt = lease.fence.attempt,
                    worker = asker.label,
                    "leased",
                );
                return Ok(Answer::Lease(Box::new(lease)));
            }
            holds = Holds::Nothing;
            // A result may have made room since.
            if look.at() < called {
                since = called;
                continue;
            }
            let idle = look.all_ended(asker);
            if idle || Instant::now() >= deadline {
                return Ok(Answer::Nothing { idle });
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(deadline.min(Instant::now() + POLL)) => {}
                () = self.inner.stop.cancelled() => return Err(Error::Stopping),
            }
            since = Instant::now();
        }
    }

    /// Tells a worker to go. What its slot still holds, because an answer was lost, is free at once.
    async fn send_away(&self, asker: &Asker, order: DrainOrder) -> Result<Answer, Error> {
        if let Some(lease) = self.held_by(asker).await? {
            match self.release(&lease.fence, "drain").await {
                // It was reaped at this very moment.
                Ok(()) | Err(Error::LeaseLost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Answer::Drained(order))
    }

    /// One pass over what was seen for the asker.
    async fn lease_now(
        &self,
        asker: &Asker,
        look: &Look,
        mut holds: Holds,
    ) -> Result<Option<Lease>, Error> {
        let mut in_vain = Vec::new();
        // Taking from a queue asks that too. Whoever is planned for is asked before, lest its answer that
        // was lost cost another trial; and so is, once, whoever finds nothing.
        while let Some(found) = look.take(asker, &in_vain) {
            let (study_id, granted) = match found {
                Try::Queue { study_id, is_limited } => {
                    (study_id, in_time(self.grant(study_id, is_limited, asker)).await?)
                }
                Try::Plan { study_id, is_limited } => {
                    let held = match holds {
                        Holds::Perhaps => in_time(self.held_by(asker)).await?,
                        Holds::Hardly | Holds::Nothing => None,
                    };
                    let granted = match held {
                        None => self.keeper(study_id).ask(asker).await?,
                        held => held,
                    };
                    // Another took the room, or the slot asked twice: either is in the queue now.
                    let granted = match granted {
                        None => in_time(self.grant(study_id, is_limited, asker)).await?,
                        granted => granted,
                    };
                    (study_id, granted)
                }
            };
            if granted.is_some() {
                return Ok(granted);
            }
            holds = Holds::Nothing;
            in_vain.push(study_id);
        }
        match holds {
            Holds::Perhaps | Holds::Hardly => in_time(self.held_by(asker)).await,
            Holds::Nothing => Ok(None),
        }
    }

    /// The lease that the slot holds already: an answer was lost.
    async fn held_by(&self, asker: &Asker) -> Result<Option<Lease>, Error> {
        let ttl = self.inner.lease_ttl;
        let _turn = self.inner.grants.acquire().await.expect("nobody closes it");
        leases::held_by(&mut *self.connection().await?, asker, ttl).await
    }

    /// A trial out of a study's queue, or the lease that the slot holds.
    async fn grant(
        &self,
        study_id: i64,
        is_limited: bool,
        asker: &Asker,
    ) -> Result<Option<Lease>, Error> {
        let ttl = self.inner.lease_ttl;
        let _turn = self.inner.grants.acquire().await.expect("nobody closes it");
        let granted = if is_limited {
            // Before the study is locked: to wait for a lease then could be for ever.
            let held = leases::held_by(&mut *self.connection().await?, asker, ttl).await?;
            if held.is_some() {
                return Ok(held);
            }
            let mut tx = storage::begin(self.pool(), "hand out a queued trial").await?;
            // First here and last elsewhere, which is no deadlock: nothing is waited for after it.
            studies::lock(&mut tx, study_id).await?;
            let granted = leases::take_queued(&mut tx, study_id, asker, ttl, false).await;
            match granted {
                Ok(lease) => tx.commit().await.doing("hand out a queued trial").map(|()| lease),
                refused => refused,
            }
        } else {
            leases::take_queued(&mut *self.connection().await?, study_id, asker, ttl, true).await
        };
        match granted {
            // The slot asked twice at once, and the other call was granted.
            Err(Error::Storage { source: sqlx::Error::Database(refusal), .. })
                if refusal.constraint() == Some("one_lease_per_slot") =>
            {
                leases::held_by(&mut *self.connection().await?, asker, ttl).await
            }
            granted => granted,
        }
    }

    /// Keeps a lease alive.
    pub async fn heartbeat(&self, fence: &LeaseRef, progress: f64) -> Result<Renewed, Error> {
        let ttl = self.inner.lease_ttl;
        let renewed =
            async { leases::renew(&mut *self.connection().await?, fence, progress, ttl).await };
        in_time(renewed).await
    }

    /// Keeps metrics of a running attempt; says what its worker should do now.
    pub async fn report(
        &self,
        fence: &LeaseRef,
        batch: &[Metric],
        progress: f64,
        resumed: Option<i32>,
    ) -> Result<Directive, Error> {
        pruning::report(self.pool(), fence, batch, progress, resumed).await
    }

    /// Records a result; `true` if it had been recorded before.
    pub async fn complete(&self, fence: &LeaseRef, report: &Report) -> Result<bool, Error> {
        let together = self.inner.recorder.record(fence, report).await;
        let (ended, is_to_be_told) = match together {
            Some(News { ended, is_to_be_told }) => (ended, is_to_be_told),
            None => match leases::complete(self.pool(), fence, report).await? {
                Recorded::Now(ended) => (ended, true),
                Recorded::Before => return Ok(true),
            },
        };
        let Ended { study_id, worker_id, slot, .. } = ended;
        if let (Some(worker_id), Some(slot)) = (worker_id, slot) {
            self.inner.vacancies.vacated((worker_id, slot), Instant::now());
        }
        if is_to_be_told {
            self.has_result(study_id);
        }
        Ok(false)
    }

    /// Says that workers were told to go.
    pub fn drained(&self) {
        self.inner.vacancies.forget();
    }

    /// Records a failure; `true` if the trial will be tried again.
    pub async fn fail(
        &self,
        fence: &LeaseRef,
        class: FailureClass,
        detail: &str,
    ) -> Result<bool, Error> {
        let (study_id, state) = leases::fail(self.pool(), fence, class, detail).await?;
        // It may have been one too many.
        self.drained();
        self.changed(study_id);
        Ok(matches!(state, TrialState::Queued | TrialState::Running))
    }

    /// Takes a trial back unharmed.
    pub async fn release(&self, fence: &LeaseRef, reason: &str) -> Result<(), Error> {
        let (study_id, _) = leases::release(self.pool(), fence, reason).await?;
        self.changed(study_id);
        Ok(())
    }

    async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Error> {
        self.inner.pool.acquire().await.doing("reach the database")
    }

    fn keeper(&self, study_id: i64) -> Keeper {
        let mut keepers =
            self.inner.keepers.lock().expect("nobody panics while holding the list of keepers");
        let keeper = keepers.entry(study_id).or_insert_with(|| self.new_keeper(study_id));
        if keeper.has_ended() {
            *keeper = self.new_keeper(study_id);
        }
        keeper.clone()
    }

    fn new_keeper(&self, study_id: i64) -> Keeper {
        let ttl = self.inner.lease_ttl;
        let Inner { pool, rhythm, stop, tasks, .. } = &*self.inner;
        Keeper::start(pool.clone(), study_id, ttl, Arc::clone(rhythm), stop, tasks)
    }
}
