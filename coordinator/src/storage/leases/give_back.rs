//! Attempts that end without a value: failed or released.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::lost;
use crate::{
    error::{Doing as _, Error},
    storage::{self, studies, workers},
    trial::{FailureClass, LeaseRef, TrialState},
};

/// First wait after a failure; it doubles with each further one, up to [`BACK_OFF_MAX_S`].
pub(super) const BACK_OFF_S: f64 = 5.0;

/// Longest wait after a failure.
pub(super) const BACK_OFF_MAX_S: f64 = 300.0;

/// Ends an attempt that failed: the trial waits and is tried again, or is given up if its failures
/// are spent or another attempt could not end otherwise. Says which study it was and where the trial
/// stands now. Repeating the call changes nothing.
///
/// # Errors
///
/// [`Error::LeaseLost`] if the attempt no longer holds its lease.
pub async fn fail(
    pool: &PgPool,
    fence: &LeaseRef,
    class: FailureClass,
    detail: &str,
) -> Result<(i64, TrialState), Error> {
    let mut tx = storage::begin(pool, "record a failure").await?;
    let done: Option<(i64, TrialState)> = sqlx::query_as(
        "-- leases::fail
        with old as (
            -- Read from the locked row: a person may have withdrawn the trial during the wait.
            select t.trial_id, t.attempt, t.failures, t.cancel_requested, s.max_failures
              from trial t
              join study s using (study_id)
              join lease l using (trial_id)
             where t.trial_id = $1 and t.attempt = $2 and t.state = 'running'
               and l.attempt = $2 and l.lease_id = $3
               for update of t),
        freed as (
            delete from lease l using old
             where l.trial_id = old.trial_id and l.attempt = old.attempt and l.lease_id = $3
            returning l.trial_id),
        next as (
            select trial_id,
                   case when not $4 or old.failures + 1 >= old.max_failures then 'failed'
                        when old.cancel_requested then 'cancelled'
                        else 'queued' end::trial_state as state
              from old join freed using (trial_id)),
        done as (
            update trial t
               set state = next.state,
                   failures = t.failures + 1,
                   finished_at = case when next.state = 'queued' then null
                                      else clock_timestamp() end,
                   not_before = clock_timestamp() + make_interval(
                       secs => least($7, $6 * power(2, t.failures)) * (0.8 + 0.4 * random()))
              from next
             where t.trial_id = next.trial_id
            returning t.trial_id, t.study_id, t.attempt, t.state),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select study_id, trial_id, attempt, 'fail', 'running', state from done),
        closed as (
            update attempt a
               set outcome = 'failed', ended_at = clock_timestamp(),
                   failure_class = $5, detail = $8
              from done
             where a.trial_id = done.trial_id and a.attempt = done.attempt)
        select study_id, state from done",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(class.is_retryable())
    .bind(class.as_str())
    .bind(BACK_OFF_S)
    .bind(BACK_OFF_MAX_S)
    .bind(detail)
    .fetch_optional(&mut *tx)
    .await
    .doing("record a failure")?;
    let (study_id, state) = match done {
        Some(done) => done,
        None => {
            let answer = answered_before(&mut tx, fence, "failed").await;
            free(tx).await?;
            return answer;
        }
    };
    if workers::count_against(&mut tx, fence, class).await? {
        let class = class.as_str();
        tracing::warn!(class, "a worker's machine fails too often; it is told to go");
    }
    studies::close_if_done(&mut tx, study_id).await?;
    tx.commit().await.doing("record a failure")?;
    Ok((study_id, state))
}

/// Gives a trial back unharmed: it is queued at once and no failure is counted; one that a person
/// has withdrawn is cancelled instead. Repeating the call changes nothing.
///
/// # Errors
///
/// [`Error::LeaseLost`] if the attempt no longer holds its lease.
pub async fn release(
    pool: &PgPool,
    fence: &LeaseRef,
    reason: &str,
) -> Result<(i64, TrialState), Error> {
    let mut tx = storage::begin(pool, "release a trial").await?;
    let done: Option<(i64, TrialState)> = sqlx::query_as(
        "-- leases::release
        with old as (
            select t.trial_id, t.attempt
              from trial t
              join lease l using (trial_id)
             where t.trial_id = $1 and t.attempt = $2 and t.state = 'running'
               and l.attempt = $2 and l.lease_id = $3
               for update of t),
        freed as (
            delete from lease l using old
             where l.trial_id = old.trial_id and l.attempt = old.attempt and l.lease_id = $3
            returning l.trial_id),
        done as (
            update trial t
               set state = case when t.cancel_requested then 'cancelled'
                                else 'queued' end::trial_state,
                   finished_at = case when t.cancel_requested then clock_timestamp() end
              from freed
             where t.trial_id = freed.trial_id
            returning t.trial_id, t.study_id, t.attempt, t.state),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select study_id, trial_id, attempt, 'release', 'running', state from done),
        closed as (
            update attempt a
               set outcome = case when done.state = 'cancelled' then 'cancelled'
                                  else 'released' end::attempt_outcome,
                   ended_at = clock_timestamp(), detail = $4
              from done
             where a.trial_id = done.trial_id and a.attempt = done.attempt)
        select study_id, state from done",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(reason)
    .fetch_optional(&mut *tx)
    .await
    .doing("release a trial")?;
    let (study_id, state) = match done {
        Some(done) => done,
        None => {
            let answer = answered_before(&mut tx, fence, "released").await;
            free(tx).await?;
            return answer;
        }
    };
    studies::close_if_done(&mut tx, study_id).await?;
    tx.commit().await.doing("release a trial")?;
    Ok((study_id, state))
}

/// Ends a transaction that changed nothing before its call is answered. If it waited for the trial, it
/// has it locked, and dropped it would end a little later: whoever asks at once would pass the trial by.
async fn free(tx: Transaction<'static, Postgres>) -> Result<(), Error> {
    tx.rollback().await.doing("let go of a trial")
}

/// An attempt that has already ended in this way was reported by an earlier call whose answer was
/// lost: answer again as then.
async fn answered_before(
    db: &mut PgConnection,
    fence: &LeaseRef,
    outcome: &str,
) -> Result<(i64, TrialState), Error> {
    let before: Option<(i64, TrialState)> = sqlx::query_as(
        "-- leases::answered_before
        select t.study_id, t.state
          from attempt a
          join trial t using (trial_id)
         where a.trial_id = $1 and a.attempt = $2 and a.lease_id = $3
           and (a.outcome::text = $4 or ($4 = 'released' and a.outcome = 'cancelled'))",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(outcome)
    .fetch_optional(db)
    .await
    .doing("look for an earlier report")?;
    before.ok_or_else(|| lost(fence))
}
