//! Random streams that depend on nothing but a seed, a purpose and an index.
//!
//! Everything random in a training is drawn from a [`Stream`] of its own: the weights of layer 3,
//! the order of epoch 7, the noise of batch 12,000. What one consumer draws never moves what
//! another one sees, so that a training cut short and taken up again, or a layer added, leaves the
//! other streams as they were. candle's CPU generator cannot be seeded and is not used.

mod glorot;

pub use glorot::{Fans, glorot_uniform};

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is for. The number is part of every stream's key: never reuse or change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; the index counts layers.
    Weights = 1,
    /// The order of the training images; the index counts epochs.
    Shuffle = 2,
    /// Gaussian noise between layers; the index counts batches since training began.
    Noise = 3,
    /// Which output neurons vote for which class; the index is 0.
    Key = 4,
    /// Shifts and mirrors of training images; the index counts batches since training began.
    Augment = 5,
    /// Which images are held out to measure on; the index counts classes.
    HoldOut = 6,
}

/// An endless stream of random numbers.
///
/// Its bits, and all that is made of them by whole numbers and fractions, are the same on every
/// machine; normal numbers pass through the platform's logarithm and sine and may differ in the
/// last digit.
///
/// ChaCha with 8 rounds in counter mode (D. Bernstein, "ChaCha, a variant of Salsa20", 2008),
/// keyed by (seed, purpose, index). Two streams share no block unless all three agree.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

/// The stream of a seed for a purpose and an index.
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> Stream {
    // The last eight bytes stay zero: room for one more coordinate.
    let mut key = [0; 32];
    key[0..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    Stream(ChaCha8Rng::from_seed(key))
}

impl Stream {
    /// A number uniform on [0, 1): a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        /// 2⁻⁵³, the spacing of f64 below 1.
        const SPACING: f64 = 1.0 / (1u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * SPACING
    }

    /// A whole number uniform on `0 … n − 1`, without bias.
    ///
    /// D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1), 2019.
    ///
    /// # Panics
    ///
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no whole number below 0");
        // The low half of the product is uneven over the first 2⁶⁴ mod n values: draw again there.
        let uneven = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(n);
            if product as u64 >= uneven {
                return (product >> 64) as u64;
            }
        }
    }

    /// Two independent standard normal numbers.
    ///
    /// G. Box, M. Muller, "A note on the generation of random normal deviates", Annals of
    /// Mathematical Statistics 29(2), 1958. The largest magnitude is √(2 · 53 ln 2) ≈ 8.57.
    pub fn normal_pair(&mut self) -> [f64; 2] {
        // 1 − u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (TAU * self.uniform()).sin_cos();
        [radius * cosine, radius * sine]
    }

    /// Fills a slice with normal numbers of mean 0 and standard deviation `std`.
    pub fn fill_normal(&mut self, std: f64, out: &mut [f32]) {
        for pair in out.chunks_mut(2) {
            for (out, normal) in pair.iter_mut().zip(self.normal_pair()) {
                *out = (std * normal) as f32;
            }
        }
    }

    /// Brings a slice into random order, every order equally likely.
    ///
    /// R. Durstenfeld, "Algorithm 235: Random permutation", CACM 7(7), 1964 (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = self.below(last as u64 + 1) as usize;
            items.swap(last, chosen);
        }
    }
}
