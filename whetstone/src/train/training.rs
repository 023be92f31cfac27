//! A training between two epochs, and how it takes the next.

use super::error::TrainError;
use super::report::{EpochReport, Outcome};
use super::stop::Stop;
use crate::data::{Augment, Dataset, batches_per_epoch, shuffled};
use crate::evaluate::{Accuracy, evaluate};
use crate::network::{Extent, Network, NetworkError, Plan};
use crate::ops::real::with_values;
use crate::optim::Optimizer;
use crate::seed::{Purpose, stream};
use crate::sharpen::{Chosen, Sharpener, Sharpness};
use crate::softmax_decode::{correct, cross_entropy};
use candle_core::{Device, Tensor};
use recipe::Recipe;

/// A training between two epochs.
pub(super) struct Training<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) data: &'a Dataset,
    pub(super) seed: u64,
    pub(super) network: Network,
    pub(super) optimizer: Optimizer,
    pub(super) sharpener: Chosen,
    /// Batches in an epoch.
    pub(super) batches: usize,
    /// Epochs completed.
    pub(super) epochs: u32,
}

/// What the batches of an epoch add up to.
#[derive(Default)]
struct Sums {
    loss: f64,
    hits: usize,
}

impl<'a> Training<'a> {
    /// A training that has not begun.
    pub(super) fn new(
        recipe: &'a Recipe,
        data: &'a Dataset,
        seed: u64,
    ) -> Result<Training<'a>, TrainError> {
        let unfit = |reason: String| TrainError::Recipe { dataset: data.name.clone(), reason };
        let batches = batches_per_epoch(data.train.len(), recipe.batch_size as usize);
        if batches == 0 || data.measured().is_empty() {
            return Err(unfit("it needs an image to train on and one to measure on".into()));
        }
        let image = Extent { height: data.height, width: data.width, channels: data.channels };
        let plan = Plan::new(recipe, image, data.classes).map_err(|e| unfit(e.to_string()))?;
        let sharpener =
            Chosen::from_recipe(recipe, batches).map_err(|error| unfit(error.to_string()))?;
        let network = Network::new(&plan, recipe, seed).map_err(|error| match error {
            NetworkError::Tensor(error) => TrainError::Tensor(error),
            error => unfit(error.to_string()),
        })?;
        let optimizer = Optimizer::new(network.variables(), recipe, batches)?;
        Ok(Training { recipe, data, seed, network, optimizer, sharpener, batches, epochs: 0 })
    }

    /// The most epochs there will be.
    pub(super) fn epochs_planned(&self) -> u32 {
        self.recipe.epochs_planned()
    }

    /// Whether there is nothing left to train.
    pub(super) fn over(&self) -> bool {
        self.epochs >= self.epochs_planned() || self.sharpener.stop()
    }

    /// Trains one epoch and measures what came of it.
    pub(super) fn epoch(&mut self, stop: &Stop) -> Result<EpochReport, TrainError> {
        let epoch = self.epochs;
        let sums = self.learn(epoch, stop)?;
        let images = self.data.train.len() as f64;
        let loss = sums.loss / images;
        self.sharpener.after_epoch(loss);
        self.epochs += 1;
        let measured = self.measure()?;
        Ok(EpochReport {
            epoch,
            epochs_planned: self.epochs_planned(),
            loss,
            train_accuracy: sums.hits as f64 / images,
            soft_accuracy: measured.soft,
            binary_accuracy: measured.binary,
            sharpness: self.sharpener.sharpness().into_iter().map(Sharpness::get).collect(),
            learning_rate: self.optimizer.learning_rate(),
        })
    }

    /// The batches of one epoch.
    fn learn(&mut self, epoch: u32, stop: &Stop) -> Result<Sums, TrainError> {
        let Self { data, seed, network, optimizer, sharpener, .. } = self;
        let augment = Augment::from_recipe(self.recipe);
        let order = shuffled(data.train.len(), *seed, epoch.into());
        let mut sums = Sums::default();
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for (batch, order) in order.chunks(self.recipe.batch_size as usize).enumerate() {
            if stop.is_asked() {
                return Err(TrainError::Stopped);
            }
            data.train.gather(order, &mut pixels, &mut labels);
            let update = u64::from(epoch) * self.batches as u64 + batch as u64;
            if let Some(augment) = augment {
                let size = [data.height, data.width, data.channels];
                augment.apply(&mut pixels, size, &mut stream(*seed, Purpose::Augment, update));
            }
            let shape = (labels.len(), data.height, data.width, data.channels);
            let images = Tensor::from_slice(&pixels, shape, &Device::Cpu)?;
            let curves = network.curves(&sharpener.sharpness());
            let mut noise = stream(*seed, Purpose::Noise, update);
            let output = network.train_forward(&images, &curves, &mut noise)?;
            let loss = cross_entropy(&output, &network.key, &labels)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            if !value.is_finite() {
                return Err(TrainError::Diverged { epoch, batch });
            }
            sums.loss += value * labels.len() as f64;
            sums.hits += with_values::<f32, _>(&output, |x| Ok(correct(&network.key, x, &labels)))?;
            optimizer.step(&loss.backward()?)?;
            sharpener.after_batch();
        }
        Ok(sums)
    }

    /// Both accuracies of the network as it stands, on the part that is measured as it learns.
    pub(super) fn measure(&self) -> candle_core::Result<Accuracy> {
        evaluate(&self.network, self.data, self.data.measured(), &self.sharpener.sharpness())
    }

    /// What has come of it. `measured` is what [`Training::measure`] would say.
    pub(super) fn outcome(&self, measured: Accuracy, test: Option<Accuracy>) -> Outcome {
        let plan = self.network.plan();
        Outcome {
            soft_accuracy: measured.soft,
            binary_accuracy: measured.binary,
            test,
            sharpening_finished: self.sharpener.finished(),
            epochs: self.epochs,
            parameters: plan.parameters(),
            multiply_adds: plan.multiply_adds(),
        }
    }
}
