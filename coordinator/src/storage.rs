//! All of the SQL. Functions over a connection, so that the caller chooses the transaction.
//!
//! Every statement opens with the name of the function that sends it, so that `pg_stat_activity`
//! speaks Rust. Guards stand in the `where`, never in an `if` before the statement. Locks are taken
//! in the order trial → lease → study. Transactions are short, and none is open while something is
//! computed; [`artifacts`] has the one exception.

pub mod artifacts;
pub mod events;
pub mod idempotency;
pub mod imported;
pub mod insight;
pub mod leases;
pub mod metrics;
pub mod posterior;
pub mod prospects;
pub mod prunings;
pub mod studies;
pub mod trials;
pub mod workers;

use std::time::Duration;

use sqlx::{
    PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    error::{Doing as _, Error},
    limits::DATABASE_CONNECTIONS_MAX,
};

/// How long a request waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A pool on the study database. Every session gives up rather than hang: locks after 2 s,
/// statements after 10 s, idle transactions after 10 s.
pub fn pool(options: PgConnectOptions) -> PgPool {
    let options = options.application_name("strop-coordinator").options([
        ("lock_timeout", "2s"),
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ]);
    PgPoolOptions::new()
        .max_connections(DATABASE_CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
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
