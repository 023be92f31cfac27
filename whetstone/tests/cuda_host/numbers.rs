//! Numbers to test with, and how far two results may be apart.

use candle_core::Tensor;
use whetstone::seed::{Purpose, Stream, stream};

/// Random numbers for the test of this name and case.
pub fn draws(case: u64) -> Stream {
    stream(case, Purpose::Noise, 7)
}

/// A whole number from `least` to `most`.
pub fn between(draws: &mut Stream, least: usize, most: usize) -> usize {
    least + draws.below((most - least + 1) as u64) as usize
}

/// Normal numbers.
pub fn normal(draws: &mut Stream, len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    draws.fill_normal(1.0, &mut values);
    values
}

/// Few different values, so that windows tie; quarters, so that `f32` holds them exactly.
pub fn tied(draws: &mut Stream, len: usize) -> Vec<f32> {
    (0..len).map(|_| draws.below(4) as f32 / 4.0).collect()
}

/// All numbers of a tensor.
pub fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Whether each number is within `tolerance` of its counterpart, relative to the largest of all
/// (at least 1), and NaN where that is.
pub fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1f32, |largest, x| largest.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= tolerance * scale;
        let both_undefined = found.is_nan() && expected.is_nan();
        assert!(near || both_undefined, "{what}[{i}]: {found} instead of {expected} (± {scale})");
    }
}
