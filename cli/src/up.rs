//! `strop up`: a coordinator and workers in the foreground, until Ctrl-C.

mod crew;
mod program;
mod status;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::options::Options;
use crate::signals::Signals;

pub use crew::{Crew, Plan};
pub use program::find;
use status::Status;

/// Between two looks at the programs: a death is noticed within this.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between two looks at the studies.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// `strop up`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    workers: Workers,

    /// Where the coordinator listens; port 0 means any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    listen: String,

    /// Let the coordinator listen where others can reach it. Only behind something that keeps
    /// strangers out: there is no authentication.
    #[arg(long)]
    insecure_bind: bool,

    /// End once every study has ended.
    #[arg(long)]
    until_idle: bool,
}

/// How many workers, and what they compute with.
#[derive(Args, Clone, Debug)]
pub struct Workers {
    /// How many workers to run.
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub workers: u32,

    /// Threads that each of them computes with.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub threads: u32,

    /// Folder with the files of the data sets. `digits` needs none.
    #[arg(long, value_name = "DIR", env = "STROP_DATA_FOLDER")]
    pub data_folder: Option<PathBuf>,
}

/// Runs everything until told to end.
pub async fn run(options: &Options, arguments: Arguments) -> Result<(), Failure> {
    if options.json {
        return Err(Failure::Usage("`strop up` has no answer to print as JSON".to_owned()));
    }
    if options.coordinator.is_some() {
        options.hint("`strop up` runs a coordinator of its own; the one named is left alone");
    }
    let mut signals = Signals::new()?;
    let mut crew = Crew::new(Plan {
        data_dir: options.data_dir.clone(),
        listen: arguments.listen,
        insecure_bind: arguments.insecure_bind,
        workers: arguments.workers,
        until_idle: arguments.until_idle,
    })?;
    let mut status = Status::new(options.quiet);
    let done = tend(&mut crew, &mut signals, &mut status).await;
    status.close();
    options.hint("ending: workers give their trials back (Ctrl-C again to end at once)");
    let drained = crew.drain(&mut signals).await;
    done.and(drained)
}

/// Starts the crew and keeps it up until it is done or a signal comes.
async fn tend(crew: &mut Crew, signals: &mut Signals, status: &mut Status) -> Result<(), Failure> {
    let begun = tokio::select! {
        begun = crew.begin() => begun,
        () = signals.next() => return Ok(()),
    };
    let url = begun?;
    status.note(&format!("{url} serves; Ctrl-C ends it"));
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut ask = tokio::time::interval(ASK_EVERY);
    ask.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut coordinator = None;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            _ = look.tick() => {
                for notice in crew.look()? {
                    status.note(&notice);
                }
                if crew.is_done() {
                    return Ok(());
                }
            }
            _ = ask.tick() => {
                // Away for a moment at most, or the crew will know; then it is asked anew.
                let asked = tokio::time::timeout(ASK_EVERY, studies(&url, &mut coordinator));
                if let Ok(Ok(studies)) = asked.await {
                    status.show(&studies);
                }
            }
        }
    }
}

async fn studies(
    url: &str,
    coordinator: &mut Option<Coordinator>,
) -> Result<Vec<proto::v1::Study>, Failure> {
    if coordinator.is_none() {
        *coordinator = Some(Coordinator::connect(url).await?);
    }
    match coordinator {
        Some(connected) => connected.studies().await,
        None => unreachable!("it was connected above"),
    }
}
