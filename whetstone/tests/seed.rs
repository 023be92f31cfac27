//! Streams: what they depend on, and that they have the distributions they claim.

use proptest::prelude::*;
use serde_json::Value;
use whetstone::seed::{Fans, Purpose, Stream, glorot_uniform, stream};

fn some(index: u64) -> Stream {
    stream(7, Purpose::Noise, index)
}

fn first(mut stream: Stream) -> Vec<f64> {
    (0..32).map(|_| stream.uniform()).collect()
}

#[test]
fn a_stream_depends_on_seed_purpose_and_index_and_on_nothing_else() {
    let base = first(stream(1, Purpose::Weights, 2));
    assert_eq!(first(stream(1, Purpose::Weights, 2)), base);
    assert_ne!(first(stream(2, Purpose::Weights, 2)), base);
    assert_ne!(first(stream(1, Purpose::Shuffle, 2)), base);
    assert_ne!(first(stream(1, Purpose::Weights, 3)), base);
    // Swapping two coordinates is another stream too.
    assert_ne!(first(stream(2, Purpose::Weights, 1)), base);
}

#[test]
fn a_stream_is_the_same_in_every_build() {
    // Worked out by an independent ChaCha8: a change here changes every training that was seeded.
    let mut stream = stream(42, Purpose::Shuffle, 3);
    let mut order: Vec<u32> = (0..10).collect();
    stream.shuffle(&mut order);
    assert_eq!(order, RECORDED_ORDER);
    assert_eq!(stream.below(1_000_000), RECORDED_NUMBER);
}

/// The order and the next number, from key (42, 2, 3, 0) and nonce 0.
const RECORDED_ORDER: [u32; 10] = [6, 8, 0, 7, 9, 5, 4, 2, 1, 3];
const RECORDED_NUMBER: u64 = 708_193;

#[test]
fn uniform_numbers_fill_the_unit_interval_evenly() {
    let mut stream = some(0);
    let mut bins = [0_u32; 20];
    const DRAWS: u32 = 200_000;
    for _ in 0..DRAWS {
        let x = stream.uniform();
        assert!((0.0..1.0).contains(&x));
        bins[(x * 20.0) as usize] += 1;
    }
    // Chi-squared with 19 degrees of freedom exceeds 43.8 once in a thousand.
    assert!(chi_squared(&bins, f64::from(DRAWS) / 20.0) < 43.8);
}

#[test]
fn whole_numbers_below_a_bound_are_equally_likely() {
    let mut stream = some(1);
    let mut counts = [0_u32; 7];
    for _ in 0..70_000 {
        counts[stream.below(7) as usize] += 1;
    }
    // Six degrees of freedom: 22.5 once in a thousand.
    assert!(chi_squared(&counts, 10_000.0) < 22.5);
}

#[test]
fn whole_numbers_below_a_huge_bound_are_without_bias() {
    // At three quarters of 2⁶⁴, four draws share three values: without drawing again, multiples
    // of three would come up half of the time.
    let bound = 3 << 62;
    let mut stream = some(2);
    let multiples = (0..30_000).filter(|_| stream.below(bound).is_multiple_of(3)).count();
    // A third of 30,000, with a standard deviation of 82.
    assert!((9_600..10_400).contains(&multiples), "{multiples}");
}

#[test]
fn normal_numbers_have_the_moments_of_a_normal_distribution() {
    let std = 0.3;
    let mut numbers = vec![0_f32; 1_000_000];
    some(3).fill_normal(std, &mut numbers);
    let moment = |power: i32| -> f64 {
        numbers.iter().map(|x| (f64::from(*x) / std).powi(power)).sum::<f64>() / 1e6
    };
    assert!(moment(1).abs() < 5.0 / 1_000.0, "mean {}", moment(1));
    assert!((moment(2).sqrt() - 1.0).abs() < 0.01, "deviation {}", moment(2).sqrt());
    assert!(moment(3).abs() < 0.02, "skew {}", moment(3));
    assert!((moment(4) - 3.0).abs() < 0.05, "kurtosis {}", moment(4));
    // P(|z| < 1), to five standard errors.
    let within = numbers.iter().filter(|x| f64::from(x.abs()) < std).count() as f64 / 1e6;
    assert!((within - 0.682_689).abs() < 0.0024, "{within}");
    // Neighbours of a pair are drawn from one radius and angle, and yet independent.
    let product = numbers.chunks(2).map(|pair| f64::from(pair[0] * pair[1])).sum::<f64>();
    assert!((product / 5e5 / std.powi(2)).abs() < 0.008);
}

#[test]
fn an_odd_number_of_normals_is_filled_to_the_end() {
    let mut numbers = [0_f32; 5];
    some(4).fill_normal(1.0, &mut numbers);
    assert!(numbers.iter().all(|x| *x != 0.0));
}

#[test]
fn a_deviation_of_zero_gives_zeros() {
    let mut numbers = [1_f32; 8];
    some(5).fill_normal(0.0, &mut numbers);
    assert_eq!(numbers, [0.0; 8]);
}

#[test]
fn every_order_of_four_is_equally_likely() {
    let mut stream = some(6);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..24_000 {
        let mut order = [0, 1, 2, 3];
        stream.shuffle(&mut order);
        *counts.entry(order).or_insert(0_u32) += 1;
    }
    let counts: Vec<u32> = counts.into_values().collect();
    assert_eq!(counts.len(), 24);
    // 23 degrees of freedom: 49.7 once in a thousand.
    assert!(chi_squared(&counts, 1_000.0) < 49.7);
}

#[test]
fn glorot_limits_are_those_of_keras() {
    let text = include_str!("fixtures/whetstone.json");
    let fixtures: Value = serde_json::from_str(text).unwrap();
    for case in fixtures["glorot_uniform"].as_array().unwrap() {
        let kernel: Vec<usize> = serde_json::from_value(case["kernel"].clone()).unwrap();
        let fans = Fans::of(&kernel);
        assert_eq!(fans.fan_in as u64, case["fan_in"].as_u64().unwrap());
        assert_eq!(fans.fan_out as u64, case["fan_out"].as_u64().unwrap());
        assert!((fans.glorot_limit() - case["limit"].as_f64().unwrap()).abs() < 1e-15);
    }
}

#[test]
fn initial_weights_fill_their_range_and_center_on_zero() {
    let kernel = [3, 3, 16, 32];
    let limit = Fans::of(&kernel).glorot_limit();
    let weights = glorot_uniform(&kernel, &mut some(7));
    assert_eq!(weights.len(), 3 * 3 * 16 * 32);
    let n = weights.len() as f64;
    let mean = weights.iter().map(|w| f64::from(*w)).sum::<f64>() / n;
    let variance = weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / n;
    // A uniform distribution on ± limit has the variance limit² / 3.
    let deviation = limit / 3_f64.sqrt();
    assert!(mean.abs() < 4.0 * deviation / n.sqrt(), "{mean}");
    assert!((variance.sqrt() / deviation - 1.0).abs() < 0.03, "{variance}");
    let largest = weights.iter().fold(0_f32, |largest, w| largest.max(w.abs()));
    assert!(f64::from(largest) > 0.99 * limit);
}

fn chi_squared(counts: &[u32], expected: f64) -> f64 {
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

proptest! {
    #[test]
    fn initial_weights_stay_within_their_limit(
        kernel in prop::collection::vec(1_usize..9, 2..5),
        seed: u64,
    ) {
        let limit = Fans::of(&kernel).glorot_limit();
        let weights = glorot_uniform(&kernel, &mut stream(seed, Purpose::Weights, 0));
        prop_assert_eq!(weights.len(), kernel.iter().product::<usize>());
        // The limit as f32 may round up.
        prop_assert!(weights.iter().all(|w| w.abs() <= limit as f32));
    }

    #[test]
    fn a_shuffle_loses_and_invents_nothing(n in 0_usize..200, seed: u64) {
        let mut order: Vec<usize> = (0..n).collect();
        stream(seed, Purpose::Shuffle, 0).shuffle(&mut order);
        order.sort_unstable();
        prop_assert_eq!(order, (0..n).collect::<Vec<_>>());
    }

    #[test]
    fn a_whole_number_stays_below_its_bound(bound in 1_u64.., seed: u64) {
        prop_assert!(stream(seed, Purpose::Key, 0).below(bound) < bound);
    }
}
