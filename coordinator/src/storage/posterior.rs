//! What planning reads, and the compare-and-swap by which a plan is published.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sqlx::{PgConnection, PgPool, types::Json};
use tuner::{UnitPoint, gp::Parts};

use super::{
    imported,
    leases::{Basis, Handed, Planned},
    prospects, studies,
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
    /// Results that were known when its prospects were last computed.
    pub prospect_horizon: Option<i32>,
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
    let mut known = before.map(|before| before.tried).unwrap_or_default();
    known.retain(|trial| !trial.state.is_open());
    // Dense from 0: whoever is not among the known is below their number and missing, or beyond it.
    let next = known.last().map_or(0, |trial| trial.number + 1);
    let numbers = known.iter().map(|trial| trial.number).collect::<BTreeSet<i32>>();
    let missing: Vec<i32> = (0..next).filter(|number| !numbers.contains(number)).collect();
    let changed: Vec<Tried> = sqlx::query_as(
        "-- posterior::snapshot
        select t.number, t.state, t.unit_point, r.obs_seq, r.value, r.measurements
          from trial t
          left join result r using (trial_id)
         where t.study_id = $1
           and (t.number >= $2 or t.number = any ($3))
         order by t.number",
    )
    .bind(study_id)
    .bind(next)
    .bind(missing)
    .fetch_all(&mut *tx)
    .await
    .doing("read a study's trials")?;
    let mut tried = known;
    tried.extend(changed);
    tried.sort_by_key(|trial| trial.number);
    let imported = imported::known(&mut tx, study_id).await?;
    let prospect_horizon = prospects::last(&mut tx, study_id).await?.map(|last| last.horizon);
    Ok(Some(Snapshot { study, tried, imported, prospect_horizon }))
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
    let count = i32::try_from(plan.len()).expect("a plan is smaller than 2^31");
    let moved = Error::PosteriorMoved { study_id: read.study_id, version: read.posterior_version };
    let mut tx = storage::begin(pool, "publish a plan").await?;
    let mut handed = Vec::new();
    if count > 0 {
        let version: Option<i64> = sqlx::query_scalar(
            "-- posterior::publish
            update study
               set posterior_version = posterior_version + 1, next_number = next_number + $4
             where study_id = $1
               and posterior_version = $2
               and next_number = $3
               and next_number + $4 <= max_trials
               and not converged
               and state = 'active'
               and (next_obs = $5 or not $6)
            returning posterior_version",
        )
        .bind(read.study_id)
        .bind(read.posterior_version)
        .bind(read.next_number)
        .bind(count)
        .bind(basis.horizon)
        .bind(is_ahead)
        .fetch_optional(&mut *tx)
        .await
        .doing("publish a plan")?;
        let Some(version) = version else { return Err(moved) };
        handed =
            leases::insert_planned(&mut tx, read, version, basis, plan, askers, lease_ttl).await?;
        if let Some(fitted) = fitted {
            store(&mut tx, read.study_id, version, fitted).await?;
        }
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
