//! Room for one more study, other budgets, other priorities.

use sqlx::PgConnection;

use crate::{
    error::{Doing as _, Error},
    limits::STUDIES_OPEN_MAX,
};

/// Gives a study another budget, and opens one that was completed; `false` if its state, what is planned
/// already or an exhausted space forbids that.
///
/// One that ended for want of gain goes on: what was found out about its prospects until now no longer
/// counts.
///
/// # Errors
///
/// [`Error::TooManyStudies`] if it would be opened and there is no room.
pub async fn extend(db: &mut PgConnection, study_id: i64, max_trials: i32) -> Result<bool, Error> {
    let is_completed: bool = sqlx::query_scalar(
        "-- studies::extend, its state
        select exists (select from study where study_id = $1 and state = 'completed')",
    )
    .bind(study_id)
    .fetch_one(&mut *db)
    .await
    .doing("look whether a study has completed")?;
    if is_completed {
        leave_room(db).await?;
    }
    let moved = sqlx::query(
        "-- studies::extend
        update study
           set max_trials = $2,
               state = case when state = 'completed' then 'active' else state end,
               finished_at = null,
               ended_because = null,
               gain_counts_from = case when converged then next_obs else gain_counts_from end,
               converged = false
         where study_id = $1
           and (state in ('active', 'paused') and $2 >= next_number
                or state = 'completed' and $2 > next_number and not exhausted)",
    )
    .bind(study_id)
    .bind(max_trials)
    .execute(db)
    .await
    .doing("give a study another budget")?;
    Ok(moved.rows_affected() == 1)
}

/// Gives an open study another priority; `false` if it has ended.
pub async fn prioritize(
    db: &mut PgConnection,
    study_id: i64,
    priority: i16,
) -> Result<bool, Error> {
    let moved = sqlx::query(
        "-- studies::prioritize
        update study set priority = $2 where study_id = $1 and state in ('active', 'paused')",
    )
    .bind(study_id)
    .bind(priority)
    .execute(db)
    .await
    .doing("give a study another priority")?;
    Ok(moved.rows_affected() == 1)
}

/// Makes sure that one more study may be open, until the transaction ends.
///
/// # Errors
///
/// [`Error::TooManyStudies`].
pub(super) async fn leave_room(db: &mut PgConnection) -> Result<(), Error> {
    // One at a time, or two would both find the last place.
    sqlx::query(
        "-- studies::leave_room, lock
        select pg_advisory_xact_lock(hashtextextended('studies', 0))",
    )
    .execute(&mut *db)
    .await
    .doing("wait for another new study")?;
    let open: i64 = sqlx::query_scalar(
        "-- studies::leave_room
        select count(*) from study where state in ('active', 'paused')",
    )
    .fetch_one(db)
    .await
    .doing("count the open studies")?;
    if open >= STUDIES_OPEN_MAX { Err(Error::TooManyStudies { open }) } else { Ok(()) }
}
