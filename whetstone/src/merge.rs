//! Folding batch norm into the linear map before it, and reading off the thresholds.
//!
//! A hardened neuron is `linear map → norm → step`. The norm of a trained network is itself a
//! linear map, so both are one, and the step leaves a comparison: the neuron fires if
//! `W′ x ≥ θ`. That is what a neuromorphic chip is given. Zero padding does not disturb this, since
//! the norm acts after the convolution; a max-pool of ones and zeros is their OR.

use crate::network::Layer;
use crate::ops::curve::Curve;
use crate::ops::real::{Real, with_values};
use crate::ops::statistics::Statistics;

/// A batch norm as it stands after training, one number per feature each.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Moving mean and variance.
    pub statistics: &'a Statistics,
    /// Added to the variance, inside the root.
    pub epsilon: f64,
    /// The learned factor; ones if there is none.
    pub gamma: Option<&'a [f64]>,
    /// The learned offset; zeros if there is none.
    pub beta: Option<&'a [f64]>,
}

/// A linear map that has swallowed the norm behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The weights, in the layout of the original.
    pub weights: Vec<f64>,
    /// A bias per feature, there even if the original had none.
    pub bias: Vec<f64>,
}

/// Folds a norm into the weights and bias before it.
///
/// With `s = gamma / √(variance + epsilon)` per feature: `W′ = W s` and
/// `b′ = (b − mean) s + beta`. The feature is the last axis of `weights`, as in HWIO kernels and
/// `(inputs, outputs)` matrices.
///
/// Whetstone's own code (0.9.2) divides by `√variance + 1e-7` instead, which is off by a third of
/// a threshold at a variance of 0.02, and fails without gamma or beta.
///
/// # Panics
///
/// If there is not one mean, variance, gamma, beta and bias per feature, or the weights are not a
/// multiple of the features.
pub fn fold<R: Real>(weights: &[R], bias: Option<&[R]>, norm: Norm) -> Merged {
    let Statistics { mean, variance, .. } = norm.statistics;
    let features = mean.len();
    for len in [
        variance.len(),
        norm.gamma.map_or(features, <[f64]>::len),
        norm.beta.map_or(features, <[f64]>::len),
        bias.map_or(features, <[R]>::len),
    ] {
        assert_eq!(len, features);
    }
    assert_eq!(weights.len() % features.max(1), 0);
    let factor: Vec<f64> = (0..features)
        .map(|c| norm.gamma.map_or(1.0, |gamma| gamma[c]) / (variance[c] + norm.epsilon).sqrt())
        .collect();
    let rows = weights.chunks(features.max(1));
    let weights =
        rows.flat_map(|row| row.iter().zip(&factor).map(|(w, s)| w.to_f64() * s)).collect();
    let bias = (0..features)
        .map(|c| {
            let bias = bias.map_or(0.0, |bias| bias[c].to_f64());
            (bias - mean[c]) * factor[c] + norm.beta.map_or(0.0, |beta| beta[c])
        })
        .collect();
    Merged { weights, bias }
}

impl Merged {
    /// What `W′ x` must reach for each feature to fire, θ, once the activation is `step`.
    ///
    /// # Panics
    ///
    /// If the curve is not a step.
    pub fn thresholds(&self, step: Curve) -> Vec<f64> {
        let Curve::Step { threshold } = step else {
            panic!("a soft activation has no threshold: harden it first")
        };
        self.bias.iter().map(|bias| threshold - bias).collect()
    }
}

/// Folds the norm of a trained layer into its weights.
///
/// # Errors
///
/// If the weights are not on the CPU.
pub fn merge(layer: &Layer) -> candle_core::Result<Merged> {
    let learned = |var: &Option<candle_core::Var>| {
        var.as_ref()
            .map(|var| {
                with_values::<f32, _>(var, |v| {
                    Ok(v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>())
                })
            })
            .transpose()
    };
    let (gamma, beta) = (learned(&layer.gamma)?, learned(&layer.beta)?);
    let norm = Norm {
        statistics: layer.moving.statistics(),
        epsilon: layer.epsilon,
        gamma: gamma.as_deref(),
        beta: beta.as_deref(),
    };
    with_values::<f32, _>(&layer.weights, |weights| Ok(fold(weights, None, norm)))
}
