//! The network of a recipe: sharpenable layers and the key that decodes the last.
//!
//! ```text
//! images ─ conv1 ─ … ─ dense ─ … ─ output ─ decode
//!          each: linear map ─ batch norm ─ (pool) ─ activation
//! ```
//!
//! The linear maps have no bias, since the norm behind each takes it off again.

pub mod file;
mod layer;
mod pass;
mod plan;

pub use layer::Layer;
pub(crate) use layer::RestoreError;
pub use plan::{Extent, LayerPlan, Noise, Plan, PlanError, Reach, Site};

use crate::archive::Archive;
use crate::ops::curve::Curve;
use crate::seed::{Purpose, Stream, stream};
use crate::sharpen::Sharpness;
use crate::softmax_decode::{Key, KeyError, cross_entropy, cross_entropy_gradient};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use recipe::{Activation, Recipe};
use std::sync::Arc;

/// A network that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The recipe does not fit the data.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The output cannot tell the classes apart.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Tensors could not be made.
    #[error("the network's weights could not be made")]
    Tensor(#[from] candle_core::Error),
}

/// What one step's forward and backward pass give.
#[derive(Debug)]
pub struct Gradients {
    /// The outputs, `(images, neurons)`.
    pub output: Tensor,
    /// The mean cross-entropy, in nats.
    pub loss: f64,
    /// The gradient by each variable; those below a step have none.
    pub by_variable: GradStore,
}

/// Weights, moving statistics and key of one network.
///
/// It has no sharpness of its own: whoever runs it says how sharp each layer is, so that measuring
/// a hardened network cannot disturb the one in training.
#[derive(Debug)]
pub struct Network {
    /// The layers, input to output.
    pub layers: Vec<Layer>,
    /// Which output neurons speak for which class.
    pub key: Arc<Key>,
    /// The activation of every layer.
    pub activation: Activation,
    /// What was built.
    plan: Plan,
    /// From what it was built.
    recipe: Recipe,
}

impl Network {
    /// A fresh network on the processor: Glorot-uniform weights, a random key with disjoint neurons
    /// for the classes.
    ///
    /// Two calls with the same arguments give the same bits.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Key`] if the plan has fewer output neurons than classes.
    pub fn new(plan: &Plan, recipe: &Recipe, seed: u64) -> Result<Self, NetworkError> {
        Self::on(&Device::Cpu, plan, recipe, seed)
    }

    /// The same network on a device, of the same bits.
    ///
    /// # Errors
    ///
    /// As [`Network::new`], and if the device has no memory for it.
    pub fn on(
        device: &Device,
        plan: &Plan,
        recipe: &Recipe,
        seed: u64,
    ) -> Result<Self, NetworkError> {
        let key = Key::disjoint(plan.classes, plan.width(), &mut stream(seed, Purpose::Key, 0))?;
        let layers = plan.layers.iter().enumerate().map(|(index, layer)| {
            Layer::new(layer, recipe, &mut stream(seed, Purpose::Weights, index as u64), device)
        });
        let layers = layers.collect::<candle_core::Result<_>>()?;
        Ok(Self::of(layers, key, plan, recipe))
    }

    fn of(layers: Vec<Layer>, key: Key, plan: &Plan, recipe: &Recipe) -> Self {
        let (plan, recipe, key) = (plan.clone(), recipe.clone(), Arc::new(key));
        Self { layers, key, activation: recipe.activation, plan, recipe }
    }

    /// Where its weights lie, and so what computes.
    pub fn device(&self) -> &Device {
        self.layers.first().map_or(&Device::Cpu, |layer| layer.weights.device())
    }

    /// The plan it was built by: every size.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The recipe it was built from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Writes down all that training has made of the layers.
    pub(crate) fn save_layers(&self, into: &mut Archive) -> candle_core::Result<()> {
        self.layers.iter().try_for_each(|layer| layer.save(into))
    }

    /// Takes up what [`Network::save_layers`] wrote down.
    pub(crate) fn restore_layers(&mut self, from: &Archive) -> Result<(), RestoreError> {
        self.layers.iter_mut().try_for_each(|layer| layer.restore(from))
    }

    /// Everything that is trained, input to output; within a layer weights, gamma, beta.
    pub fn variables(&self) -> Vec<Var> {
        self.layers.iter().flat_map(Layer::variables).collect()
    }

    /// The curve of each layer at these sharpnesses.
    ///
    /// # Panics
    ///
    /// If there is not one sharpness a layer.
    pub fn curves(&self, sharpness: &[Sharpness]) -> Vec<Curve> {
        assert_eq!(sharpness.len(), self.layers.len());
        sharpness.iter().map(|sharpness| Curve::at(self.activation, *sharpness)).collect()
    }

    /// Outputs in training: `images`, `(images, height, width, channels)` in [0, 1], to
    /// `(images, neurons)`.
    ///
    /// Norms use the batch's statistics and move theirs, hard layers' too. Layers with
    /// noise draw it from `noise`.
    ///
    /// # Errors
    ///
    /// If the images are not of the planned size.
    ///
    /// # Panics
    ///
    /// If there is not one curve a layer.
    pub fn train_forward(
        &mut self,
        images: &Tensor,
        curves: &[Curve],
        noise: &mut Stream,
    ) -> candle_core::Result<Tensor> {
        assert_eq!(curves.len(), self.layers.len());
        let mut x = images.clone();
        for (layer, curve) in self.layers.iter_mut().zip(curves) {
            (x, _) = layer.pass(&x, *curve, noise)?;
        }
        Ok(x)
    }

    /// One step's forward and backward pass: what [`Network::train_forward`], the loss and candle's
    /// own backward pass give, and sooner: bit for bit, but to rounding with noise after a norm.
    ///
    /// # Errors
    ///
    /// If the images are not of the planned size, or the labels do not fit.
    ///
    /// # Panics
    ///
    /// If there is not one curve a layer.
    pub fn gradients(
        &mut self,
        images: &Tensor,
        labels: &[u32],
        curves: &[Curve],
        noise: &mut Stream,
    ) -> candle_core::Result<Gradients> {
        assert_eq!(curves.len(), self.layers.len());
        let mut passes = Vec::with_capacity(self.layers.len());
        let mut x = images.clone();
        for (layer, curve) in self.layers.iter_mut().zip(curves) {
            let (y, pass) = layer.pass(&x, *curve, noise)?;
            if curve.is_step() {
                // No gradient comes this far, so nothing from here down need be kept.
                passes.iter_mut().for_each(|pass| *pass = None);
                passes.push(None);
            } else {
                passes.push(Some(pass));
            }
            x = y.detach();
        }
        let loss = cross_entropy(&x, &self.key, labels)?;
        let mut by_variable = GradStore::default();
        let mut dy = cross_entropy_gradient(&x, &self.key, labels)?;
        for (index, (layer, pass)) in self.layers.iter().zip(passes).enumerate().rev() {
            let Some(pass) = pass else { break };
            let want_dx = index > 0 && !curves[index - 1].is_step();
            match pass.gradients(layer, &dy, want_dx, &mut by_variable)? {
                Some(dx) => dy = dx,
                None => break,
            }
        }
        // Last, because to look at a number of a GPU is to wait until it is idle.
        let loss = f64::from(loss.to_scalar::<f32>()?);
        Ok(Gradients { output: x, loss, by_variable })
    }
}
