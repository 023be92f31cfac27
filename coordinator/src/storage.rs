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
pub mod workers;

use std::{io, time::Duration};

use sqlx::{
    Connection as _, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    error::{Doing as _, Error},
    limits::DATABASE_CONNECTIONS_MAX,
};

/// How long a request waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was used so short a time ago is taken for alive: to ask it each time would be one
/// more round trip for every statement.
const TRUSTED: Duration = Duration::from_secs(1);

/// How long a deed may take, all of its statements together: as long as Postgres lets a single one
/// run. What takes longer is not slow but lost, as on a connection whose other end has vanished
/// without a word; nothing else would ever end the wait for its answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to show that it lives.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// A pool on the study database. Every session gives up rather than hang: locks after 2 s,
/// statements after 10 s, idle transactions after 10 s, and the other end of a coordinator's machine
/// that has vanished after a minute.
///
/// A session plans each statement once, and for tables that grow: what was quickest on the ten trials that
/// there were at the start is not what is wanted for ten thousand.
pub fn pool(options: PgConnectOptions) -> PgPool {
    let options = options.application_name("strop-coordinator").options([
        ("lock_timeout", "2s"),
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
        ("tcp_keepalives_idle", "30s"),
        ("tcp_keepalives_interval", "10s"),
        ("tcp_keepalives_count", "3"),
    ]);
    PgPoolOptions::new()
        .max_connections(DATABASE_CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, seen| {
            Box::pin(async move {
                if seen.idle_for < TRUSTED {
                    return Ok(true);
                }
                let ping = tokio::time::timeout(PING_TIMEOUT, connection.ping()).await;
                Ok(ping.is_ok_and(|ping| ping.is_ok()))
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // The pool itself asks a connection that comes back for a sign of life, and waits
                // for it without end, one of its places taken. This look before has an end.
                let ping = tokio::time::timeout(PING_TIMEOUT, connection.ping());
                ping.await.unwrap_or_else(|_| Err(no_answer())).map(|()| true)
            })
        })
        .connect_lazy_with(options)
}

/// Carries out a deed, unless the database does not answer for [`ANSWER_TIMEOUT`]. Whether what was
/// under way has been committed is then unknown, as with any lost answer.
///
/// # Errors
///
/// Those of the deed; [`Error::Storage`] that is passing if it was given up.
pub async fn in_time<T>(deed: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_TIMEOUT, deed).await {
        Ok(outcome) => outcome,
        Err(_) => Err(no_answer()).doing("hear from the database in time"),
    }
}

pub(crate) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
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
    pool.begin_with("begin isolation level repeatable read read only").await.doing(doing)
}
