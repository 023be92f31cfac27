//! All of the SQL. Functions over a connection, so that the caller chooses the transaction.
//!
//! Every statement opens with the name of the function that sends it, so that `pg_stat_activity`
//! speaks Rust. Guards stand in the `where`, never in an `if` before the statement. Locks are taken
//! in the order trial → lease → study; a grant that counts what runs locks the study first, and skips
//! trials that others have locked. Transactions are short, and none is open while something is
//! computed; [`artifacts`] has the one exception.

pub mod artifacts;
pub mod events;
pub mod idempotency;
pub mod imported;
pub mod insight;
pub mod invariants;
pub mod leases;
pub mod metrics;
pub mod posterior;
pub mod prospects;
pub mod prunings;
pub mod roles;
pub mod schema;
pub mod studies;
pub mod trials;

use std::time::Duration;

use sqlx::{
    Connection as _, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::error::{Doing as _, Error};

/// Connections of one replica. More would only queue inside Postgres.
const CONNECTIONS_MAX: u32 = 16;

/// How long a request waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was used so short a time ago is taken for alive: to ask it each time would be one
/// more round trip for every statement.
const TRUSTED: Duration = Duration::from_secs(1);

/// A pool on the study database. Every session gives up rather than hang: locks after 2 s,
/// statements after 10 s, idle transactions after 10 s.
pub fn pool(options: PgConnectOptions) -> PgPool {
    let options = options.application_name("strop-coordinator").options([
        ("lock_timeout", "2s"),
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ]);
    PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, seen| {
            Box::pin(async move {
                if seen.idle_for < TRUSTED {
                    return Ok(true);
                }
                Ok(connection.ping().await.is_ok())
            })
        })
        .connect_lazy_with(options)
}

/// Opens a transaction; it rolls back unless it is committed.
pub async fn begin(
    pool: &PgPool,
    doing: &'static str,
) -> Result<Transaction<'static, Postgres>, Error> {
    pool.begin().await.doing(doing)
}

/// Opens a transaction that reads everything as of one instant and writes nothing. Drop it when done.
pub async fn read(
    pool: &PgPool,
    doing: &'static str,
) -> Result<Transaction<'static, Postgres>, Error> {
    let mut tx = pool.begin().await.doing(doing)?;
    sqlx::query("set transaction isolation level repeatable read, read only")
        .execute(&mut *tx)
        .await
        .doing(doing)?;
    Ok(tx)
}
