//! The only file that moves a trial's state, and all that touches `lease`, `attempt` and `result`.
//!
//! Every statement that ends an attempt quotes the fence, (trial, attempt, lease id), and checks all
//! three in its `where`. `attempt` rises with each hand-out and `lease_id` is new each time, so a
//! worker whose trial was handed on changes no row. Expiry only lets others in: a late report that
//! nobody forestalled is still good work.

mod cancel;
mod complete;
mod give_back;
mod insert;
mod reap;

pub use cancel::{cancel_one, cancel_open};
pub use complete::{Recorded, complete};
pub use give_back::{fail, release};
pub use insert::{Planned, enqueue, insert_planned};
pub use reap::{Reaped, reap};

use std::time::Duration;

use sqlx::{PgConnection, types::Json};
use tuner::Point;
use uuid::Uuid;

use crate::{
    artifact::Checkpoint,
    error::{Doing as _, Error},
    study::Objective,
    trial::{Asker, Directive, Lease, LeaseRef, Renewed, trial_seed},
    worker::DrainOrder,
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

/// A deadline may already have passed when the row is read; no right is left then.
fn ttl(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
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
               (select case s.direction when 'maximize' then max(r.value) else min(r.value) end
                  from result r where r.study_id = s.study_id and r.feasible) as best_value
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

/// Hands a worker's slot the first queued trial of a study, or `None` if none may be handed out.
///
/// One statement, so two replicas cannot grant the same row: `skip locked` makes the loser take the
/// next one instead of waiting. Points that a person enqueued come first, then by number.
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
) -> Result<Option<Lease>, Error> {
    let granted: Option<Granted> = sqlx::query_as(
        "-- leases::take_queued
        with next as (
            select t.trial_id, s.max_trial_seconds, s.name, s.objective, s.seed,
                   s.checkpoint_epochs, s.direction
              from trial t
              join study s using (study_id)
             where t.study_id = $1
               and s.state = 'active'
               and t.state = 'queued'
               and t.not_before <= clock_timestamp()
               and (select count(*) from lease l join trial o using (trial_id)
                     where o.study_id = $1) < s.max_parallel
             order by t.priority desc, t.number
             limit 1
               for update of t skip locked),
        taken as (
            update trial t
               set state = 'running', attempt = t.attempt + 1
              from next
             where t.trial_id = next.trial_id
            returning t.trial_id, t.study_id, t.attempt, t.number, t.params,
                      next.max_trial_seconds, next.name, next.objective, next.seed,
                      next.checkpoint_epochs, next.direction),
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
            returning trial_id, lease_id, expires_at)
        select t.trial_id, t.attempt, l.lease_id,
               extract(epoch from l.expires_at - clock_timestamp())::float8 as ttl_s,
               t.study_id, t.name as study, t.number, t.params, t.objective, t.seed,
               c.epoch as checkpoint_epoch, c.sha256 as checkpoint_sha256,
               f.bytes as checkpoint_bytes, t.checkpoint_epochs,
               (select case t.direction when 'maximize' then max(r.value) else min(r.value) end
                  from result r where r.study_id = t.study_id and r.feasible) as best_value
          from taken t
          join leased l using (trial_id)
          left join checkpoint c using (trial_id)
          left join artifact f using (sha256)",
    )
    .bind(study_id)
    .bind(asker.worker_id)
    .bind(asker.slot)
    .bind(lease_ttl.as_secs_f64())
    .fetch_optional(db)
    .await
    .doing("hand out a queued trial")?;
    Ok(granted.map(Lease::from))
}

/// Moves a lease's expiry, never beyond its deadline. Locks the lease row alone, so it can join no
/// deadlock. An expired lease that was not reaped yet may be renewed.
///
/// # Errors
///
/// [`Error::LeaseLost`] if the fence matches no lease.
pub async fn renew(
    db: &mut PgConnection,
    fence: &LeaseRef,
    progress: f64,
    lease_ttl: Duration,
) -> Result<Renewed, Error> {
    let renewed: Option<(f64, bool, bool, Option<String>, bool)> = sqlx::query_as(
        "-- leases::renew
        update lease
           set expires_at = least(clock_timestamp() + make_interval(secs => $5), deadline_at),
               progress = $4
         where trial_id = $1 and attempt = $2 and lease_id = $3
        returning extract(epoch from expires_at - clock_timestamp())::float8, cancel, prune,
                  (select w.drained_because from worker w where w.worker_id = lease.worker_id),
                  coalesce((select w.is_unfit from worker w
                             where w.worker_id = lease.worker_id), false)",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(progress)
    .bind(lease_ttl.as_secs_f64())
    .fetch_optional(db)
    .await
    .doing("renew a lease")?;
    match renewed {
        Some((seconds, cancel, prune, drained_because, is_unfit)) => {
            let drain = DrainOrder::of(drained_because, is_unfit);
            let directive = match Directive::of(cancel, prune) {
                Directive::Continue if drain.is_some() => Directive::Drain,
                directive => directive,
            };
            Ok(Renewed { ttl: ttl(seconds), directive, drain })
        }
        None => Err(lost(fence)),
    }
}

/// Notes from which epoch on an attempt trains, once.
///
/// It quotes the attempt's own lease, held or not: it says what was, and decides nothing.
pub async fn note_resumed(
    db: &mut PgConnection,
    fence: &LeaseRef,
    epoch: i32,
) -> Result<(), Error> {
    sqlx::query(
        "-- leases::note_resumed
        update attempt set resumed_from_epoch = $4
         where trial_id = $1 and attempt = $2 and lease_id = $3 and resumed_from_epoch is null",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(epoch)
    .execute(db)
    .await
    .doing("note where an attempt went on")?;
    Ok(())
}

fn lost(fence: &LeaseRef) -> Error {
    Error::LeaseLost { trial_id: fence.trial_id, attempt: fence.attempt, lease_id: fence.lease_id }
}
