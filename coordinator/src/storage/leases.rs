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
mod take;

pub use cancel::{cancel_one, cancel_open};
pub use complete::{Ended, Recorded, complete, complete_together};
pub use give_back::{fail, release};
pub use insert::{Basis, Handed, Planned, enqueue, insert_planned};
pub use reap::{Reaped, reap};
pub use take::{held_by, holders, take_queued};

use std::time::Duration;

use sqlx::PgConnection;

use crate::{
    error::{Doing as _, Error},
    trial::{Directive, LeaseRef, Renewed},
    worker::DrainOrder,
};

/// A deadline may already have passed when the row is read; no right is left then.
fn ttl(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
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
