//! When a trial should end before its time: pure rules over the curves that workers report.
//!
//! **Equal sharpness.** Sharpening drops accuracy, late and layer by layer, so that a value means
//! something only beside values of other trials *at the same stage*. A network of `L` layers that
//! sharpen goes through `4 L + 1` of them: the stage is the mean sharpness in quarters of a layer,
//! `round(4 L · mean)`. Layers sharpen one after another, from input to output, and each comes to an
//! epoch's end before the next begins; so two networks of equal depth at the same stage have the same
//! layers hard and the same untouched, and differ by a quarter at most in the one between. Networks of
//! different depth are never compared. Within a stage the *place* counts: the steps since the trial
//! reached it. Two trials are compared at the same stage and the same place, however many epochs their
//! schedules spent before. See [`Curve`].
//!
//! Trials that report no sharpness have one stage, in which the place is the step itself: they are
//! compared at equal step.
//!
//! **The rules.** [`Rule::Median`] after D. Golovin et al., "Google Vizier: A Service for Black-Box
//! Optimization", KDD 2017, section 3.2.2; [`Rule::SuccessiveHalving`] after L. Li et al., "A System
//! for Massively Parallel Hyperparameter Tuning", MLSys 2020 (ASHA) — <https://arxiv.org/abs/1810.05934>.
//! [`judge`] is the verb.
//!
//! **What is left of a pruned trial.** Its last value comes from an unfinished training; [`worth`]
//! says what it counts as.

mod curve;
mod halving;
mod median;
mod verdict;
mod worth;

pub use curve::{Curve, Report};
pub use verdict::{Compared, Verdict};
pub use worth::{Result, worth};

/// A rule by which trials are stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Stop a trial whose best value at its stage is worse than the median of the others' running
    /// means there.
    Median(Limits),
    /// Let the best of every `reduction` trials pass each rung.
    SuccessiveHalving {
        /// η: of so many trials that reach a rung, one passes; at least 2.
        reduction: u32,
        /// What holds for every rule.
        limits: Limits,
    },
}

/// What holds for every rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Other trials that must have a value to compare with.
    pub trials_min: u32,
    /// No trial is stopped at a step before this one.
    pub steps_min: u32,
}

/// Whether a trial should end now.
///
/// `own` is the trial's curve up to its newest report, of which those from step `since` on have just
/// come in; `peers` are the curves of the study's other trials. A function of its arguments.
pub fn judge(rule: Rule, own: &Curve, since: u32, peers: &[Curve]) -> Verdict {
    match rule {
        Rule::Median(limits) => median::judge(limits, own, peers),
        Rule::SuccessiveHalving { reduction, limits } => {
            halving::judge(reduction, limits, own, since, peers)
        }
    }
}

/// The middle of rising values, of an even number the mean of the two in the middle; `None` of none.
fn middle(rising: &[f64]) -> Option<f64> {
    let half = rising.len() / 2;
    match rising.len() {
        0 => None,
        n if n % 2 == 1 => Some(rising[half]),
        // Halves first, because the sum of two doubles may be no double.
        _ => Some(rising[half - 1] / 2.0 + rising[half] / 2.0),
    }
}
