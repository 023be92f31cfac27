//! From a snapshot of a study to its next points: a pure function, called off the async threads.
//!
//! The snapshot, the study's seed and the trial's number decide everything. The fit depends on the
//! observations alone and starts from nothing that an earlier fit left behind, so a plan can be made
//! again from the database, bit for bit, whoever planned before and whatever died in between.

use std::collections::BTreeMap;

use serde_json::json;
use tuner::{Algorithm, History, Models, Observation, Options, Space, UnitPoint, gp::Posterior};

use crate::{
    storage::{
        leases::Planned,
        posterior::{Fitted, Snapshot},
    },
    study::{Study, StudySpec, StudyState},
    trial::{NewPoint, TrialState},
};

/// Fewest observations that are worth a fit. Two that happen to lie close together make a process that
/// is sure of everything; only a study that starts with two points has to do with them.
const FIT_FROM: u32 = 3;

/// The models of all that counts, and what they were fitted to.
pub struct Fit {
    horizon: i32,
    failed: Vec<i32>,
    models: Models,
}

impl Fit {
    /// Observations 0 … horizon−1 went in.
    pub fn horizon(&self) -> i32 {
        self.horizon
    }
}

/// What to publish.
pub struct Plan {
    /// The new points, in the order of their numbers.
    pub points: Vec<Planned>,
    /// The posterior they were decided from.
    pub fitted: Option<Fitted>,
    /// Whether the space has no point left.
    pub exhausted: bool,
}

/// How many trials may be planned now: what the budget and `max_parallel` leave.
pub fn room(snapshot: &Snapshot) -> usize {
    let Study { spec, state, next_number, exhausted, .. } = &snapshot.study;
    if *state != StudyState::Active || *exhausted {
        return 0;
    }
    let open = snapshot.tried.iter().filter(|trial| trial.state.is_open()).count();
    let budget = usize::try_from(spec.max_trials - next_number).unwrap_or(0);
    let parallel = usize::try_from(spec.max_parallel).unwrap_or(0).saturating_sub(open);
    budget.min(parallel)
}

/// Chooses the next `count` points. Each sees those before it as pending, so that askers who come
/// together get what they would have got one after another. `warm` is used if it fits.
pub fn make(snapshot: &Snapshot, warm: Option<Fit>, count: usize) -> (Plan, Option<Fit>) {
    let spec = &snapshot.study.spec;
    let Known { mut history, mut pending, failed } = known(snapshot);
    let horizon = snapshot.study.next_obs;
    let options = spec.options();
    let goals = spec.goals.for_tuner(spec.direction);
    let fit = fit(spec, &options, &history, horizon, &failed, warm);
    let models = fit.as_ref().map(|fit| &fit.models);
    let kernel = models.map(|models| kernel(&spec.space, models.value()));

    let mut points = Vec::new();
    let mut exhausted = false;
    for number in (snapshot.study.next_number..).take(count) {
        let seed = spec.seed;
        let Ok(suggestion) = tuner::suggest_for(
            &spec.space,
            &options,
            &goals,
            &history,
            models,
            seed,
            number.unsigned_abs(),
        ) else {
            exhausted = true;
            break;
        };
        points.push(Planned {
            new: NewPoint {
                point: spec.space.decode(&suggestion.point),
                unit_point: suggestion.point.clone(),
            },
            horizon,
            pending: pending.clone(),
            failed: failed.clone(),
            origin: suggestion.origin.to_string(),
            mean: suggestion.mean.map(|mean| spec.direction.orient(mean)),
            deviation: suggestion.deviation,
            acquisition: suggestion.acquisition,
            kernel: kernel.clone(),
        });
        pending.push(number);
        history.pending.push(suggestion.point.clone());
        history.taken.push(suggestion.point);
    }
    let fitted = fit.as_ref().map(|fit| Fitted {
        horizon: fit.horizon,
        failed: fit.failed.clone(),
        parts: fit.models.value().parts(),
    });
    (Plan { points, fitted, exhausted }, fit)
}

struct Known {
    history: History,
    pending: Vec<i32>,
    failed: Vec<i32>,
}

/// What the tuner is told. Results in the order they were recorded; the rest by number.
fn known(snapshot: &Snapshot) -> Known {
    let StudySpec { direction, goals, .. } = &snapshot.study.spec;
    let mut observed: Vec<(i32, Observation, Vec<f64>)> = Vec::new();
    let mut history = History::default();
    let (mut pending, mut failed) = (Vec::new(), Vec::new());
    let nothing = BTreeMap::new();
    for trial in &snapshot.tried {
        let point: UnitPoint = trial.point();
        match (trial.obs_seq, trial.value) {
            (Some(seq), Some(value)) => {
                let measurements = trial.measurements.as_ref();
                let measurements = measurements.map_or(&nothing, |measurements| &measurements.0);
                let judged = goals.judge(*direction, value, measurements);
                let further = judged.expect("a report that lacks something is refused").further();
                let value = direction.orient(value);
                observed.push((seq, Observation { point: point.clone(), value }, further));
            }
            _ if trial.state.is_open() => {
                pending.push(trial.number);
                history.pending.push(point.clone());
            }
            _ if trial.state == TrialState::Failed => {
                failed.push(trial.number);
                history.failed.push(point.clone());
            }
            _ => {}
        }
        history.taken.push(point);
    }
    observed.sort_by_key(|(seq, ..)| *seq);
    for (_, observation, further) in observed {
        history.observed.push(observation);
        history.further.push(further);
    }
    Known { history, pending, failed }
}

/// The models of these observations: the warm ones if they are of just these, else fresh ones, with
/// what the warm ones have learned if that is still to be used.
fn fit(
    spec: &StudySpec,
    options: &Options,
    history: &History,
    horizon: i32,
    failed: &[i32],
    warm: Option<Fit>,
) -> Option<Fit> {
    let fit_from = options.start_points(&spec.space).clamp(2, FIT_FROM) as usize;
    if options.algorithm != Algorithm::GaussianProcess || history.observed.len() < fit_from {
        return None;
    }
    let before = match warm {
        Some(warm) if warm.horizon == horizon && warm.failed == failed => return Some(warm),
        warm => warm.map(|warm| warm.models),
    };
    let goals = spec.goals.for_tuner(spec.direction);
    match Models::fit_after(before.as_ref(), &spec.space, &goals, history, spec.seed) {
        Ok(models) => Some(Fit { horizon, failed: failed.to_vec(), models }),
        Err(error) => {
            // A space-filling point is worse than a good one and better than none.
            let cause: &dyn std::error::Error = &error;
            tracing::warn!(error = cause, horizon, "no posterior; suggesting without one");
            None
        }
    }
}

/// The kernel's hyperparameters by name, as `suggestion.kernel` keeps them.
fn kernel(space: &Space, posterior: &Posterior) -> serde_json::Value {
    let parts = posterior.parts();
    let scales: serde_json::Map<String, serde_json::Value> = space
        .parameters()
        .iter()
        .zip(&parts.length_scales)
        .map(|(parameter, scale)| (parameter.name.clone(), json!(scale)))
        .collect();
    json!({
        "length_scales": scales,
        "signal_variance": parts.signal_variance,
        "noise_variance": parts.noise_variance,
    })
}
