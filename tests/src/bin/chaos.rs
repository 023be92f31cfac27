//! `chaos`: breaks a whole system of real processes on purpose, and says whether it held.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use tests::chaos::{
    dying::{Dying, dying},
    light,
    outage::outage,
    run::run,
    schedule,
    tally::Tally,
};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

/// Breaks a whole system of real processes on purpose, and says whether it held.
///
/// Exit status 0 if it did; 1 if not, and then its folder is kept for looking.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything at once, for a while.
    Run {
        #[command(flatten)]
        common: Common,
        /// How long things break, in seconds.
        #[arg(long, env = "CHAOS_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..=86_400))]
        seconds: u64,
        /// Coordinators.
        #[arg(long, default_value_t = 3)]
        replicas: usize,
        /// Light workers, a process each.
        #[arg(long, default_value_t = 12)]
        workers: usize,
        /// Print the schedule and end.
        #[arg(long)]
        schedule: bool,
    },
    /// The database is away for a while, under load.
    Outage {
        #[command(flatten)]
        common: Common,
        /// How long it is away, in seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Light workers.
        #[arg(long, default_value_t = 6)]
        workers: usize,
    },
    /// Workers die, one after the other, until all trials are done.
    Dying {
        #[command(flatten)]
        common: Common,
        /// Trials.
        #[arg(long, default_value_t = 1_000)]
        trials: u32,
        /// How long each takes, in milliseconds.
        #[arg(long, default_value_t = 1_000)]
        work_ms: u64,
        /// Workers.
        #[arg(long, default_value_t = 200)]
        workers: usize,
        /// Time from one death to the next, in milliseconds.
        #[arg(long, default_value_t = 1_000)]
        pace_ms: u64,
    },
    /// A light worker; started by the others.
    #[command(hide = true)]
    Work(light::Options),
}

#[derive(Clone, Debug, Args)]
struct Common {
    /// Of everything random; the same seed gives the same schedule of faults. Default: a new one.
    #[arg(long, env = "CHAOS_SEED")]
    seed: Option<u64>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Where the processes keep their things. Default: a new folder for temporary files, kept only if
    /// something did not hold.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Work(options) => light::work_alone(options).map(|()| true),
        command => torment(command),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything held.
fn torment(command: Command) -> anyhow::Result<bool> {
    let (common, title) = match &command {
        Command::Run { common, seconds, .. } => (common.clone(), format!("{seconds} s of chaos")),
        Command::Outage { common, seconds, .. } => {
            (common.clone(), format!("{seconds} s without a database"))
        }
        Command::Dying { common, trials, .. } => {
            (common.clone(), format!("{trials} trials by dying workers"))
        }
        Command::Work(_) => unreachable!("served in main"),
    };
    let seed = common.seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0 >> 32);
    if let Command::Run { seconds, schedule: true, .. } = command {
        for fault in schedule::draw(seed, Duration::from_secs(seconds)) {
            println!(
                "{:8.2} s  {:20} {:5.2} s",
                fault.at.as_secs_f64(),
                fault.kind.name(),
                fault.span.as_secs_f64()
            );
        }
        return Ok(true);
    }
    let is_ours = common.folder.is_none();
    let folder = match common.folder {
        Some(folder) => folder,
        None => {
            let folder = tempfile::Builder::new().prefix("chaos-").tempdir()?.keep();
            // The database's user passes through.
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
            folder
        }
    };
    eprintln!("{title}, seed {seed}, in {}", folder.display());
    // Its end is that of every process, the database's among them.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let tally = runtime.block_on(unless_told_to_go(carry_out(command, &folder, seed)));
    drop(runtime);
    let tally = tally?;
    say(&tally, &title, seed, common.json);
    let held = tally.violations.is_empty();
    if !held {
        eprintln!("kept for looking: {}; --seed {seed} repeats it", folder.display());
    } else if is_ours {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(held)
}

/// A process that is ended by a signal would leave all the others behind.
async fn unless_told_to_go<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        done = work => done,
        _ = terminate.recv() => anyhow::bail!("told to go"),
        _ = interrupt.recv() => anyhow::bail!("told to go"),
    }
}

async fn carry_out(command: Command, folder: &Path, seed: u64) -> anyhow::Result<Tally> {
    match command {
        Command::Run { seconds, replicas, workers, .. } => {
            run(folder, seed, Duration::from_secs(seconds), replicas, workers).await
        }
        Command::Outage { seconds, workers, .. } => {
            outage(folder, seed, Duration::from_secs(seconds), workers).await
        }
        Command::Dying { trials, work_ms, workers, pace_ms, .. } => {
            let work = Duration::from_millis(work_ms);
            let how = Dying { trials, work, workers, pace: Duration::from_millis(pace_ms) };
            dying(folder, seed, how).await
        }
        Command::Work(_) => unreachable!("served in main"),
    }
}

fn say(tally: &Tally, title: &str, seed: u64, json: bool) {
    if json {
        let mut object = tally.to_json();
        object["title"] = title.into();
        object["seed"] = seed.into();
        println!("{object:#}");
    } else {
        println!("{title}, seed {seed}\n\n{}", tally.to_markdown());
    }
}
