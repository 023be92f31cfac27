//! The training loop: from a recipe and a data set to the accuracies it reaches.
//!
//! It prints nothing and reads no clock. After every epoch it hands an [`EpochReport`] to a
//! [`Watch`], which may take a [`Checkpoint`] then, before every batch it looks at a [`Stop`], and
//! for one seed it gives one result, however often it was interrupted.

mod checkpoint;
mod collapse;
mod error;
mod report;
mod stop;
mod training;
mod watch;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use error::TrainError;
pub use report::{EpochReport, Outcome};
pub use stop::Stop;
pub use watch::{State, Watch};

use crate::data::Dataset;
use crate::evaluate::{Accuracy, evaluate};
use crate::network::Network;
use crate::sharpen::{Sharpener, Sharpness};
use candle_core::Device;
use recipe::Recipe;
use training::Training;

/// What may be asked of a training besides its recipe.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Where to go on; without it training begins anew.
    pub from: Option<&'a Checkpoint>,
    /// Whether to measure the test part, once, at the end: [`Outcome::test`].
    pub measure_test: bool,
    /// What computes; without one the processor. A GPU rounds differently, so that it gives a
    /// result of its own, the same on every run.
    pub device: Option<&'a Device>,
}

/// What a training leaves.
#[derive(Debug)]
pub struct Trained {
    /// What was measured.
    pub outcome: Outcome,
    /// The network as it stands at the end.
    pub network: Network,
    /// How sharp each of its layers is then, input to output.
    pub sharpness: Vec<Sharpness>,
}

impl Trained {
    /// The network as a file; see [`network::file`](crate::network::file).
    ///
    /// # Errors
    ///
    /// None that a trained network brings about.
    pub fn network_to_bytes(&self) -> candle_core::Result<Vec<u8>> {
        self.network.to_bytes(&self.sharpness)
    }
}

/// Trains the network of a recipe on `data.train`, measured after every epoch on
/// `data.validation`, or on `data.test` if there is none.
///
/// `watch` is called at the end of every epoch. Training ends after the planned epochs, or with
/// the epoch in which the last layer became a threshold, since nothing can be learned after that, or
/// when it has [collapsed](Outcome::collapsed).
///
/// The same arguments give the same outcome, reports and weights, bit for bit, on machines with
/// the same vector instructions or the same kind of GPU; and so does a training that goes on from a checkpoint of itself.
///
/// # Errors
///
/// [`TrainError::Recipe`] and [`TrainError::Checkpoint`] before the first epoch,
/// [`TrainError::Stopped`] and [`TrainError::Diverged`] during one.
pub fn train(
    recipe: &Recipe,
    data: &Dataset,
    seed: u64,
    options: Options<'_>,
    watch: &mut dyn Watch,
    stop: &Stop,
) -> Result<Trained, TrainError> {
    let mut training = Training::new(recipe, data, seed, options.device.unwrap_or(&Device::Cpu))?;
    if let Some(checkpoint) = options.from {
        checkpoint.restore(&mut training)?;
    }
    let mut measured = None;
    while !training.over() {
        let report = training.epoch(stop)?;
        measured = Some(Accuracy { soft: report.soft_accuracy, binary: report.binary_accuracy });
        watch.epoch(&report, &State(&training));
    }
    let measured = match measured {
        Some(measured) => measured,
        // It went on from its own end.
        None => training.measure()?,
    };
    let sharpness = training.sharpener.sharpness();
    let test = match (options.measure_test, &data.validation) {
        (false, _) => None,
        (true, None) => Some(measured),
        (true, Some(_)) => Some(evaluate(&training.network, data, &data.test, &sharpness)?),
    };
    let outcome = training.outcome(measured, test);
    Ok(Trained { outcome, network: training.network, sharpness })
}
