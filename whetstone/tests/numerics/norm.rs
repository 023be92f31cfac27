//! Norm, pool and activation in one, against fixtures, finite differences and candle's graphs.

use crate::finite::{assert_gradients, scattered_var};
use crate::fixture::{assert_close, fixtures, flat, numbers, tensor};
use candle_core::{D, Device, Tensor, Var};
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::{Pool, SharpenedNorm};
use whetstone::ops::statistics::{Moving, Origin, Statistics};

/// A ramp so long that nothing in a test reaches its ends: with it the operation is a bare norm,
/// pooled or not, up to the known line.
const LONG: f64 = 1e-3;

fn bare(y: &Tensor) -> Tensor {
    (((y - 0.5).unwrap() / LONG).unwrap() + 0.5).unwrap()
}

fn norm(
    x: &Tensor,
    statistics: Statistics,
    epsilon: f64,
    pool: Pool,
    curve: Curve,
    gamma: &Tensor,
    beta: &Tensor,
) -> Tensor {
    SharpenedNorm { statistics, epsilon, pool, curve }.apply(x, gamma, beta).unwrap()
}

#[test]
fn training_steps_and_inference_follow_the_textbook_variant() {
    let group = fixtures("batch_norm");
    let variants = group["variants"].as_array().unwrap();
    let textbook: Vec<_> = variants
        .iter()
        .filter(|v| v["variant"].as_str().unwrap().starts_with("textbook"))
        .collect();
    assert_eq!(textbook.len(), 2);
    for variant in textbook {
        let epsilon = variant["epsilon"].as_f64().unwrap();
        let or = |value: &serde_json::Value, absent: f64| match value.is_null() {
            true => Tensor::new(&[absent, absent], &Device::Cpu).unwrap(),
            false => tensor(value),
        };
        let (gamma, beta) = (or(&variant["gamma"], 1.0), or(&variant["beta"], 0.0));
        let curve = Curve::Clip { slope: LONG };
        let mut moving = Moving::new(2, variant["momentum"].as_f64().unwrap());
        let steps = variant["steps"].as_array().unwrap();
        for (batch, step) in variant["batches"].as_array().unwrap().iter().zip(steps) {
            let x = tensor(batch);
            let batch = Statistics::of_batch(&x).unwrap();
            assert_close(&batch.mean, &numbers(&step["batch_mean"]), 1e-9, "mean");
            assert_close(&batch.variance, &numbers(&step["batch_var_biased"]), 1e-9, "variance");
            moving.absorb(&batch);
            let y = norm(&x, batch, epsilon, Pool::None, curve, &gamma, &beta);
            assert_close(&flat(&bare(&y)), &numbers(&step["train_output"]), 1e-9, "output");
            let stood = moving.statistics();
            assert_close(&stood.mean, &numbers(&step["moving_mean"]), 1e-9, "moving mean");
            assert_close(&stood.variance, &numbers(&step["moving_var"]), 1e-9, "moving variance");
        }
        let x = tensor(&variant["infer_input"]);
        let y = norm(&x, moving.statistics().clone(), epsilon, Pool::None, curve, &gamma, &beta);
        assert_close(&flat(&bare(&y)), &numbers(&variant["infer_output"]), 1e-9, "inference");
    }
}

#[test]
fn the_gradient_of_the_norm_is_as_published() {
    let group = fixtures("batch_norm_backward");
    let [x, gamma, beta] =
        ["x", "gamma", "beta"].map(|name| Var::from_tensor(&tensor(&group[name])).unwrap());
    let batch = Statistics::of_batch(&x).unwrap();
    let curve = Curve::Clip { slope: LONG };
    let y = bare(&norm(&x, batch, 1e-3, Pool::None, curve, &gamma, &beta));
    assert_close(&flat(&y), &numbers(&group["y"]), 1e-9, "y");
    let gradients = y.mul(&tensor(&group["dy"])).unwrap().sum_all().unwrap().backward().unwrap();
    for (variable, name) in [(&x, "dx"), (&gamma, "dgamma"), (&beta, "dbeta")] {
        let found = flat(gradients.get(variable).unwrap());
        assert_close(&found, &numbers(&group[name]), 1e-9, name);
    }
}

#[test]
fn pooling_is_as_published_and_drops_odd_edges() {
    let group = fixtures("maxpool");
    let identity = || Statistics { mean: vec![0.0], variance: vec![1.0], origin: Origin::Moving };
    let one = Tensor::new(&[1f64], &Device::Cpu).unwrap();
    let zero = one.zeros_like().unwrap();
    let pool = |x: &Tensor| {
        let curve = Curve::Clip { slope: LONG };
        bare(&norm(x, identity(), 0.0, Pool::TwoByTwo, curve, &one, &zero))
    };
    let x = tensor(&group["in_4x4"]).reshape((1, 4, 4, 1)).unwrap();
    assert_close(&flat(&pool(&x)), &numbers(&group["out_2x2"]), 1e-9, "4×4");
    let odd = Tensor::zeros((1, 7, 7, 1), candle_core::DType::F64, &Device::Cpu).unwrap();
    let left = group["odd_7x7_to"].as_u64().unwrap() as usize;
    assert_eq!(pool(&odd).dims(), [1, left, left, 1]);
}

#[test]
fn of_equal_largest_values_the_first_takes_the_whole_gradient() {
    let x = Var::new(&[[[[1f64], [3.0]], [[3.0], [3.0]]]], &Device::Cpu).unwrap();
    let one = Tensor::new(&[1f64], &Device::Cpu).unwrap();
    let statistics = Statistics { mean: vec![0.0], variance: vec![1.0], origin: Origin::Moving };
    let curve = Curve::Clip { slope: LONG };
    let zero = one.zeros_like().unwrap();
    let y = bare(&norm(&x, statistics, 0.0, Pool::TwoByTwo, curve, &one, &zero));
    let gradient = y.sum_all().unwrap().backward().unwrap().remove(&x).unwrap();
    assert_close(&flat(&gradient), &[0.0, 1.0, 0.0, 0.0], 1e-12, "gradient");
}

/// Shapes with even and odd sides, one pixel, one channel, many channels; and a flat batch.
const SHAPES: [[usize; 4]; 5] =
    [[2, 4, 4, 3], [3, 5, 5, 2], [2, 2, 3, 1], [5, 3, 2, 17], [4, 7, 7, 2]];

/// Per channel, of both signs: a negative one turns the order of the values round.
fn gamma_of(channels: usize) -> Var {
    let gamma = (0..channels).map(|c| if c % 2 == 0 { 0.4 } else { -0.3 } + 0.01 * c as f64);
    Var::from_vec(gamma.collect(), channels, &Device::Cpu).unwrap()
}

#[test]
fn gradients_agree_with_finite_differences() {
    for shape in SHAPES {
        for pool in [Pool::None, Pool::TwoByTwo] {
            for curve in [Curve::Clip { slope: 1.3 }, Curve::Logistic { gain: 5.3 }] {
                let x = scattered_var(&shape, 0.9);
                let gamma = gamma_of(shape[3]);
                let beta = Var::from_vec(vec![0.45; shape[3]], shape[3], &Device::Cpu).unwrap();
                assert_gradients(&[&x, &gamma, &beta], 2e-6, || {
                    let batch = Statistics::of_batch(&x).unwrap();
                    let y = norm(&x, batch, 1e-3, pool, curve, &gamma, &beta);
                    let weight = scattered_var(y.dims(), 0.8).detach();
                    y.mul(&weight).unwrap().sum_all().unwrap()
                });
            }
        }
    }
}

#[test]
fn a_flat_batch_is_normalised_over_its_rows() {
    let x = scattered_var(&[9, 4], 0.9);
    let gamma = gamma_of(4);
    let beta = Var::from_vec(vec![0.45; 4], 4, &Device::Cpu).unwrap();
    assert_gradients(&[&x, &gamma, &beta], 2e-6, || {
        let batch = Statistics::of_batch(&x).unwrap();
        let y = norm(&x, batch, 1e-3, Pool::None, Curve::Clip { slope: 1.3 }, &gamma, &beta);
        y.sqr().unwrap().sum_all().unwrap()
    });
}

/// The same from candle's own operations, with the pool as a maximum over an axis.
fn composed(x: &Tensor, epsilon: f64, slope: f64, gamma: &Tensor, beta: &Tensor) -> Tensor {
    let (images, height, width, channels) = x.dims4().unwrap();
    let pixels = x.reshape((images * height * width, channels)).unwrap();
    let mean = pixels.mean_keepdim(0).unwrap();
    let centred = pixels.broadcast_sub(&mean).unwrap();
    let variance = centred.sqr().unwrap().mean_keepdim(0).unwrap();
    let deviation = (variance + epsilon).unwrap().sqrt().unwrap();
    let z = centred.broadcast_div(&deviation).unwrap();
    let z = z.broadcast_mul(gamma).unwrap().broadcast_add(beta).unwrap();
    let z = z.reshape((images, height, width, channels)).unwrap();
    let z = z.narrow(1, 0, height / 2 * 2).unwrap().narrow(2, 0, width / 2 * 2).unwrap();
    let z =
        z.contiguous().unwrap().reshape((images, height / 2, 2, width / 2, 2 * channels)).unwrap();
    let z = z.permute((0, 1, 3, 2, 4)).unwrap().contiguous().unwrap();
    let z = z.reshape((images, height / 2, width / 2, 4, channels)).unwrap();
    let z = z.transpose(3, 4).unwrap().contiguous().unwrap().max(D::Minus1).unwrap();
    let ramp = (((z - 0.5).unwrap() * slope).unwrap() + 0.5).unwrap();
    // relu(r) − relu(r − 1) is the clip, and its gradient is right everywhere but at the ends.
    (ramp.relu().unwrap() - (ramp - 1.0).unwrap().relu().unwrap()).unwrap()
}

#[test]
fn values_and_gradients_agree_with_a_graph_of_candles_operations() {
    for shape in SHAPES {
        let x = scattered_var(&shape, 0.2);
        let (gamma, slope) = (gamma_of(shape[3]), 1.7);
        let beta = Var::from_vec(vec![0.4; shape[3]], shape[3], &Device::Cpu).unwrap();
        let batch = Statistics::of_batch(&x).unwrap();
        let ours = norm(&x, batch, 1e-3, Pool::TwoByTwo, Curve::Clip { slope }, &gamma, &beta);
        let theirs = composed(&x, 1e-3, slope, &gamma, &beta);
        assert_close(&flat(&ours), &flat(&theirs), 1e-10, "forward");
        let weight = scattered_var(ours.dims(), 0.6).detach();
        let gradients = |y: &Tensor| {
            let gradients = y.mul(&weight).unwrap().sum_all().unwrap().backward().unwrap();
            [&x, &gamma, &beta].map(|variable| flat(gradients.get(variable).unwrap()))
        };
        for (ours, theirs) in gradients(&ours).iter().zip(&gradients(&theirs)) {
            assert_close(ours, theirs, 1e-9, "gradient");
        }
    }
}

#[test]
fn a_step_fires_at_its_threshold_and_ends_the_graph() {
    let x = Var::new(&[[0.5f64], [0.499_999], [0.7]], &Device::Cpu).unwrap();
    let one = Tensor::new(&[1f64], &Device::Cpu).unwrap();
    let statistics = Statistics { mean: vec![0.0], variance: vec![1.0], origin: Origin::Moving };
    let zero = one.zeros_like().unwrap();
    let y = norm(&x, statistics, 0.0, Pool::None, Curve::Step { threshold: 0.5 }, &one, &zero);
    assert_eq!(flat(&y), [1.0, 0.0, 1.0]);
    assert!(y.sum_all().unwrap().backward().unwrap().get(&x).is_none());
}

#[test]
fn a_value_that_is_no_number_stays_visible() {
    let x = Tensor::new(&[[1f32, 1.0], [f32::NAN, 2.0], [3.0, 3.0]], &Device::Cpu).unwrap();
    let one = Tensor::ones(2, candle_core::DType::F32, &Device::Cpu).unwrap();
    let batch = Statistics::of_batch(&x).unwrap();
    let zero = one.zeros_like().unwrap();
    let y = norm(&x, batch, 1e-3, Pool::None, Curve::Clip { slope: 1.0 }, &one, &zero);
    let y: Vec<Vec<f32>> = y.to_vec2().unwrap();
    assert!(y.iter().all(|row| row[0].is_nan() && row[1].is_finite()), "{y:?}");
}
