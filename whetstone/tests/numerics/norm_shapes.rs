//! Norm, pool and activation in one against sums written out, over any shape: with ties, constant
//! inputs and odd edges, where finite differences say nothing.

use crate::fixture::{assert_close, flat};
use candle_core::{Device, Tensor, Var};
use proptest::prelude::*;
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::{Pool, SharpenedNorm};
use whetstone::ops::statistics::Statistics;

const EPSILON: f64 = 1e-2;

/// What a batch can look like.
#[derive(Clone, Copy, Debug)]
enum Values {
    Scattered,
    /// Of five values only, so that most windows tie.
    Tied,
    Constant,
}

fn values(len: usize, kind: Values, seed: u64) -> Vec<f64> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            let uniform = (state >> 40) as f64 / (1u64 << 24) as f64;
            match kind {
                Values::Scattered => 2.0 * uniform - 1.0,
                Values::Tied => (uniform * 5.0).floor() / 4.0,
                Values::Constant => 0.75,
            }
        })
        .collect()
}

fn curve_and_slope(curve: Curve, z: f64) -> (f64, f64) {
    match curve {
        Curve::Clip { slope } => {
            let line = slope * (z - 0.5) + 0.5;
            (line.clamp(0.0, 1.0), if (0.0..=1.0).contains(&line) { slope } else { 0.0 })
        }
        Curve::Logistic { gain } => {
            let y = 1.0 / (1.0 + (-(gain * z).clamp(-40.0, 40.0)).exp());
            (y, if (gain * z).abs() <= 40.0 { gain * y * (1.0 - y) } else { 0.0 })
        }
        Curve::Step { threshold } => (f64::from(u8::from(z >= threshold)), 0.0),
    }
}

/// Result and gradients, pixel by pixel.
struct Plain {
    y: Vec<f64>,
    dx: Vec<f64>,
    dgamma: Vec<f64>,
    dbeta: Vec<f64>,
}

fn plain(
    [images, height, width, channels]: [usize; 4],
    pool: bool,
    curve: Curve,
    [x, gamma, beta, dy]: [&[f64]; 4],
) -> Plain {
    let side = if pool { 2 } else { 1 };
    let (out_height, out_width) = (height / side, width / side);
    let at = |image: usize, y: usize, x: usize, c: usize| {
        ((image * height + y) * width + x) * channels + c
    };
    let mut found = Plain {
        y: vec![0.0; images * out_height * out_width * channels],
        dx: vec![0.0; x.len()],
        dgamma: vec![0.0; channels],
        dbeta: vec![0.0; channels],
    };
    for c in 0..channels {
        let column: Vec<f64> = x.iter().skip(c).step_by(channels).copied().collect();
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let deviation = (variance + EPSILON).sqrt();
        let normal = |at: usize| (x[at] - mean) / deviation;
        let mut dz = vec![0.0; x.len()];
        for image in 0..images {
            for oy in 0..out_height {
                for ox in 0..out_width {
                    let window = (0..side * side)
                        .map(|i| at(image, oy * side + i / side, ox * side + i % side, c));
                    // The first of equal largest.
                    let z = |at: usize| normal(at) * gamma[c] + beta[c];
                    let largest =
                        window.reduce(|best, at| if z(at) > z(best) { at } else { best }).unwrap();
                    let output = ((image * out_height + oy) * out_width + ox) * channels + c;
                    let (value, slope) = curve_and_slope(curve, z(largest));
                    found.y[output] = value;
                    dz[largest] += dy[output] * slope;
                }
            }
        }
        let places = || (0..x.len()).skip(c).step_by(channels);
        found.dbeta[c] = places().map(|at| dz[at]).sum();
        found.dgamma[c] = places().map(|at| dz[at] * normal(at)).sum();
        for at in places() {
            let shared = (found.dbeta[c] + normal(at) * found.dgamma[c]) / n;
            found.dx[at] = gamma[c] / deviation * (dz[at] - shared);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_gives_the_plain_sums(
        images in 1usize..5,
        height in 1usize..8,
        width in 1usize..8,
        channels in 1usize..38,
        pool in any::<bool>(),
        kind in prop_oneof![Just(Values::Scattered), Just(Values::Tied), Just(Values::Constant)],
        curve in prop_oneof![
            Just(Curve::Clip { slope: 0.999 }),
            Just(Curve::Clip { slope: 7.0 }),
            Just(Curve::Logistic { gain: 5.26 }),
            Just(Curve::Logistic { gain: 90.0 }),
        ],
        seed in any::<u32>(),
    ) {
        let pool = pool && height > 1 && width > 1;
        let shape = [images, height, width, channels];
        let seed = u64::from(seed) << 8;
        let x = values(shape.iter().product(), kind, seed);
        // Negative factors turn the order of a window round.
        let gamma = values(channels, Values::Scattered, seed + 2);
        let beta: Vec<f64> =
            values(channels, Values::Scattered, seed + 4).iter().map(|b| 0.5 + 0.3 * b).collect();
        let var = |values: &[f64], shape: &[usize]| {
            Var::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
        };
        let (vx, vgamma, vbeta) =
            (var(&x, &shape), var(&gamma, &[channels]), var(&beta, &[channels]));
        let statistics = Statistics::of_batch(&vx).unwrap();
        let kind_of_pool = if pool { Pool::TwoByTwo } else { Pool::None };
        let y = SharpenedNorm { statistics, epsilon: EPSILON, pool: kind_of_pool, curve }
            .apply(&vx, &vgamma, &vbeta)
            .unwrap();
        let dy = values(y.elem_count(), Values::Scattered, seed + 6);
        let weight = Tensor::from_vec(dy.clone(), y.shape(), &Device::Cpu).unwrap();
        let gradients = y.mul(&weight).unwrap().sum_all().unwrap().backward().unwrap();
        let plain = plain(shape, pool, curve, [&x, &gamma, &beta, &dy]);
        assert_close(&flat(&y), &plain.y, 1e-9, "value");
        // A steep curve magnifies the rounding of z by its slope.
        let of = |variable: &Var| flat(gradients.get(variable).unwrap());
        assert_close(&of(&vx), &plain.dx, 1e-8, "gradient by x");
        assert_close(&of(&vgamma), &plain.dgamma, 1e-8, "gradient by gamma");
        assert_close(&of(&vbeta), &plain.dbeta, 1e-8, "gradient by beta");
    }
}
