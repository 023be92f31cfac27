//! What a core can at best multiply and add.

use std::hint::black_box;
use std::time::Instant;

use kernels::level::Level;
use kernels::number::Number;
use pulp::{Simd, WithSimd};

/// Sums that do not wait for each other: enough to hide the latency of an addition, few enough for
/// sixteen registers.
const SUMS: usize = 12;
/// Multiplications of each sum in one measurement.
const LENGTH: usize = 2_000_000;

/// Billions of multiplications and additions that one core makes a second with numbers in registers,
/// the best of some measurements.
pub fn gflops(level: Level) -> f64 {
    (0..15).map(|_| level.run(Chains)).fold(0.0, f64::max)
}

struct Chains;

impl WithSimd for Chains {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let splat = |x: f32| f32::splat(simd, x);
        let (factor, term) = (splat(black_box(0.999_9)), splat(black_box(1e-3)));
        let mut sums = [splat(black_box(1.0)); SUMS];
        let begun = Instant::now();
        for _ in 0..LENGTH {
            for sum in &mut sums {
                *sum = f32::multiply_add(simd, *sum, factor, term);
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        sums.iter().for_each(|sum| {
            black_box(simd.reduce_sum_f32s(*sum));
        });
        2.0 * (LENGTH * SUMS * f32::lanes::<S>()) as f64 / seconds / 1e9
    }
}
