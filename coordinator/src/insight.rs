//! What a study's posterior says to people: the domain, without SQL and without wire.
//!
//! Everything is in the objective's own unit and direction; the tuner's maximises.

use tuner::insight::{CrossValidation, Dependence, Importance};

/// All of it, from one posterior.
#[derive(Clone, Debug)]
pub struct Insight {
    /// Observations 0 … horizon−1 were known.
    pub horizon: i32,
    /// How much each parameter matters.
    pub importance: Importance,
    /// How far the predictions can be believed; `None` if all results are equal.
    pub calibration: Option<Calibration>,
    /// How the objective changes along each parameter, in the order of the space.
    pub dependences: Vec<Dependence>,
}

/// How far the posterior's predictions can be believed.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Results left out one at a time.
    pub judged: tuner::insight::Calibration,
    /// The number of the trial of each of [`tuner::insight::Calibration::left_out`].
    pub numbers: Vec<i32>,
    /// Results left out in folds; `None` if their fits would take too long.
    pub cross_validation: Option<CrossValidation>,
}
