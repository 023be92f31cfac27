//! Merging and thresholds against fixtures, and against the network they come from.

use crate::fixture::{assert_close, fixtures, flat, numbers, tensor};
use candle_core::{Device, Tensor};
use recipe::Recipe;
use whetstone::merge::{Norm, fold, merge};
use whetstone::network::{Extent, Network, Plan};
use whetstone::ops::conv2d::linear;
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::Pool;
use whetstone::ops::statistics::{Origin, Statistics};
use whetstone::seed::{Purpose, stream};
use whetstone::sharpen::Sharpness;

const STEP: Curve = Curve::Step { threshold: 0.5 };

#[test]
fn merged_weights_and_outputs_are_as_published_and_not_as_the_inexact_ones() {
    let group = fixtures("bn_merge");
    let (weights, bias) = (numbers(&group["W"]), numbers(&group["bias"]));
    let (gamma, beta) = (numbers(&group["gamma"]), numbers(&group["beta"]));
    let statistics = Statistics {
        mean: numbers(&group["moving_mean"]),
        variance: numbers(&group["moving_var"]),
        origin: Origin::Moving,
    };
    for case in group["cases"].as_array().unwrap() {
        let on = |name: &str| case[name].as_bool().unwrap();
        let norm = Norm {
            statistics: &statistics,
            epsilon: case["bn_epsilon"].as_f64().unwrap(),
            gamma: on("scale").then_some(&gamma[..]),
            beta: on("center").then_some(&beta[..]),
        };
        let merged = fold(&weights, on("has_bias").then_some(&bias[..]), norm);
        assert_close(&merged.weights, &numbers(&case["merged_weights"]), 1e-9, "weights");
        assert_close(&merged.bias, &numbers(&case["merged_bias"]), 1e-9, "bias");
        let folded = Tensor::from_vec(merged.weights.clone(), (3, 2), &Device::Cpu).unwrap();
        let bias = Tensor::from_vec(merged.bias, 2, &Device::Cpu).unwrap();
        let output = linear(&tensor(&group["x"]), &folded).unwrap().broadcast_add(&bias).unwrap();
        assert_close(&flat(&output), &numbers(&case["output"]), 1e-9, "output");
        let inexact = &case["reference_0_9_2_inexact"]["weights"];
        if !inexact.is_null() {
            let off =
                numbers(inexact).iter().zip(&merged.weights).any(|(a, b)| (a - b).abs() > 1e-5);
            assert!(off, "these weights should differ");
        }
    }
}

#[test]
fn thresholds_and_the_spikes_they_give_are_as_published() {
    let (group, published) = (fixtures("bn_merge"), fixtures("threshold_export"));
    let statistics = Statistics {
        mean: numbers(&group["moving_mean"]),
        variance: numbers(&group["moving_var"]),
        origin: Origin::Moving,
    };
    let (gamma, beta) = (numbers(&group["gamma"]), numbers(&group["beta"]));
    let norm = Norm {
        statistics: &statistics,
        epsilon: group["cases"][0]["bn_epsilon"].as_f64().unwrap(),
        gamma: Some(&gamma),
        beta: Some(&beta),
    };
    let bias = numbers(&group["bias"]);
    let merged = fold(&numbers(&group["W"]), Some(&bias), norm);
    let thresholds = merged.thresholds(STEP);
    assert_close(&thresholds, &numbers(&published["from_case_0_thresholds"]), 1e-9, "thresholds");
    let weights = Tensor::from_vec(merged.weights, (3, 2), &Device::Cpu).unwrap();
    let reached = flat(&linear(&tensor(&group["x"]), &weights).unwrap());
    let spikes = reached.chunks(2).flat_map(|row| {
        row.iter().zip(&thresholds).map(|(x, threshold)| f64::from(u8::from(x >= threshold)))
    });
    assert_eq!(spikes.collect::<Vec<_>>(), numbers(&published["spikes"]));
}

#[test]
fn a_merged_layer_fires_as_the_layer_does() {
    let recipe = Recipe {
        conv1_features: 6,
        conv2_features: 5,
        conv3_features: 4,
        dense_units: 7,
        norm_center: false,
        ..Recipe::default()
    };
    let extent = Extent { height: 9, width: 10, channels: 2 };
    let plan = Plan::new(&recipe, extent, 3).unwrap();
    let mut network = Network::new(&plan, &recipe, 5).unwrap();
    let mut pixels = vec![0f32; 12 * extent.len()];
    stream(5, Purpose::Noise, 9).fill_normal(1.0, &mut pixels);
    let images = Tensor::from_vec(pixels, (12, 9, 10, 2), &Device::Cpu).unwrap();
    // So that the moving statistics are not those of the start.
    let soft = network.curves(&[Sharpness::SOFT; 5]);
    network.train_forward(&images, &soft, &mut stream(5, Purpose::Noise, 0)).unwrap();

    let mut x = images;
    for layer in &network.layers {
        let merged = merge(layer).unwrap();
        let whole = layer.linear(&x).unwrap();
        let theirs = layer.activate(&whole, STEP).unwrap();
        if layer.pool == Pool::None {
            let weights =
                Tensor::from_vec(merged.weights.clone(), layer.weights.shape(), &Device::Cpu);
            let weights = weights.unwrap().flatten_to(layer.weights.rank() - 2).unwrap();
            let thresholds = merged.thresholds(STEP);
            let reached = match layer.weights.rank() {
                2 => linear(
                    &x.flatten_from(1).unwrap().to_dtype(candle_core::DType::F64).unwrap(),
                    &weights,
                ),
                _ => whetstone::ops::conv2d::conv2d_same(
                    &x.to_dtype(candle_core::DType::F64).unwrap(),
                    &weights.reshape(layer.weights.shape()).unwrap(),
                    1,
                ),
            };
            let spikes = flat(&theirs);
            for (i, reached) in flat(&reached.unwrap()).iter().enumerate() {
                let above = reached - thresholds[i % thresholds.len()];
                if above.abs() > 1e-5 {
                    assert_eq!(spikes[i], f64::from(u8::from(above > 0.0)), "{} {i}", layer.name);
                }
            }
        }
        x = theirs;
    }
    assert!(flat(&x).iter().all(|spike| *spike == 0.0 || *spike == 1.0));
}
