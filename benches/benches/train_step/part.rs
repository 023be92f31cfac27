//! What is timed: the whole step, or one layer forward and backward.

use std::fmt;

use candle_core::{DType, Device, Result, Tensor};
use whetstone::network::{Extent, LayerPlan, Network, Plan, Reach};
use whetstone::ops::conv2d::{conv2d_gradients, conv2d_same, linear, linear_gradients};
use whetstone::ops::curve::Curve;
use whetstone::ops::sharpened_norm::{Pool, SharpenedNorm};
use whetstone::ops::statistics::Statistics;
use whetstone::optim::Optimizer;
use whetstone::seed::{Purpose, stream};
use whetstone::sharpen::Sharpness;

use crate::network::Sizes;

/// A part of a training step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Forward, loss, backward, update.
    Step,
    /// A convolution, by its number from 0.
    Convolution(usize),
    /// The batch norm, pool and activation behind it.
    Norm(usize),
    /// The dense layer's product.
    Dense,
}

/// Runs a part once.
pub type Run = Box<dyn FnMut() -> Result<()> + Send>;

impl Part {
    /// Every part, the whole last.
    pub fn all() -> impl Iterator<Item = Part> {
        let layers = (0..3).flat_map(|layer| [Part::Convolution(layer), Part::Norm(layer)]);
        layers.chain([Part::Dense, Part::Step])
    }

    /// Multiplications and additions, if that is what the part does.
    pub fn flop(self, sizes: &Sizes, batch: usize) -> Option<f64> {
        let plan = plan(sizes);
        let layer = |layer: &LayerPlan, passes: usize| (layer.multiply_adds() * passes) as f64;
        // Forward, gradient by the weights, and by the input, which images do not need.
        let of = match self {
            Part::Step => plan.layers.iter().enumerate().map(|(i, l)| layer(l, 2 + i.min(1))).sum(),
            Part::Convolution(i) => layer(&plan.layers[i], 2 + i.min(1)),
            Part::Dense => layer(&plan.layers[3], 3),
            Part::Norm(_) => return None,
        };
        Some(2.0 * of * batch as f64)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Step => f.write_str("step"),
            Part::Convolution(layer) => write!(f, "conv{}", layer + 1),
            Part::Norm(layer) => write!(f, "norm{}", layer + 1),
            Part::Dense => f.write_str("dense"),
        }
    }
}

fn plan(sizes: &Sizes) -> Plan {
    let image = Extent { height: sizes.side, width: sizes.side, channels: sizes.channels };
    Plan::new(&sizes.recipe(), image, 10).expect("the images are large enough")
}

fn noise(shape: &[usize], device: &Device) -> Result<Tensor> {
    let mut values = vec![0f32; shape.iter().product()];
    stream(1, Purpose::Noise, 0).fill_normal(1.0, &mut values);
    Tensor::from_vec(values, shape, device)
}

/// Makes everything that a part needs, so that running it times only the part. On a GPU a run queues
/// the work and returns.
pub fn prepare(sizes: &Sizes, part: Part, batch: usize, device: &Device) -> Result<Run> {
    let plan = plan(sizes);
    match part {
        Part::Step => step(sizes, &plan, batch, device),
        Part::Convolution(i) => {
            let LayerPlan { input, reach: Reach::Square(side), features, .. } = plan.layers[i]
            else {
                candle_core::bail!("layer {i} is no convolution")
            };
            let x = noise(&[batch, input.height, input.width, input.channels], device)?;
            let w = noise(&[side, side, input.channels, features], device)?;
            Ok(Box::new(move || {
                let y = conv2d_same(&x, &w, 1)?;
                // Images need no gradient, activations do.
                conv2d_gradients(&x, &w, 1, &y, i > 0).map(drop)
            }))
        }
        Part::Norm(i) => {
            let LayerPlan { input, features, .. } = plan.layers[i];
            let x = noise(&[batch, input.height, input.width, features], device)?;
            let gamma = Tensor::ones(features, DType::F32, device)?;
            let beta = gamma.zeros_like()?;
            let (pool, curve) = (Pool::TwoByTwo, Curve::Clip { slope: 1.0 });
            Ok(Box::new(move || {
                let statistics = Statistics::of_batch(&x)?;
                let norm = SharpenedNorm { statistics, epsilon: 1e-3, pool, curve };
                let y = norm.clone().apply(&x, &gamma, &beta)?;
                norm.gradients(&x, &gamma, &beta, &y).map(drop)
            }))
        }
        Part::Dense => {
            let LayerPlan { input, features, .. } = plan.layers[3];
            let x = noise(&[batch, input.len()], device)?;
            let w = noise(&[input.len(), features], device)?;
            Ok(Box::new(move || {
                let y = linear(&x, &w)?;
                linear_gradients(&x, &w, &y, true).map(drop)
            }))
        }
    }
}

fn step(sizes: &Sizes, plan: &Plan, batch: usize, device: &Device) -> Result<Run> {
    let recipe = sizes.recipe();
    let mut network = Network::on(device, plan, &recipe, 1).map_err(candle_core::Error::wrap)?;
    let mut optimizer = Optimizer::new(network.variables(), &recipe, 1)?;
    let images = noise(&[batch, sizes.side, sizes.side, sizes.channels], device)?;
    let labels: Vec<u32> = (0..batch as u32).map(|i| i % 10).collect();
    let curves = network.curves(&vec![Sharpness::SOFT; network.layers.len()]);
    let mut draws = stream(1, Purpose::Noise, 1);
    Ok(Box::new(move || {
        let gradients = network.gradients(&images, &labels, &curves, &mut draws)?;
        optimizer.step(&gradients.by_variable)
    }))
}
