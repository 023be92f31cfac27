//! A trial that waits in the queue is handed to a slot.

use std::{collections::HashSet, time::Duration};

use sqlx::{PgConnection, types::Json};
use tuner::Point;
use uuid::Uuid;

use super::ttl;
use crate::{
    artifact::Checkpoint,
    error::{Doing as _, Error},
    limits::PARALLEL_MAX,
    study::Objective,
    trial::{Asker, Lease, LeaseRef, trial_seed},
};

/// A granted lease as the database tells it.
#[derive(sqlx::FromRow)]
struct Granted {
    trial_id: i64,
    attempt: i32,
    lease_id: Uuid,
    ttl_s: f64,
    study_id: i64,
    study: String,
    number: i32,
    params: Json<Point>,
    objective: Json<Objective>,
    seed: i64,
    checkpoint_epoch: Option<i32>,
    checkpoint_sha256: Option<Vec<u8>>,
    checkpoint_bytes: Option<i64>,
    checkpoint_epochs: i32,
    best_value: Option<f64>,
}

impl From<Granted> for Lease {
    fn from(row: Granted) -> Self {
        let checkpoint = match (row.checkpoint_epoch, row.checkpoint_sha256, row.checkpoint_bytes) {
            (Some(epoch), Some(sha256), Some(bytes)) => Some(Checkpoint { epoch, sha256, bytes }),
            _ => None,
        };
        Lease {
            fence: LeaseRef {
                trial_id: row.trial_id,
                attempt: row.attempt,
                lease_id: row.lease_id,
            },
            ttl: ttl(row.ttl_s),
            study_id: row.study_id,
            study: row.study,
            number: row.number,
            point: row.params.0,
            objective: row.objective.0,
            seed: trial_seed(row.seed.cast_unsigned(), row.number),
            checkpoint,
            checkpoint_epochs: row.checkpoint_epochs,
            best_value: row.best_value,
        }
    }
}

/// The lease that a worker's slot already holds, renewed: an answer was lost on the way.
pub async fn held_by(
    db: &mut PgConnection,
    asker: &Asker,
    lease_ttl: Duration,
) -> Result<Option<Lease>, Error> {
    let held: Option<Granted> = sqlx::query_as(
        "-- leases::held_by
        with held as (
            update lease
               set expires_at = least(clock_timestamp() + make_interval(secs => $3), deadline_at)
             where worker_id = $1 and slot = $2
            returning trial_id, attempt, lease_id, expires_at)
        select h.trial_id, h.attempt, h.lease_id,
               extract(epoch from h.expires_at - clock_timestamp())::float8 as ttl_s,
               s.study_id, s.name as study, t.number, t.params, s.objective, s.seed,
               c.epoch as checkpoint_epoch, c.sha256 as checkpoint_sha256,
               f.bytes as checkpoint_bytes, s.checkpoint_epochs,
               case s.direction
                    when 'maximize' then (select max(r.value) from result r
                                           where r.study_id = s.study_id and r.feasible)
                    else (select min(r.value) from result r
                           where r.study_id = s.study_id and r.feasible) end as best_value
          from held h
          join trial t using (trial_id)
          join study s using (study_id)
          left join checkpoint c using (trial_id)
          left join artifact f using (sha256)",
    )
    .bind(asker.worker_id)
    .bind(asker.slot)
    .bind(lease_ttl.as_secs_f64())
    .fetch_optional(db)
    .await
    .doing("look for a lease already held")?;
    Ok(held.map(Lease::from))
}

/// Those of the slots that hold a lease.
pub async fn holders(
    db: &mut PgConnection,
    askers: &[&Asker],
) -> Result<HashSet<(Uuid, i32)>, Error> {
    let held: Vec<(Uuid, i32)> = sqlx::query_as(
        "-- leases::holders
        select l.worker_id, l.slot
          from unnest($1::uuid[], $2::integer[]) as a (worker_id, slot)
         cross join lateral (
               select worker_id, slot from lease
                where worker_id = a.worker_id and slot = a.slot offset 0) l",
    )
    .bind(askers.iter().map(|asker| asker.worker_id).collect::<Vec<_>>())
    .bind(askers.iter().map(|asker| asker.slot).collect::<Vec<_>>())
    .fetch_all(db)
    .await
    .doing("look for leases already held")?;
    Ok(held.into_iter().collect())
}

/// Hands a worker's slot the first queued trial of a study, or the lease that it already holds of
/// whatever study; `None` if there is neither. Enters the worker at its first call.
///
/// One statement and one commit, so two replicas cannot grant the same row: `skip locked` makes the
/// loser take the next one instead of waiting. Points that a person enqueued come first, then by
/// number. A study with the largest `max_parallel` that there is has no limit and is not counted; one that
/// has is locked before, in the same transaction: two grants at once would each count without the other.
///
/// Whoever holds a lock of the study must not wait for a lease, which whoever ends a trial holds while it
/// waits for the study: it asks [`held_by`] before, and calls this without `may_hold`.
///
/// # Errors
///
/// [`Error::Storage`] with a unique violation if the same slot asked twice at once; the other call
/// holds the lease, and [`held_by`] finds it.
pub async fn take_queued(
    db: &mut PgConnection,
    study_id: i64,
    asker: &Asker,
    lease_ttl: Duration,
    may_hold: bool,
) -> Result<Option<Lease>, Error> {
    let granted: Option<Granted> = sqlx::query_as(
        "-- leases::take_queued
        with known as (
            insert into worker (worker_id, label, device) values ($2, $5, $6)
                on conflict (worker_id) do nothing),
        held as (
            update lease
               set expires_at = least(clock_timestamp() + make_interval(secs => $4), deadline_at)
             where worker_id = $2 and slot = $3 and $8
            returning trial_id, attempt, lease_id, expires_at),
        next as (
            select t.trial_id, s.max_trial_seconds
              from trial t
              join study s using (study_id)
             where t.study_id = $1
               and s.state = 'active'
               and t.state = 'queued'
               and t.not_before <= clock_timestamp()
               and not exists (select from held)
               and (s.max_parallel >= $7
                    or (select count(*) from trial o
                         where o.study_id = $1 and o.state = 'running') < s.max_parallel)
             order by t.priority desc, t.number
             limit 1
               for update of t skip locked),
        taken as (
            update trial t
               set state = 'running', attempt = t.attempt + 1
              from next
             where t.trial_id = next.trial_id
            returning t.trial_id, t.study_id, t.attempt, next.max_trial_seconds),
        begun as (
            insert into attempt (trial_id, attempt, worker_id, lease_id)
            select trial_id, attempt, $2, gen_random_uuid() from taken
            returning trial_id, lease_id),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select study_id, trial_id, attempt, 'lease', 'queued', 'running' from taken),
        leased as (
            insert into lease (trial_id, attempt, lease_id, worker_id, slot, expires_at, deadline_at)
            select t.trial_id, t.attempt, b.lease_id, $2, $3,
                   clock_timestamp() + make_interval(secs => least($4, t.max_trial_seconds)),
                   clock_timestamp() + make_interval(secs => t.max_trial_seconds)
              from taken t join begun b using (trial_id)
            returning trial_id, attempt, lease_id, expires_at)
        select g.trial_id, g.attempt, g.lease_id,
               extract(epoch from g.expires_at - clock_timestamp())::float8 as ttl_s,
               s.study_id, s.name as study, t.number, t.params, s.objective, s.seed,
               c.epoch as checkpoint_epoch, c.sha256 as checkpoint_sha256,
               f.bytes as checkpoint_bytes, s.checkpoint_epochs,
               case s.direction
                    when 'maximize' then (select max(r.value) from result r
                                           where r.study_id = s.study_id and r.feasible)
                    else (select min(r.value) from result r
                           where r.study_id = s.study_id and r.feasible) end as best_value
          from (select trial_id, attempt, lease_id, expires_at from held
                union all
                select trial_id, attempt, lease_id, expires_at from leased) g
          join trial t using (trial_id)
          join study s using (study_id)
          left join checkpoint c using (trial_id)
          left join artifact f using (sha256)",
    )
    .bind(study_id)
    .bind(asker.worker_id)
    .bind(asker.slot)
    .bind(lease_ttl.as_secs_f64())
    .bind(&asker.label)
    .bind(&asker.device)
    .bind(PARALLEL_MAX)
    .bind(may_hold)
    .fetch_optional(db)
    .await
    .doing("hand out a queued trial")?;
    Ok(granted.map(Lease::from))
}
