//! The output code: neurons that fire vote for classes, and silent ones vote against.
//!
//! With a key K of bits, one row per class and one column per output neuron, and outputs x in
//! [0, 1]:
//!
//! ```text
//! logits = (2x − 1)(2Kᵀ − 1)        probabilities = softmax(logits)
//! ```
//!
//! A neuron without a class shifts all logits alike, so it neither matters nor learns. When every
//! neuron is silent and the classes have equally many, all logits tie, and the first class wins.
//!
//! W. Severa et al., "Training deep neural networks for binary communication with the Whetstone
//! method", 2019 — <https://arxiv.org/abs/1810.11521>.

mod key;
mod loss;

pub use key::{Key, KeyError};
pub use loss::{clipped_cross_entropy, cross_entropy, cross_entropy_gradient};

use crate::ops::real::{Real, with_values};
use candle_core::Tensor;

/// Adds up the votes of one output for every class, into `logits` of one number per class.
///
/// # Panics
///
/// If `x` does not have the key's width, or `logits` its classes.
pub fn logits<R: Real>(key: &Key, x: &[R], logits: &mut [f64]) {
    assert_eq!(x.len(), key.width());
    assert_eq!(logits.len(), key.classes());
    // Σ ±v = 2 Σ₊ v − Σ v: only the ones of the key are visited.
    let vote = |x: R| 2.0 * x.to_f64() - 1.0;
    let all: f64 = x.iter().map(|x| vote(*x)).sum();
    for (class, logit) in logits.iter_mut().enumerate() {
        let own: f64 = key.neurons(class).iter().map(|&neuron| vote(x[neuron])).sum();
        *logit = 2.0 * own - all;
    }
}

/// Turns logits into probabilities in place, without overflow.
pub fn softmax(logits: &mut [f64]) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for value in logits.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    for value in logits {
        *value /= sum;
    }
}

/// The class with the most votes; of several the lowest, as Keras and numpy count.
pub fn predict<R: Real>(key: &Key, x: &[R]) -> usize {
    let mut votes = vec![0.0; key.classes()];
    logits(key, x, &mut votes);
    let mut best = 0;
    for (class, vote) in votes.iter().enumerate() {
        if *vote > votes[best] {
            best = class;
        }
    }
    best
}

/// How many of the outputs, one row each, are decoded as their label.
///
/// # Panics
///
/// If `outputs` does not hold one row of the key's width per label.
pub fn correct<R: Real>(key: &Key, outputs: &[R], labels: &[u32]) -> usize {
    assert_eq!(outputs.len(), labels.len() * key.width());
    let rows = outputs.chunks_exact(key.width()).zip(labels);
    rows.filter(|(x, label)| predict(key, x) == **label as usize).count()
}

/// How many rows of a tensor of outputs, `(images, neurons)`, are decoded as their label, counted
/// where the tensor lies.
///
/// # Errors
///
/// If the tensor is not a contiguous one of `f32`.
///
/// # Panics
///
/// As [`correct`].
pub fn hits(key: &Key, outputs: &Tensor, labels: &[u32]) -> candle_core::Result<usize> {
    #[cfg(feature = "cuda")]
    if outputs.device().is_cuda() {
        return crate::ops::cuda::tensors::hits(key, labels, outputs);
    }
    with_values::<f32, _>(outputs, |outputs| Ok(correct(key, outputs, labels)))
}
