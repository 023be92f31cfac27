//! A surrogate for every number that counts: the value, further objectives, constraints.

use crate::acquisition::feasibility::squashed;
use crate::goals::Goals;
use crate::gp::{FitError, Posterior, learned_from};
use crate::history::{History, Observation};
use crate::space::{Space, UnitPoint};

/// One posterior for each output of a trial, independent of each other.
///
/// Failed points count at the worst that was seen, in every output. Constraints are squashed
/// first, so that the surrogate is sharpest where it decides.
#[derive(Clone, Debug)]
pub struct Models {
    /// The value's first.
    pub(crate) objectives: Vec<Posterior>,
    /// Of slacks: a point is feasible where all are at least zero.
    pub(crate) constraints: Vec<Posterior>,
}

impl Models {
    /// Fits every output to what was observed of it. A function of its arguments alone; the
    /// value's posterior is that of [`Posterior::fit`].
    ///
    /// # Errors
    ///
    /// As [`Posterior::fit`], of whichever output is first.
    ///
    /// # Panics
    ///
    /// If [`History::further`] does not have [`Goals::further`] numbers for each result.
    pub fn fit(
        space: &Space,
        goals: &Goals,
        history: &History,
        seed: u64,
    ) -> Result<Models, FitError> {
        Models::fit_after(None, space, goals, history, seed)
    }

    /// The same, faster where `before` are the models of fewer results of the same study; see
    /// [`Posterior::fit_after`].
    pub fn fit_after(
        before: Option<&Models>,
        space: &Space,
        goals: &Goals,
        history: &History,
        seed: u64,
    ) -> Result<Models, FitError> {
        history.check(goals);
        let History { observed, failed, .. } = history;
        let of = |values: Vec<f64>| -> Vec<Observation> {
            let points = observed.iter().map(|observation| observation.point.clone());
            points.zip(values).map(|(point, value)| Observation { point, value }).collect()
        };
        let column = |k: usize| -> Vec<f64> { history.further.iter().map(|row| row[k]).collect() };
        let objective = |k: usize| before.and_then(|before| before.objectives.get(k));
        let mut objectives =
            vec![Posterior::fit_after(objective(0), space, observed, failed, seed)?];
        for k in 1..goals.objectives() {
            let results = of(column(k - 1));
            objectives.push(Posterior::fit_after(objective(k), space, &results, failed, seed)?);
        }
        let mut constraints = Vec::new();
        for k in 0..goals.constraints {
            let before = before.and_then(|before| before.constraints.get(k));
            let slacks = column(goals.objectives() - 1 + k);
            // What hyper-parameters are learned from must not change until they are learned anew.
            let results = of(squashed(&slacks, learned_from(slacks.len())));
            constraints.push(Posterior::fit_whole(before, space, &results, failed, seed)?);
        }
        Ok(Models { objectives, constraints })
    }

    /// The posterior of the value.
    pub fn value(&self) -> &Posterior {
        &self.objectives[0]
    }

    /// Conditions every output on points that are out with workers, at their means.
    pub(crate) fn believe(&mut self, pending: &[UnitPoint]) -> Result<(), FitError> {
        let mut outputs = self.objectives.iter_mut().chain(&mut self.constraints);
        outputs.try_for_each(|output| output.believe(pending))
    }
}
