//! Mean and variance per channel: of a batch, and moving over many.

use super::real::{Real, with_values};
use candle_core::{DType, Result, Tensor};

/// What batch norm subtracts and divides by, per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Mean of each channel, in the unit of the values.
    pub mean: Vec<f64>,
    /// Variance of each channel, in that unit squared; for a batch the biased one (divided by n).
    pub variance: Vec<f64>,
    /// Where they come from, which decides whether a gradient flows through them.
    pub origin: Origin,
}

/// Where statistics come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The very batch that is normalised, with this many values per channel.
    Batch {
        /// Values per channel: images times pixels.
        count: usize,
    },
    /// Earlier batches: constants, as at inference.
    Moving,
}

impl Statistics {
    /// Mean and biased variance of the last axis of `x` over all the others, summed in `f64`.
    ///
    /// # Errors
    ///
    /// If `x` is not a contiguous `f32` tensor, or `f64` on the CPU.
    pub fn of_batch(x: &Tensor) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return super::cuda::tensors::statistics(x);
        }
        let channels = x.dim(candle_core::D::Minus1)?;
        match x.dtype() {
            DType::F64 => with_values::<f64, _>(x, |x| Ok(of_values(x, channels))),
            _ => with_values::<f32, _>(x, |x| Ok(of_values(x, channels))),
        }
    }
}

/// One pass, shifted by the first value of each channel so that a large mean cancels nothing.
fn of_values<R: Real>(x: &[R], channels: usize) -> Statistics {
    let count = x.len() / channels.max(1);
    let mut sums = vec![0f64; channels];
    let mut squares = vec![0f64; channels];
    let shift = &x[..channels.min(x.len())];
    pulp::Arch::new().dispatch(|| add_up(x, shift, &mut sums, &mut squares));
    let n = count.max(1) as f64;
    let mut mean = sums;
    let mut variance = squares;
    for ((mean, variance), shift) in mean.iter_mut().zip(&mut variance).zip(shift) {
        let shifted = *mean / n;
        // Rounding can push a channel of equal values below zero, a diverged one is left as NaN.
        let centred = *variance / n - shifted * shifted;
        *variance = if centred < 0.0 { 0.0 } else { centred };
        *mean = shift.to_f64() + shifted;
    }
    Statistics { mean, variance, origin: Origin::Batch { count } }
}

#[inline(always)]
fn add_up<R: Real>(x: &[R], shift: &[R], sums: &mut [f64], squares: &mut [f64]) {
    let channels = shift.len();
    for pixel in x.chunks_exact(channels.max(1)) {
        let (sums, squares) = (&mut sums[..channels], &mut squares[..channels]);
        for c in 0..channels {
            let v = pixel[c].to_f64() - shift[c].to_f64();
            sums[c] += v;
            squares[c] += v * v;
        }
    }
}

/// The statistics that a trained network normalises with: a moving average over its batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Moving {
    momentum: f64,
    statistics: Statistics,
}

impl Moving {
    /// Before the first batch: mean 0 and variance 1 in each channel.
    ///
    /// `momentum` is the share that an update *keeps*, in [0, 1]: Keras's sense. PyTorch and
    /// candle call `1 − momentum` by that name.
    pub fn new(channels: usize, momentum: f64) -> Self {
        let (mean, variance) = (vec![0.0; channels], vec![1.0; channels]);
        Self { momentum, statistics: Statistics { mean, variance, origin: Origin::Moving } }
    }

    /// Takes the place of a moving average that was saved: its mean and variance per channel.
    ///
    /// # Panics
    ///
    /// If there is not one mean and one variance per channel.
    pub fn restore(&mut self, mean: Vec<f64>, variance: Vec<f64>) {
        assert_eq!(mean.len(), self.statistics.mean.len());
        assert_eq!(variance.len(), self.statistics.variance.len());
        (self.statistics.mean, self.statistics.variance) = (mean, variance);
    }

    /// Moves on by one batch: `moving ← m · moving + (1 − m) · batch`.
    ///
    /// The variance that enters is the unbiased one, n / (n − 1) times the batch's, as in the
    /// textbook and in PyTorch. Keras's versions differ from it by at most a factor
    /// n / (n − 1 − ε) and by how the start is forgotten; after an epoch the difference is far
    /// below the noise of training. One value has no spread to correct: its variance enters as 0.
    ///
    /// # Panics
    ///
    /// If the batch has another number of channels.
    pub fn absorb(&mut self, batch: &Statistics) {
        assert_eq!(batch.mean.len(), self.statistics.mean.len());
        let factor = match batch.origin {
            Origin::Batch { count } if count > 1 => count as f64 / (count - 1) as f64,
            Origin::Batch { .. } | Origin::Moving => 1.0,
        };
        let (keep, take) = (self.momentum, 1.0 - self.momentum);
        for (moving, batch) in self.statistics.mean.iter_mut().zip(&batch.mean) {
            *moving = keep * *moving + take * batch;
        }
        for (moving, batch) in self.statistics.variance.iter_mut().zip(&batch.variance) {
            *moving = keep * *moving + take * factor * batch;
        }
    }

    /// The statistics as they stand.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_large_mean_does_not_swallow_the_variance() {
        // Values 1e8 ± 1: in f32 they are 1e8 ± 8 or nothing, in f64 a naive sum of squares is
        // already off by several units.
        let x: Vec<f64> = (0..1000).flat_map(|i| [1e8 + f64::from(i % 2), 0.25]).collect();
        let x = Tensor::from_vec(x, (10, 10, 10, 2), &Device::Cpu).unwrap();
        let found = Statistics::of_batch(&x).unwrap();
        assert!((found.mean[0] - 1e8 - 0.5).abs() < 1e-7);
        assert!((found.variance[0] - 0.25).abs() < 1e-12, "{}", found.variance[0]);
        assert_eq!((found.mean[1], found.variance[1]), (0.25, 0.0));
    }

    #[test]
    fn a_batch_of_one_value_leaves_finite_moving_statistics() {
        let x = Tensor::new(&[[3f32, -1.0]], &Device::Cpu).unwrap();
        let mut moving = Moving::new(2, 0.9);
        moving.absorb(&Statistics::of_batch(&x).unwrap());
        assert_eq!(moving.statistics().variance, [0.9, 0.9]);
        assert!((moving.statistics().mean[0] - 0.3).abs() < 1e-12);
    }
}
