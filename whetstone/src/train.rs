//! The training loop: from a recipe and a data set to the accuracies it reaches.
//!
//! It prints nothing and reads no clock. After every epoch it hands an [`EpochReport`] to whoever
//! asked, before every batch it looks at a [`Stop`], and for one seed it gives one result.

mod report;
mod stop;

pub use report::{EpochReport, Outcome};
pub use stop::Stop;

use crate::data::{Dataset, batches_per_epoch, shuffled};
use crate::evaluate::{Accuracy, evaluate};
use crate::network::{Extent, Network, NetworkError, Plan};
use crate::ops::real::with_values;
use crate::optim::Optimizer;
use crate::seed::{Purpose, stream};
use crate::sharpen::{ScheduleError, Scheduled, Sharpener, Sharpness};
use crate::softmax_decode::{correct, cross_entropy};
use candle_core::{Device, Tensor};
use candle_nn::Optimizer as _;
use recipe::Recipe;

/// Why a training ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// [`Stop`] was asked for.
    #[error("training was stopped on request")]
    Stopped,
    /// The loss is no longer a number. Another learning rate may help, another attempt will not.
    #[error(
        "the loss became infinite or undefined in epoch {epoch}, batch {batch}: lower the learning \
         rate"
    )]
    Diverged {
        /// The epoch, from 0.
        epoch: u32,
        /// The batch within it, from 0.
        batch: usize,
    },
    /// The recipe cannot be followed on this data.
    #[error("the recipe does not fit the data set `{dataset}`: {reason}")]
    Recipe {
        /// The data set.
        dataset: String,
        /// What does not fit, as a sentence.
        reason: String,
    },
    /// A tensor operation failed, which no valid recipe brings about.
    #[error("a tensor operation failed in training")]
    Tensor(#[from] candle_core::Error),
}

/// Trains the network of a recipe on `data.train`, measured on `data.test`.
///
/// `progress` is called at the end of every epoch. Training ends after the planned epochs, or with
/// the epoch in which the last layer became a threshold: nothing can be learned after that.
///
/// The same arguments give the same outcome and the same reports, bit for bit, on machines with
/// the same vector instructions.
///
/// # Errors
///
/// [`TrainError::Recipe`] before the first epoch, [`TrainError::Stopped`] and
/// [`TrainError::Diverged`] during one.
pub fn train(
    recipe: &Recipe,
    data: &Dataset,
    seed: u64,
    progress: &mut dyn FnMut(&EpochReport),
    stop: &Stop,
) -> Result<Outcome, TrainError> {
    let unfit = |reason: String| TrainError::Recipe { dataset: data.name.clone(), reason };
    let image = Extent { height: data.height, width: data.width, channels: data.channels };
    let plan = Plan::new(recipe, image, data.classes).map_err(|e| unfit(e.to_string()))?;
    let mut network = Network::new(&plan, recipe, seed).map_err(|error| match error {
        NetworkError::Tensor(error) => TrainError::Tensor(error),
        error => unfit(error.to_string()),
    })?;
    let batch_size = recipe.batch_size as usize;
    let batches = batches_per_epoch(data.train.len(), batch_size);
    if batches == 0 || data.test.is_empty() {
        return Err(unfit("it needs at least one image to train on and one to test with".into()));
    }
    let mut sharpener = Scheduled::from_recipe(recipe, batches)
        .map_err(|error: ScheduleError| unfit(error.to_string()))?;
    let mut optimizer = Optimizer::new(network.variables(), recipe)?;

    let epochs_planned = recipe.epochs_planned();
    let mut measured = Accuracy { soft: 0.0, binary: 0.0 };
    let mut epochs = 0;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for epoch in 0..epochs_planned {
        let order = shuffled(data.train.len(), seed, epoch.into());
        let (mut loss_sum, mut hits) = (0.0, 0);
        for (batch, order) in order.chunks(batch_size).enumerate() {
            if stop.is_asked() {
                return Err(TrainError::Stopped);
            }
            data.train.gather(order, &mut pixels, &mut labels);
            let shape = (labels.len(), data.height, data.width, data.channels);
            let images = Tensor::from_slice(&pixels, shape, &Device::Cpu)?;
            let curves = network.curves(&sharpener.sharpness());
            let update = u64::from(epoch) * batches as u64 + batch as u64;
            let mut noise = stream(seed, Purpose::Noise, update);
            let output = network.train_forward(&images, &curves, &mut noise)?;
            let loss = cross_entropy(&output, &network.key, &labels)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            if !value.is_finite() {
                return Err(TrainError::Diverged { epoch, batch });
            }
            loss_sum += value * labels.len() as f64;
            hits += with_values::<f32, _>(&output, |x| Ok(correct(&network.key, x, &labels)))?;
            optimizer.backward_step(&loss)?;
            sharpener.after_batch();
        }
        let images = data.train.len() as f64;
        sharpener.after_epoch(loss_sum / images);
        let sharpness = sharpener.sharpness();
        measured = evaluate(&network, data, &data.test, &sharpness)?;
        epochs = epoch + 1;
        progress(&EpochReport {
            epoch,
            epochs_planned,
            loss: loss_sum / images,
            train_accuracy: hits as f64 / images,
            soft_accuracy: measured.soft,
            binary_accuracy: measured.binary,
            sharpness: sharpness.into_iter().map(Sharpness::get).collect(),
            learning_rate: optimizer.learning_rate(),
        });
        if sharpener.stop() {
            break;
        }
    }
    Ok(Outcome {
        soft_accuracy: measured.soft,
        binary_accuracy: measured.binary,
        sharpening_finished: sharpener.finished(),
        epochs,
        parameters: plan.parameters(),
        multiply_adds: plan.multiply_adds(),
    })
}
