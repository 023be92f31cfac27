//! Which database to use, and keeping it up: a given one, or a private server of our own.

use std::{path::Path, str::FromStr as _, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use embedded_postgres::Server;
use migrations::MIGRATOR;
use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config,
    storage::{
        self, in_time, roles,
        schema::{self, Standing},
    },
};

/// How often the private server is looked after.
const LOOK: Duration = Duration::from_secs(1);

/// How long a given database may take to answer at the start, as when both are started together.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one try at a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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

    /// The same, but a private server must have been there before: looking creates nothing.
    ///
    /// # Errors
    ///
    /// One line that names the thing and the way out.
    pub async fn open_existing(config: &config::Database) -> anyhow::Result<Self> {
        let is_given = config.database_url.is_some() || config.database_url_file.is_some();
        // A cluster may lie elsewhere behind a link, so the link itself counts.
        if !is_given && std::fs::symlink_metadata(config.data_dir.join("postgres")).is_err() {
            bail!(
                "there is no database in `{}`: --data-dir looks elsewhere, DATABASE_URL names another server",
                config.data_dir.display()
            );
        }
        Self::open(config).await
    }

    /// A pool on it, with the schema brought up to date if need be and if its role may do that.
    ///
    /// # Errors
    ///
    /// One line with the way out, as where the schema is too old and only its owner can help.
    pub async fn connect(&self) -> anyhow::Result<PgPool> {
        let (options, patience) = self.options()?;
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            match checked(&options, patience).await {
                Ok(()) => return Ok(storage::pool(options)),
                // A connection may also break in the midst of the check.
                Err(error) if tokio::time::Instant::now() < deadline && may_pass(&error) => {
                    tracing::info!("waiting for the database");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    ///
    /// One line with the way out.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        let (options, patience) = self.options()?;
        let mut db = reach(&options, patience).await?;
        match schema::standing(&mut db, &MIGRATOR).await? {
            Standing::Current { .. } => tracing::info!("the schema is up to date"),
            Standing::Behind { missing } => {
                migrate(&options).await?;
                tracing::info!("added {} to the schema", named(&missing));
            }
        }
        db.close().await.context("cannot close a connection to the database")
    }

    /// A connection for its owner, or for looking at everything, with a schema that is this program's or a
    /// newer one that allows it.
    ///
    /// # Errors
    ///
    /// One line with the way out.
    pub async fn connection(&self) -> anyhow::Result<PgConnection> {
        let (options, patience) = self.options()?;
        let mut db = reach(&options, patience).await?;
        match schema::standing(&mut db, &MIGRATOR).await? {
            Standing::Current { .. } => Ok(db),
            Standing::Behind { missing } => bail!(
                "the database's schema lacks {}: run `strop-coordinator migrate` as the database's owner",
                named(&missing)
            ),
        }
    }

    fn options(&self) -> anyhow::Result<(PgConnectOptions, Duration)> {
        let (url, patience) = match self {
            Database::Given { url } => (url.clone(), PATIENCE),
            Database::Private { server } => (server.url(), Duration::from_secs(10)),
        };
        let options = PgConnectOptions::from_str(&url)
            .context("DATABASE_URL is no PostgreSQL URL; write postgres://user@host/database")?;
        Ok((options.application_name("strop-coordinator"), patience))
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

/// Brings the schema up to date if need be, and sees whether the role may serve.
async fn checked(options: &PgConnectOptions, patience: Duration) -> anyhow::Result<()> {
    let mut db = reach(options, patience).await?;
    let standing = in_time(async { Ok(schema::standing(&mut db, &MIGRATOR).await) }).await??;
    match standing {
        Standing::Current { newer: None } => {}
        Standing::Current { newer: Some(newer) } => {
            tracing::info!(newer, "the database's schema is newer, and allows this program");
        }
        Standing::Behind { missing } => {
            if !schema::may_change(&mut db).await? {
                bail!(
                    "the database's schema lacks {}, and role `{}` may not add it: run \
                         `strop-coordinator migrate`, then `strop-coordinator grant`, as the database's owner",
                    named(&missing),
                    options.get_username()
                );
            }
            migrate(options).await?;
        }
    }
    let barred = in_time(roles::barred(&mut db)).await?;
    if !barred.is_empty() {
        bail!(
            "role `{}` lacks rights on {}: run `strop-coordinator grant` as the database's owner",
            options.get_username(),
            barred.join(", ")
        );
    }
    db.close().await.context("cannot close a connection to the database")?;
    Ok(())
}

/// A connection, waited for while the database is still coming up. Not of the pool: a migration may take
/// longer than any statement in service may.
async fn reach(options: &PgConnectOptions, patience: Duration) -> anyhow::Result<PgConnection> {
    let host = options.get_host().to_owned();
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let connecting = PgConnection::connect_with(options);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        match connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(connection) => return Ok(connection),
            Err(error) if tokio::time::Instant::now() < deadline && is_coming_up(&error) => {
                tracing::info!(host, "waiting for the database");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot reach the database at {host}; is DATABASE_URL right?")
                });
            }
        }
    }
}

/// Applies what the schema lacks, under a lock that several coordinators which start at once wait for.
async fn migrate(options: &PgConnectOptions) -> anyhow::Result<()> {
    // Of one connection, and without the limits of those in service: a migration may take long.
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
    MIGRATOR.run(&pool).await.context("cannot bring the database's schema up to date")?;
    pool.close().await;
    Ok(())
}

/// `migration 15`, `migrations 15 to 17`.
fn named(missing: &[i64]) -> String {
    match missing {
        [first, .., last] => format!("migrations {first} to {last}"),
        [only] => format!("migration {only}"),
        [] => "nothing".to_owned(),
    }
}

/// Whether what went wrong is that the database could not be reached or fell silent.
fn may_pass(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).any(is_coming_up)
}

/// Refused and broken connections, "the database system is starting up" and the like, but not a wrong
/// password.
fn is_coming_up(error: &sqlx::Error) -> bool {
    crate::error::is_passing(error) || matches!(error, sqlx::Error::Protocol(_))
}
