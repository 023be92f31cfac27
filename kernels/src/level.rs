//! Which vector instructions to compute with.

use std::sync::atomic::{AtomicU8, Ordering};

use pulp::{Simd, WithSimd};

/// A set of vector instructions. Each has its own tile sizes, so that results of two levels differ
/// in the last bits, as sums of another order do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every processor of the architecture has: SSE2, NEON, or plain arithmetic.
    Portable,
    /// Eight numbers at once, fused multiply-add: x86-64 since about 2013.
    Avx2,
    /// Sixteen numbers at once and 32 registers.
    Avx512,
}

/// All levels, the slowest first.
const LEVELS: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

/// The level that [`limit`] allows at most, as an index of [`LEVELS`].
static LIMIT: AtomicU8 = AtomicU8::new(LEVELS.len() as u8 - 1);

/// Keeps this process from using anything better than `level`: for measurements and comparisons.
pub fn limit(level: Level) {
    // Nothing else is handed over with it, so no order of memory is needed.
    LIMIT.store(level as u8, Ordering::Relaxed);
}

impl Level {
    /// The best level that this processor has and [`limit`] allows.
    pub fn best() -> Level {
        let limit = usize::from(LIMIT.load(Ordering::Relaxed));
        let usable = LEVELS[..=limit].iter().rev().find(|level| level.is_available());
        *usable.unwrap_or(&Level::Portable)
    }

    /// Every level that this processor has, the slowest first.
    pub fn available() -> impl Iterator<Item = Level> {
        LEVELS.into_iter().filter(Level::is_available)
    }

    /// Whether this processor has it.
    pub fn is_available(&self) -> bool {
        match self {
            Level::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => pulp::x86::V3::is_available(),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => pulp::x86::V4::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Level::Avx2 | Level::Avx512 => false,
        }
    }

    /// Runs an operation compiled for this level.
    ///
    /// # Panics
    ///
    /// If the processor does not have it.
    #[inline(always)]
    pub fn run<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            Level::Portable => pulp::Scalar128b.vectorize(op),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => {
                Simd::vectorize(pulp::x86::V3::try_new().expect("AVX2 was asked for"), op)
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                Simd::vectorize(pulp::x86::V4::try_new().expect("AVX-512 was asked for"), op)
            }
            #[cfg(not(target_arch = "x86_64"))]
            Level::Avx2 | Level::Avx512 => panic!("{self:?} is not of this architecture"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_the_portable_level() {
        assert_eq!(Level::available().next(), Some(Level::Portable));
        assert!(Level::best().is_available());
    }
}
