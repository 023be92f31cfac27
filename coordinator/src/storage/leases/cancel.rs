//! People withdraw trials.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{
    error::{Doing as _, Error},
    storage::events,
};

/// Withdraws every open trial of a study. Waiting ones end at once. Running ones are told by their
/// next heartbeat; whoever does not listen is cut off by the reaper after `grace`.
pub async fn cancel_open(
    db: &mut PgConnection,
    study_id: i64,
    grace: Duration,
) -> Result<(), Error> {
    cancel(db, study_id, None, grace).await?;
    Ok(())
}

/// Withdraws one trial in the same way; `false` if it is not open.
pub async fn cancel_one(
    db: &mut PgConnection,
    study_id: i64,
    trial_id: i64,
    grace: Duration,
) -> Result<bool, Error> {
    let asked = cancel(db, study_id, Some(trial_id), grace).await?;
    if asked {
        events::note(db, study_id, Some(trial_id), "withdraw", serde_json::json!({})).await?;
    }
    Ok(asked)
}

/// The open trials of a study, or the one of them; whether there was any.
///
/// Both kinds in one statement: a trial that is handed out or comes back while this waits for it is
/// then withdrawn as what it has become. The leases in one of their own, which sees those granted by
/// then.
async fn cancel(
    db: &mut PgConnection,
    study_id: i64,
    trial_id: Option<i64>,
    grace: Duration,
) -> Result<bool, Error> {
    let asked: i64 = sqlx::query_scalar(
        "-- leases::cancel, the trials
        with asked as (
            update trial
               set state = case state when 'queued' then 'cancelled' else state end,
                   cancel_requested = true,
                   finished_at = case state when 'queued' then clock_timestamp() end
             where study_id = $1 and state in ('queued', 'running')
               and trial_id = coalesce($2, trial_id)
            returning trial_id, study_id, attempt, state),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select study_id, trial_id, attempt, 'cancel', 'queued', 'cancelled'
              from asked
             where state = 'cancelled')
        select count(*) from asked",
    )
    .bind(study_id)
    .bind(trial_id)
    .fetch_one(&mut *db)
    .await
    .doing("withdraw trials")?;
    sqlx::query(
        "-- leases::cancel, the leases
        update lease l
           set cancel = true,
               deadline_at = least(deadline_at, clock_timestamp() + make_interval(secs => $2)),
               expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $2))
          from trial t
         where t.study_id = $1 and t.state = 'running' and l.trial_id = t.trial_id
           and t.trial_id = coalesce($3, t.trial_id)",
    )
    .bind(study_id)
    .bind(grace.as_secs_f64())
    .bind(trial_id)
    .execute(db)
    .await
    .doing("ask running trials to stop")?;
    Ok(asked > 0)
}
