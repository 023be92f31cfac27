//! What a study wants of the numbers that a trial reports.

use serde::{Deserialize, Serialize};

/// What a study wants: of the value alone, unless it says more. Objectives are turned so that
/// larger is better, constraints so that they are kept where they are not negative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goals {
    /// For each objective, the value's first, the worst that is of interest, in the objective's own
    /// units; `None`: [found from the results](crate::pareto::reference). From one to
    /// [`OBJECTIVES_MAX`](crate::pareto::OBJECTIVES_MAX) of them.
    pub references: Vec<Option<f64>>,
    /// How many constraints there are.
    pub constraints: usize,
}

impl Default for Goals {
    fn default() -> Goals {
        Goals { references: vec![None], constraints: 0 }
    }
}

impl Goals {
    /// How many objectives there are, the value included.
    pub fn objectives(&self) -> usize {
        self.references.len()
    }

    /// How many numbers a result has beside its value.
    pub fn further(&self) -> usize {
        self.objectives() - 1 + self.constraints
    }
}
