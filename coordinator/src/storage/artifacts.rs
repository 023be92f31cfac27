//! Artifacts in parts, and the checkpoint of a trial that refers to one.
//!
//! An upload is the one transaction that stays open while a client is waited for, so that nothing of
//! a broken one is ever seen; `api::artifacts` bounds how long and how many. It locks the artifact that
//! it writes, and at its end the lease row: a worker whose trial was handed on changes nothing.

use sqlx::{PgConnection, PgPool};

use crate::{
    artifact::Announced,
    error::{Doing as _, Error},
    storage,
};

/// Tries at an artifact that is deleted whenever it is looked for.
const BEGINNINGS_MAX: usize = 3;

/// Checkpoints of ended trials let go of in one pass of the reaper.
const ENDED_AT_ONCE_MAX: i64 = 100;

/// Artifacts deleted by one statement: the largest of them take seconds.
const DELETED_AT_ONCE_MAX: i64 = 4;

/// Statements of that kind in one pass of the reaper; the rest waits for the next.
const DELETIONS_MAX: usize = 25;

/// Looks whether an attempt holds its lease, before its worker sends megabytes in vain.
///
/// # Errors
///
/// [`Error::LeaseLost`].
pub async fn check_fence(db: &mut PgConnection, announced: &Announced) -> Result<(), Error> {
    let held: bool = sqlx::query_scalar(
        "-- artifacts::check_fence
        select exists (select from lease
                        where trial_id = $1 and attempt = $2 and lease_id = $3)",
    )
    .bind(announced.fence.trial_id)
    .bind(announced.fence.attempt)
    .bind(announced.fence.lease_id)
    .fetch_one(db)
    .await
    .doing("look for a lease")?;
    if held { Ok(()) } else { Err(lost(announced)) }
}

/// Begins to store an artifact; `false` if it is there already, and is then kept from deletion until
/// the transaction ends.
///
/// Of two uploads of the same artifact the second waits for the first one's end.
///
/// # Errors
///
/// [`Error::Busy`] if the artifact comes and goes.
pub async fn begin(db: &mut PgConnection, announced: &Announced) -> Result<bool, Error> {
    let bytes = i64::try_from(announced.bytes).expect("a length below the limit fits");
    for _ in 0..BEGINNINGS_MAX {
        let begun = sqlx::query(
            "-- artifacts::begin
            insert into artifact (sha256, bytes) values ($1, $2) on conflict do nothing",
        )
        .bind(announced.sha256.as_slice())
        .bind(bytes)
        .execute(&mut *db)
        .await
        .doing("begin to store an artifact")?;
        if begun.rows_affected() == 1 {
            return Ok(true);
        }
        let held = sqlx::query(
            "-- artifacts::begin, one that is there
            select from artifact where sha256 = $1 for key share",
        )
        .bind(announced.sha256.as_slice())
        .fetch_optional(&mut *db)
        .await
        .doing("hold an artifact")?;
        // It may have been deleted between the two statements.
        if held.is_some() {
            return Ok(false);
        }
    }
    Err(Error::Busy("this artifact is being deleted; ask again"))
}

/// Adds the next part of an artifact.
pub async fn append(
    db: &mut PgConnection,
    announced: &Announced,
    part: i32,
    data: &[u8],
) -> Result<(), Error> {
    sqlx::query(
        "-- artifacts::append
        insert into artifact_chunk (sha256, part, data) values ($1, $2, $3)",
    )
    .bind(announced.sha256.as_slice())
    .bind(part)
    .bind(data)
    .execute(db)
    .await
    .doing("store a part of an artifact")?;
    Ok(())
}

/// Makes a whole artifact its trial's checkpoint and deletes the one before it, unless another trial
/// refers to that. Says whether it is the newest now: a call that was overtaken by a later epoch of
/// the same attempt changes nothing.
///
/// # Errors
///
/// [`Error::LeaseLost`] if the attempt no longer holds its lease.
pub async fn refer(db: &mut PgConnection, announced: &Announced) -> Result<bool, Error> {
    let held = sqlx::query(
        "-- artifacts::refer, the lease
        select from lease where trial_id = $1 and attempt = $2 and lease_id = $3 for update",
    )
    .bind(announced.fence.trial_id)
    .bind(announced.fence.attempt)
    .bind(announced.fence.lease_id)
    .fetch_optional(&mut *db)
    .await
    .doing("lock a lease")?;
    if held.is_none() {
        return Err(lost(announced));
    }
    let before: Option<Vec<u8>> = sqlx::query_scalar(
        "-- artifacts::refer, the one before
        select sha256 from checkpoint where trial_id = $1",
    )
    .bind(announced.fence.trial_id)
    .fetch_optional(&mut *db)
    .await
    .doing("look for an earlier checkpoint")?;
    // A later attempt wins with fewer epochs too: it began afresh because what was there is no good.
    let moved = sqlx::query(
        "-- artifacts::refer
        insert into checkpoint as c (trial_id, attempt, epoch, sha256)
        values ($1, $2, $3, $4)
            on conflict (trial_id) do update
           set (attempt, epoch, sha256, at)
             = (excluded.attempt, excluded.epoch, excluded.sha256, clock_timestamp())
         where (excluded.attempt, excluded.epoch) >= (c.attempt, c.epoch)",
    )
    .bind(announced.fence.trial_id)
    .bind(announced.fence.attempt)
    .bind(announced.epoch)
    .bind(announced.sha256.as_slice())
    .execute(&mut *db)
    .await
    .doing("refer to a checkpoint")?;
    let is_newest = moved.rows_affected() == 1;
    let idle = if is_newest { before } else { Some(announced.sha256.to_vec()) };
    if let Some(sha256) = idle {
        delete_unless_referred_to(db, &sha256).await?;
    }
    Ok(is_newest)
}

/// Deletes an artifact that nothing refers to and nobody is about to. If somebody is and then does
/// not, the reaper finds it.
async fn delete_unless_referred_to(db: &mut PgConnection, sha256: &[u8]) -> Result<(), Error> {
    sqlx::query(
        "-- artifacts::delete_unless_referred_to
        with idle as (
            select sha256 from artifact a
             where sha256 = $1
               and not exists (select from checkpoint c where c.sha256 = a.sha256)
               for update skip locked)
        delete from artifact a using idle where a.sha256 = idle.sha256",
    )
    .bind(sha256)
    .execute(db)
    .await
    .doing("delete an artifact")?;
    Ok(())
}

/// Lets go of the checkpoints of trials that have ended, and deletes artifacts that nothing refers
/// to. Here and not where a trial ends, because to delete is slow and a report is waited for.
pub async fn sweep(pool: &PgPool) -> Result<(), Error> {
    let mut connection = pool.acquire().await.doing("reach the database")?;
    sqlx::query(
        "-- artifacts::sweep, checkpoints
        delete from checkpoint
         where trial_id in (select c.trial_id
                              from checkpoint c
                              join trial t using (trial_id)
                             where t.state in ('completed', 'pruned', 'failed', 'cancelled')
                             limit $1)",
    )
    .bind(ENDED_AT_ONCE_MAX)
    .execute(&mut *connection)
    .await
    .doing("let go of old checkpoints")?;
    for _ in 0..DELETIONS_MAX {
        let deleted = sqlx::query(
            "-- artifacts::sweep
            with idle as (
                select sha256 from artifact a
                 where not exists (select from checkpoint c where c.sha256 = a.sha256)
                 limit $1
                   for update skip locked)
            delete from artifact a using idle where a.sha256 = idle.sha256",
        )
        .bind(DELETED_AT_ONCE_MAX)
        .execute(&mut *connection)
        .await
        .doing("delete artifacts")?;
        if deleted.rows_affected() == 0 {
            break;
        }
    }
    Ok(())
}

/// How long an artifact is, in bytes.
///
/// # Errors
///
/// [`Error::ArtifactNotFound`].
pub async fn bytes(pool: &PgPool, sha256: &[u8]) -> Result<i64, Error> {
    let mut connection = pool.acquire().await.doing("reach the database")?;
    let bytes: Option<i64> =
        sqlx::query_scalar("-- artifacts::bytes\n select bytes from artifact where sha256 = $1")
            .bind(sha256)
            .fetch_optional(&mut *connection)
            .await
            .doing("look for an artifact")?;
    bytes.ok_or_else(|| not_found(sha256))
}

/// One part of an artifact. Parts are read one by one, and no transaction is open while a reader
/// takes its time: what is there is whole, and does not change until it goes.
///
/// # Errors
///
/// [`Error::ArtifactNotFound`] if it has gone meanwhile.
pub async fn chunk(pool: &PgPool, sha256: &[u8], part: i32) -> Result<Vec<u8>, Error> {
    let mut connection = pool.acquire().await.doing("reach the database")?;
    let data: Option<Vec<u8>> = sqlx::query_scalar(
        "-- artifacts::chunk
        select data from artifact_chunk where sha256 = $1 and part = $2",
    )
    .bind(sha256)
    .bind(part)
    .fetch_optional(&mut *connection)
    .await
    .doing("read an artifact")?;
    data.ok_or_else(|| not_found(sha256))
}

/// Opens the transaction of one upload.
pub async fn upload(pool: &PgPool) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Error> {
    storage::begin(pool, "store an artifact").await
}

fn lost(announced: &Announced) -> Error {
    let fence = &announced.fence;
    Error::LeaseLost { trial_id: fence.trial_id, attempt: fence.attempt, lease_id: fence.lease_id }
}

fn not_found(sha256: &[u8]) -> Error {
    Error::ArtifactNotFound { sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect() }
}
