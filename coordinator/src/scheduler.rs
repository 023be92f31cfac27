//! Who gets what, when: the handle that the API holds.
//!
//! Nothing here is remembered that Postgres does not know. Keepers hold warm copies; the change
//! counter only shortens waiting, and whoever waits also looks again by itself.

pub mod believed;
pub mod insights;
pub mod keeper;
pub mod plan;
pub mod prospects;
pub mod pruning;
pub mod reaper;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::PgPool;
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    error::{Doing as _, Error},
    scheduler::keeper::Keeper,
    storage::{
        leases::{self, Recorded},
        metrics::Metric,
        studies, workers,
    },
    trial::{Asker, Directive, FailureClass, Lease, LeaseRef, Renewed, Report, TrialState},
    worker::DrainOrder,
};

/// How often one who waits looks for itself: what another replica did, or a back-off that is over.
const POLL: Duration = Duration::from_secs(1);

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
    stop: CancellationToken,
    tasks: TaskTracker,
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
        let inner = Inner {
            pool,
            lease_ttl,
            keepers: Mutex::default(),
            changes: watch::Sender::new(0),
            stop,
            tasks: TaskTracker::new(),
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
        if let Some(order) = workers::register(&mut *self.connection().await?, asker).await? {
            return self.send_away(asker, order).await;
        }
        loop {
            changes.borrow_and_update();
            if let Some(lease) = self.lease_now(asker).await? {
                return Ok(Answer::Lease(Box::new(lease)));
            }
            let idle = studies::all_ended(&mut *self.connection().await?, asker).await?;
            if idle || Instant::now() >= deadline {
                return Ok(Answer::Nothing { idle });
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(deadline.min(Instant::now() + POLL)) => {}
                () = self.inner.stop.cancelled() => return Err(Error::Stopping),
            }
        }
    }

    /// Tells a worker to go. What its slot still holds, because an answer was lost, is free at once.
    async fn send_away(&self, asker: &Asker, order: DrainOrder) -> Result<Answer, Error> {
        let ttl = self.inner.lease_ttl;
        let held = leases::held_by(&mut *self.connection().await?, asker, ttl).await?;
        if let Some(lease) = held {
            match self.release(&lease.fence, "drain").await {
                // It was reaped at this very moment.
                Ok(()) | Err(Error::LeaseLost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Answer::Drained(order))
    }

    /// One pass over the studies that the asker serves.
    async fn lease_now(&self, asker: &Asker) -> Result<Option<Lease>, Error> {
        let ttl = self.inner.lease_ttl;
        if let Some(lease) = leases::held_by(&mut *self.connection().await?, asker, ttl).await? {
            return Ok(Some(lease));
        }
        let open = studies::open_for(&mut *self.connection().await?, asker).await?;
        for study in open {
            if !study.has_queued {
                if !study.can_plan {
                    continue;
                }
                // Whether it planned or another did, the answer is in the queue.
                self.keeper(study.study_id).ask().await?;
            }
            match leases::take_queued(&mut *self.connection().await?, study.study_id, asker, ttl)
                .await
            {
                Ok(Some(lease)) => {
                    tracing::debug!(
                        study = lease.study,
                        trial.number = lease.number,
                        trial.attempt = lease.fence.attempt,
                        worker = asker.label,
                        "leased",
                    );
                    return Ok(Some(lease));
                }
                Ok(None) => {}
                // The slot asked twice at once, and the other call was granted.
                Err(Error::Storage { source: sqlx::Error::Database(refusal), .. })
                    if refusal.constraint() == Some("one_lease_per_slot") =>
                {
                    return leases::held_by(&mut *self.connection().await?, asker, ttl).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Keeps a lease alive.
    pub async fn heartbeat(&self, fence: &LeaseRef, progress: f64) -> Result<Renewed, Error> {
        let ttl = self.inner.lease_ttl;
        leases::renew(&mut *self.connection().await?, fence, progress, ttl).await
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
        match leases::complete(self.pool(), fence, report).await? {
            Recorded::Now { study_id } => {
                self.changed(study_id);
                Ok(false)
            }
            Recorded::Before => Ok(true),
        }
    }

    /// Records a failure; `true` if the trial will be tried again.
    pub async fn fail(
        &self,
        fence: &LeaseRef,
        class: FailureClass,
        detail: &str,
    ) -> Result<bool, Error> {
        let (study_id, state) = leases::fail(self.pool(), fence, class, detail).await?;
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
        Keeper::start(self.pool().clone(), study_id, &self.inner.stop, &self.inner.tasks)
    }
}
