//! On a tick: puts lapsed trials back, closes studies that are done, withdraws what a cancel left, forgets
//! old request ids, deletes what workers stored and nobody needs any more.
//!
//! Every replica runs one. They cannot harm each other: the statements lock what they move.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::Scheduler;
use crate::error::Doing as _;
use crate::{
    error::Error,
    limits::REAPS_MAX,
    storage::{
        self, artifacts, idempotency,
        leases::{self, Reaped},
        studies,
    },
};

/// Runs until the scheduler stops. `tick` is the mean time between passes; each is drawn from half
/// to one and a half of it, so that replicas drift apart.
pub async fn run(scheduler: Scheduler, tick: Duration) {
    let stop: CancellationToken = scheduler.stop().clone();
    loop {
        let wait = tick.mul_f64(0.5 + uniform());
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
        match look(&scheduler).await {
            Ok(()) => {}
            Err(error) if error.is_passing() => tracing::debug!(%error, "reaper: database away"),
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "reaper: a look failed");
            }
        }
    }
}

/// Does all that there is to do now.
///
/// # Errors
///
/// [`Error::Storage`]; the next look begins where this one ended.
pub async fn look(scheduler: &Scheduler) -> Result<(), Error> {
    let pool = scheduler.pool();
    // Until none is left: a switch that dies takes the leases of thousands of workers with it.
    for _ in 0..REAPS_MAX {
        let Reaped { studies, is_full } = storage::in_time(leases::reap(pool)).await?;
        for study_id in studies {
            tracing::info!(study_id, "leases lapsed; their trials are free for others");
            scheduler.changed(study_id);
        }
        if !is_full || scheduler.stop().is_cancelled() {
            break;
        }
    }
    for study_id in storage::in_time(close_done(pool)).await? {
        scheduler.changed(study_id);
    }
    for study_id in storage::in_time(withdraw_rest(scheduler)).await? {
        scheduler.changed(study_id);
    }
    let forgotten = async {
        let mut connection = pool.acquire().await.doing("reach the database")?;
        idempotency::forget(&mut connection).await
    };
    storage::in_time(forgotten).await?;
    artifacts::sweep(pool).await
}

/// Another: a cancel withdraws the trials of its study after it has committed the study's end.
async fn withdraw_rest(scheduler: &Scheduler) -> Result<Vec<i64>, Error> {
    let mut tx = storage::begin(scheduler.pool(), "withdraw trials").await?;
    let studies = studies::half_cancelled(&mut tx).await?;
    for &study_id in &studies {
        leases::cancel_open(&mut tx, study_id, scheduler.cancel_grace()).await?;
    }
    tx.commit().await.doing("withdraw trials")?;
    Ok(studies)
}

/// A safety net: ends of trials close their study themselves.
async fn close_done(pool: &PgPool) -> Result<Vec<i64>, Error> {
    let mut connection = pool.acquire().await.doing("reach the database")?;
    let active = studies::active(&mut connection).await?;
    drop(connection);
    let mut closed = Vec::new();
    for study_id in active {
        let mut tx = storage::begin(pool, "close studies").await?;
        if studies::close_if_done(&mut tx, study_id).await? {
            closed.push(study_id);
        }
        tx.commit().await.doing("close studies")?;
    }
    Ok(closed)
}

/// A number in [0, 1) for jitter; nothing that must be replayed depends on it.
fn uniform() -> f64 {
    (uuid::Uuid::new_v4().as_u128() >> 75) as f64 / (1_u64 << 53) as f64
}
