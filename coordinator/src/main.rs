//! The coordinator's process: arguments, logs, signals, exit status.

use std::{io::Write as _, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use coordinator::{
    config::{Cli, Command, Doctor, Grant, Healthcheck, LogFormat},
    database::Database,
    doctor, scram, serve,
    storage::roles,
    telemetry,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Exit status of a configuration that cannot work; restarting does not help.
const EXIT_CONFIGURATION: u8 = 2;

/// Exit status of a check that found something wrong.
const EXIT_UNSOUND: u8 = 1;

/// How long a health check may take.
const PATIENCE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(config) => {
            telemetry::install(config.log_format);
            run(config).await.map(|()| ExitCode::SUCCESS)
        }
        Command::Migrate(config) => {
            telemetry::install(LogFormat::Text);
            migrate(config).await.map(|()| ExitCode::SUCCESS)
        }
        Command::Grant(config) => {
            telemetry::install(LogFormat::Text);
            grant(config).await.map(|()| ExitCode::SUCCESS)
        }
        Command::Doctor(config) => check(config).await,
        Command::Healthcheck(config) => healthcheck(config).await.map(|()| ExitCode::SUCCESS),
    };
    match outcome {
        Ok(status) => status,
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
    let outcome = database.migrate().await;
    database.close().await;
    outcome
}

async fn grant(config: Grant) -> anyhow::Result<()> {
    let passwords = [
        (roles::COORDINATOR, password(config.coordinator_password_file.as_deref())?),
        (roles::ANALYST, password(config.analyst_password_file.as_deref())?),
    ];
    let database = Database::open_existing(&config.database).await?;
    let outcome = grant_on(&database, passwords).await;
    database.close().await;
    outcome
}

async fn grant_on(
    database: &Database,
    passwords: [(&'static str, Option<String>); 2],
) -> anyhow::Result<()> {
    let mut db = database.connection().await?;
    roles::grant(&mut db).await?;
    for (role, password) in passwords {
        if let Some(password) = password {
            roles::set_password(&mut db, role, &password).await?;
            tracing::info!(role, "has a new password");
        }
    }
    tracing::info!(
        "{} and {} have their rights, and no others",
        roles::COORDINATOR,
        roles::ANALYST
    );
    Ok(())
}

fn password(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if !scram::is_plain(password) {
        bail!("the password in {shown} must be one line of printable ASCII");
    }
    Ok(Some(password.to_owned()))
}

async fn check(config: Doctor) -> anyhow::Result<ExitCode> {
    let report = doctor::check(&config).await?;
    std::io::stdout().write_all(report.text.as_bytes()).context("cannot tell what was found")?;
    Ok(if report.is_sound { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNSOUND) })
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
