//! Batch statistics and sharpened norms against the CPU's.

use crate::numbers::{assert_near, between, draws, flat, normal, tied};
use crate::processor::Processor;
use candle_core::{Device, Tensor, Var};
use whetstone::ops::cuda::fold::lengths;
use whetstone::ops::cuda::machine::Buffer;
use whetstone::ops::cuda::norm::{Arguments, Gradients, Grid, Norm, statistics};
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::{Pool, SharpenedNorm};
use whetstone::ops::statistics::{Origin, Statistics};

/// Sums are `f64` on both sides; what is left is the rounding of single `f32` steps.
const TOLERANCE: f32 = 1e-6;

/// The values of a batch: spread, tied in windows, or all the same.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Normal,
    Tied,
    Constant,
}

fn values(kind: Kind, case: u64, len: usize) -> Vec<f32> {
    match kind {
        Kind::Normal => normal(&mut draws(case), len),
        Kind::Tied => tied(&mut draws(case), len),
        Kind::Constant => vec![0.3; len],
    }
}

fn cases() -> impl Iterator<Item = (Grid, Kind, u64)> {
    (0..90).map(|case| {
        let mut draws = draws(2000 + case);
        let pooled = draws.below(2) == 1;
        let least = if pooled { 2 } else { 1 };
        let grid = Grid {
            images: between(&mut draws, 1, 9),
            height: between(&mut draws, least, 9),
            width: between(&mut draws, least, 9),
            channels: between(&mut draws, 1, 20),
            pooled,
        };
        (grid, [Kind::Normal, Kind::Tied, Kind::Constant][case as usize % 3], case)
    })
}

#[test]
fn statistics_agree_with_the_cpu() {
    for (grid, kind, case) in cases() {
        let Grid { images, height, width, channels, .. } = grid;
        let x = values(kind, case, images * height * width * channels);
        let tensor = Tensor::from_slice(&x, (images, height, width, channels), &Device::Cpu);
        let expected = Statistics::of_batch(&tensor.unwrap()).unwrap();
        let m = Processor::new(case);
        let x = Buffer::of(&m, &x).unwrap();
        let (mean, variance) = statistics(&m, x.read(), channels).unwrap();
        for (found, expected) in [(&mean, &expected.mean), (&variance, &expected.variance)] {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected} {grid:?} {kind:?}");
            }
        }
    }
}

#[test]
fn statistics_of_many_rows_are_added_in_several_rounds() {
    // 1e6 rows in 62,500 chunks, folded three times; the mean of 0 … 6 over 142,857 · 7 + 1 rows.
    let rows = 1_000_000;
    let x: Vec<f32> = (0..rows).map(|i| (i % 7) as f32).collect();
    let m = Processor::new(1);
    let x = Buffer::of(&m, &x).unwrap();
    let (mean, variance) = statistics(&m, x.read(), 1).unwrap();
    let (sum, squares) = (f64::from(142_857 * 21), f64::from(142_857 * 91));
    let expected = sum / f64::from(rows);
    assert!((mean[0] - expected).abs() < 1e-12);
    assert!((variance[0] - (squares / f64::from(rows) - expected * expected)).abs() < 1e-12);
}

#[test]
fn lengths_are_those_of_pythagoras() {
    let m = Processor::new(2);
    let threes = [0, 1, 16, 1_000_000].map(|len| Buffer::of(&m, &vec![-3f32; len]).unwrap());
    let found = lengths(&m, &threes.each_ref().map(Buffer::read)).unwrap();
    assert_eq!(found, [0.0, 3.0, 12.0, 3000.0]);
    // Beyond what an `f32` can hold, and every number counted once.
    let x: Vec<f32> = (0..70_001).map(|i| 1e30 * (i % 11) as f32).collect();
    let expected = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let found = lengths(&m, &[Buffer::of(&m, &x).unwrap().read()]).unwrap()[0];
    assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    assert!(lengths(&m, &[]).unwrap().is_empty());
}

fn compare(grid: Grid, kind: Kind, case: u64, curve: Curve, origin: Origin) {
    let what = format!("{grid:?} {kind:?} {curve:?} {origin:?}");
    let Grid { images, height, width, channels, pooled } = grid;
    let mut draws = draws(3000 + case);
    let shape = (images, height, width, channels);
    let x = values(kind, case, images * height * width * channels);
    // Factors of both signs, and offsets that put values on all parts of the curves.
    let gamma = normal(&mut draws, channels);
    let beta: Vec<f32> = normal(&mut draws, channels).iter().map(|beta| 0.5 + 0.2 * beta).collect();

    let x_var = Var::from_slice(&x, shape, &Device::Cpu).unwrap();
    let gamma_var = Var::from_slice(&gamma, channels, &Device::Cpu).unwrap();
    let beta_var = Var::from_slice(&beta, channels, &Device::Cpu).unwrap();
    let statistics = Statistics { origin, ..Statistics::of_batch(&x_var).unwrap() };
    let pool = if pooled { Pool::TwoByTwo } else { Pool::None };
    let expected = SharpenedNorm { statistics: statistics.clone(), epsilon: 1e-3, pool, curve }
        .apply(&x_var, &gamma_var, &beta_var)
        .unwrap();
    let dy = normal(&mut draws, expected.elem_count());

    let m = Processor::new(case);
    let batch = match origin {
        Origin::Batch { count } => Some(count),
        Origin::Moving => None,
    };
    let Statistics { mean, variance, .. } = &statistics;
    let norm = Norm { grid, mean, variance, batch, epsilon: 1e-3, curve };
    let [x_in, gamma_in, beta_in, dy_in] =
        [&x, &gamma, &beta, &dy].map(|values| Buffer::of(&m, values).unwrap());
    let arguments = Arguments { x: x_in.read(), gamma: gamma_in.read(), beta: beta_in.read() };
    let mut y = Buffer::<_, f32>::blank(&m, dy.len()).unwrap();
    norm.forward(&m, arguments, y.write()).unwrap();
    assert_near(&y.to_vec(&m).unwrap(), &flat(&expected), TOLERANCE, &format!("y of {what}"));

    let mut dx = Buffer::<_, f32>::blank(&m, x.len()).unwrap();
    let [mut dgamma, mut dbeta] = [(); 2].map(|()| Buffer::<_, f32>::blank(&m, channels).unwrap());
    let out = Gradients { x: dx.write(), gamma: dgamma.write(), beta: dbeta.write() };
    norm.backward(&m, arguments, dy_in.read(), out).unwrap();
    let found = [dx, dgamma, dbeta].map(|buffer| buffer.to_vec(&m).unwrap());
    if curve.is_step() {
        // On the CPU the graph ends at a step; here nothing may come through it.
        assert!(found.iter().flatten().all(|gradient| *gradient == 0.0), "{what}");
        return;
    }
    let dy = Tensor::from_slice(&dy, expected.shape(), &Device::Cpu).unwrap();
    let gradients = expected.mul(&dy).unwrap().sum_all().unwrap().backward().unwrap();
    for ((found, var), name) in
        found.iter().zip([&x_var, &gamma_var, &beta_var]).zip(["dx", "dgamma", "dbeta"])
    {
        let expected = flat(gradients.get(var).unwrap());
        assert_near(found, &expected, TOLERANCE, &format!("{name} of {what}"));
    }
}

#[test]
fn norms_agree_with_the_cpu() {
    let curves = [
        Curve::Clip { slope: 0.999 },
        Curve::Clip { slope: 4.0 },
        Curve::Logistic { gain: 5.26 },
        Curve::Logistic { gain: 60.0 },
        Curve::Step { threshold: 0.5 },
    ];
    for (grid, kind, case) in cases() {
        let count = grid.images * grid.height * grid.width;
        for curve in curves {
            for origin in [Origin::Batch { count }, Origin::Moving] {
                compare(grid, kind, case, curve, origin);
            }
        }
    }
}

#[test]
fn values_that_are_no_numbers_stay_visible() {
    let grid = Grid { images: 1, height: 2, width: 2, channels: 1, pooled: false };
    let m = Processor::new(1);
    let x = Buffer::of(&m, &[1.0, f32::NAN, 3.0, f32::INFINITY]).unwrap();
    let one = Buffer::of(&m, &[1.0f32]).unwrap();
    for curve in [Curve::Clip { slope: 1.0 }, Curve::Logistic { gain: 5.0 }] {
        let norm = Norm { grid, mean: &[0.0], variance: &[1.0], batch: None, epsilon: 0.0, curve };
        let mut y = Buffer::<_, f32>::blank(&m, 4).unwrap();
        let arguments = Arguments { x: x.read(), gamma: one.read(), beta: one.read() };
        norm.forward(&m, arguments, y.write()).unwrap();
        let y = y.to_vec(&m).unwrap();
        assert!(y[1].is_nan() && y[3] == 1.0, "{curve:?}: {y:?}");
    }
}
