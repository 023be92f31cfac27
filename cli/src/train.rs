//! `strop train`: one training in this process, without a coordinator or a database.
//!
//! For whoever wants to see what one point of a space does, or to train what a search has found.

mod curves;
mod folder;
mod history;
mod progress;
mod report;
mod request;
mod training;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::oneshot;
use whetstone::train::Stop;

use crate::exit::Failure;
use crate::options::{Options, quoted};
use crate::signals::Signals;
use crate::{print, words};
use folder::{Earlier, Folder};
use progress::Progress;
use request::{Overrides, Request};
use training::{End, Ended, Training};

/// More threads than any machine has cores; beyond it somebody mistyped.
const THREADS_MAX: i64 = 1_024;
const EPOCHS_MAX: i64 = 10_000;

/// `strop train`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// A training file (see `examples/train.toml`) or a study file: of that, what it searches takes
    /// its defaults unless set.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Set a hyperparameter, whatever the file says; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Seed of every random choice. Default: the file's, or else 0.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Train so many epochs, whether sharpening finishes in them or not.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=EPOCHS_MAX))]
    epochs: Option<u32>,

    /// Folder with the files of the data sets. `digits` needs none.
    #[arg(long, value_name = "DIR", env = "STROP_DATA_FOLDER")]
    data_folder: Option<PathBuf>,

    /// How many threads compute. Default: one for each core. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=THREADS_MAX))]
    threads: Option<u32>,

    /// Folder for the network, the curves and the checkpoint. Default: NAME-SEED, here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Replace an earlier training in that folder.
    #[arg(long, conflicts_with = "resume")]
    force: bool,

    /// Go on where an earlier training in that folder stopped, to the same result bit for bit.
    #[arg(long)]
    resume: bool,
}

/// Trains, shows how it goes, and leaves the result in a folder.
pub async fn run(options: &Options, arguments: Arguments) -> Result<(), Failure> {
    whetstone::memory::keep_freed();
    let mut signals = Signals::new()?;
    let Arguments { set, seed, epochs, .. } = &arguments;
    let overrides = Overrides { set: set.clone(), seed: *seed, epochs: *epochs };
    let request = request::read(&arguments.file, &overrides)?;
    let path = arguments.out.clone().unwrap_or_else(|| default_folder(&request));
    let earlier = match (arguments.force, arguments.resume) {
        (true, _) => Earlier::Replace,
        (false, true) => Earlier::Resume,
        (false, false) => Earlier::Keep,
    };
    let folder = Folder::open(&path, earlier)?;
    if !request.unset.is_empty() {
        options.hint(defaults(&request));
    }

    let (progress, stop) = (Progress::new(options), Stop::new());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let training = Training {
        request: request.clone(),
        data_folder: arguments.data_folder.clone(),
        threads: arguments.threads.map_or_else(cores, |threads| threads as usize),
        folder,
        is_resumed: arguments.resume,
        progress: progress.clone(),
        stop: stop.clone(),
    };
    let end = on_a_thread(training, &stop, &progress, &mut signals).await;
    progress.close();
    match end? {
        End::Done(ended) => {
            let mut folder = Folder::open(&path, Earlier::Resume)?;
            write(&request, &mut folder, &ended)?;
            match options.json {
                true => print::json(&report::json(&request, &folder, &ended)),
                false => {
                    print::lines(&report::text(&request, &folder, &ended, print::width()));
                }
            }
            Ok(())
        }
        End::Stopped(0) => {
            options.hint("stopped before the end of the first epoch: nothing was kept");
            Err(Failure::Interrupted)
        }
        End::Stopped(epochs) => {
            let epochs = words::count(epochs, "epoch");
            options.hint(format!("stopped after {epochs}; to go on:\n  {}", arguments.resuming()));
            Err(Failure::Interrupted)
        }
    }
}

/// Trains on a thread of its own. The first signal asks for an end after the current batch, the
/// second does not wait for it: the thread ends with the process.
async fn on_a_thread(
    training: Training,
    stop: &Stop,
    progress: &Progress,
    signals: &mut Signals,
) -> Result<End, Failure> {
    let (sender, mut ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("train".to_owned())
        // Nobody left to hear of the end is as good as told.
        .spawn(move || drop(sender.send(training.run())))
        .context("no thread can be started")?;
    loop {
        tokio::select! {
            end = &mut ended => return end.context("the training broke, see above")?,
            () = signals.next() => {
                if stop.is_asked() {
                    return Err(Failure::Interrupted);
                }
                stop.ask();
                progress.note("stopping after this batch; once more to stop at once");
            }
        }
    }
}

/// Leaves the network and the curves in the folder.
fn write(request: &Request, folder: &mut Folder, ended: &Ended) -> anyhow::Result<()> {
    let network = ended.trained.network_to_bytes().context("the network cannot be written down")?;
    folder.write(folder::NETWORK, &network)?;
    let Request { name, seed, data, .. } = request;
    let title = format!("{name}, seed {seed}, on {}", data.dataset);
    folder.write(folder::CURVES, curves::svg(&title, &ended.history).as_bytes())
}

fn default_folder(request: &Request) -> PathBuf {
    PathBuf::from(format!("{}-{}", request.name, request.seed))
}

/// Which defaults stand for what a study searches.
fn defaults(request: &Request) -> String {
    let text = |value: &serde_json::Value| match value.as_str() {
        Some(word) => word.to_owned(),
        None => value.to_string(),
    };
    let values = request.unset.iter().map(|(name, value)| format!("{name}={}", text(value)));
    let values: Vec<String> = values.collect();
    format!(
        "`{}` searches these; not set, they take their defaults (--set NAME=VALUE changes one):\n  {}",
        request.name,
        values.join(" ")
    )
}

impl Arguments {
    /// The command that goes on with this training.
    fn resuming(&self) -> String {
        let path = |path: &PathBuf| quoted(&path.to_string_lossy());
        let mut words = vec!["strop train".to_owned(), path(&self.file)];
        words.extend(self.set.iter().map(|pair| format!("--set {}", quoted(pair))));
        words.extend(self.seed.map(|seed| format!("--seed {seed}")));
        words.extend(self.epochs.map(|epochs| format!("--epochs {epochs}")));
        words.extend(self.data_folder.as_ref().map(|dir| format!("--data-folder {}", path(dir))));
        words.extend(self.threads.map(|threads| format!("--threads {threads}")));
        words.extend(self.out.as_ref().map(|dir| format!("--out {}", path(dir))));
        words.push("--resume".to_owned());
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_says_all_that_the_first_one_did() {
        let arguments = Arguments {
            file: "my file.toml".into(),
            set: vec!["rho=0.5".to_owned()],
            seed: Some(3),
            epochs: Some(2),
            data_folder: Some("/data".into()),
            threads: None,
            out: Some("x".into()),
            force: true,
            resume: false,
        };
        assert_eq!(
            arguments.resuming(),
            "strop train 'my file.toml' --set rho=0.5 --seed 3 --epochs 2 --data-folder /data \
             --out x --resume"
        );
    }
}
