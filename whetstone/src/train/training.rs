//! A training between two epochs, and how it takes the next.

use super::collapse::Collapse;
use super::error::TrainError;
use super::report::{EpochReport, Outcome};
use super::stop::Stop;
use crate::data::{Augment, Dataset, batches_per_epoch, shuffled};
use crate::evaluate::{Accuracy, evaluate, evaluate_first};
use crate::health::{GradientNorms, Spikes, health};
use crate::network::{Extent, Gradients, Network, NetworkError, Plan};
use crate::optim::Optimizer;
use crate::seed::{Purpose, stream};
use crate::sharpen::{Chosen, Sharpener, Sharpness};
use crate::softmax_decode::hits;
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
    pub(super) collapse: Collapse,
    /// What the network as it stands says to the sample; nothing before the first epoch.
    pub(super) spikes: Option<Spikes>,
}

/// What the batches of an epoch add up to.
struct Sums {
    loss: f64,
    hits: usize,
    norms: GradientNorms,
}

impl<'a> Training<'a> {
    /// A training that has not begun.
    pub(super) fn new(
        recipe: &'a Recipe,
        data: &'a Dataset,
        seed: u64,
        device: &Device,
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
        let network = Network::on(device, &plan, recipe, seed).map_err(|error| match error {
            NetworkError::Tensor(error) => TrainError::Tensor(error),
            error => unfit(error.to_string()),
        })?;
        let optimizer = Optimizer::new(network.variables(), recipe, batches)?;
        let collapse = Collapse::new(network.layers.len());
        Ok(Training {
            recipe,
            data,
            seed,
            network,
            optimizer,
            sharpener,
            batches,
            epochs: 0,
            collapse,
            spikes: None,
        })
    }

    /// The most epochs there will be.
    pub(super) fn epochs_planned(&self) -> u32 {
        self.recipe.epochs_planned()
    }

    /// Whether there is nothing left to train.
    pub(super) fn over(&self) -> bool {
        self.epochs >= self.epochs_planned() || self.sharpener.stop() || self.collapsed().is_some()
    }

    /// Why nothing will come of it any more, if so.
    fn collapsed(&self) -> Option<String> {
        let names: Vec<_> = self.network.layers.iter().map(|layer| layer.name).collect();
        self.collapse.reason(&names)
    }

    /// Trains one epoch and measures what came of it.
    pub(super) fn epoch(&mut self, stop: &Stop) -> Result<EpochReport, TrainError> {
        let epoch = self.epochs;
        let sums = self.learn(epoch, stop)?;
        let images = self.data.train.len() as f64;
        let loss = sums.loss / images;
        self.sharpener.after_epoch(loss);
        self.epochs += 1;
        let (network, part) = (&self.network, self.data.measured());
        let sharpness = self.sharpener.sharpness();
        let mut spikes = Spikes::new(network);
        let measured =
            evaluate_first(part.len(), network, self.data, part, &sharpness, &mut spikes)?;
        let layers = health(network, &spikes, self.spikes.as_ref(), &sums.norms);
        self.spikes = Some(spikes);
        let report = EpochReport {
            epoch,
            epochs_planned: self.epochs_planned(),
            loss,
            train_accuracy: sums.hits as f64 / images,
            soft_accuracy: measured.soft,
            binary_accuracy: measured.binary,
            sharpness: sharpness.into_iter().map(Sharpness::get).collect(),
            layers,
            learning_rate: self.optimizer.learning_rate(),
        };
        self.collapse.note(&report, self.data.classes);
        Ok(report)
    }

    /// The batches of one epoch.
    fn learn(&mut self, epoch: u32, stop: &Stop) -> Result<Sums, TrainError> {
        let Self { data, seed, network, optimizer, sharpener, .. } = self;
        let augment = Augment::from_recipe(self.recipe);
        let order = shuffled(data.train.len(), *seed, epoch.into());
        let mut sums = Sums { loss: 0.0, hits: 0, norms: GradientNorms::new(network) };
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
            let images = Tensor::from_slice(&pixels, shape, network.device())?;
            let curves = network.curves(&sharpener.sharpness());
            let mut noise = stream(*seed, Purpose::Noise, update);
            let Gradients { output, loss, by_variable } =
                network.gradients(&images, &labels, &curves, &mut noise)?;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { epoch, batch });
            }
            sums.loss += loss * labels.len() as f64;
            sums.hits += hits(&network.key, &output, &labels)?;
            sums.norms.add(network, &by_variable)?;
            optimizer.step(&by_variable)?;
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
            collapsed: self.collapsed(),
            epochs: self.epochs,
            parameters: plan.parameters(),
            multiply_adds: plan.multiply_adds(),
        }
    }
}
