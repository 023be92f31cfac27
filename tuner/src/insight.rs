//! What a posterior says to people: which parameters matter, how, and how far it can be believed.
//!
//! | question | answer |
//! |----------|--------|
//! | Which parameters matter? | [`importance`]: Sobol indices of the posterior mean |
//! | How does the objective change along one? | [`dependence`]: partial dependence |
//! | Are the predictions as sure as they say? | [`calibration`]: results left out one at a time |
//! | Do they predict at all? | [`cross_validation`]: fits to four fifths of the results |
//!
//! All of them are functions of (space, posterior), bit for bit; [`sensitivity`] works on any
//! function.

mod calibration;
mod cross_validation;
mod dependence;
mod importance;
pub mod sensitivity;

pub use calibration::{Calibration, CalibrationError, Coverage, LEVELS, LeftOut, calibration};
pub use cross_validation::{CrossValidation, CrossValidationError, FOLDS, cross_validation};
pub use dependence::{Dependence, PLACES_MAX, Place, dependence};
pub use importance::{Effect, Importance, Share, importance};

/// Fewest results from which anything is concluded (taste: with fewer, every deviation is as large
/// as what it belongs to).
pub const RESULTS_MIN: u32 = 5;
