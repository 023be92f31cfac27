//! What planning reads, and the compare-and-swap by which a plan is published.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{PgConnection, PgPool, types::Json};
use tuner::{UnitPoint, gp::Parts};

use super::{
    imported,
    leases::{Basis, Handed, Planned},
    studies,
};
use crate::{
    error::{Doing as _, Error},
    storage::{self, leases},
    study::Study,
    trial::{Asker, TrialState},
};

/// One trial as planning sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Tried {
    /// Number within the study.
    pub number: i32,
    /// Where it stands.
    pub state: TrialState,
    /// The point.
    pub unit_point: Vec<f64>,
    /// Order of its result, if it has one.
    pub obs_seq: Option<i32>,
    /// Its result, in the objective's unit.
    pub value: Option<f64>,
    /// Everything else measured, by name.
    pub measurements: Option<Json<BTreeMap<String, f64>>>,
}

impl Tried {
    /// The point in the unit cube.
    pub fn point(&self) -> UnitPoint {
        UnitPoint(self.unit_point.clone())
    }
}

/// A study and its trials, by number, as of one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The study.
    pub study: Study,
    /// All its trials.
    pub tried: Vec<Tried>,
    /// Results from elsewhere, in the order in which they came in.
    pub imported: Vec<Imported>,
}

/// A result from elsewhere as planning sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Imported {
    /// Its place among the observations.
    pub obs_seq: i32,
    /// The point.
    pub unit_point: Vec<f64>,
    /// In the objective's unit.
    pub value: f64,
    /// Everything else measured, by name.
    pub measurements: Json<BTreeMap<String, f64>>,
}

/// Reads a study and its trials in one snapshot; `None` if the study was deleted.
pub async fn snapshot(pool: &PgPool, study_id: i64) -> Result<Option<Snapshot>, Error> {
    snapshot_after(None, pool, study_id).await
}

/// The same, faster where `before` is an earlier snapshot of the study: of the trials that had ended
/// then, nothing changes any more. The result does not depend on it.
pub async fn snapshot_after(
    before: Option<Snapshot>,
    pool: &PgPool,
    study_id: i64,
) -> Result<Option<Snapshot>, Error> {
    let mut tx = storage::read(pool, "read a study for planning").await?;
    let Some(study) = studies::by_id(&mut tx, study_id).await? else { return Ok(None) };
    let (mut known, mut imported) =
        before.map(|before| (before.tried, before.imported)).unwrap_or_default();
    known.retain(|trial| !trial.state.is_open());
    // Trials are numbered densely from 0, and known ones are in order.
    let mut missing = Vec::new();
    let mut next = 0;
    for trial in &known {
        missing.extend(next..trial.number);
        next = trial.number + 1;
    }
    missing.extend(next..study.next_number);
    let is_behind = missing.first().is_none_or(|&first| first >= next);
    let changed: Vec<Tried> = sqlx::query_as(
        "-- posterior::snapshot
        select t.number, t.state, t.unit_point, r.obs_seq, r.value, r.measurements
          from unnest($2::integer[]) as n (number)
         cross join lateral (
               -- One by one, however few trials there were when this was planned.
               select trial_id, number, state, unit_point
                 from trial where study_id = $1 and number = n.number offset 0) t
          left join result r using (trial_id)
         order by t.number",
    )
    .bind(study_id)
    .bind(missing)
    .fetch_all(&mut *tx)
    .await
    .doing("read a study's trials")?;
    let mut tried = known;
    tried.extend(changed);
    if !is_behind {
        tried.sort_by_key(|trial| trial.number);
    }
    // Every observation is a trial's or from elsewhere, and none ever goes.
    let observed = tried.iter().filter(|trial| trial.obs_seq.is_some()).count() + imported.len();
    if usize::try_from(study.next_obs) != Ok(observed) {
        imported = imported::known(&mut tx, study_id).await?;
    }
    Ok(Some(Snapshot { study, tried, imported }))
}

/// What a plan was fitted to, if it had enough to fit.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Observations 0 … horizon−1 went in.
    pub horizon: i32,
    /// Numbers of the trials that had failed, rising.
    pub failed: Vec<i32>,
    /// The posterior's stored form.
    pub parts: Parts,
}

/// A plan to publish.
pub struct Publication<'a> {
    /// The study as it was when the plan was made.
    pub read: &'a Study,
    /// What the plan was decided from.
    pub basis: &'a Basis,
    /// The new points, in the order of their numbers.
    pub plan: &'a [Planned],
    /// The posterior behind it, unless that is stored already.
    pub fitted: Option<&'a Fitted>,
    /// Whether the space has no point left.
    pub exhausted: bool,
    /// Whether it was made ahead of those who ask, and is worth nothing once another result is known.
    pub is_ahead: bool,
}

/// Publishes a plan: raises the posterior's version, numbers and inserts the trials with their
/// suggestions, leases the n-th to the n-th of `askers`, stores the posterior. One short transaction, for
/// all of them. Says which asker was handed which.
///
/// Compare-and-swap: any replica may plan at any time, and of those that read the same version one
/// is believed. The next number is part of the guard too, because a person may enqueue meanwhile.
/// No lock is held while the process is fitted.
///
/// # Errors
///
/// [`Error::PosteriorMoved`] if another plan, an enqueued point or a person's pause was first.
pub async fn publish(
    pool: &PgPool,
    publication: &Publication<'_>,
    askers: &[Asker],
    lease_ttl: Duration,
) -> Result<Vec<Handed>, Error> {
    let Publication { read, basis, plan, fitted, exhausted, is_ahead } = *publication;
    let moved =
        || Error::PosteriorMoved { study_id: read.study_id, version: read.posterior_version };
    if fitted.is_none() && !exhausted {
        let mut db = pool.acquire().await.doing("publish a plan")?;
        let handed =
            leases::insert_planned(&mut db, read, basis, plan, is_ahead, askers, lease_ttl).await?;
        return handed.ok_or_else(moved);
    }
    let mut tx = storage::begin(pool, "publish a plan").await?;
    let handed =
        leases::insert_planned(&mut tx, read, basis, plan, is_ahead, askers, lease_ttl).await?;
    let Some(handed) = handed else { return Err(moved()) };
    if let Some(fitted) = fitted.filter(|_| !plan.is_empty()) {
        store(&mut tx, read.study_id, read.posterior_version + 1, fitted).await?;
    }
    if exhausted {
        studies::set_exhausted(&mut tx, read.study_id).await?;
        studies::close_if_done(&mut tx, read.study_id).await?;
    }
    tx.commit().await.doing("publish a plan")?;
    Ok(handed)
}

/// Stores a posterior unless a later one stands.
pub async fn store(
    db: &mut PgConnection,
    study_id: i64,
    version: i64,
    fitted: &Fitted,
) -> Result<(), Error> {
    let parts = &fitted.parts;
    sqlx::query(
        "-- posterior::store
        insert into posterior as p
               (study_id, version, horizon, length_scales, signal_variance, noise_variance,
                value_offset, value_scale, factor, alpha, log_posterior, failed)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            on conflict (study_id) do update
           set version = excluded.version,
               horizon = excluded.horizon,
               length_scales = excluded.length_scales,
               signal_variance = excluded.signal_variance,
               noise_variance = excluded.noise_variance,
               value_offset = excluded.value_offset,
               value_scale = excluded.value_scale,
               factor = excluded.factor,
               alpha = excluded.alpha,
               log_posterior = excluded.log_posterior,
               failed = excluded.failed,
               fitted_at = clock_timestamp()
         where (p.version, p.horizon) <= (excluded.version, excluded.horizon)",
    )
    .bind(study_id)
    .bind(version)
    .bind(fitted.horizon)
    .bind(&parts.length_scales)
    .bind(parts.signal_variance)
    .bind(parts.noise_variance)
    .bind(parts.offset)
    .bind(parts.scale)
    .bind(&parts.factor)
    .bind(&parts.alpha)
    .bind(parts.log_posterior)
    .bind(&fitted.failed)
    .execute(db)
    .await
    .doing("store a posterior")?;
    Ok(())
}

/// A row of `posterior`, with the study's seed.
#[derive(sqlx::FromRow)]
struct Row {
    horizon: i32,
    failed: Vec<i32>,
    length_scales: Vec<f64>,
    signal_variance: f64,
    noise_variance: f64,
    value_offset: f64,
    value_scale: f64,
    factor: Vec<f64>,
    alpha: Vec<f64>,
    log_posterior: f64,
    seed: i64,
}

/// The stored posterior of a study; `None` if there is none, or none that can be put together again.
pub async fn load(pool: &PgPool, study_id: i64) -> Result<Option<Fitted>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "-- posterior::load
        select p.horizon, p.failed, p.length_scales, p.signal_variance, p.noise_variance,
               p.value_offset, p.value_scale, p.factor, p.alpha, p.log_posterior, s.seed
          from posterior p
          join study s using (study_id)
         where p.study_id = $1
           and p.failed is not null",
    )
    .bind(study_id)
    .fetch_optional(pool)
    .await
    .doing("read a posterior")?;
    Ok(row.map(|row| Fitted {
        horizon: row.horizon,
        parts: Parts {
            length_scales: row.length_scales,
            signal_variance: row.signal_variance,
            noise_variance: row.noise_variance,
            offset: row.value_offset,
            scale: row.value_scale,
            factor: row.factor,
            alpha: row.alpha,
            log_posterior: row.log_posterior,
            observations: row.horizon.unsigned_abs(),
            failures: u32::try_from(row.failed.len()).expect("a study has fewer than 2^31 trials"),
            seed: row.seed.cast_unsigned(),
        },
        failed: row.failed,
    }))
}
