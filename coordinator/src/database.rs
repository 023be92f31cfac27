//! Which database to use, and keeping it up: a given one, or a private server of our own.

use std::{path::Path, str::FromStr as _, sync::Arc, time::Duration};

use anyhow::Context as _;
use embedded_postgres::Server;
use sqlx::{PgPool, migrate::MigrateError, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

use crate::{config, storage};

/// How often the private server is looked after.
const LOOK: Duration = Duration::from_secs(1);

/// How long a given database may take to answer at the start, as when both are started together.
const PATIENCE: Duration = Duration::from_secs(60);

/// The study database.
pub enum Database {
    /// Somebody else runs it.
    Given {
        /// As in postgres://user@host/strop.
        url: String,
    },
    /// A server in the data directory; it stops with its last user.
    Private {
        /// Shared with whoever looks after it.
        server: Arc<Server>,
    },
}

impl Database {
    /// Finds or starts it.
    ///
    /// # Errors
    ///
    /// One line that names the thing and the way out.
    pub async fn open(config: &config::Database) -> anyhow::Result<Self> {
        if let Some(url) = &config.database_url {
            return Ok(Database::Given { url: url.clone() });
        }
        if let Some(path) = &config.database_url_file {
            let url = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read DATABASE_URL_FILE {}", path.display()))?;
            return Ok(Database::Given { url: url.trim().to_owned() });
        }
        let folder = config.data_dir.clone();
        let server = tokio::task::spawn_blocking(move || open_private(&folder)).await??;
        Ok(Database::Private { server: Arc::new(server) })
    }

    /// A pool on it, with the schema brought up to date.
    pub async fn connect(&self) -> anyhow::Result<PgPool> {
        let url = match self {
            Database::Given { url } => url.clone(),
            Database::Private { server } => server.url(),
        };
        let options = PgConnectOptions::from_str(&url)
            .context("DATABASE_URL is no PostgreSQL URL; write postgres://user@host/database")?;
        let patience = match self {
            Database::Given { .. } => PATIENCE,
            Database::Private { .. } => Duration::from_secs(10),
        };
        migrate(options.clone(), patience).await?;
        Ok(storage::pool(options))
    }

    /// Starts the private server again whenever it has died, until told to stop.
    pub async fn look_after(&self, stop: CancellationToken) {
        let Database::Private { server } = self else { return };
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let server = Arc::clone(server);
            match tokio::task::spawn_blocking(move || server.ensure_running()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::warn!("the database server had died and is up again"),
                Ok(Err(error)) => {
                    let cause: &dyn std::error::Error = &error;
                    tracing::error!(error = cause, "the database server does not come up");
                }
                Err(panic) => tracing::error!(%panic, "looking after the database server broke"),
            }
        }
    }

    /// Lets go of it; a private server stops if nobody else uses it.
    pub async fn close(self) {
        if let Database::Private { server } = self {
            let closed = tokio::task::spawn_blocking(move || drop(server)).await;
            if let Err(panic) = closed {
                tracing::error!(%panic, "stopping the database server broke");
            }
        }
    }
}

fn open_private(folder: &Path) -> anyhow::Result<Server> {
    Ok(Server::open(folder)?)
}

/// Applies what the schema lacks, waiting for a database that is still coming up.
async fn migrate(options: PgConnectOptions, patience: Duration) -> anyhow::Result<()> {
    let host = options.get_host().to_owned();
    let deadline = tokio::time::Instant::now() + patience;
    // A pool of its own: a migration may take longer than any statement in service may.
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options);
    loop {
        let error = match bring_up_to_date(&pool).await {
            Ok(()) => break,
            Err(error) => error,
        };
        let source = source_of(&error);
        if tokio::time::Instant::now() < deadline && source.is_some_and(is_coming_up) {
            tracing::info!(host, "waiting for the database");
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        }
        return Err(match source.is_some_and(is_connection) {
            true => anyhow::Error::new(error)
                .context(format!("cannot reach the database at {host}; is DATABASE_URL right?")),
            false => anyhow::Error::new(error).context(
                "cannot bring the database's schema up to date; was it made by a newer \
                 coordinator?",
            ),
        });
    }
    pool.close().await;
    Ok(())
}

/// Applies what is lacking, for as long as that takes. If nothing is, only as long as one waits for an
/// answer: the other end may have vanished.
async fn bring_up_to_date(pool: &PgPool) -> Result<(), MigrateError> {
    let known = migrations::MIGRATOR.iter().count();
    if storage::migrations(pool).await? < known {
        return migrations::MIGRATOR.run(pool).await;
    }
    // It still says so if what was applied is not what is known here.
    let checked = tokio::time::timeout(storage::ANSWER_TIMEOUT, migrations::MIGRATOR.run(pool));
    checked.await.unwrap_or_else(|_| Err(MigrateError::Execute(storage::no_answer())))
}

fn source_of(error: &MigrateError) -> Option<&sqlx::Error> {
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => Some(source),
        _ => None,
    }
}

/// Refused and broken connections, "the database system is starting up" and the like, but not a wrong
/// password.
fn is_coming_up(error: &sqlx::Error) -> bool {
    crate::error::is_passing(error) || matches!(error, sqlx::Error::Protocol(_))
}

/// Whether it is about reaching the database, and not about what is in it.
fn is_connection(error: &sqlx::Error) -> bool {
    let refused = ["28", "3D"];
    match error {
        sqlx::Error::Database(refusal) => {
            refusal.code().is_some_and(|code| refused.iter().any(|class| code.starts_with(class)))
        }
        _ => true,
    }
}
