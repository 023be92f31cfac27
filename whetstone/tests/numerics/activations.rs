//! Activations against values worked out independently of this code.

use crate::fixture::{assert_close, fixtures, numbers};
use candle_core::{Device, Tensor, Var};
use recipe::Activation;
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::{Pool, SharpenedNorm};
use whetstone::ops::statistics::{Origin, Statistics};
use whetstone::sharpen::Sharpness;

/// The curve's values and slopes at some points, through the public operation: a norm that changes
/// nothing, in f64 throughout.
fn values_and_slopes(curve: Curve, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let statistics = Statistics { mean: vec![0.0], variance: vec![1.0], origin: Origin::Moving };
    let norm = SharpenedNorm { statistics, epsilon: 0.0, pool: Pool::None, curve };
    let x = Var::from_slice(x, (x.len(), 1), &Device::Cpu).unwrap();
    let (one, zero) = (x.narrow(0, 0, 1).unwrap().detach(), x.narrow(0, 0, 1).unwrap().detach());
    let (one, zero) = (one.ones_like().unwrap(), zero.zeros_like().unwrap());
    let y = norm.apply(&x, &one.flatten_all().unwrap(), &zero.flatten_all().unwrap()).unwrap();
    let slopes = match y.sum_all().unwrap().backward().unwrap().get(&x) {
        Some(gradient) => gradient.flatten_all().unwrap().to_vec1().unwrap(),
        None => vec![0.0; x.elem_count()],
    };
    (y.flatten_all().unwrap().to_vec1().unwrap(), slopes)
}

#[test]
fn the_bounded_relu_and_its_slope_are_as_published() {
    let group = fixtures("brelu");
    for case in group["cases"].as_array().unwrap() {
        let s = case["s"].as_f64().unwrap();
        let curve = match s {
            1.0 => Curve::at(Activation::BoundedRelu, Sharpness::HARD),
            // In f64, so that the tolerance is that of the formula and not of a rounded sharpness.
            _ => Curve::Clip { slope: 1.0 / (1.0 - s + 0.001) },
        };
        let (y, slopes) = values_and_slopes(curve, &numbers(&case["x"]));
        assert_close(&y, &numbers(&case["y"]), 1e-9, &format!("value at s = {s}"));
        assert_close(&slopes, &numbers(&case["dydx"]), 1e-9, &format!("slope at s = {s}"));
    }
}

#[test]
fn the_sigmoid_and_its_slope_are_as_published() {
    let group = fixtures("sigmoid");
    for case in group["cases"].as_array().unwrap() {
        let s = case["s"].as_f64().unwrap();
        let curve = match s {
            1.0 => Curve::at(Activation::Sigmoid, Sharpness::HARD),
            _ => {
                let ks = group["k"].as_array().unwrap();
                let k = ks.iter().find(|row| row["s"].as_f64() == Some(s)).unwrap();
                Curve::Logistic { gain: k["k"].as_f64().unwrap() }
            }
        };
        let (y, slopes) = values_and_slopes(curve, &numbers(&case["x"]));
        assert_close(&y, &numbers(&case["y"]), 1e-9, &format!("value at s = {s}"));
        assert_close(&slopes, &numbers(&case["dydx"]), 1e-9, &format!("slope at s = {s}"));
    }
}

#[test]
fn a_sharpness_gives_the_published_slope_and_gain() {
    for row in fixtures("brelu")["slopes"].as_array().unwrap() {
        let s = Sharpness::from_host(row["s"].as_f64().unwrap());
        match (Curve::at(Activation::BoundedRelu, s), row["slope"].as_f64()) {
            (Curve::Clip { slope }, Some(published)) => {
                assert!((slope / published - 1.0).abs() < 2e-5, "{slope} for {published}");
                // The knees, where the ramp meets 0 and 1.
                let below = row["lower_knee"].as_f64().unwrap();
                assert!((0.5 - 0.5 / slope - below).abs() < 1e-6);
            }
            (curve, published) => {
                assert_eq!((curve, published), (Curve::Step { threshold: 0.5 }, None));
            }
        }
    }
    for row in fixtures("sigmoid")["k"].as_array().unwrap() {
        let s = Sharpness::from_host(row["s"].as_f64().unwrap());
        match (Curve::at(Activation::Sigmoid, s), row["k"].as_f64()) {
            (Curve::Logistic { gain }, Some(published)) => {
                assert!((gain / published - 1.0).abs() < 2e-5, "{gain} for {published}");
            }
            (curve, published) => {
                assert_eq!((curve, published), (Curve::Step { threshold: 0.0 }, None));
            }
        }
    }
}

#[test]
fn only_a_sharpness_of_one_in_f32_takes_the_step() {
    for case in fixtures("float32_equality_gate")["cases"].as_array().unwrap() {
        let host = case["host"].as_f64().unwrap();
        for activation in [Activation::BoundedRelu, Activation::Sigmoid] {
            let curve = Curve::at(activation, Sharpness::from_host(host));
            assert_eq!(Some(curve.is_step()), case["step_branch"].as_bool(), "{host}");
        }
    }
}

#[test]
fn in_f32_the_curves_agree_away_from_the_knees() {
    for case in fixtures("brelu")["cases"].as_array().unwrap() {
        let s = case["s"].as_f64().unwrap();
        let Curve::Clip { slope } = Curve::at(Activation::BoundedRelu, Sharpness::from_host(s))
        else {
            continue;
        };
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let statistics =
            Statistics { mean: vec![0.0], variance: vec![1.0], origin: Origin::Moving };
        let norm = SharpenedNorm {
            statistics,
            epsilon: 0.0,
            pool: Pool::None,
            curve: Curve::Clip { slope },
        };
        let xs: Vec<f32> = x.iter().map(|x| *x as f32).collect();
        let xs = Tensor::from_vec(xs, (x.len(), 1), &Device::Cpu).unwrap();
        let one = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        let found = norm.apply(&xs, &one, &one.zeros_like().unwrap()).unwrap();
        let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
        let tolerance = if s >= 0.999 { 1e-4 } else { 1e-5 };
        let knee = 0.5 / slope;
        for ((x, y), found) in x.iter().zip(&y).zip(found) {
            if ((x - 0.5).abs() - knee).abs() > 1e-3 {
                assert!((f64::from(found) - y).abs() <= tolerance, "s {s}, x {x}: {found}");
            }
        }
    }
}
