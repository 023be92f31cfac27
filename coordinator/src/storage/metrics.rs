//! Numbers measured in the course of an attempt.

use sqlx::{PgConnection, types::Json};

use crate::{
    error::{Doing as _, Error},
    limits::METRICS_MAX,
    study::{Direction, EarlyStopping},
    trial::{Directive, LeaseRef},
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

/// What stands once metrics are in.
#[derive(Clone, Debug)]
pub struct Told {
    /// The study that the attempt belongs to.
    pub study_id: i64,
    /// Which way its objective is better.
    pub direction: Direction,
    /// When its trials are stopped early.
    pub early_stopping: Option<EarlyStopping>,
    /// What the attempt has been told before.
    pub directive: Directive,
}

#[derive(sqlx::FromRow)]
struct Row {
    study_id: i64,
    direction: String,
    early_stopping: Option<Json<EarlyStopping>>,
    cancel: bool,
    prune: bool,
}

/// Adds metrics of a running attempt, and its progress; metrics already there stay as they are.
///
/// The update locks the lease row, so that no reaper can free the trial in between. If the fence
/// matches no row, nothing is inserted.
///
/// # Errors
///
/// [`Error::LeaseLost`] if the attempt no longer holds its lease; [`Error::TooManyMetrics`].
pub async fn insert(
    db: &mut PgConnection,
    fence: &LeaseRef,
    metrics: &[Metric],
    progress: f64,
) -> Result<Told, Error> {
    let steps: Vec<i32> = metrics.iter().map(|metric| metric.step).collect();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let values: Vec<f64> = metrics.iter().map(|metric| metric.value).collect();
    let told: Option<Row> = sqlx::query_as(
        "-- metrics::insert
        with held as (
            update lease
               set progress = $7, metrics = metrics + cardinality($4::int[])
             where trial_id = $1 and attempt = $2 and lease_id = $3
               and metrics + cardinality($4::int[]) <= $8
            returning trial_id, attempt, cancel, prune),
        added as (
            insert into metric (trial_id, attempt, step, name, value)
            select held.trial_id, held.attempt, m.step, m.name, m.value
              from held, unnest($4::int[], $5::text[], $6::float8[]) as m (step, name, value)
                on conflict (trial_id, attempt, step, name) do nothing)
        select s.study_id, s.direction, s.early_stopping, h.cancel, h.prune
          from held h
          join trial t using (trial_id)
          join study s using (study_id)",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(steps)
    .bind(names)
    .bind(values)
    .bind(progress)
    .bind(METRICS_MAX)
    .fetch_optional(&mut *db)
    .await
    .doing("add metrics")?;
    let Some(told) = told else { return Err(refused(db, fence).await?) };
    Ok(Told {
        study_id: told.study_id,
        direction: Direction::of(&told.direction),
        early_stopping: told.early_stopping.map(|json| json.0),
        directive: Directive::of(told.cancel, told.prune),
    })
}

/// Why metrics of an attempt were not taken: it has none left, or no lease.
async fn refused(db: &mut PgConnection, fence: &LeaseRef) -> Result<Error, Error> {
    let &LeaseRef { trial_id, attempt, lease_id } = fence;
    let is_held: bool = sqlx::query_scalar(
        "-- metrics::refused
        select exists (select from lease
                        where trial_id = $1 and attempt = $2 and lease_id = $3)",
    )
    .bind(trial_id)
    .bind(attempt)
    .bind(lease_id)
    .fetch_one(db)
    .await
    .doing("look for a lease")?;
    Ok(match is_held {
        true => Error::TooManyMetrics { trial_id, attempt, limit: METRICS_MAX },
        false => Error::LeaseLost { trial_id, attempt, lease_id },
    })
}
