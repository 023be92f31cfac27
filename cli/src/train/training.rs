//! One training in this process: data, threads, a checkpoint after every epoch.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use whetstone::data::{self, DataError, Dataset, Limits};
use whetstone::train::{
    Checkpoint, EpochReport, Options, State, Stop, TrainError, Trained, Watch, train,
};

use super::folder::{self, Folder};
use super::history::{History, SECONDS};
use super::progress::Progress;
use super::request::{Data, Request};
use crate::exit::Failure;

/// What a training needs besides the request.
#[derive(Debug)]
pub struct Training {
    /// What is asked for.
    pub request: Request,
    /// Where data sets lie.
    pub data_folder: Option<PathBuf>,
    /// Cores to compute with.
    pub threads: usize,
    /// Where the files go.
    pub folder: Folder,
    /// Whether to go on from a checkpoint in the folder.
    pub is_resumed: bool,
    /// Who is told.
    pub progress: Progress,
    /// Asks it to stop.
    pub stop: Stop,
}

/// What a training leaves.
#[derive(Debug)]
pub struct Ended {
    /// What was measured, and the network.
    pub trained: Trained,
    /// Every epoch.
    pub history: History,
    /// Images it was measured on as it learned.
    pub measured: usize,
    /// Whether these are the test images.
    pub measured_on_test: bool,
    /// Test images.
    pub test: usize,
}

/// How a training ended that was in order.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Done(Box<Ended>),
    /// Because it was asked to; so many epochs can be gone on from.
    Stopped(u32),
}

impl Training {
    /// Trains. What can be wrong with the data and the checkpoint is told before the first epoch.
    pub fn run(mut self) -> Result<End, Failure> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|thread| format!("train-{thread}"))
            .build()
            .with_context(|| {
                format!("{} threads cannot be started; see --threads", self.threads)
            })?;
        threads.install(|| self.run_here())
    }

    fn run_here(&mut self) -> Result<End, Failure> {
        let dataset = dataset(&self.request.data, self.data_folder.as_deref())?;
        let from = match self.is_resumed {
            true => self.checkpoint()?,
            false => None,
        };
        let trained = from.as_ref().map_or(0, Checkpoint::epoch);
        let history = self.history(trained)?;
        let Request { name, seed, recipe, .. } = &self.request;
        self.progress.begin(name, trained, recipe.epochs_planned());
        let mut keeper = Keeper {
            history,
            folder: &mut self.folder,
            progress: &self.progress,
            stop: &self.stop,
            trained,
            first: trained,
            begun_at: Instant::now(),
            epoch_begun_at: Instant::now(),
            failure: None,
        };
        let options = Options { from: from.as_ref(), measure_test: true, ..Options::default() };
        let ended = train(recipe, &dataset, *seed, options, &mut keeper, &self.stop);
        let Keeper { history, trained: epochs, failure, .. } = keeper;
        if let Some(failure) = failure {
            return Err(failure.into());
        }
        match ended {
            Ok(trained) => Ok(End::Done(Box::new(Ended {
                trained,
                history,
                measured: dataset.measured().len(),
                measured_on_test: dataset.validation.is_none(),
                test: dataset.test.len(),
            }))),
            Err(TrainError::Stopped) => Ok(End::Stopped(epochs)),
            Err(error @ TrainError::Diverged { .. }) if epochs > 0 => {
                let table = self.folder.path().join(folder::EPOCHS);
                Err(anyhow!("{error}; the epochs before are in `{}`", table.display()).into())
            }
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Where an earlier training of the folder came to.
    fn checkpoint(&self) -> Result<Option<Checkpoint>, Failure> {
        let shown = self.folder.path().display();
        let Some(bytes) = self.folder.read(folder::CHECKPOINT)? else {
            self.progress.note(&format!("no checkpoint in `{shown}` yet: training begins"));
            return Ok(None);
        };
        let checkpoint =
            Checkpoint::from_bytes(&bytes).map_err(|error| self.failure(error.into()))?;
        let epochs = crate::words::count(checkpoint.epoch(), "epoch");
        self.progress.note(&format!("goes on after {epochs}, from `{shown}`"));
        Ok(Some(checkpoint))
    }

    /// What the folder tells of the epochs that are not trained again.
    fn history(&self, epochs: u32) -> Result<History, Failure> {
        if epochs == 0 {
            return Ok(History::default());
        }
        let bytes = self.folder.read(folder::EPOCHS)?.unwrap_or_default();
        let history = String::from_utf8(bytes)
            .ok()
            .and_then(|text| History::from_csv(&text, epochs as usize));
        Ok(history.unwrap_or_else(|| {
            self.progress.note(&format!(
                "{} does not tell the epochs before: the curves begin here",
                folder::EPOCHS
            ));
            History::default()
        }))
    }

    fn failure(&self, error: TrainError) -> Failure {
        let shown = self.folder.path().display();
        match &error {
            TrainError::Recipe { .. } => Failure::Invalid(error.to_string()),
            TrainError::Checkpoint(cause) => Failure::Conflict(format!(
                "{cause}: train as then, begin anew with --force in place of --resume, or name \
                 another folder than `{shown}` with --out"
            )),
            _ => anyhow::Error::new(error).into(),
        }
    }
}

/// Reads a data set and holds images out.
fn dataset(wanted: &Data, folder: Option<&Path>) -> Result<Dataset, Failure> {
    let limit = |images: u32| (images > 0).then_some(images as usize);
    let limits = Limits { train: limit(wanted.train_images), test: limit(wanted.test_images) };
    data::load(&wanted.dataset, folder, limits)
        .and_then(|whole| whole.hold_out(wanted.validation_images as usize))
        .map_err(|error| match error {
            DataError::UnknownDataSet { .. } | DataError::NothingLeft { .. } => {
                Failure::Invalid(error.to_string())
            }
            DataError::FolderNeeded { .. } => {
                Failure::Invalid(format!("{error}, with --data-folder or STROP_DATA_FOLDER"))
            }
            _ => anyhow::Error::new(error).into(),
        })
}

/// Takes down every epoch, and the state after it.
struct Keeper<'a> {
    history: History,
    folder: &'a mut Folder,
    progress: &'a Progress,
    stop: &'a Stop,
    /// Epochs that can be gone on from.
    trained: u32,
    /// Epochs that were trained before.
    first: u32,
    begun_at: Instant,
    epoch_begun_at: Instant,
    /// Why nothing could be taken down.
    failure: Option<anyhow::Error>,
}

impl Keeper<'_> {
    /// The numbers first: those of an epoch whose state was lost are dropped, the other way round
    /// they would be missing.
    fn keep(&mut self, state: &State<'_>) -> anyhow::Result<()> {
        self.folder.write(folder::EPOCHS, self.history.to_csv().as_bytes())?;
        let checkpoint = state.checkpoint().context("no checkpoint can be taken")?;
        self.folder.write(folder::CHECKPOINT, &checkpoint.to_bytes())?;
        self.trained = checkpoint.epoch();
        Ok(())
    }

    /// Mean duration of the epochs of this run.
    fn pace(&self, epoch: u32) -> Duration {
        self.begun_at.elapsed() / (epoch + 1).saturating_sub(self.first).max(1)
    }
}

impl Watch for Keeper<'_> {
    fn epoch(&mut self, report: &EpochReport, state: &State<'_>) {
        if self.failure.is_some() {
            return;
        }
        let seconds = self.epoch_begun_at.elapsed().as_secs_f64();
        self.epoch_begun_at = Instant::now();
        self.history.push(report, seconds);
        if let Err(error) = self.keep(state) {
            // Hours of training that cannot be kept had better not begin.
            self.failure = Some(error);
            self.stop.ask();
            return;
        }
        self.progress.epoch(report, self.pace(report.epoch));
    }
}

impl Ended {
    /// Mean duration of an epoch, in seconds.
    pub fn seconds_per_epoch(&self) -> f64 {
        let seconds = self.history.column(SECONDS);
        seconds.iter().sum::<f64>() / seconds.len().max(1) as f64
    }
}
