//! A coordinator's life: database → schema → socket → serve → drain.

mod connection;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use proto::v1::{
    artifact_service_server::ArtifactServiceServer, study_service_server::StudyServiceServer,
    worker_service_server::WorkerServiceServer,
};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    api,
    config::Serve,
    database::Database,
    error::{Doing as _, Error},
    limits,
    scheduler::{Scheduler, insights, reaper},
    storage::schema,
};

/// How long open calls may take to end once told to.
const DRAIN: Duration = Duration::from_secs(5);

/// How often readiness asks the database.
const READY_TICK: Duration = Duration::from_secs(2);

/// How long it waits for the answer.
const READY_PATIENCE: Duration = Duration::from_secs(3);

/// Serves until `stop`; `serving` is told the address once calls are taken.
///
/// # Errors
///
/// One line that names the thing and the way out: a busy port, a database that cannot be reached …
pub async fn serve(
    config: Serve,
    stop: CancellationToken,
    serving: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    if !config.listen.ip().is_loopback() && !config.insecure_bind {
        bail!(
            "{} can be reached by others, and there is no authentication; listen on 127.0.0.1, or \
             say --insecure-bind behind a wall of your own",
            config.listen
        );
    }
    // The socket first: a busy port should not cost the start of a database.
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; stop what listens there or choose another --listen",
            config.listen
        )
    })?;
    let address = listener.local_addr().context("cannot read the address listened on")?;
    let database = Database::open(&config.database).await?;
    let outcome = serve_on(listener, &database, &config, &stop, || serving(address)).await;
    stop.cancel();
    database.close().await;
    outcome
}

async fn serve_on(
    listener: TcpListener,
    database: &Database,
    config: &Serve,
    stop: &CancellationToken,
    serving: impl FnOnce(),
) -> anyhow::Result<()> {
    let pool = database.connect().await?;
    let scheduler = Scheduler::new(pool.clone(), config.lease_ttl(), stop.clone());
    let reporter = HealthReporter::new();
    let service = tonic_health::server::HealthService::from_health_reporter(reporter.clone());
    scheduler.tasks().spawn(reaper::run(scheduler.clone(), config.reaper_tick()));
    scheduler.tasks().spawn(insights::run(scheduler.clone()));
    scheduler.tasks().spawn(readiness(pool.clone(), reporter, stop.clone()));

    let url = UrlFile::write(database, config, listener.local_addr()?)?;
    let address = listener.local_addr()?;
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(limits::STREAMS_MAX)
        .concurrency_limit_per_connection(limits::STREAMS_MAX as usize)
        .http2_max_header_list_size(limits::HEADER_BYTES_MAX)
        .layer(api::Admission::new())
        .add_routes(api::routes(scheduler.clone(), service, config.artifact_bytes_max))
        .serve_with_incoming_shutdown(
            connection::incoming(TcpIncoming::from(listener).with_nodelay(Some(true))),
            stop.clone().cancelled_owned(),
        );
    tracing::info!(%address, "serving");
    serving();

    // A graceful stop waits for every open connection, idle ones too: give it a limit.
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        outcome = server => outcome.context("serving failed")?,
        () = late => tracing::debug!("calls still open at the end of the drain are cut"),
        () = database.look_after(CancellationToken::new()), if matches!(database, Database::Private { .. }) => {}
    }
    stop.cancel();
    drop(url);
    scheduler.tasks().close();
    let _ = tokio::time::timeout(DRAIN, scheduler.tasks().wait()).await;
    pool.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Says by the health service whether the database answers, and whether its schema is still one that this
/// program may serve: a later program may have moved it on.
async fn readiness(pool: PgPool, reporter: HealthReporter, stop: CancellationToken) {
    let known = migrations::MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let mut was_allowed = true;
    loop {
        let look = tokio::time::timeout(READY_PATIENCE, may_serve(&pool, known));
        let allowed = look.await.unwrap_or(Err(Error::Busy("the database does not answer")));
        if allowed.as_ref().is_ok_and(|allowed| !allowed) && std::mem::take(&mut was_allowed) {
            tracing::error!("the schema has moved on; end this program, and start a newer one");
        }
        let ready = allowed.unwrap_or(false);
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status("", status).await;
        for name in [
            <StudyServiceServer<()> as tonic::server::NamedService>::NAME,
            <WorkerServiceServer<()> as tonic::server::NamedService>::NAME,
            <ArtifactServiceServer<()> as tonic::server::NamedService>::NAME,
        ] {
            reporter.set_service_status(name, status).await;
        }
        if stop.run_until_cancelled(tokio::time::sleep(READY_TICK)).await.is_none() {
            return;
        }
    }
}

async fn may_serve(pool: &PgPool, known: i64) -> Result<bool, Error> {
    let mut connection = pool.acquire().await.doing("reach the database")?;
    schema::may_serve(&mut connection, known).await
}

/// `coordinator.url` in the data directory, by which `strop` finds the coordinator of this folder.
struct UrlFile {
    path: Option<PathBuf>,
}

impl UrlFile {
    /// Written with a private database; with a given one only if the data directory is there.
    fn write(database: &Database, config: &Serve, address: SocketAddr) -> anyhow::Result<Self> {
        let folder: &Path = &config.database.data_dir;
        if matches!(database, Database::Given { .. }) && !folder.is_dir() {
            return Ok(Self { path: None });
        }
        let path = folder.join("coordinator.url");
        std::fs::write(&path, format!("http://{address}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: Some(path) })
    }
}

impl Drop for UrlFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, path = %path.display(), "could not remove the file");
        }
    }
}
