//! What people are told of a front.

use proto::v1 as wire;

use super::trial_to_wire;
use crate::{front::Front, trial::Trial};

/// `trials` are those of the front's numbers, in the same order.
pub fn front_to_wire(front: &Front, trials: &[Trial]) -> wire::GetParetoFrontResponse {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    wire::GetParetoFrontResponse {
        trials: trials.iter().map(trial_to_wire).collect(),
        size: count(front.size),
        feasible: count(front.feasible),
        reference: front.reference.clone(),
        hypervolume: front.hypervolume,
    }
}
