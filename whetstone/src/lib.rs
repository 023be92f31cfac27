//! Networks whose activations sharpen into thresholds, trained with candle.
//!
//! A Whetstone network begins as an ordinary one. While it trains, one layer after another from
//! input to output exchanges its activation, a ramp from 0 to 1, for ever steeper ones, until the
//! last is a step. What is left passes nothing but zeros and ones between layers: it runs on
//! neuromorphic hardware, where a neuron fires or does not (W. Severa et al., "Training deep neural
//! networks for binary communication with the Whetstone method", Nature Machine Intelligence 1,
//! 2019, <https://arxiv.org/abs/1810.11521>).
//!
//! A step has no gradient, and no surrogate stands in for it. Once a layer is hard, it and all
//! below it have learned what they will ever learn; the layers above go on adapting to it.
//!
//! ```
//! use whetstone::{data, train};
//!
//! let recipe = recipe::Recipe {
//!     optimizer: recipe::Optimizer::Rmsprop,
//!     learning_rate: 1e-3,
//!     conv1_features: 8,
//!     conv2_features: 8,
//!     conv3_features: 8,
//!     dense_units: 16,
//!     epochs: 1,
//!     epoch_policy: recipe::EpochPolicy::Fixed,
//!     ..Default::default()
//! };
//! let digits = data::load("digits", None, data::Limits { train: Some(100), test: Some(50) })?;
//! let seed = 1;
//! let watch = &mut |report: &train::EpochReport| println!("{report:?}");
//! let trained =
//!     train::train(&recipe, &digits, seed, train::Options::default(), watch, &train::Stop::new())?;
//! assert!(!trained.outcome.sharpening_finished, "one epoch is not enough");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//!
//! | module | holds |
//! |---|---|
//! | [`train`](mod@train) | the loop: from a recipe, a data set and a seed to accuracies; checkpoints, collapse |
//! | [`evaluate`](mod@evaluate) | accuracy as the network stands, and with every activation a step |
//! | [`health`] | dead, saturated and flipping units, gradients: how each layer is doing |
//! | [`network`] | the layers of a recipe, planned and built; as a file |
//! | [`softmax_decode`] | how output neurons vote for classes, and the loss |
//! | [`sharpen`] | when which layer sharpens |
//! | [`optim`] | Adadelta, RMSprop, Adam and gradient descent, as Keras 2 has them |
//! | [`ops`] | convolution, and norm, pool and activation in one, with their gradients |
//! | [`merge`](mod@merge) | folding norms away, and the thresholds that remain |
//! | [`data`] | labelled images: read, held out, shifted and mirrored |
//! | [`device`] | the processor, or a GPU |
//! | [`seed`] | random streams |
//! | `archive` | named arrays as safetensors, for checkpoints and networks |
//!
//! # Where the time goes
//!
//! Nearly all of it goes to convolutions, which are the `kernels` crate's and use the threads of the
//! rayon pool that they are called in; what stands between them runs on the calling thread. A machine
//! of many cores does best with as many networks, one thread each. The backward pass goes layer by
//! layer; candle's graph gives the same gradients, and the tests compare the two. With the feature
//! `cuda` all of it runs on NVIDIA GPUs too ([`ops::cuda`]).

mod archive;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod health;
pub mod merge;
pub mod network;
pub mod ops;
pub mod optim;
pub mod seed;
pub mod sharpen;
pub mod softmax_decode;
pub mod train;

pub use kernels::memory;

pub use archive::ArchiveError;
