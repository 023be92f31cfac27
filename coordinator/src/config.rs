//! What a coordinator is told on its command line and by its environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

/// The coordinator: holds studies, leases trials to workers, learns from their reports.
#[derive(Debug, Parser)]
#[command(name = "strop-coordinator", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until told to stop by SIGTERM or SIGINT.
    Serve(Serve),
    /// Bring the database's schema up to date, and end. Run as the database's owner.
    Migrate(Database),
    /// Make the roles strop_coordinator and strop_analyst, give them their rights and no others, and end.
    /// Run as the database's owner, after every migrate.
    Grant(Grant),
    /// Check that everything in the database is as it must be, and change nothing. Exit status 0: it is;
    /// 1: something is not; 2: it could not be checked.
    Doctor(Doctor),
    /// Ask a coordinator whether it serves; exit status 0 if so.
    Healthcheck(Healthcheck),
}

/// Which database.
#[derive(Clone, Debug, Args)]
pub struct Database {
    /// Study database, as in postgres://user@host/strop. Without it a private PostgreSQL server is
    /// started in the data directory.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// File that holds the URL, for secrets; the other option wins.
    #[arg(long, env = "DATABASE_URL_FILE")]
    pub database_url_file: Option<PathBuf>,

    /// Where the private server keeps its data, and where `coordinator.url` is written.
    #[arg(long, env = "STROP_DATA_DIR", default_value = ".strop")]
    pub data_dir: PathBuf,
}

/// Which passwords to give.
#[derive(Clone, Debug, Args)]
pub struct Grant {
    /// Which database.
    #[command(flatten)]
    pub database: Database,

    /// File with a new password for strop_coordinator. Without it, the role keeps the one that it has;
    /// a new one has none.
    #[arg(long, value_name = "FILE", env = "STROP_COORDINATOR_PASSWORD_FILE")]
    pub coordinator_password_file: Option<PathBuf>,

    /// File with a new password for strop_analyst, likewise.
    #[arg(long, value_name = "FILE", env = "STROP_ANALYST_PASSWORD_FILE")]
    pub analyst_password_file: Option<PathBuf>,
}

/// What to check.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// Which database.
    #[command(flatten)]
    pub database: Database,

    /// Check also what holds when nobody works any more: that no active study has an open trial.
    #[arg(long)]
    pub at_rest: bool,

    /// Answer with one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// How to serve.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Which database.
    #[command(flatten)]
    pub database: Database,

    /// Address to listen on; port 0 takes a free one.
    #[arg(long, env = "STROP_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,

    /// Listen in plain text on an address that others can reach. Only behind something that keeps
    /// strangers out: there is no authentication.
    #[arg(long)]
    pub insecure_bind: bool,

    /// How long a lease lasts without a heartbeat, in seconds, 1 to 3,600. Workers beat four times
    /// in it.
    #[arg(long, env = "STROP_LEASE_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub lease_seconds: u32,

    /// Mean time between looks for lapsed leases, in seconds, 1 to 600.
    #[arg(long, env = "STROP_REAPER_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub reaper_seconds: u32,

    /// Longest artifact that a worker may store, in bytes, 1 to 4,294,967,296. The state of a
    /// training takes 12 bytes for each number that it learns, and a little more.
    #[arg(long, env = "STROP_ARTIFACT_BYTES_MAX", default_value_t = 256 << 20, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    pub artifact_bytes_max: u64,

    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

impl Serve {
    /// How long a lease lasts without a heartbeat.
    pub fn lease_ttl(&self) -> Duration {
        Duration::from_secs(u64::from(self.lease_seconds))
    }

    /// Mean time between looks for lapsed leases.
    pub fn reaper_tick(&self) -> Duration {
        Duration::from_secs(u64::from(self.reaper_seconds))
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whom to ask.
#[derive(Clone, Debug, Args)]
pub struct Healthcheck {
    /// The coordinator's URL.
    #[arg(long, env = "STROP_COORDINATOR", default_value = "http://127.0.0.1:50051")]
    pub coordinator: String,
}
