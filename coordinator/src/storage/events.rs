//! The record of changes that are not a trial's own; those stand in the statements of `leases`.

use serde_json::Value;
use sqlx::PgConnection;

use crate::error::{Doing as _, Error};

/// Notes that something happened to a study or, without changing its state, to a trial.
pub async fn note(
    db: &mut PgConnection,
    study_id: i64,
    trial_id: Option<i64>,
    kind: &str,
    detail: Value,
) -> Result<(), Error> {
    sqlx::query(
        "-- events::note
        insert into event (study_id, trial_id, kind, detail) values ($1, $2, $3, $4)",
    )
    .bind(study_id)
    .bind(trial_id)
    .bind(kind)
    .bind(detail)
    .execute(db)
    .await
    .doing("note an event")?;
    Ok(())
}

/// Number of the last event of a study; 0 if it has none. Whoever has seen it has seen every change.
pub async fn last(db: &mut PgConnection, study_id: i64) -> Result<i64, Error> {
    sqlx::query_scalar(
        "-- events::last
        select coalesce(max(event_id), 0) from event where study_id = $1",
    )
    .bind(study_id)
    .fetch_one(db)
    .await
    .doing("read the last event")
}
