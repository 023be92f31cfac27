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
async fn cancel(
    db: &mut PgConnection,
    study_id: i64,
    trial_id: Option<i64>,
    grace: Duration,
) -> Result<bool, Error> {
    let waiting = sqlx::query(
        "-- leases::cancel, waiting
        with done as (
            update trial
               set state = 'cancelled', cancel_requested = true, finished_at = clock_timestamp()
             where study_id = $1 and state = 'queued' and trial_id = coalesce($2, trial_id)
            returning trial_id, study_id, attempt)
        insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
        select study_id, trial_id, attempt, 'cancel', 'queued', 'cancelled' from done",
    )
    .bind(study_id)
    .bind(trial_id)
    .execute(&mut *db)
    .await
    .doing("withdraw waiting trials")?;
    let running = sqlx::query(
        "-- leases::cancel, running
        with asked as (
            update trial set cancel_requested = true
             where study_id = $1 and state = 'running' and trial_id = coalesce($3, trial_id)
            returning trial_id)
        update lease l
           set cancel = true,
               deadline_at = least(deadline_at, clock_timestamp() + make_interval(secs => $2)),
               expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $2))
          from asked
         where l.trial_id = asked.trial_id",
    )
    .bind(study_id)
    .bind(grace.as_secs_f64())
    .bind(trial_id)
    .execute(db)
    .await
    .doing("ask running trials to stop")?;
    Ok(waiting.rows_affected() + running.rows_affected() > 0)
}
