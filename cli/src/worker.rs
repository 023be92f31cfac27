//! `strop worker …`: look at workers, send them away.

use clap::{Args, Subcommand};
use proto::v1::{Worker, WorkerState};

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::options::Options;
use crate::table::{self, Side};
use crate::{json, print, words};

/// Characters of an id that are shown, which are enough to name it.
const ID_CHARACTERS: usize = 8;

/// People's verbs on workers.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the workers, newest first.
    List {
        /// Those too that have ended or are cut off.
        #[arg(long)]
        all: bool,
    },
    /// Have a worker give its trials back and end; one that is started again is another worker.
    Drain {
        #[command(flatten)]
        which: Which,
        /// What the worker is told, and who looks.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Take that back, for workers that have not ended yet.
    Undrain(Which),
}

/// A worker by name.
#[derive(Args, Debug)]
pub struct Which {
    /// Its label, which may be that of several workers, or its id, or the first 8 characters of that.
    #[arg(value_name = "LABEL|ID")]
    worker: String,
}

/// Does what was asked.
pub async fn run(options: &Options, command: Command) -> Result<(), Failure> {
    let mut coordinator = Coordinator::connect(&options.url()).await?;
    let workers = match command {
        Command::List { all } => coordinator.workers(all).await?,
        Command::Drain { which, reason } => coordinator.drain(&which.worker, &reason).await?,
        Command::Undrain(which) => coordinator.undrain(&which.worker).await?,
    };
    match options.json {
        true => print::json(&workers.iter().map(json::worker).collect()),
        false if workers.is_empty() => {
            options.hint("no worker has asked for a trial in the last minutes");
        }
        false => print::lines(&listed(&workers)),
    }
    Ok(())
}

/// Workers, one a row.
fn listed(workers: &[Worker]) -> String {
    let header = [
        ("id", Side::Left),
        ("label", Side::Left),
        ("device", Side::Left),
        ("state", Side::Left),
        ("running", Side::Right),
        ("asked (UTC)", Side::Left),
        ("why it is to go", Side::Left),
    ];
    let rows = workers.iter().map(|worker| {
        let why = match worker.drained_because.as_str() {
            "" => "–",
            why => why,
        };
        vec![
            worker.worker_id.chars().take(ID_CHARACTERS).collect(),
            worker.label.clone(),
            worker.device.clone(),
            state(worker).to_owned(),
            worker.running.to_string(),
            words::instant(worker.seen_at.as_ref()),
            why.to_owned(),
        ]
    });
    let header = header.map(|(text, side)| (text.to_owned(), side));
    table::table(&header, rows.collect(), print::width())
}

/// The word for a worker's state.
pub fn state(worker: &Worker) -> &'static str {
    match worker.state() {
        WorkerState::Unspecified => "unknown",
        WorkerState::Active => "active",
        WorkerState::Draining => "draining",
        WorkerState::Gone => "gone",
    }
}
