//! Two deeds that meet: those that chance would rarely find in the middle of each other are made certain
//! by locks that are held until both have begun.

use std::time::Duration;

use coordinator::{
    Error,
    scheduler::{Scheduler, plan},
    storage::{
        leases::{self, Recorded},
        posterior, studies,
    },
    study::StudyState,
    trial::{Asker, FailureClass, Lease, Report},
};
use proto::v1::CancelStudyRequest;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{invariants, operation::Rules, replica::Replica};

/// How long a lease lasts here: no time that matters.
const TTL: Duration = Duration::from_secs(60);

/// How long a deed may take until it waits for a lock. One that does not wait is as far as it gets.
const PATIENCE: Duration = Duration::from_secs(3);

/// Two deeds that meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// A lapsed lease is renewed while a reaper is about to free it: the renewal wins.
    RenewalAndReaper,
    /// A worker whose trial was handed on sends another heartbeat: it is refused.
    OldHeartbeat,
    /// A worker repeats its report, because the answer was lost: the result is recorded once.
    RepeatedReport,
    /// Two plans from one version of the posterior: one is believed.
    TwoPlans,
    /// An attempt fails while its study is withdrawn, and commits first.
    FailureThenCancel,
    /// The same, and the withdrawal commits first.
    CancelThenFailure,
    /// A trial is handed out while its study is withdrawn: its worker is told.
    GrantThenCancel,
    /// An attempt fails and reports a result at once, and the failure is first: no result.
    FailureThenCompletion,
    /// A trial is given back and reported at once, and the release is first: no result.
    ReleaseThenCompletion,
    /// A trial is given back twice at once: the next who asks gets it.
    TwoReleases,
    /// A study is cancelled twice at once: neither is refused.
    TwoCancels,
    /// Two slots ask where one more trial may run: one of them gets it.
    TwoGrants,
}

impl Crossing {
    /// All of them.
    pub const ALL: [Crossing; 12] = [
        Crossing::RenewalAndReaper,
        Crossing::OldHeartbeat,
        Crossing::RepeatedReport,
        Crossing::TwoPlans,
        Crossing::FailureThenCancel,
        Crossing::CancelThenFailure,
        Crossing::GrantThenCancel,
        Crossing::FailureThenCompletion,
        Crossing::ReleaseThenCompletion,
        Crossing::TwoReleases,
        Crossing::TwoCancels,
        Crossing::TwoGrants,
    ];

    /// Lets them meet in a study of their own, with `coordinators` on the database of `pool`.
    ///
    /// # Errors
    ///
    /// What is wrong then.
    pub async fn meet(self, pool: &PgPool, coordinators: &PgPool) -> Result<(), String> {
        let max_parallel = if self == Crossing::TwoGrants { 1 } else { 10_000 };
        let place = Place::new(pool, coordinators, max_parallel).await;
        match self {
            Crossing::RenewalAndReaper => place.renewal_and_reaper().await,
            Crossing::OldHeartbeat => place.old_heartbeat().await,
            Crossing::RepeatedReport => place.repeated_report().await,
            Crossing::TwoPlans => place.two_plans().await,
            Crossing::FailureThenCancel => place.failure_then_cancel().await,
            Crossing::CancelThenFailure => place.cancel_then_failure().await,
            Crossing::GrantThenCancel => place.grant_then_cancel().await,
            Crossing::FailureThenCompletion => place.completion_after(End::Failure).await,
            Crossing::ReleaseThenCompletion => place.completion_after(End::Release).await,
            Crossing::TwoReleases => place.two_releases().await,
            Crossing::TwoCancels => place.two_cancels().await,
            Crossing::TwoGrants => place.two_grants().await,
        }?;
        match invariants::violated(pool).await {
            violated if violated.is_empty() => Ok(()),
            violated => Err(format!("violated: {violated:?}")),
        }
    }
}

/// How an attempt ends without a value.
#[derive(Clone, Copy)]
enum End {
    Failure,
    Release,
}

/// A study with two trials in the queue.
struct Place {
    pool: PgPool,
    coordinators: PgPool,
    study_id: i64,
    name: String,
}

impl Place {
    async fn new(pool: &PgPool, coordinators: &PgPool, max_parallel: i32) -> Self {
        sqlx::raw_sql("delete from study; delete from late_report; delete from worker")
            .execute(pool)
            .await
            .expect("empties the database");
        let name = format!("crossing-{}", Uuid::new_v4().simple());
        let replica = Replica::new((*pool.connect_options()).clone());
        let rules = Rules { max_trials: 9, max_parallel, max_failures: 3, max_trial_seconds: 600 };
        replica.create(&name, &rules).await.expect("creates a study");
        replica.enqueue(&name, 2).await.expect("enqueues two points");
        replica.stop().await;
        let study_id = sqlx::query_scalar("select study_id from study")
            .fetch_one(pool)
            .await
            .expect("reads the study");
        Self { pool: pool.clone(), coordinators: coordinators.clone(), study_id, name }
    }

    async fn renewal_and_reaper(&self) -> Result<(), String> {
        let lease = self.lease().await;
        self.let_leases_lapse().await;
        let mut heartbeat = self.begin().await;
        leases::renew(&mut heartbeat, &lease.fence, 0.5, TTL).await.expect("is renewed");
        let coordinators = self.coordinators.clone();
        let reaper = tokio::spawn(async move { leases::reap(&coordinators).await });
        self.until_waiting(1).await;
        heartbeat.commit().await.expect("commits");
        reaper.await.expect("runs").expect("passes");
        let mut db = self.coordinators.acquire().await.expect("connects");
        let again = leases::renew(&mut db, &lease.fence, 0.5, TTL).await;
        again.map(drop).map_err(|error| format!("a lease just renewed was taken: {error}"))
    }

    async fn old_heartbeat(&self) -> Result<(), String> {
        let old = self.lease().await;
        self.let_leases_lapse().await;
        leases::reap(&self.coordinators).await.expect("passes");
        let new = self.lease().await;
        assert_eq!(new.fence.trial_id, old.fence.trial_id);
        let mut db = self.coordinators.acquire().await.expect("connects");
        match leases::renew(&mut db, &old.fence, 0.5, TTL).await {
            Err(Error::LeaseLost { .. }) => Ok(()),
            other => Err(format!("a heartbeat of an attempt that is over is answered {other:?}")),
        }
    }

    async fn repeated_report(&self) -> Result<(), String> {
        let lease = self.lease().await;
        let report = Report { value: 0.5, measurements: Default::default(), is_pruned: false };
        let recorded = leases::complete(&self.coordinators, &lease.fence, &report).await;
        assert!(matches!(recorded, Ok(Recorded::Now(_))), "{recorded:?}");
        match leases::complete(&self.coordinators, &lease.fence, &report).await {
            Ok(Recorded::Before) => Ok(()),
            other => Err(format!("a report that is repeated is answered {other:?}")),
        }
    }

    async fn two_plans(&self) -> Result<(), String> {
        let snapshot = posterior::snapshot(&self.coordinators, self.study_id).await;
        let snapshot = snapshot.expect("reads").expect("there is the study");
        let publish = async || {
            let (plan, _) = plan::make(&snapshot, plan::Warm::default(), 1);
            let publication = posterior::Publication {
                read: &snapshot.study,
                basis: &plan.basis,
                plan: &plan.points,
                fitted: None,
                exhausted: false,
                is_ahead: false,
            };
            posterior::publish(&self.coordinators, &publication, &[], TTL).await
        };
        publish().await.expect("the first is believed");
        match publish().await {
            Err(Error::PosteriorMoved { .. }) => Ok(()),
            other => Err(format!("the second plan from one version is answered {other:?}")),
        }
    }

    async fn failure_then_cancel(&self) -> Result<(), String> {
        let lease = self.lease().await;
        let study = self.cancelled_and_locked().await;
        let coordinators = self.coordinators.clone();
        let failure = tokio::spawn(async move {
            leases::fail(&coordinators, &lease.fence, FailureClass::Panic, "").await
        });
        self.until_waiting(1).await;
        let withdrawal = self.withdraw();
        self.until_waiting(2).await;
        study.commit().await.expect("commits");
        failure.await.expect("runs").expect("is recorded");
        withdrawal.await.expect("runs");
        Ok(())
    }

    async fn cancel_then_failure(&self) -> Result<(), String> {
        let lease = self.lease().await;
        let mut withdrawal = self.coordinators.begin().await.expect("begins");
        self.cancel(&mut withdrawal).await;
        leases::cancel_open(&mut withdrawal, self.study_id, TTL).await.expect("withdraws");
        let coordinators = self.coordinators.clone();
        let failure = tokio::spawn(async move {
            leases::fail(&coordinators, &lease.fence, FailureClass::Panic, "").await
        });
        self.until_waiting(1).await;
        withdrawal.commit().await.expect("commits");
        failure.await.expect("runs").expect("is recorded");
        Ok(())
    }

    async fn grant_then_cancel(&self) -> Result<(), String> {
        let mut grant = self.coordinators.begin().await.expect("begins");
        let lease = leases::take_queued(&mut grant, self.study_id, &self.asker(), TTL, true).await;
        lease.expect("asks").expect("there is a trial");
        self.cancelled_and_locked().await.commit().await.expect("commits");
        let withdrawal = self.withdraw();
        self.until_waiting(1).await;
        grant.commit().await.expect("commits");
        withdrawal.await.expect("runs");
        Ok(())
    }

    async fn completion_after(&self, end: End) -> Result<(), String> {
        let lease = self.lease().await;
        let fence = lease.fence;
        let study = self.locked().await;
        let coordinators = self.coordinators.clone();
        let ended = tokio::spawn(async move {
            match end {
                End::Failure => leases::fail(&coordinators, &fence, FailureClass::Panic, "").await,
                End::Release => leases::release(&coordinators, &fence, "").await,
            }
        });
        self.until_waiting(1).await;
        let coordinators = self.coordinators.clone();
        let report = Report { value: 0.5, measurements: Default::default(), is_pruned: false };
        let completion =
            tokio::spawn(async move { leases::complete(&coordinators, &fence, &report).await });
        self.until_waiting(2).await;
        study.commit().await.expect("commits");
        ended.await.expect("runs").expect("is recorded");
        match completion.await.expect("runs") {
            Err(Error::LeaseLost { .. }) => Ok(()),
            other => Err(format!("the result of an attempt that is over is answered {other:?}")),
        }
    }

    async fn two_releases(&self) -> Result<(), String> {
        let lease = self.lease().await;
        let (fence, number) = (lease.fence, lease.number);
        let study = self.locked().await;
        let release = || {
            let coordinators = self.coordinators.clone();
            tokio::spawn(async move { leases::release(&coordinators, &fence, "").await })
        };
        let released = [release(), release()];
        self.until_waiting(2).await;
        study.commit().await.expect("commits");
        for released in released {
            released.await.expect("runs").expect("is recorded");
        }
        match self.lease().await.number {
            next if next == number => Ok(()),
            next => Err(format!("trial {number} is passed by for trial {next}")),
        }
    }

    async fn two_cancels(&self) -> Result<(), String> {
        let study = self.locked().await;
        let replica = Replica::new((*self.coordinators.connect_options()).clone());
        let cancel = || {
            let mut people = replica.people.clone();
            let request = CancelStudyRequest { name: self.name.clone(), ..Default::default() };
            tokio::spawn(async move { people.cancel_study(request).await })
        };
        let cancelled = [cancel(), cancel()];
        self.until_waiting(2).await;
        study.commit().await.expect("commits");
        let mut refused = Vec::new();
        for cancelled in cancelled {
            refused.extend(cancelled.await.expect("runs").err());
        }
        replica.stop().await;
        if refused.is_empty() { Ok(()) } else { Err(format!("refused: {refused:?}")) }
    }

    async fn two_grants(&self) -> Result<(), String> {
        // A grant notes an event, which needs the study's key: until then both have looked how many run.
        let mut study = self.begin().await;
        sqlx::query("select from study where study_id = $1 for update")
            .bind(self.study_id)
            .execute(&mut *study)
            .await
            .expect("locks the study");
        let ask = || {
            let stop = CancellationToken::new();
            let scheduler = Scheduler::new(self.coordinators.clone(), TTL, stop);
            let asker = self.asker();
            tokio::spawn(async move { scheduler.lease(&asker, Duration::ZERO).await })
        };
        let asked = [ask(), ask()];
        self.until_waiting(2).await;
        study.commit().await.expect("commits");
        for asked in asked {
            asked.await.expect("runs").expect("is answered");
        }
        Ok(())
    }

    fn asker(&self) -> Asker {
        Asker {
            worker_id: Uuid::new_v4(),
            slot: 0,
            objectives: vec!["external".to_owned()],
            studies: vec![self.name.clone()],
            label: "crossing".to_owned(),
            device: "cpu".to_owned(),
        }
    }

    async fn lease(&self) -> Lease {
        let mut db = self.coordinators.acquire().await.expect("connects");
        let lease = leases::take_queued(&mut db, self.study_id, &self.asker(), TTL, true).await;
        lease.expect("asks").expect("there is a trial")
    }

    async fn let_leases_lapse(&self) {
        sqlx::query("update lease set expires_at = clock_timestamp() - interval '1 second'")
            .execute(&self.pool)
            .await
            .expect("moves the leases");
    }

    async fn begin(&self) -> Transaction<'static, Postgres> {
        self.pool.begin().await.expect("begins")
    }

    /// Holds the study's row as one does who ends a trial: whoever else does waits at its very end.
    async fn locked(&self) -> Transaction<'static, Postgres> {
        let mut tx = self.begin().await;
        sqlx::query("select from study where study_id = $1 for no key update")
            .bind(self.study_id)
            .execute(&mut *tx)
            .await
            .expect("locks the study");
        tx
    }

    /// The first of the two transactions that withdraw a study, and the study's row held afterwards.
    async fn cancelled_and_locked(&self) -> Transaction<'static, Postgres> {
        let mut db = self.pool.acquire().await.expect("connects");
        self.cancel(&mut db).await;
        self.locked().await
    }

    async fn cancel(&self, db: &mut PgConnection) {
        let (from, to) = ([StudyState::Active], StudyState::Cancelled);
        assert!(studies::set_state(db, self.study_id, &from, to).await.expect("is steered"));
    }

    /// The second of them.
    fn withdraw(&self) -> tokio::task::JoinHandle<()> {
        let (coordinators, study_id) = (self.coordinators.clone(), self.study_id);
        tokio::spawn(async move {
            let mut tx = coordinators.begin().await.expect("begins");
            leases::cancel_open(&mut tx, study_id, TTL).await.expect("withdraws");
            tx.commit().await.expect("commits");
        })
    }

    /// Until so many sessions wait for locks, or have had the time to.
    async fn until_waiting(&self, sessions: i64) {
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity
                  where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&self.pool)
            .await
            .expect("looks for waiting sessions");
            if waiting >= sessions {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
