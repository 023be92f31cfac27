//! Holds a GPU against the processor: each operation, and one training.
//!
//! ```text
//! cargo run --release --features cuda -p whetstone --example cuda_check [-- cuda:1]
//! ```
//!
//! Prints how far the two are apart and ends with status 1 if anything is beyond its tolerance. Both
//! compute in `f32`, but add up in different orders, so that the last bits differ; a training makes
//! more of that with every update, and is held to the accuracy that it reaches.

use candle_core::{Result, Tensor, Var};
use recipe::{Optimizer as Rules, Recipe};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use whetstone::data::{Limits, load};
use whetstone::device::{Choice, Device, name, open};
use whetstone::network::{Extent, Network, Plan};
use whetstone::ops::conv2d::conv2d_same;
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::{Pool, SharpenedNorm};
use whetstone::ops::statistics::Statistics;
use whetstone::optim::{Adadelta, Adam, LearningRate, Optimizer, Rmsprop, Rule, Sgd};
use whetstone::seed::{Purpose, stream};
use whetstone::sharpen::Sharpness;
use whetstone::softmax_decode::{Key, cross_entropy, hits};
use whetstone::train::{EpochReport, Options, Stop, Trained, train};

/// For sums of `f32` products in another order, relative to the largest number.
const OPERATION: f64 = 2e-5;

/// For the gradients of a whole network, as the length of the difference. A rounding that takes a value
/// across a clip's edge, or another pixel to the top of a pool, moves a few numbers by all they are.
const NETWORK: f64 = 1e-3;

/// How far the losses of the first epoch may be apart, relatively. Its first updates are of full length
/// however small a gradient is, so that rounding grows fast: between two of the processor's own
/// instruction sets four seeds were 1 to 7 % apart.
const FIRST_LOSS: f64 = 0.1;

/// How far the accuracies at the end may be apart: two trainings of different seeds are as far.
const ACCURACY: f64 = 0.05;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("the GPU does not agree with the processor");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> std::result::Result<bool, Box<dyn Error>> {
    let choice = std::env::args().nth(1).unwrap_or_else(|| "cuda".into()).parse::<Choice>()?;
    let gpu = open(choice)?;
    println!("{}", name(&gpu));
    let mut check = Check { gpu, agrees: true };
    check.convolutions()?;
    check.norms()?;
    check.decoding()?;
    check.rules()?;
    check.network()?;
    check.training()?;
    Ok(check.agrees)
}

struct Check {
    gpu: Device,
    agrees: bool,
}

fn recipe() -> Recipe {
    Recipe {
        optimizer: Rules::Rmsprop,
        learning_rate: 1e-3,
        conv1_features: 16,
        conv2_features: 32,
        conv3_features: 64,
        dense_units: 128,
        noise_location: recipe::NoiseLocation::AfterDense,
        ..Recipe::default()
    }
}

/// Normal numbers, the same on every device.
fn normal(shape: &[usize], case: u64, device: &Device) -> Result<Tensor> {
    let mut values = vec![0f32; shape.iter().product()];
    stream(case, Purpose::Noise, 0).fill_normal(1.0, &mut values);
    Tensor::from_vec(values, shape, device)
}

/// A result, and its gradients by the variables when weighted by fixed numbers.
fn with_gradients(result: Tensor, variables: &[&Var]) -> Result<Vec<Tensor>> {
    let weights = normal(result.dims(), 99, result.device())?;
    let gradients = result.mul(&weights)?.sum_all()?.backward()?;
    let mut all = vec![result];
    for variable in variables {
        all.push(gradients.get(variable).expect("the variable was used").clone());
    }
    Ok(all)
}

impl Check {
    fn say(&mut self, what: &str, apart: f64, tolerance: f64) {
        let fine = apart <= tolerance;
        self.agrees &= fine;
        let verdict = if fine { "" } else { "  TOO FAR" };
        println!("{what:<58} {apart:9.2e} of {tolerance:.0e}{verdict}");
    }

    /// Runs the same on both devices, and on the GPU twice: that must give the same bits.
    fn compare(&mut self, what: &str, f: impl Fn(&Device) -> Result<Vec<Tensor>>) -> Result<()> {
        let [expected, found, again] = [&Device::Cpu, &self.gpu, &self.gpu].map(&f);
        let mut apart = 0f64;
        for ((expected, found), again) in expected?.iter().zip(found?).zip(again?) {
            let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
            let (expected, found, again) = (flat(expected)?, flat(&found)?, flat(&again)?);
            let scale = expected.iter().fold(1e-3f32, |largest, x| largest.max(x.abs()));
            for ((expected, found), again) in expected.iter().zip(&found).zip(&again) {
                let difference = f64::from((expected - found).abs() / scale);
                let same_bits = found.to_bits() == again.to_bits();
                // NaN is beyond every tolerance.
                apart = match difference.is_nan() || !same_bits {
                    true => f64::INFINITY,
                    false => apart.max(difference),
                };
            }
        }
        self.say(what, apart, OPERATION);
        Ok(())
    }

    fn convolutions(&mut self) -> Result<()> {
        for (side, channels, kernel, stride, features) in [
            (28, 1, 3, 1, 32),
            (14, 32, 5, 1, 64),
            (7, 64, 3, 2, 33),
            (32, 3, 7, 2, 16),
            (1, 900, 1, 1, 50),
        ] {
            let what =
                format!("convolution {side}² {channels} → {features}, {kernel}² by {stride}");
            self.compare(&what, |device| {
                let x = Var::from_tensor(&normal(&[16, side, side, channels], 1, device)?)?;
                let w =
                    Var::from_tensor(&normal(&[kernel, kernel, channels, features], 2, device)?)?;
                with_gradients(conv2d_same(&x, &w, stride)?, &[&x, &w])
            })?;
        }
        Ok(())
    }

    fn norms(&mut self) -> Result<()> {
        for (side, channels) in [(28, 32), (7, 100), (1, 512)] {
            for curve in [Curve::Clip { slope: 1.5 }, Curve::Logistic { gain: 6.0 }] {
                let pool = if side > 1 { Pool::TwoByTwo } else { Pool::None };
                self.compare(&format!("norm {side}² {channels}, {curve:?}"), |device| {
                    let x = Var::from_tensor(&normal(&[64, side, side, channels], 3, device)?)?;
                    let gamma = Var::from_tensor(&normal(&[channels], 4, device)?)?;
                    let beta = Var::from_tensor(&normal(&[channels], 5, device)?)?;
                    let statistics = Statistics::of_batch(&x)?;
                    let norm = SharpenedNorm { statistics, epsilon: 1e-3, pool, curve };
                    with_gradients(norm.apply(&x, &gamma, &beta)?, &[&x, &gamma, &beta])
                })?;
            }
        }
        Ok(())
    }

    fn decoding(&mut self) -> std::result::Result<(), Box<dyn Error>> {
        let key = Arc::new(Key::overlapping(100, 400, &mut stream(6, Purpose::Key, 0))?);
        let labels: Vec<u32> = (0..128).map(|image| image % 100).collect();
        self.compare("cross-entropy of 100 classes, 400 neurons", |device| {
            let x = Var::from_tensor(&normal(&[128, 400], 7, device)?)?;
            with_gradients(cross_entropy(&x, &key, &labels)?, &[&x])
        })?;
        let count = |device: &Device| hits(&key, &normal(&[128, 400], 7, device)?, &labels);
        let apart = count(&Device::Cpu)?.abs_diff(count(&self.gpu)?);
        self.say("hits", apart as f64, 0.0);
        Ok(())
    }

    fn rules(&mut self) -> Result<()> {
        for rule in [
            Rule::Adadelta(Adadelta { rho: 0.95, epsilon: 1e-8 }),
            Rule::Rmsprop(Rmsprop { rho: 0.9, epsilon: 1e-8 }),
            Rule::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }),
            Rule::Sgd(Sgd { momentum: 0.9 }),
        ] {
            self.compare(&format!("{rule:?}"), |device| {
                let var = Var::from_tensor(&normal(&[37, 41], 8, device)?)?;
                let learning_rate = LearningRate { initial: 0.01, decay: 0.0, warmup: 0 };
                let mut optimizer = Optimizer::with_rule(vec![var.clone()], rule, learning_rate)?;
                let other = Var::from_tensor(&normal(&[1], 9, device)?)?;
                for update in 0..9 {
                    // Without a gradient in between: the averages decay.
                    let loss = match update % 4 {
                        3 => other.sum_all()?,
                        _ => var.mul(&normal(&[37, 41], 10 + update, device)?)?.sum_all()?,
                    };
                    optimizer.step(&loss.backward()?)?;
                }
                let mut all = optimizer.averages(0)?;
                all.push(var.as_tensor().clone());
                Ok(all)
            })?;
        }
        Ok(())
    }

    /// One forward and backward pass, sharp by a half so that every curve bends.
    fn network(&mut self) -> std::result::Result<(), Box<dyn Error>> {
        let recipe = recipe();
        let plan = Plan::new(&recipe, Extent { height: 28, width: 28, channels: 3 }, 10)?;
        let labels: Vec<u32> = (0..64).map(|image| image % 10).collect();
        let on = |device: &Device| -> std::result::Result<Vec<Vec<f32>>, Box<dyn Error>> {
            let mut network = Network::on(device, &plan, &recipe, 1)?;
            let images = normal(&[64, 28, 28, 3], 40, device)?;
            let curves = network.curves(&vec![Sharpness::from_host(0.5); network.layers.len()]);
            let mut noise = stream(1, Purpose::Noise, 0);
            let found = network.gradients(&images, &labels, &curves, &mut noise)?;
            let mut all = vec![vec![found.loss as f32], found.output.flatten_all()?.to_vec1()?];
            for var in network.variables() {
                let gradient = found.by_variable.get(&var).ok_or("a variable has no gradient")?;
                all.push(gradient.flatten_all()?.to_vec1()?);
            }
            Ok(all)
        };
        let (expected, found) = (on(&Device::Cpu)?, on(&self.gpu)?);
        let length =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let apart = expected.iter().zip(&found).map(|(expected, found)| {
            let pairs = expected.iter().zip(found);
            let difference = length(&mut pairs.map(|(a, b)| f64::from(a - b)));
            difference / length(&mut expected.iter().map(|&a| f64::from(a)))
        });
        let apart = apart
            .fold(0.0, |most: f64, one| if one.is_nan() { f64::INFINITY } else { most.max(one) });
        self.say("a network: loss, outputs and every gradient", apart, NETWORK);
        Ok(())
    }

    fn training(&mut self) -> std::result::Result<(), Box<dyn Error>> {
        let recipe = recipe();
        let digits = load("digits", None, Limits::default())?;
        let on = |device: &Device| -> std::result::Result<(Vec<f64>, Trained), Box<dyn Error>> {
            let mut losses = Vec::new();
            let watch = &mut |report: &EpochReport| losses.push(report.loss);
            let options = Options { device: Some(device), ..Options::default() };
            let trained = train(&recipe, &digits, 1, options, watch, &Stop::new())?;
            Ok((losses, trained))
        };
        let (cpu_losses, cpu) = on(&Device::Cpu)?;
        let (gpu_losses, gpu) = on(&self.gpu)?;
        let apart = (cpu_losses[0] - gpu_losses[0]).abs() / cpu_losses[0];
        self.say("training on digits: loss of the first epoch", apart, FIRST_LOSS);
        let (cpu_end, gpu_end) = (&cpu.outcome, &gpu.outcome);
        let apart = (cpu_end.binary_accuracy - gpu_end.binary_accuracy).abs();
        self.say("training on digits: binary accuracy at its end", apart, ACCURACY);
        println!(
            "  after {} epochs {:.4} on the processor, {:.4} on the GPU",
            gpu_end.epochs, cpu_end.binary_accuracy, gpu_end.binary_accuracy
        );
        let (_, again) = on(&self.gpu)?;
        let different = gpu.network_to_bytes()? != again.network_to_bytes()?;
        self.say("training on the GPU twice: different bits", f64::from(u8::from(different)), 0.0);
        Ok(())
    }
}
