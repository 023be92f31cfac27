//! Lapsed leases let others in.

use sqlx::PgPool;

use super::give_back::BACK_OFF_MAX_S;
use crate::{
    error::{Doing as _, Error},
    storage::{self, studies},
};

/// Most trials put back in one pass; the rest wait for the next.
const REAPED_AT_ONCE_MAX: i64 = 100;

/// Puts trials whose lease has lapsed back into the queue, or ends those whose failures are spent or
/// that a person has withdrawn. Says which studies it touched.
///
/// It locks the trial before the lease like every other path. A heartbeat that slips in between
/// wins, because the `delete` waits for the lease row and asks its expiry again.
pub async fn reap(pool: &PgPool) -> Result<Vec<i64>, Error> {
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
            returning l.trial_id, l.attempt),
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
                                    else least($2, 5 * power(2, t.failures - 1)) end)
              from freed, study s
             where t.trial_id = freed.trial_id
               and t.attempt = freed.attempt
               and s.study_id = t.study_id
               and t.state = 'running'
            returning t.study_id, t.trial_id, t.attempt, t.state),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select study_id, trial_id, attempt, 'reap', 'running', state from done),
        closed as (
            update attempt a
               set outcome = 'expired', failure_class = 'lease_expired',
                   ended_at = clock_timestamp()
              from done
             where a.trial_id = done.trial_id
               and a.attempt = done.attempt
               and a.outcome = 'running')
        select study_id from done",
    )
    .bind(REAPED_AT_ONCE_MAX)
    .bind(BACK_OFF_MAX_S)
    .fetch_all(&mut *tx)
    .await
    .doing("reap lapsed leases")?;
    studies.sort_unstable();
    studies.dedup();
    for &study_id in &studies {
        studies::close_if_done(&mut tx, study_id).await?;
    }
    tx.commit().await.doing("reap lapsed leases")?;
    Ok(studies)
}
