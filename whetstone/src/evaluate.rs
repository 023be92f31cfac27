//! Accuracy on held-out images: as the network stands, and with every activation a threshold.
//!
//! Nothing of the network changes: norms use their moving statistics without moving them, noise is
//! off, and sharpness is an argument.

use crate::data::{Dataset, Split};
use crate::network::Network;
use crate::ops::curve::Curve;
use crate::sharpen::Sharpness;
use crate::softmax_decode::hits;
use candle_core::{Result, Tensor};

/// Shares of images that are decoded as their label, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// With the sharpness that training has reached.
    pub soft: f64,
    /// With every activation hardened: what a deployed network would reach.
    pub binary: f64,
}

/// Images that are evaluated at once: enough for full matrix products, few enough that the
/// activations of a wide network stay within some hundred megabytes.
const IMAGES_AT_ONCE: usize = 128;

/// Measures both accuracies on a split of a data set.
///
/// The two networks are one until the first layer that is not hard yet, so that far is computed
/// once: on a fully sharpened network the second accuracy is free.
///
/// # Errors
///
/// If the images do not fit the network.
///
/// # Panics
///
/// If there is not one sharpness a layer.
pub fn evaluate(
    network: &Network,
    dataset: &Dataset,
    split: &Split,
    sharpness: &[Sharpness],
) -> Result<Accuracy> {
    evaluate_first(split.len(), network, dataset, split, sharpness, &mut Unwatched)
}

/// Sees what passes through a network while it is measured.
pub(crate) trait Observer {
    /// The outputs of a layer of the hardened network, for some images of which the first has this
    /// number.
    fn see(&mut self, layer: usize, first: usize, outputs: &Tensor) -> Result<()>;
}

/// Nobody looks.
struct Unwatched;

impl Observer for Unwatched {
    fn see(&mut self, _: usize, _: usize, _: &Tensor) -> Result<()> {
        Ok(())
    }
}

/// Measures both accuracies on the first so many images of a split, under observation.
pub(crate) fn evaluate_first(
    most: usize,
    network: &Network,
    dataset: &Dataset,
    split: &Split,
    sharpness: &[Sharpness],
    observer: &mut dyn Observer,
) -> Result<Accuracy> {
    let soft = network.curves(sharpness);
    let binary = network.curves(&vec![Sharpness::HARD; sharpness.len()]);
    let mut counts = [0; 2];
    let all: Vec<usize> = (0..split.len().min(most)).collect();
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for chosen in all.chunks(IMAGES_AT_ONCE) {
        split.gather(chosen, &mut images, &mut labels);
        let shape = (labels.len(), dataset.height, dataset.width, dataset.channels);
        let x = Tensor::from_slice(&images, shape, network.device())?;
        let see = &mut |layer, outputs: &Tensor| observer.see(layer, chosen[0], outputs);
        let outputs = forward(network, x, &soft, &binary, see)?;
        for (counted, output) in counts.iter_mut().zip(outputs.both()) {
            *counted += hits(&network.key, output, &labels)?;
        }
    }
    let share = |hits: usize| hits as f64 / all.len().max(1) as f64;
    Ok(Accuracy { soft: share(counts[0]), binary: share(counts[1]) })
}

/// What flows through the soft and the hardened network: the same until they first differ.
enum Flow {
    Joint(Tensor),
    Apart { soft: Tensor, binary: Tensor },
}

impl Flow {
    fn both(&self) -> [&Tensor; 2] {
        match self {
            Self::Joint(x) => [x, x],
            Self::Apart { soft, binary } => [soft, binary],
        }
    }
}

fn forward(
    network: &Network,
    images: Tensor,
    soft: &[Curve],
    binary: &[Curve],
    see: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
) -> Result<Flow> {
    let mut flow = Flow::Joint(images);
    for (index, ((layer, soft), binary)) in network.layers.iter().zip(soft).zip(binary).enumerate()
    {
        flow = match flow {
            Flow::Joint(x) => {
                let linear = layer.linear(&x)?;
                match layer.activate(&linear, *soft)? {
                    y if soft == binary => Flow::Joint(y),
                    y => Flow::Apart { soft: y, binary: layer.activate(&linear, *binary)? },
                }
            }
            Flow::Apart { soft: a, binary: b } => Flow::Apart {
                soft: layer.activate(&layer.linear(&a)?, *soft)?,
                binary: layer.activate(&layer.linear(&b)?, *binary)?,
            },
        };
        see(index, flow.both()[1])?;
    }
    Ok(flow)
}
