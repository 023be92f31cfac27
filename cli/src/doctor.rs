//! `strop doctor`: whether the database of the studies is as it must be, as the coordinator knows it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::exit::Failure;
use crate::options::Options;
use crate::signals::Signals;
use crate::up::find;

/// `strop doctor`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Check also what holds when nobody works any more: that no active study has an open trial.
    #[arg(long)]
    at_rest: bool,

    /// The database, if it is not the embedded one of the data directory.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// Runs `strop-coordinator doctor` and ends with its status.
pub async fn run(options: &Options, arguments: Arguments) -> Result<(), Failure> {
    let program = find("strop-coordinator")?;
    // From here on a Ctrl-C is the program's, and ours no more than to see it through.
    let _signals = Signals::new()?;
    let mut doctor = Command::new(&program);
    doctor.arg("doctor").arg("--data-dir").arg(&options.data_dir);
    if let Some(url) = &arguments.database_url {
        // Not as an argument, which others on this machine could read.
        doctor.env("DATABASE_URL", url);
    }
    if arguments.at_rest {
        doctor.arg("--at-rest");
    }
    if options.json {
        doctor.arg("--json");
    }
    let status = tokio::task::spawn_blocking(move || doctor.status())
        .await
        .context("waiting for the check failed")?
        .with_context(|| format!("could not run `{}`", program.display()))?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::Doctor(u8::try_from(code).unwrap_or(2))),
        // As a shell would say it.
        (None, signal) => {
            Err(Failure::Doctor(u8::try_from(128 + signal.unwrap_or(0)).unwrap_or(2)))
        }
    }
}
