//! Answers to people's verbs that carried a request id.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    error::{Doing as _, Error},
    limits::{REQUEST_IDS_FORGOTTEN_MAX, REQUEST_IDS_KEPT},
};

/// What an earlier call with this id was answered, if there was one. While another is under way, as
/// when a client has given up on it and asks again, this waits for its end, for at most the lock
/// time-out; and so will others until this transaction ends.
///
/// # Errors
///
/// [`Error::RequestReused`] if that call asked for something else.
pub async fn answered(
    db: &mut PgConnection,
    request_id: Uuid,
    request_sha256: &[u8],
) -> Result<Option<Vec<u8>>, Error> {
    // A statement of its own: the next one then sees what the last holder of the lock committed.
    sqlx::query(
        "-- idempotency::answered, lock
        select pg_advisory_xact_lock(hashtextextended('request:' || $1::text, 0))",
    )
    .bind(request_id)
    .execute(&mut *db)
    .await
    .doing("wait for an equal request")?;
    let earlier: Option<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "-- idempotency::answered
        select request_sha256, response from idempotency where request_id = $1",
    )
    .bind(request_id)
    .fetch_optional(&mut *db)
    .await
    .doing("look up a request id")?;
    match earlier {
        None => Ok(None),
        Some((sha256, response)) if sha256 == request_sha256 => Ok(Some(response)),
        Some(_) => Err(Error::RequestReused { request_id }),
    }
}

/// Keeps an answer, in the transaction of the deed it answers, after [`answered`] has found none.
pub async fn keep(
    db: &mut PgConnection,
    request_id: Uuid,
    request_sha256: &[u8],
    response: &[u8],
) -> Result<(), Error> {
    sqlx::query(
        "-- idempotency::keep
        insert into idempotency (request_id, request_sha256, response) values ($1, $2, $3)",
    )
    .bind(request_id)
    .bind(request_sha256)
    .bind(response)
    .execute(db)
    .await
    .doing("keep an answer")?;
    Ok(())
}

/// Forgets answers that nobody asks for any more.
pub async fn forget(db: &mut PgConnection) -> Result<(), Error> {
    sqlx::query(
        "-- idempotency::forget
        delete from idempotency
         where request_id in (
               select request_id from idempotency
                where at < clock_timestamp() - make_interval(secs => $1)
                order by at
                limit $2
                  for update skip locked)",
    )
    .bind(REQUEST_IDS_KEPT.as_secs_f64())
    .bind(REQUEST_IDS_FORGOTTEN_MAX)
    .execute(db)
    .await
    .doing("forget old answers")?;
    Ok(())
}
