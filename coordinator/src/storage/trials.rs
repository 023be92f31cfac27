//! Trials as people see them: reads only.

use std::collections::BTreeMap;

use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use tuner::Point;

use crate::{
    error::{Doing as _, Error},
    front::Standing,
    study::{Direction, Study, TrialCounts},
    trial::{Pruning, Suggested, Trial, TrialState},
};

/// What [`SELECT`] gives.
#[derive(sqlx::FromRow)]
struct Row {
    trial_id: i64,
    number: i32,
    state: TrialState,
    params: Json<Point>,
    value: Option<f64>,
    measurements: Option<Json<BTreeMap<String, f64>>>,
    attempt: i32,
    failures: i32,
    origin: Option<String>,
    posterior_version: Option<i64>,
    horizon: Option<i32>,
    mean: Option<f64>,
    deviation: Option<f64>,
    acquisition: Option<f64>,
    progress: Option<f32>,
    metrics: Option<Json<BTreeMap<String, f64>>>,
    worker: Option<String>,
    failure: Option<String>,
    created_at: OffsetDateTime,
    started_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
    resumed_from_epoch: Option<i32>,
    feasible: Option<bool>,
    pruning_rule: Option<String>,
    pruning_metric: Option<String>,
    pruning_step: Option<i32>,
    pruning_stage: Option<i32>,
    pruning_place: Option<i32>,
    pruning_value: Option<f64>,
    pruning_threshold: Option<f64>,
    pruning_peers: Option<i32>,
}

impl Row {
    fn pruning(&self) -> Option<Pruning> {
        Some(Pruning {
            rule: self.pruning_rule.clone()?,
            metric: self.pruning_metric.clone()?,
            step: self.pruning_step?,
            stage: self.pruning_stage?,
            place: self.pruning_place?,
            value: self.pruning_value?,
            threshold: self.pruning_threshold?,
            peers: self.pruning_peers?,
        })
    }
}

/// One row a trial, with its result, suggestion, lease, last attempt and that attempt's last metrics.
/// A macro and not a function, because sqlx takes literals only.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
        select t.trial_id, t.number, t.state, t.params, r.value, r.measurements, t.attempt,
               t.failures, g.origin, g.posterior_version, g.horizon, g.mean, g.deviation,
               g.acquisition, l.progress, m.metrics, w.label as worker,
               coalesce(a.failure_class || ': ', '') || a.detail as failure,
               t.created_at, a.started_at, t.finished_at, a.resumed_from_epoch,
               case when not r.is_pruned then r.feasible end as feasible,
               p.rule as pruning_rule, p.metric as pruning_metric, p.step as pruning_step,
               p.stage as pruning_stage, p.place as pruning_place, p.value as pruning_value,
               p.threshold as pruning_threshold, p.peers as pruning_peers
          from trial t
          left join result r using (trial_id)
          left join suggestion g using (trial_id)
          left join lease l using (trial_id)
          left join attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
          left join pruning p on (p.trial_id, p.attempt) = (t.trial_id, t.attempt)
          left join worker w on w.worker_id = a.worker_id
          left join lateral (
               select jsonb_object_agg(last.name, last.value) as metrics
                 from (select distinct on (m.name) m.name, m.value
                         from metric m
                        where m.trial_id = t.trial_id and m.attempt = t.attempt
                        order by m.name, m.step desc) last) m on true ",
            $rest
        )
    };
}

fn trial(study: &Study, row: Row) -> Trial {
    let pruning = row.pruning();
    let suggestion = match (row.origin, row.posterior_version, row.horizon) {
        (Some(origin), Some(posterior_version), Some(horizon)) => Some(Suggested {
            origin,
            posterior_version,
            horizon,
            mean: row.mean,
            deviation: row.deviation,
            acquisition: row.acquisition,
        }),
        _ => None,
    };
    Trial {
        trial_id: row.trial_id,
        study: study.spec.name.clone(),
        number: row.number,
        state: row.state,
        point: row.params.0,
        value: row.value,
        measurements: row.measurements.map(|json| json.0).unwrap_or_default(),
        attempt: row.attempt,
        failures: row.failures,
        suggestion,
        progress: f64::from(row.progress.unwrap_or(0.0)),
        metrics: row.metrics.map(|json| json.0).unwrap_or_default(),
        worker: row.worker.unwrap_or_default(),
        failure: row.failure.unwrap_or_default(),
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        resumed_from_epoch: row.resumed_from_epoch,
        feasible: row.feasible,
        pruning,
    }
}

/// Trials of a study from a number on, rising.
pub async fn page(
    db: &mut PgConnection,
    study: &Study,
    from_number: i32,
    limit: i64,
) -> Result<Vec<Trial>, Error> {
    let rows: Vec<Row> = sqlx::query_as(select!(
        "trials::page",
        "where t.study_id = $1 and t.number >= $2 order by t.number limit $3"
    ))
    .bind(study.study_id)
    .bind(from_number)
    .bind(limit)
    .fetch_all(db)
    .await
    .doing("list trials")?;
    Ok(rows.into_iter().map(|row| trial(study, row)).collect())
}

/// Trials whose state changed after event `seen`, and all that are running.
pub async fn changed_since(
    db: &mut PgConnection,
    study: &Study,
    seen: i64,
) -> Result<Vec<Trial>, Error> {
    let rows: Vec<Row> = sqlx::query_as(select!(
        "trials::changed_since",
        "where t.study_id = $1
           and (t.state = 'running'
                or t.trial_id in (select e.trial_id from event e
                                   where e.study_id = $1 and e.event_id > $2))
         order by t.number"
    ))
    .bind(study.study_id)
    .bind(seen)
    .fetch_all(db)
    .await
    .doing("list changed trials")?;
    Ok(rows.into_iter().map(|row| trial(study, row)).collect())
}

/// One trial by number.
///
/// # Errors
///
/// [`Error::TrialNotFound`].
pub async fn by_number(db: &mut PgConnection, study: &Study, number: i32) -> Result<Trial, Error> {
    let row: Option<Row> =
        sqlx::query_as(select!("trials::by_number", "where t.study_id = $1 and t.number = $2"))
            .bind(study.study_id)
            .bind(number)
            .fetch_optional(db)
            .await
            .doing("read a trial")?;
    row.map(|row| trial(study, row))
        .ok_or_else(|| Error::TrialNotFound { study: study.spec.name.clone(), number })
}

/// The best completed trial of a study that keeps every constraint; of equals the earliest. `None` before
/// the first.
pub async fn best(db: &mut PgConnection, study: &Study) -> Result<Option<Trial>, Error> {
    let sign = match study.spec.direction {
        Direction::Maximize => 1.0,
        Direction::Minimize => -1.0,
    };
    let row: Option<Row> = sqlx::query_as(select!(
        "trials::best",
        "where t.trial_id = (select trial_id from result
                              where study_id = $1 and feasible
                              order by value * $2 desc, obs_seq limit 1)"
    ))
    .bind(study.study_id)
    .bind(sign)
    .fetch_optional(db)
    .await
    .doing("read the best trial")?;
    Ok(row.map(|row| trial(study, row)))
}

/// The trials of these numbers, rising.
pub async fn by_numbers(
    db: &mut PgConnection,
    study: &Study,
    numbers: &[i32],
) -> Result<Vec<Trial>, Error> {
    let rows: Vec<Row> = sqlx::query_as(select!(
        "trials::by_numbers",
        "where t.study_id = $1 and t.number = any ($2) order by t.number"
    ))
    .bind(study.study_id)
    .bind(numbers)
    .fetch_all(db)
    .await
    .doing("read some trials")?;
    Ok(rows.into_iter().map(|row| trial(study, row)).collect())
}

/// The feasible results of a study by the order of recording.
pub async fn feasible(db: &mut PgConnection, study_id: i64) -> Result<Vec<Standing>, Error> {
    let rows: Vec<(i32, Vec<f64>)> = sqlx::query_as(
        "-- trials::feasible
        select t.number, r.objectives
          from result r
          join trial t using (trial_id)
         where r.study_id = $1 and r.feasible and r.objectives is not null
         order by r.obs_seq",
    )
    .bind(study_id)
    .fetch_all(db)
    .await
    .doing("read the feasible results")?;
    Ok(rows.into_iter().map(|(number, objectives)| Standing { number, objectives }).collect())
}

/// How many trials of a study are in each state.
pub async fn counts(db: &mut PgConnection, study_id: i64) -> Result<TrialCounts, Error> {
    sqlx::query_as(
        "-- trials::counts
        select count(*) filter (where state = 'queued') as queued,
               count(*) filter (where state = 'running') as running,
               count(*) filter (where state = 'completed') as completed,
               count(*) filter (where state = 'pruned') as pruned,
               count(*) filter (where state = 'failed') as failed,
               count(*) filter (where state = 'cancelled') as cancelled
          from trial
         where study_id = $1",
    )
    .bind(study_id)
    .fetch_one(db)
    .await
    .doing("count trials")
}
