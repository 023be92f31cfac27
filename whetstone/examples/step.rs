//! Times one training step and its parts: `cargo run --release -p whetstone --example step`.
//!
//! The network is 28×28×1 → 32, 64, 256 features of 3×3, three pools → 256 dense units → 100
//! output neurons, batch 128, RMSprop: 69.6 MFLOP a sample, forward and backward. One thread; the
//! fastest of 25 runs each, since whatever else the machine does only adds time.

use candle_core::{Device, Tensor, Var};
use recipe::{Activation, Optimizer as Rule, Recipe};
use std::time::Instant;
use whetstone::network::{Extent, Network, Plan};
use whetstone::ops::conv2d::conv2d_same;
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::{Pool, SharpenedNorm};
use whetstone::ops::statistics::Statistics;
use whetstone::optim::Optimizer;
use whetstone::seed::{Purpose, stream};
use whetstone::sharpen::Sharpness;
use whetstone::softmax_decode::cross_entropy;

const BATCH: usize = 128;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (side, channels, features, kernel) in [(28, 1, 32, 3), (14, 32, 64, 3), (7, 64, 256, 3)] {
        parts(side, channels, features, kernel)?;
    }
    whole()
}

/// The fastest of some runs, in milliseconds: what a busy machine leaves nearest to the truth.
fn fastest_ms(mut f: impl FnMut()) -> f64 {
    f();
    (0..25)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64() * 1e3
        })
        .fold(f64::INFINITY, f64::min)
}

fn noise(shape: &[usize]) -> candle_core::Result<Tensor> {
    let mut values = vec![0f32; shape.iter().product()];
    stream(1, Purpose::Noise, 0).fill_normal(1.0, &mut values);
    Tensor::from_vec(values, shape, &Device::Cpu)
}

fn parts(side: usize, channels: usize, features: usize, kernel: usize) -> candle_core::Result<()> {
    let x = noise(&[BATCH, side, side, channels])?;
    // Images carry no gradient, activations do.
    let x = if channels == 1 { x } else { Var::from_tensor(&x)?.into_inner() };
    let w = Var::from_tensor(&noise(&[kernel, kernel, channels, features])?)?;
    let forward = fastest_ms(|| drop(conv2d_same(&x, &w.as_detached_tensor(), 1).unwrap()));
    let y = conv2d_same(&x, &w, 1)?;
    let backward = fastest_ms(|| drop(y.backward().unwrap()));
    println!(
        "conv {side}² {channels} → {features}: forward {forward:.2} ms, backward {backward:.2} ms"
    );

    let y = Var::from_tensor(&y.detach())?;
    let (ones, curve) = (
        Tensor::ones(features, candle_core::DType::F32, &Device::Cpu)?,
        Curve::Clip { slope: 1.0 },
    );
    let (gamma, beta) = (Var::from_tensor(&ones)?, Var::from_tensor(&ones.zeros_like()?)?);
    let statistics = fastest_ms(|| drop(Statistics::of_batch(&y).unwrap()));
    let norm = || {
        let statistics = Statistics::of_batch(&y).unwrap();
        SharpenedNorm { statistics, epsilon: 1e-3, pool: Pool::TwoByTwo, curve }
            .apply(&y, &gamma, &beta)
    };
    let forward = fastest_ms(|| drop(norm().unwrap()));
    let z = norm()?;
    let backward = fastest_ms(|| drop(z.backward().unwrap()));
    println!(
        "norm {side}² {features}: statistics {statistics:.2} ms, with forward {forward:.2} ms, backward {backward:.2} ms"
    );
    Ok(())
}

fn whole() -> Result<(), Box<dyn std::error::Error>> {
    let recipe = Recipe {
        optimizer: Rule::Rmsprop,
        learning_rate: 1e-3,
        conv1_filter: 3,
        conv2_filter: 3,
        conv3_filter: 3,
        conv1_features: 32,
        conv2_features: 64,
        conv3_features: 256,
        dense_units: 256,
        neurons_per_class: 10,
        activation: Activation::BoundedRelu,
        downsampled_blocks: 3,
        ..Recipe::default()
    };
    let plan = Plan::new(&recipe, Extent { height: 28, width: 28, channels: 1 }, 10)?;
    let mut network = Network::new(&plan, &recipe, 1)?;
    let mut optimizer = Optimizer::new(network.variables(), &recipe, 1)?;
    let images = noise(&[BATCH, 28, 28, 1])?;
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % 10).collect();
    let curves = network.curves(&[Sharpness::SOFT; 5]);
    let mut draws = stream(1, Purpose::Noise, 1);
    let forward = fastest_ms(|| drop(network.train_forward(&images, &curves, &mut draws).unwrap()));
    let step = fastest_ms(|| {
        let output = network.train_forward(&images, &curves, &mut draws).unwrap();
        let loss = cross_entropy(&output, &network.key, &labels).unwrap();
        optimizer.step(&loss.backward().unwrap()).unwrap();
    });
    println!(
        "whole step: {step:.1} ms, of which forward {forward:.1} ms; {:.0} samples/s",
        BATCH as f64 / step * 1e3
    );
    Ok(())
}
