//! New trials: planned by the algorithm or chosen by a person.

use std::time::Duration;

use serde_json::json;
use sqlx::{PgConnection, types::Json};
use tuner::Point;
use uuid::Uuid;

use crate::{
    error::{Doing as _, Error},
    storage::events,
    study::Study,
    trial::{Asker, NewPoint},
};

/// A planned point.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The point.
    pub new: NewPoint,
    /// Why this point.
    pub origin: String,
    /// Predicted value, objective's unit.
    pub mean: Option<f64>,
    /// Standard deviation of it.
    pub deviation: Option<f64>,
    /// Log expected improvement.
    pub acquisition: Option<f64>,
}

/// What the points of a plan were decided from. Each of them saw those before it as open, too.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    /// Observations 0 … horizon−1 were known.
    pub horizon: i32,
    /// Numbers of the trials that were open.
    pub pending: Vec<i32>,
    /// Numbers of the trials that had failed.
    pub failed: Vec<i32>,
    /// The kernel's hyperparameters, by name.
    pub kernel: Option<serde_json::Value>,
}

/// A planned trial that was leased as it was inserted.
#[derive(Debug)]
pub struct Handed {
    /// Its place in the plan, and among those who asked.
    pub place: i64,
    /// The trial.
    pub trial_id: i64,
    /// The lease of its first attempt.
    pub lease_id: Uuid,
    /// How long the lease lasts from now.
    pub ttl_s: f64,
    /// The study's best value.
    pub best_value: Option<f64>,
}

/// A row of a plan's answer: one for each trial that was leased, and one without if none was.
#[derive(sqlx::FromRow)]
struct Published {
    place: Option<i64>,
    trial_id: Option<i64>,
    lease_id: Option<Uuid>,
    ttl_s: Option<f64>,
    best_value: Option<f64>,
}

impl Published {
    fn handed(self) -> Option<Handed> {
        let Published { place, trial_id, lease_id, ttl_s, best_value } = self;
        let (place, trial_id, lease_id) = (place?, trial_id?, lease_id?);
        Some(Handed { place, trial_id, lease_id, ttl_s: ttl_s?, best_value })
    }
}

/// Raises the posterior's version and inserts planned trials from number `read.next_number` on, each with its
/// suggestion, and leases the first of them to `askers`, the n-th to the n-th. A trial whose asker's slot
/// is given a lease at this very moment waits in the queue, and nobody is handed it here. One statement for
/// all: a plan may hold many, and the study is locked for no longer than it takes.
///
/// `None`, and nothing done, if the study is not as it was read any more: another plan, an enqueued point or a
/// person's pause was first, or, for a plan that was made ahead, another result. And if one of the askers
/// holds a lease, because an answer was lost: a trial would wait in the queue that nobody had asked for.
pub async fn insert_planned(
    db: &mut PgConnection,
    read: &Study,
    basis: &Basis,
    plan: &[Planned],
    is_ahead: bool,
    askers: &[Asker],
    lease_ttl: Duration,
) -> Result<Option<Vec<Handed>>, Error> {
    let Some(first) = plan.first() else { return Ok(Some(Vec::new())) };
    let count = i32::try_from(plan.len()).expect("a plan is smaller than 2^31");
    let dimensions = i32::try_from(first.new.unit_point.0.len()).expect("spaces are small");
    let units: Vec<f64> =
        plan.iter().flat_map(|planned| planned.new.unit_point.0.clone()).collect();
    let params: Vec<Json<&Point>> = plan.iter().map(|planned| Json(&planned.new.point)).collect();
    let of_plan = |take: fn(&Planned) -> Option<f64>| plan.iter().map(take).collect::<Vec<_>>();
    let askers = &askers[..askers.len().min(plan.len())];
    let max_trial_seconds = f64::from(read.spec.max_trial_seconds);
    let handed: Vec<Published> = sqlx::query_as(
        "-- leases::insert_planned
        with published as (
            update study
               set posterior_version = posterior_version + 1, next_number = next_number + $22
             where study_id = $1
               and posterior_version = $16 and next_number = $2
               and next_number + $22 <= max_trials
               and not converged
               and state = 'active'
               and (next_obs = $17 or not $23)
               and not exists (
                   select from unnest($10::uuid[], $11::integer[]) as a (worker_id, slot)
                    cross join lateral (
                          select from lease
                           where worker_id = a.worker_id and slot = a.slot offset 0) held)
            returning posterior_version as version),
        planned as materialized (
            select nextval('trial_trial_id_seq') as trial_id, p.place,
                   $2::integer + p.place::integer - 1 as number, p.params,
                   ($5::float8[])[(p.place - 1) * $6 + 1 : p.place * $6] as unit_point,
                   p.origin, p.mean, p.deviation, p.acquisition, p.worker_id, p.slot,
                   published.version
              from published
             cross join
                   unnest($3::jsonb[], $4::text[], $7::float8[], $8::float8[], $9::float8[],
                          $10::uuid[], $11::integer[])
                   with ordinality as p (params, origin, mean, deviation, acquisition,
                                         worker_id, slot, place)),
        known as (
            insert into worker (worker_id, label, device)
            select distinct on (w.worker_id) w.worker_id, w.label, w.device
              from unnest($10::uuid[], $12::text[], $13::text[]) as w (worker_id, label, device)
             where w.worker_id is not null
                on conflict (worker_id) do nothing),
        leased as (
            insert into lease (trial_id, attempt, lease_id, worker_id, slot, expires_at, deadline_at)
            select trial_id, 1, gen_random_uuid(), worker_id, slot,
                   clock_timestamp() + make_interval(secs => least($14, $15)),
                   clock_timestamp() + make_interval(secs => $15)
              from planned
             where worker_id is not null
             order by place
                on conflict on constraint one_lease_per_slot do nothing
            returning trial_id, lease_id, worker_id, expires_at),
        added as (
            insert into trial (trial_id, study_id, number, state, attempt, params, unit_point)
                   overriding system value
            select p.trial_id, $1, p.number,
                   case when l.trial_id is null then 'queued' else 'running' end::trial_state,
                   case when l.trial_id is null then 0 else 1 end,
                   p.params, p.unit_point
              from planned p left join leased l using (trial_id)),
        begun as (
            insert into attempt (trial_id, attempt, worker_id, lease_id)
            select trial_id, 1, worker_id, lease_id from leased),
        suggested as (
            insert into suggestion (trial_id, study_id, posterior_version, horizon, pending, failed,
                                    seed, origin, mean, deviation, acquisition, kernel)
            select trial_id, $1, version, $17,
                   $18::integer[] || array(select generate_series($2, number - 1)), $19, $20,
                   origin, mean, deviation, acquisition, $21
              from planned),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select $1, e.trial_id, e.attempt, e.kind, e.from_state, e.to_state
              from (select trial_id, null::integer as attempt, 'plan' as kind,
                           null::trial_state as from_state, null::trial_state as to_state
                      from planned
                    union all
                    select trial_id, 1, 'lease', 'queued', 'running' from leased) e
             order by e.trial_id, e.attempt nulls first)
        select p.place, p.trial_id, l.lease_id,
               extract(epoch from l.expires_at - clock_timestamp())::float8 as ttl_s,
               (select case s.direction
                       when 'maximize' then (select max(r.value) from result r
                                              where r.study_id = $1 and r.feasible)
                       else (select min(r.value) from result r
                              where r.study_id = $1 and r.feasible) end
                  from study s where s.study_id = $1) as best_value
          from published
          left join (planned p join leased l using (trial_id)) on true
         order by p.place",
    )
    .bind(read.study_id)
    .bind(read.next_number)
    .bind(params)
    .bind(plan.iter().map(|planned| planned.origin.as_str()).collect::<Vec<_>>())
    .bind(units)
    .bind(dimensions)
    .bind(of_plan(|planned| planned.mean))
    .bind(of_plan(|planned| planned.deviation))
    .bind(of_plan(|planned| planned.acquisition))
    .bind(askers.iter().map(|asker| asker.worker_id).collect::<Vec<_>>())
    .bind(askers.iter().map(|asker| asker.slot).collect::<Vec<_>>())
    .bind(askers.iter().map(|asker| asker.label.as_str()).collect::<Vec<_>>())
    .bind(askers.iter().map(|asker| asker.device.as_str()).collect::<Vec<_>>())
    .bind(lease_ttl.as_secs_f64())
    .bind(max_trial_seconds)
    .bind(read.posterior_version)
    .bind(basis.horizon)
    .bind(&basis.pending)
    .bind(&basis.failed)
    .bind(read.spec.seed.cast_signed())
    .bind(basis.kernel.as_ref().map(Json))
    .bind(count)
    .bind(is_ahead)
    .fetch_all(db)
    .await
    .doing("publish a plan")?;
    let is_published = !handed.is_empty();
    let handed = handed.into_iter().filter_map(Published::handed).collect();
    Ok(is_published.then_some(handed))
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

/// One trial and its first event.
async fn insert(
    db: &mut PgConnection,
    study_id: i64,
    number: i32,
    priority: i16,
    kind: &str,
    new: &NewPoint,
) -> Result<i64, Error> {
    sqlx::query_scalar(
        "-- leases::insert
        with added as (
            insert into trial (study_id, number, priority, params, unit_point)
            values ($1, $2, $3, $4, $5)
            returning trial_id, study_id),
        noted as (
            insert into event (study_id, trial_id, kind)
            select study_id, trial_id, $6 from added)
        select trial_id from added",
    )
    .bind(study_id)
    .bind(number)
    .bind(priority)
    .bind(Json(&new.point))
    .bind(&new.unit_point.0)
    .bind(kind)
    .fetch_one(db)
    .await
    .doing("insert a trial")
}
