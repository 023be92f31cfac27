//! What the tuner is told: what was measured, what is under way, what came to nothing.

use serde::{Deserialize, Serialize};

use crate::goals::Goals;
use crate::space::UnitPoint;
use crate::taken::Taken;

/// One measured result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Where.
    pub point: UnitPoint,
    /// How good: finite, larger is better, in the objective's own units.
    pub value: f64,
}

/// Everything that is known of a study when the next point is chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Results, in the order in which they were recorded.
    pub observed: Vec<Observation>,
    /// What else was measured of each result, in the same order: one number for each further
    /// objective, larger is better, then one for each constraint, kept where it is not negative.
    /// All finite; empty where a study has neither.
    #[serde(default)]
    pub further: Vec<Vec<f64>>,
    /// Points that are out with workers; believed at their posterior mean.
    pub pending: Vec<UnitPoint>,
    /// Points that were trained without giving a value; believed at the worst value seen.
    pub failed: Vec<UnitPoint>,
    /// Points that must not be suggested again. The three lists above count as taken even where
    /// they are missing here.
    pub taken: Taken,
}

impl History {
    /// # Panics
    ///
    /// If the further numbers are not those that the goals speak of.
    pub(crate) fn check(&self, goals: &Goals) {
        let further = goals.further();
        let fits = self.further.len() == self.observed.len()
            && self.further.iter().all(|row| row.len() == further);
        assert!(further == 0 || fits, "each result has {further} numbers beside its value");
    }
}
