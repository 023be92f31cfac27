//! The hyperparameters of one Whetstone training: their names, types, ranges and defaults, and the
//! sharpening schedule that follows from them.
//!
//! A search hands out points as maps of names to JSON values; a training wants typed numbers.
//! [`Recipe::from_parameters`] is the only way from one to the other. It refuses what it does not
//! know, so that a misspelt name fails when a study is created and not after a night of training.
//! This crate links nothing heavy for that reason: whoever creates studies needs the names, not
//! the network.
//!
//! ```
//! use serde_json::json;
//! let point = [("learning_rate".to_owned(), json!(0.001)), ("optimizer".to_owned(), json!("rmsprop"))];
//! let recipe = recipe::Recipe::from_parameters(&point.into_iter().collect())?;
//! assert_eq!(recipe.learning_rate, 0.001);
//! assert_eq!(recipe.schedule()[0], (20, 25));
//! # Ok::<(), recipe::RecipeError>(())
//! ```
//!
//! # The network a recipe describes
//!
//! [`Recipe::conv_blocks`] convolutional blocks (convolution, batch norm, activation), of which the
//! first [`Recipe::downsampled_blocks`] halve the image; [`Recipe::dense_layers`] dense blocks; one
//! dense output block whose neurons vote for classes. Each block ends in one sharpenable
//! activation. The default, three convolutions, a 2×2 max-pool in the first two, and one dense
//! layer, is the most likely reading of M. Parsa et al., "Hyperparameter Optimization in Binary
//! Communication Networks for Neuromorphic Deployment", 2020 (<https://arxiv.org/abs/2005.04171>),
//! which names the hyperparameters and leaves part of the network open. "The paper" is this one.
//!
//! # Where things are
//!
//! | module | holds |
//! |---|---|
//! | [`recipe`](Recipe) | the typed fields and their defaults |
//! | [`topology`] | the blocks of the network as lists |
//! | [`parameter`] | what is known of one hyperparameter, and how a JSON value becomes a field |
//! | `table` | all of them: name, range, unit, meaning; the one place that lists them |
//! | [`choice`] | the hyperparameters that are words |
//! | [`schedule`] | windows of sharpening and the epochs they need |
//! | [`MEASUREMENTS`] | what a training reports at its end |
//! | `closest` | which known name a misspelt one resembles |

pub mod choice;
mod closest;
mod error;
mod measurement;
pub mod parameter;
mod recipe;
pub mod schedule;
mod table;
pub mod topology;

/// Names of the data sets that a training may be asked to use; `digits` ships with the trainer.
pub const DATASETS: [&str; 5] = ["digits", "mnist", "fashion-mnist", "cifar-10", "cifar-100"];

pub use choice::{Activation, Downsampling, EpochPolicy, NoiseLocation, Optimizer, Sharpener};
pub use closest::closest;
pub use error::RecipeError;
pub use measurement::{MEASUREMENTS, MeasurementError, check_measurement};
pub use parameter::{Kind, ParameterInfo};
pub use recipe::Recipe;
pub use topology::Convolution;
