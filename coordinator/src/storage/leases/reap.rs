//! Lapsed leases let others in.

use sqlx::PgPool;

use super::give_back::{BACK_OFF_MAX_S, BACK_OFF_S};
use crate::{
    error::{Doing as _, Error},
    limits::REAPED_AT_ONCE_MAX,
    storage::{self, studies},
};

/// What one call has put back or ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// The studies that it touched.
    pub studies: Vec<i64>,
    /// Whether it took as many trials as it may, so that there may be more.
    pub is_full: bool,
}

/// Puts trials whose lease has lapsed back into the queue, or ends those whose failures are spent or
/// that a person has withdrawn: [`REAPED_AT_ONCE_MAX`] at most.
///
/// A worker that beats and does not get on is reaped too: heartbeats do not move a lease beyond its
/// deadline.
///
/// It locks the trial before the lease like every other path. A heartbeat that slips in between
/// wins, because the `delete` waits for the lease row and asks its expiry again.
pub async fn reap(pool: &PgPool) -> Result<Reaped, Error> {
    let mut tx = storage::begin(pool, "reap lapsed leases").await?;
    let mut studies: Vec<i64> = sqlx::query_scalar(
        "-- leases::reap
        with lapsed as (
            select t.trial_id, t.attempt, l.lease_id
              from trial t
              join lease l using (trial_id)
             where t.state = 'running' and l.expires_at <= clock_timestamp()
             order by l.expires_at
             limit $1
               for update of t skip locked),
        freed as (
            delete from lease l using lapsed x
             where l.trial_id = x.trial_id
               and l.attempt = x.attempt
               and l.lease_id = x.lease_id
               and l.expires_at <= clock_timestamp()
            returning l.trial_id, l.attempt, l.deadline_at <= clock_timestamp() as is_overdue),
        done as (
            update trial t
               set failures = t.failures + 1,
                   state = case when t.cancel_requested then 'cancelled'
                                when t.failures + 1 >= s.max_failures then 'failed'
                                else 'queued' end::trial_state,
                   finished_at = case when t.cancel_requested or t.failures + 1 >= s.max_failures
                                      then clock_timestamp() end,
                   -- The first lapse is more often a lost machine than a poisonous point: it is
                   -- tried again at once, and only then ever more slowly.
                   not_before = clock_timestamp() + make_interval(
                       secs => case when t.failures = 0 then 0
                                    else least($2, $3 * power(2, t.failures - 1))
                                         * (0.8 + 0.4 * random()) end)
              from freed, study s
             where t.trial_id = freed.trial_id
               and t.attempt = freed.attempt
               and s.study_id = t.study_id
               and t.state = 'running'
            returning t.study_id, t.trial_id, t.attempt, t.state, t.cancel_requested,
                      freed.is_overdue),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select study_id, trial_id, attempt, 'reap', 'running', state from done),
        closed as (
            update attempt a
               set outcome = 'expired', failure_class = 'lease_expired',
                   ended_at = clock_timestamp(),
                   detail = case when not done.is_overdue then null
                                 when done.cancel_requested
                                 then 'it was told to stop and went on for two leases'
                                 else 'it ran for longer than the study''s max_trial_seconds' end
              from done
             where a.trial_id = done.trial_id
               and a.attempt = done.attempt
               and a.outcome = 'running')
        select study_id from done",
    )
    .bind(REAPED_AT_ONCE_MAX)
    .bind(BACK_OFF_MAX_S)
    .bind(BACK_OFF_S)
    .fetch_all(&mut *tx)
    .await
    .doing("reap lapsed leases")?;
    let is_full = studies.len() as i64 >= REAPED_AT_ONCE_MAX;
    studies.sort_unstable();
    studies.dedup();
    for &study_id in &studies {
        studies::close_if_done(&mut tx, study_id).await?;
    }
    tx.commit().await.doing("reap lapsed leases")?;
    Ok(Reaped { studies, is_full })
}
