//! One sharpenable layer with its weights and moving statistics.

use super::pass::{Behind, Parted, Pass, bend};
use super::plan::{LayerPlan, Noise, Site};
use crate::archive::{Archive, ArchiveError};
use crate::ops::conv2d::{conv2d_same, linear};
use crate::ops::curve::Curve;
use crate::ops::real::with_values;
use crate::ops::sharpened_norm::{Pool, SharpenedNorm};
use crate::ops::statistics::{Moving, Statistics};
use crate::seed::{Stream, glorot_uniform};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use recipe::Recipe;

/// A linear map, a batch norm, perhaps noise and a pool, and an activation.
#[derive(Debug)]
pub struct Layer {
    /// `conv1` … `conv6`, `dense`, `dense2`, `dense3` or `output`.
    pub name: &'static str,
    /// HWIO for a convolution, `(inputs, outputs)` for a dense layer.
    pub weights: Var,
    /// The norm's factor per feature, if it learns one.
    pub gamma: Option<Var>,
    /// The norm's offset per feature, if it learns one.
    pub beta: Option<Var>,
    /// The statistics that the layer normalises with outside training.
    pub moving: Moving,
    /// Added to every variance, inside the root.
    pub epsilon: f64,
    /// What stands between norm and activation.
    pub pool: Pool,
    /// Pixels from one visit of a convolution to the next.
    pub stride: usize,
    /// Noise in training.
    pub noise: Option<Noise>,
    /// What stands in for an absent gamma and beta.
    ones: Tensor,
    zeros: Tensor,
}

/// The names of the moving statistics in files.
const MOVING_MEAN: &str = "moving_mean";
const MOVING_VARIANCE: &str = "moving_variance";

/// Why a layer cannot take up what was written down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// It was another network that was written down.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Tensors could not be made.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Layer {
    /// A fresh layer: Glorot-uniform weights, gamma 1, beta 0.
    pub(super) fn new(
        plan: &LayerPlan,
        recipe: &Recipe,
        draws: &mut Stream,
        device: &Device,
    ) -> Result<Self> {
        Self::with_weights(plan, recipe, glorot_uniform(&plan.weights_shape(), draws), device)
    }

    /// The layer that was written down. Nothing is made room for before the numbers are there.
    pub(super) fn load(
        plan: &LayerPlan,
        recipe: &Recipe,
        from: &Archive,
    ) -> std::result::Result<Self, RestoreError> {
        let weights = from.get(&format!("{}.weights", plan.name), &plan.weights_shape())?;
        let mut layer = Self::with_weights(plan, recipe, weights, &Device::Cpu)?;
        layer.restore(from)?;
        Ok(layer)
    }

    /// A layer of these weights, row-major; gamma 1, beta 0.
    fn with_weights(
        plan: &LayerPlan,
        recipe: &Recipe,
        weights: Vec<f32>,
        device: &Device,
    ) -> Result<Self> {
        let features = plan.features;
        let weights = Tensor::from_vec(weights, plan.weights_shape(), device)?;
        let ones = Tensor::ones(features, DType::F32, device)?;
        let zeros = ones.zeros_like()?;
        let learned = |wanted: bool, from: &Tensor| {
            wanted.then(|| Var::from_tensor(&from.copy()?)).transpose()
        };
        Ok(Self {
            name: plan.name,
            weights: Var::from_tensor(&weights)?,
            gamma: learned(recipe.norm_scale, &ones)?,
            beta: learned(recipe.norm_center, &zeros)?,
            moving: Moving::new(features, plan.norm_momentum),
            epsilon: recipe.norm_epsilon,
            pool: plan.pool,
            stride: plan.stride,
            noise: plan.noise,
            ones,
            zeros,
        })
    }

    /// What is trained here: weights, gamma, beta.
    pub fn variables(&self) -> Vec<Var> {
        self.named_variables().into_iter().map(|(_, var)| var.clone()).collect()
    }

    /// The same, each under its name in files.
    pub(crate) fn named_variables(&self) -> Vec<(String, &Var)> {
        [
            ("weights", Some(&self.weights)),
            ("gamma", self.gamma.as_ref()),
            ("beta", self.beta.as_ref()),
        ]
        .into_iter()
        .filter_map(|(what, var)| Some((format!("{}.{what}", self.name), var?)))
        .collect()
    }

    /// The names of all arrays that [`Layer::save`] writes.
    pub(crate) fn array_names(&self) -> Vec<String> {
        let learned = self.named_variables().into_iter().map(|(name, _)| name);
        let moving = [MOVING_MEAN, MOVING_VARIANCE].map(|what| format!("{}.{what}", self.name));
        learned.chain(moving).collect()
    }

    /// Writes down all that training has made of the layer.
    pub(super) fn save(&self, into: &mut Archive) -> Result<()> {
        for (name, var) in self.named_variables() {
            with_values::<f32, _>(var, |values| {
                into.put(name, var.dims(), values);
                Ok(())
            })?;
        }
        let Statistics { mean, variance, .. } = self.moving.statistics();
        for (what, values) in [(MOVING_MEAN, mean), (MOVING_VARIANCE, variance)] {
            into.put(format!("{}.{what}", self.name), &[values.len()], values);
        }
        Ok(())
    }

    /// Takes up what [`Layer::save`] wrote down.
    pub(super) fn restore(&mut self, from: &Archive) -> std::result::Result<(), RestoreError> {
        for (name, var) in self.named_variables() {
            let values = from.get::<f32>(&name, var.dims())?;
            var.set(&Tensor::from_vec(values, var.dims(), var.device())?)?;
        }
        let features = self.moving.statistics().mean.len();
        let moving = |what| from.get::<f64>(&format!("{}.{what}", self.name), &[features]);
        let (mean, variance) = (moving(MOVING_MEAN)?, moving(MOVING_VARIANCE)?);
        self.moving.restore(mean, variance);
        Ok(())
    }

    /// The linear map alone, without noise or graph, as at inference.
    ///
    /// # Errors
    ///
    /// If `x` is not of the planned size.
    pub fn linear(&self, x: &Tensor) -> Result<Tensor> {
        self.map(x, &self.weights.as_detached_tensor())
    }

    /// Norm by the moving statistics, pool and activation of what [`Layer::linear`] gave.
    ///
    /// # Errors
    ///
    /// If `linear` is not of the layer's size.
    pub fn activate(&self, linear: &Tensor, curve: Curve) -> Result<Tensor> {
        self.sharpen(&linear.detach(), self.moving.statistics().clone(), curve)
    }

    /// One layer of a training step: its output, and what [`Pass::gradients`] needs of it.
    ///
    /// Everything it does with the layer's variables is in candle's graph.
    pub(super) fn pass(
        &mut self,
        x: &Tensor,
        curve: Curve,
        noise: &mut Stream,
    ) -> Result<(Tensor, Pass)> {
        let mut linear = self.map(x, self.weights.as_tensor())?;
        let site = self.noise.map(|noise| noise.site);
        if site == Some(Site::Linear) {
            linear = self.disturbed(&linear, noise)?;
        }
        let batch = Statistics::of_batch(&linear)?;
        self.moving.absorb(&batch);
        if site == Some(Site::Norm) {
            let parted = self.normalise(&linear)?;
            let (gamma, beta) = self.learned();
            let z = parted.normalised.broadcast_mul(gamma)?.broadcast_add(beta)?;
            let disturbed = self.disturbed(&z, noise)?;
            let bend = bend(disturbed.dim(D::Minus1)?, curve);
            let y = bend.clone().apply(&disturbed, &self.ones, &self.zeros)?;
            let behind = Behind::Parted { parted, disturbed, bend };
            return Ok((y, Pass { x: x.clone(), linear, behind }));
        }
        let norm = self.norm(batch, curve);
        let (gamma, beta) = self.learned();
        let mut y = norm.clone().apply(&linear, gamma, beta)?;
        if site == Some(Site::Activation) {
            y = self.disturbed(&y, noise)?;
        }
        Ok((y, Pass { x: x.clone(), linear, behind: Behind::Norm(norm) }))
    }

    /// With fresh noise on every value.
    fn disturbed(&self, x: &Tensor, noise: &mut Stream) -> Result<Tensor> {
        let Some(Noise { deviation, .. }) = self.noise else { return Ok(x.clone()) };
        let mut draws = vec![0f32; x.elem_count()];
        noise.fill_normal(deviation, &mut draws);
        x.add(&Tensor::from_vec(draws, x.shape(), x.device())?)
    }

    /// The norm alone, by the batch's own statistics: noise behind it parts what
    /// [`SharpenedNorm`] does in one. Only for `(rows, features)`, where it costs next to nothing.
    fn normalise(&self, linear: &Tensor) -> Result<Parted> {
        let centred = linear.broadcast_sub(&linear.mean_keepdim(0)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(0)? + self.epsilon)?.sqrt()?;
        Ok(Parted { normalised: centred.broadcast_div(&deviation)?, deviation })
    }

    fn map(&self, x: &Tensor, weights: &Tensor) -> Result<Tensor> {
        match weights.rank() {
            2 => linear(&x.flatten_from(1)?, weights),
            _ => conv2d_same(x, weights, self.stride),
        }
    }

    fn sharpen(&self, linear: &Tensor, statistics: Statistics, curve: Curve) -> Result<Tensor> {
        let (gamma, beta) = self.learned();
        self.norm(statistics, curve).apply(linear, gamma, beta)
    }

    fn norm(&self, statistics: Statistics, curve: Curve) -> SharpenedNorm {
        SharpenedNorm { statistics, epsilon: self.epsilon, pool: self.pool, curve }
    }

    /// Gamma and beta, or the ones and zeros that stand in for them.
    pub(super) fn learned(&self) -> (&Tensor, &Tensor) {
        (
            self.gamma.as_ref().map_or(&self.ones, |gamma| gamma.as_tensor()),
            self.beta.as_ref().map_or(&self.zeros, |beta| beta.as_tensor()),
        )
    }
}
