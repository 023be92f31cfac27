//! Numbers measured in the course of an attempt.

use sqlx::PgConnection;

use crate::{
    error::{Doing as _, Error},
    trial::LeaseRef,
};

/// One number of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Epoch, from 0.
    pub step: i32,
    /// A plain word.
    pub name: String,
    /// Finite.
    pub value: f64,
}

/// Adds metrics of a running attempt, and its progress; metrics already there stay as they are. Says
/// whether a person has withdrawn the trial.
///
/// The update locks the lease row, so that no reaper can free the trial in between. If the fence
/// matches no row, nothing is inserted.
///
/// # Errors
///
/// [`Error::LeaseLost`] if the attempt no longer holds its lease.
pub async fn insert(
    db: &mut PgConnection,
    fence: &LeaseRef,
    metrics: &[Metric],
    progress: f64,
) -> Result<bool, Error> {
    let steps: Vec<i32> = metrics.iter().map(|metric| metric.step).collect();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let values: Vec<f64> = metrics.iter().map(|metric| metric.value).collect();
    let cancel: Option<bool> = sqlx::query_scalar(
        "-- metrics::insert
        with held as (
            update lease
               set progress = $7
             where trial_id = $1 and attempt = $2 and lease_id = $3
            returning trial_id, attempt, cancel),
        added as (
            insert into metric (trial_id, attempt, step, name, value)
            select held.trial_id, held.attempt, m.step, m.name, m.value
              from held, unnest($4::int[], $5::text[], $6::float8[]) as m (step, name, value)
                on conflict (trial_id, attempt, step, name) do nothing)
        select cancel from held",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(steps)
    .bind(names)
    .bind(values)
    .bind(progress)
    .fetch_optional(db)
    .await
    .doing("add metrics")?;
    cancel.ok_or(Error::LeaseLost {
        trial_id: fence.trial_id,
        attempt: fence.attempt,
        lease_id: fence.lease_id,
    })
}
