//! Streams of random numbers, each a function of a seed, a number and a purpose.
//!
//! Counter-based, so that nothing has to be remembered between two suggestions: whoever holds the
//! study's seed and the trial's number draws the same numbers, whatever died in between. The
//! conversions to floats and indices are spelled out here, because those of a library may change
//! with its version and would then change the record of old studies.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the numbers are for; streams of different purposes have nothing in common.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Scrambling the space-filling sequence.
    Design = 1,
    /// Starting points of a fit.
    Fit = 2,
    /// Which observations a fit keeps when there are too many.
    Subset = 3,
    /// Candidates of an acquisition search.
    Search = 4,
    /// Uniform points.
    Uniform = 5,
    /// Candidates for what further trials may gain.
    Prospect = 8,
    /// Candidates from the density of good points.
    Parzen = 10,
    /// Parents and mutations.
    Evolution = 11,
    /// Latin hypercubes.
    Latin = 12,
    /// Functions drawn from a posterior.
    Path = 20,
    /// Scrambling the points of a sensitivity analysis.
    Sensitivity = 21,
    /// Scrambling the points that a dependence is averaged over.
    Dependence = 22,
    /// Which results form a fold of a cross-validation.
    Folds = 23,
}

/// A stream of random numbers.
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    pub(crate) fn new(seed: u64, number: u64, purpose: Purpose) -> Stream {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&number.to_le_bytes());
        key[16] = purpose as u8;
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// 32 random bits.
    pub(crate) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform on [0, 1), in steps of 2⁻⁵³.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A whole number below `end`, which must be positive; uneven by at most `end` in 2⁶⁴.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// The same for a wider range; uneven by at most `end` in 2¹²⁸.
    pub(crate) fn below_u128(&mut self, end: u128) -> u128 {
        if let Ok(end) = u64::try_from(end) {
            return u128::from(self.below(end));
        }
        let wide = (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64());
        wide % end
    }

    /// Standard normal, by G. Box and M. Muller's transform (1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// `count` different whole numbers below `end`, in random order; all of them if fewer.
    pub(crate) fn choose(&mut self, count: usize, end: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..end).collect();
        let count = count.min(end);
        for place in 0..count {
            let other = place + self.below((end - place) as u64) as usize;
            all.swap(place, other);
        }
        all.truncate(count);
        all
    }
}
