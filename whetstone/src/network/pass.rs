//! The backward pass of one layer.
//!
//! candle's graph gives the same gradients, bit for bit (to rounding, where noise parts a norm from
//! its activation), but writes zeros for each and adds to them, on threads of its own: an eighth of
//! a step. A network is a chain, so each gradient has one source, and nothing needs adding.

use super::Layer;
use crate::ops::conv2d::{conv2d_gradients, linear_gradients};
use crate::ops::curve::Curve;
use crate::ops::sharpened_norm::{Pool, SharpenedNorm};
use crate::ops::statistics::{Origin, Statistics};
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};

/// What a layer's backward pass needs of its forward pass.
#[derive(Debug)]
pub(super) struct Pass {
    /// The layer's input.
    pub(super) x: Tensor,
    /// What the linear map made of it, with noise if there is some there.
    pub(super) linear: Tensor,
    /// What came behind the linear map.
    pub(super) behind: Behind,
}

/// What comes behind a linear map.
#[derive(Debug)]
pub(super) enum Behind {
    /// Norm, pool and activation in one.
    Norm(SharpenedNorm),
    /// The same in parts, with noise between norm and activation.
    Parted {
        /// The norm's share.
        parted: Parted,
        /// What the activation got.
        disturbed: Tensor,
        /// The activation alone.
        bend: SharpenedNorm,
    },
}

/// A norm by the batch's own statistics.
#[derive(Debug)]
pub(super) struct Parted {
    /// x̂, `(rows, features)`.
    pub(super) normalised: Tensor,
    /// √(variance + epsilon), `(1, features)`.
    pub(super) deviation: Tensor,
}

/// The activation alone: a norm by mean 0 and variance 1.
pub(super) fn bend(features: usize, curve: Curve) -> SharpenedNorm {
    let (mean, variance) = (vec![0.0; features], vec![1.0; features]);
    let statistics = Statistics { mean, variance, origin: Origin::Moving };
    SharpenedNorm { statistics, epsilon: 0.0, pool: Pool::None, curve }
}

impl Pass {
    /// Puts the gradients of the layer's variables into `store`, and gives that of its input if it
    /// is wanted; `None` too if a step lets no gradient through.
    pub(super) fn gradients(
        self,
        layer: &Layer,
        dy: &Tensor,
        want_dx: bool,
        store: &mut GradStore,
    ) -> Result<Option<Tensor>> {
        let Some([dlinear, dgamma, dbeta]) = self.behind(layer, dy)? else { return Ok(None) };
        for (var, gradient) in [(&layer.gamma, dgamma), (&layer.beta, dbeta)] {
            if let Some(var) = var {
                store.insert(var, gradient);
            }
        }
        let weights = layer.weights.as_detached_tensor();
        let (dx, dw) = match weights.rank() {
            2 => {
                let flat = self.x.flatten_from(1)?;
                let (dx, dw) = linear_gradients(&flat, &weights, &dlinear, want_dx)?;
                (dx.map(|dx| dx.reshape(self.x.shape())).transpose()?, dw)
            }
            _ => conv2d_gradients(&self.x, &weights, layer.stride, &dlinear, want_dx)?,
        };
        store.insert(&layer.weights, dw);
        Ok(dx)
    }

    /// The gradients by the linear map's result, gamma and beta.
    fn behind(&self, layer: &Layer, dy: &Tensor) -> Result<Option<[Tensor; 3]>> {
        let (gamma, beta) = layer.learned();
        match &self.behind {
            Behind::Norm(norm) => norm.gradients(&self.linear, gamma, beta, dy),
            Behind::Parted { parted, disturbed, bend } => {
                let (ones, zeros) = (gamma.ones_like()?, beta.zeros_like()?);
                let Some([dz, ..]) = bend.gradients(disturbed, &ones, &zeros, dy)? else {
                    return Ok(None);
                };
                parted.gradients(&gamma.detach(), &dz).map(Some)
            }
        }
    }
}

impl Parted {
    /// As [`SharpenedNorm`]'s, without a pool: with `z = gamma x̂ + beta`,
    /// dx = gamma / σ · (dz − mean(dz) − x̂ mean(dz x̂)).
    fn gradients(&self, gamma: &Tensor, dz: &Tensor) -> Result<[Tensor; 3]> {
        let x = self.normalised.detach();
        let along = dz.mul(&x)?;
        let centred = dz.broadcast_sub(&dz.mean_keepdim(0)?)?;
        let spread = centred.sub(&x.broadcast_mul(&along.mean_keepdim(0)?)?)?;
        let rate = gamma.broadcast_div(&self.deviation.detach())?;
        Ok([spread.broadcast_mul(&rate)?, along.sum(0)?, dz.sum(0)?])
    }
}
