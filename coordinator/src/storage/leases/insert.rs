//! New trials: planned by the algorithm or chosen by a person.

use serde_json::json;
use sqlx::{PgConnection, types::Json};
use tuner::Value;

use crate::{
    error::{Doing as _, Error},
    storage::events,
    trial::NewPoint,
};

/// A planned point, with what it was decided from.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The point.
    pub new: NewPoint,
    /// Observations 0 … horizon−1 were known.
    pub horizon: i32,
    /// Numbers of the trials that were open.
    pub pending: Vec<i32>,
    /// Numbers of the trials that had failed.
    pub failed: Vec<i32>,
    /// Why this point.
    pub origin: String,
    /// Predicted value, objective's unit.
    pub mean: Option<f64>,
    /// Standard deviation of it.
    pub deviation: Option<f64>,
    /// Log expected improvement.
    pub acquisition: Option<f64>,
    /// The kernel's hyperparameters, by name.
    pub kernel: Option<serde_json::Value>,
}

/// Inserts planned trials from number `first` on, each with its suggestion, in the transaction that
/// raised the posterior's version to `version`.
pub async fn insert_planned(
    db: &mut PgConnection,
    study_id: i64,
    version: i64,
    first: i32,
    seed: u64,
    plan: &[Planned],
) -> Result<(), Error> {
    for (number, planned) in (first..).zip(plan) {
        let trial_id = insert(db, study_id, number, 0, "plan", &planned.new).await?;
        sqlx::query(
            "-- leases::insert_planned
            insert into suggestion (trial_id, study_id, posterior_version, horizon, pending, failed,
                                    seed, origin, mean, deviation, acquisition, kernel)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(trial_id)
        .bind(study_id)
        .bind(version)
        .bind(planned.horizon)
        .bind(&planned.pending)
        .bind(&planned.failed)
        .bind(seed.cast_signed())
        .bind(&planned.origin)
        .bind(planned.mean)
        .bind(planned.deviation)
        .bind(planned.acquisition)
        .bind(planned.kernel.as_ref().map(Json))
        .execute(&mut *db)
        .await
        .doing("store a suggestion")?;
    }
    Ok(())
}

/// Enqueues points that a person chose, ahead of planned ones; says their numbers, or `None` if the
/// budget does not hold them or the study has ended.
pub async fn enqueue(
    db: &mut PgConnection,
    study_id: i64,
    points: &[NewPoint],
) -> Result<Option<Vec<i32>>, Error> {
    let count = i32::try_from(points.len()).expect("a message holds fewer than 2^31 points");
    let first: Option<i32> = sqlx::query_scalar(
        "-- leases::enqueue
        update study
           set next_number = next_number + $2
         where study_id = $1
           and state in ('active', 'paused')
           and next_number + $2 <= max_trials
        returning next_number - $2",
    )
    .bind(study_id)
    .bind(count)
    .fetch_optional(&mut *db)
    .await
    .doing("number new trials")?;
    let Some(first) = first else { return Ok(None) };
    for (number, point) in (first..).zip(points) {
        insert(db, study_id, number, 1, "enqueue", point).await?;
    }
    let detail = json!({ "first": first, "count": count });
    events::note(db, study_id, None, "enqueue", detail).await?;
    Ok(Some((first..first + count).collect()))
}

/// One trial, its typed parameters and its first event.
async fn insert(
    db: &mut PgConnection,
    study_id: i64,
    number: i32,
    priority: i16,
    kind: &str,
    new: &NewPoint,
) -> Result<i64, Error> {
    let mut names = Vec::new();
    let mut numbers: Vec<Option<f64>> = Vec::new();
    let mut texts: Vec<Option<&str>> = Vec::new();
    for (name, value) in &new.point {
        names.push(name.as_str());
        let (number, text) = match value {
            Value::Bool(on) => (Some(f64::from(u8::from(*on))), None),
            Value::Int(whole) => (Some(*whole as f64), None),
            Value::Float(real) => (Some(*real), None),
            Value::Text(text) => (None, Some(text.as_str())),
        };
        numbers.push(number);
        texts.push(text);
    }
    sqlx::query_scalar(
        "-- leases::insert
        with added as (
            insert into trial (study_id, number, priority, params, unit_point)
            values ($1, $2, $3, $4, $5)
            returning trial_id, study_id),
        typed as (
            insert into trial_param (trial_id, name, value_num, value_text)
            select added.trial_id, p.name, p.number, p.text
              from added, unnest($6::text[], $7::float8[], $8::text[]) as p (name, number, text)),
        noted as (
            insert into event (study_id, trial_id, kind)
            select study_id, trial_id, $9 from added)
        select trial_id from added",
    )
    .bind(study_id)
    .bind(number)
    .bind(priority)
    .bind(Json(&new.point))
    .bind(&new.unit_point.0)
    .bind(names)
    .bind(numbers)
    .bind(texts)
    .bind(kind)
    .fetch_one(db)
    .await
    .doing("insert a trial")
}
