//! Whether the layers of a network still carry anything, and still learn.
//!
//! A network of thresholds fails in ways that an accuracy does not explain: neurons that never fire
//! or always do, a layer that is frozen, outputs that change from epoch to epoch at random. All of
//! it is read off values that measuring and training compute anyway.

use crate::data::{Dataset, Split};
use crate::evaluate::{Observer, evaluate_first};
use crate::network::Network;
use crate::ops::real::with_values;
use crate::sharpen::Sharpness;
use candle_core::{Result, Tensor};

/// How one layer is doing after an epoch.
///
/// A unit is a neuron of a dense layer or a feature map of a convolution, which fires where any of
/// its pixels does. Units are looked at with every activation of the network a threshold, on the
/// images that the epoch was measured on.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerHealth {
    /// `conv1` … `conv6`, `dense`, `dense2`, `dense3` or `output`.
    pub name: &'static str,
    /// Share of the units that fire for no image, in [0, 1].
    pub dead: f64,
    /// Share of the units that fire for every image, at every pixel, in [0, 1].
    pub saturated: f64,
    /// Share of the layer's binary outputs for the first 256 images that are not as they were an
    /// epoch before, in [0, 1]; nothing after the first epoch.
    pub flips: Option<f64>,
    /// Length (L2) of the weights' gradient, mean over the epoch's batches; 0 below a hard layer.
    pub gradient_norm: f64,
}

impl LayerHealth {
    /// Every number under a name that stays: `dead_<layer>`, `saturated_<layer>`,
    /// `flips_<layer>` (not after the first epoch) and `gradient_norm_<layer>`.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let numbers = [
            ("dead", Some(self.dead)),
            ("saturated", Some(self.saturated)),
            ("flips", self.flips),
            ("gradient_norm", Some(self.gradient_norm)),
        ];
        let named = |(what, number): (&str, Option<f64>)| {
            number.map(|number| (format!("{what}_{}", self.name), number))
        };
        numbers.into_iter().filter_map(named).collect()
    }
}

/// Images of which every output is remembered, to be compared with the next epoch's.
pub(crate) const SAMPLE: usize = 256;

/// The outputs of a layer for the sample, a bit each.
#[derive(Clone, Debug, Default, PartialEq)]
struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl Bits {
    fn push(&mut self, values: &[f32]) {
        self.count += values.len();
        self.words.extend(values.chunks(64).map(|values| {
            let bits = values.iter().enumerate();
            bits.fold(0, |word, (place, value)| word | (u64::from(*value > 0.5) << place))
        }));
    }

    /// Share of the bits that differ.
    fn differing(&self, other: &Bits) -> f64 {
        let pairs = self.words.iter().zip(&other.words);
        let differing: u32 = pairs.map(|(a, b)| (a ^ b).count_ones()).sum();
        f64::from(differing) / self.count.max(1) as f64
    }
}

/// What has been seen of a layer.
#[derive(Clone, Debug, Default)]
struct Units {
    /// The smallest output of each unit.
    low: Vec<f32>,
    /// The largest output of each unit.
    high: Vec<f32>,
    bits: Bits,
}

impl Units {
    fn see(&mut self, values: &[f32], features: usize, sampled: usize) {
        self.low.resize(features, f32::INFINITY);
        self.high.resize(features, f32::NEG_INFINITY);
        for pixel in values.chunks_exact(features) {
            for ((low, high), value) in self.low.iter_mut().zip(&mut self.high).zip(pixel) {
                *low = low.min(*value);
                *high = high.max(*value);
            }
        }
        self.bits.push(&values[..sampled]);
    }

    fn share(&self, is: impl Fn(f32, f32) -> bool) -> f64 {
        let pairs = self.low.iter().zip(&self.high);
        let units = pairs.filter(|(low, high)| is(**low, **high)).count();
        units as f64 / self.low.len().max(1) as f64
    }
}

/// The outputs of every layer of a hardened network, gathered while it is measured.
#[derive(Clone, Debug)]
pub(crate) struct Spikes(Vec<Units>);

impl Spikes {
    pub(crate) fn new(network: &Network) -> Self {
        Spikes(vec![Units::default(); network.layers.len()])
    }

    /// The spikes of a network for the sample alone.
    pub(crate) fn of(network: &Network, data: &Dataset, split: &Split) -> Result<Spikes> {
        let mut spikes = Spikes::new(network);
        let hard = vec![Sharpness::HARD; network.layers.len()];
        evaluate_first(SAMPLE, network, data, split, &hard, &mut spikes)?;
        Ok(spikes)
    }
}

impl Observer for Spikes {
    fn see(&mut self, layer: usize, first: usize, outputs: &Tensor) -> Result<()> {
        let (images, features) = (outputs.dim(0)?, outputs.dim(candle_core::D::Minus1)?);
        let sampled = SAMPLE.saturating_sub(first).min(images);
        with_values::<f32, _>(outputs, |values| {
            let per_image = values.len() / images.max(1);
            self.0[layer].see(values, features.max(1), sampled * per_image);
            Ok(())
        })
    }
}

/// The lengths of the weights' gradients, added up over the batches of an epoch.
#[derive(Clone, Debug)]
pub(crate) struct GradientNorms {
    sums: Vec<f64>,
    batches: usize,
}

impl GradientNorms {
    pub(crate) fn new(network: &Network) -> Self {
        GradientNorms { sums: vec![0.0; network.layers.len()], batches: 0 }
    }

    pub(crate) fn add(
        &mut self,
        network: &Network,
        gradients: &candle_core::backprop::GradStore,
    ) -> Result<()> {
        self.batches += 1;
        let found = network.layers.iter().enumerate();
        let found =
            found.filter_map(|(place, layer)| Some((place, gradients.get(&layer.weights)?)));
        let (places, found): (Vec<usize>, Vec<&Tensor>) = found.unzip();
        let found: Vec<Tensor> =
            found.into_iter().map(Tensor::contiguous).collect::<Result<_>>()?;
        for (place, length) in places.into_iter().zip(lengths(&found)?) {
            self.sums[place] += length;
        }
        Ok(())
    }
}

/// The Euclidean length of each gradient, found where it lies: it may be large.
fn lengths(gradients: &[Tensor]) -> Result<Vec<f64>> {
    #[cfg(feature = "cuda")]
    if gradients.iter().any(|gradient| gradient.device().is_cuda()) {
        return crate::ops::cuda::tensors::lengths(gradients);
    }
    let length = |gradient| with_values::<f32, _>(gradient, |gradient| Ok(length(gradient)));
    gradients.iter().map(length).collect()
}

/// The Euclidean length, summed in several strands so that the processor can add them at once.
fn length(values: &[f32]) -> f64 {
    let mut strands = [0.0f64; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for (strand, value) in strands.iter_mut().zip(chunk) {
            *strand += f64::from(*value) * f64::from(*value);
        }
    }
    let rest: f64 = rest.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    (strands.iter().sum::<f64>() + rest).sqrt()
}

/// How each layer is doing, input to output.
pub(crate) fn health(
    network: &Network,
    spikes: &Spikes,
    before: Option<&Spikes>,
    norms: &GradientNorms,
) -> Vec<LayerHealth> {
    let layers = network.layers.iter().zip(&spikes.0).zip(&norms.sums).enumerate();
    layers
        .map(|(index, ((layer, units), norm))| LayerHealth {
            name: layer.name,
            dead: units.share(|_, high| high <= 0.5),
            saturated: units.share(|low, _| low > 0.5),
            flips: before.map(|before| units.bits.differing(&before.0[index].bits)),
            gradient_norm: norm / norms.batches.max(1) as f64,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_dead_saturated_or_neither() {
        let mut units = Units::default();
        // Two images of two pixels of four features.
        units.see(&[0., 1., 0., 1., 0., 1., 1., 0.], 4, 4);
        units.see(&[0., 1., 0., 1., 0., 1., 0., 0.], 4, 0);
        assert_eq!(units.share(|_, high| high <= 0.5), 0.25);
        assert_eq!(units.share(|low, _| low > 0.5), 0.25);
        assert_eq!(units.bits, Bits { words: vec![0b1010], count: 4 });
    }

    #[test]
    fn numbers_have_names_that_stay() {
        let health = LayerHealth {
            name: "conv2",
            dead: 0.1,
            saturated: 0.2,
            flips: Some(0.3),
            gradient_norm: 4.0,
        };
        let named = |health: &LayerHealth| -> Vec<String> {
            health.metrics().into_iter().map(|(name, _)| name).collect()
        };
        let all = ["dead_conv2", "saturated_conv2", "flips_conv2", "gradient_norm_conv2"];
        assert_eq!(named(&health), all);
        assert_eq!(health.metrics()[2].1, 0.3);
        let first = LayerHealth { flips: None, ..health };
        assert_eq!(named(&first), [all[0], all[1], all[3]]);
    }

    #[test]
    fn flips_are_counted_over_the_outputs_and_not_over_the_padding() {
        let of = |values: &[f32]| {
            let mut bits = Bits::default();
            bits.push(values);
            bits
        };
        let zeros = of(&[0.0; 100]);
        let mut values = [0.0; 100];
        assert_eq!(zeros.differing(&of(&values)), 0.0);
        (values[3], values[64], values[99]) = (1.0, 1.0, 1.0);
        assert_eq!(zeros.differing(&of(&values)), 0.03);
    }

    #[test]
    fn a_length_is_that_of_pythagoras() {
        assert_eq!(length(&[3.0, 4.0]), 5.0);
        assert_eq!(length(&[2.0; 100]), 20.0);
        assert_eq!(length(&[]), 0.0);
        assert!(length(&[1e30, 1e30]).is_finite(), "beyond f32");
    }
}
