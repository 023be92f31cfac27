//! The coordinator's process: arguments, logs, signals, exit status.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use coordinator::{
    config::{Cli, Command, Healthcheck, LogFormat},
    database::Database,
    serve, telemetry,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Exit status of a configuration that cannot work; restarting does not help.
const EXIT_CONFIGURATION: u8 = 2;

/// How long a health check may take.
const PATIENCE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(config) => {
            telemetry::install(config.log_format);
            run(config).await
        }
        Command::Migrate(config) => {
            telemetry::install(LogFormat::Text);
            migrate(config).await
        }
        Command::Healthcheck(config) => healthcheck(config).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: the deed, then its causes.
            eprintln!("error: {error:#}");
            ExitCode::from(EXIT_CONFIGURATION)
        }
    }
}

async fn run(config: coordinator::config::Serve) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        told.cancel();
    });
    serve::serve(config, stop, |_| {}).await
}

async fn migrate(config: coordinator::config::Database) -> anyhow::Result<()> {
    let database = Database::open(&config).await?;
    let outcome = database.connect().await;
    if let Ok(pool) = &outcome {
        pool.close().await;
    }
    database.close().await;
    outcome.map(drop)
}

async fn healthcheck(config: Healthcheck) -> anyhow::Result<()> {
    let url = &config.coordinator;
    let channel = Endpoint::from_shared(url.clone())
        .with_context(|| format!("{url} is no URL; write http://host:port"))?
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE)
        .connect()
        .await
        .with_context(|| format!("cannot reach a coordinator at {url}"))?;
    let mut client = HealthClient::new(channel);
    let reply = client
        .check(HealthCheckRequest { service: String::new() })
        .await
        .with_context(|| format!("the coordinator at {url} does not answer"))?;
    if reply.into_inner().status() != ServingStatus::Serving {
        bail!("the coordinator at {url} is up, but its database is away");
    }
    Ok(())
}
