//! Reports come in, and a stopping rule may answer that the trial should end.

use sqlx::PgPool;
use tuner::stopping::{Verdict, judge};

use crate::{
    error::{Doing as _, Error},
    storage::{
        leases,
        metrics::{self, Metric, Told},
        prunings,
    },
    trial::{Directive, LeaseRef},
};

/// Keeps metrics of a running attempt, and says what its worker should do now.
///
/// The metrics are committed before anything is compared: a comparison that fails costs nothing but
/// itself, and the next report brings another. Told once, an attempt is told again with every answer.
pub async fn report(
    pool: &PgPool,
    fence: &LeaseRef,
    batch: &[Metric],
    progress: f64,
    resumed: Option<i32>,
) -> Result<Directive, Error> {
    let mut connection = pool.acquire().await.doing("reach the database")?;
    let told = metrics::insert(&mut connection, fence, batch, progress).await?;
    if let Some(epoch) = resumed {
        leases::note_resumed(&mut connection, fence, epoch).await?;
    }
    drop(connection);
    match told.directive {
        Directive::Continue => compare(pool, fence, batch, told).await,
        told => Ok(told),
    }
}

/// Compares the trial with the others of its study, if that has a rule for it.
async fn compare(
    pool: &PgPool,
    fence: &LeaseRef,
    batch: &[Metric],
    told: Told,
) -> Result<Directive, Error> {
    let Some(by) = told.early_stopping else { return Ok(Directive::Continue) };
    let new = batch.iter().filter(|metric| metric.name == by.metric).map(|metric| metric.step);
    let Some(since) = new.min() else { return Ok(Directive::Continue) };
    let mut connection = pool.acquire().await.doing("reach the database")?;
    let (study_id, trial_id) = (told.study_id, fence.trial_id);
    let curves =
        prunings::curves(&mut connection, study_id, trial_id, &by.metric, told.direction).await?;
    drop(connection);
    let rule = by.rule();
    // Thousands of reports are compared: not on an async thread.
    let verdict = tokio::task::spawn_blocking(move || {
        judge(rule, &curves.own, since.unsigned_abs(), &curves.peers)
    })
    .await
    .map_err(|panic| Error::Plan(panic.to_string()))?;
    let Verdict::Prune(compared) = &verdict else {
        tracing::trace!(trial.id = trial_id, %verdict, "goes on");
        return Ok(Directive::Continue);
    };
    let mut connection = pool.acquire().await.doing("reach the database")?;
    prunings::record(&mut connection, fence, &by, told.direction, compared).await?;
    tracing::info!(trial.id = trial_id, rule = by.rule.as_str(), step = compared.step, "pruned");
    Ok(Directive::Prune)
}
