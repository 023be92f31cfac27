//! From a snapshot of a study to its next points: a pure function, called off the async threads.
//!
//! The snapshot, the study's seed and the trial's number decide everything. The fit depends on the
//! observations alone and starts from nothing that an earlier fit left behind, so a plan can be made
//! again from the database, bit for bit, whoever planned before and whatever died in between.

use std::collections::BTreeMap;

use serde_json::json;
use tuner::{
    Algorithm, History, Models, Observation, Options, Space, Taken, UnitPoint, gp::Posterior,
    stopping,
};

use crate::{
    storage::{
        leases::{Basis, Planned},
        posterior::{Fitted, Snapshot},
    },
    study::{Study, StudySpec, StudyState},
    trial::{NewPoint, TrialState},
};

/// Fewest observations that are worth a fit. Two that happen to lie close together make a process that
/// is sure of everything; only a study that starts with two points has to do with them.
const FIT_FROM: u32 = 3;

/// The models of all that counts, and what they were fitted to.
#[derive(Clone)]
pub struct Fit {
    pub(super) horizon: i32,
    pub(super) failed: Vec<i32>,
    pub(super) models: Models,
}

impl Fit {
    /// Observations 0 … horizon−1 went in.
    pub fn horizon(&self) -> i32 {
        self.horizon
    }
}

/// What one plan leaves for the next: it saves work and changes nothing.
#[derive(Default)]
pub struct Warm {
    /// The last fit.
    pub fit: Option<Fit>,
    /// The points of the first so many trials and results from elsewhere.
    taken: Taken,
    trials: usize,
    imported: usize,
}

/// What to publish.
pub struct Plan {
    /// The new points, in the order of their numbers.
    pub points: Vec<Planned>,
    /// What they were decided from.
    pub basis: Basis,
    /// The posterior they were decided from.
    pub fitted: Option<Fitted>,
    /// Whether the space has no point left.
    pub exhausted: bool,
}

/// How many trials may be planned now: what the budget and `max_parallel` leave.
pub fn room(snapshot: &Snapshot) -> usize {
    let Study { spec, state, next_number, exhausted, converged, .. } = &snapshot.study;
    if *state != StudyState::Active || *exhausted || *converged {
        return 0;
    }
    let open = snapshot.tried.iter().filter(|trial| trial.state.is_open()).count();
    let budget = usize::try_from(spec.max_trials - next_number).unwrap_or(0);
    let parallel = usize::try_from(spec.max_parallel).unwrap_or(0).saturating_sub(open);
    budget.min(parallel)
}

/// Chooses the next `count` points. Each sees those before it as pending, so that askers who come
/// together get what they would have got one after another. `warm` is of an earlier plan of the same study,
/// and used as far as it fits.
pub fn make(snapshot: &Snapshot, warm: Warm, count: usize) -> (Plan, Warm) {
    let spec = &snapshot.study.spec;
    let Known { mut history, pending, failed } = known(snapshot);
    let horizon = snapshot.study.next_obs;
    let Warm { fit: warm, mut taken, trials, imported } = warm;
    // Trials and results from elsewhere are only ever added.
    for trial in &snapshot.tried[trials..] {
        taken.insert(&spec.space, &trial.point());
    }
    let in_time = snapshot.imported.partition_point(|one| one.obs_seq < horizon);
    for one in &snapshot.imported[imported..in_time] {
        taken.insert(&spec.space, &UnitPoint(one.unit_point.clone()));
    }
    history.taken = taken;
    let options = options(snapshot);
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
            origin: suggestion.origin.to_string(),
            mean: suggestion.mean.map(|mean| spec.direction.orient(mean)),
            deviation: suggestion.deviation,
            acquisition: suggestion.acquisition,
        });
        history.taken.insert(&spec.space, &suggestion.point);
        if spec.algorithm.learns() {
            history.pending.push(suggestion.point);
        }
    }
    let fitted = fit.as_ref().map(|fit| Fitted {
        horizon: fit.horizon,
        failed: fit.failed.clone(),
        parts: fit.models.value().parts(),
    });
    let basis = Basis { horizon, pending, failed, kernel };
    // They are trials only once they are published.
    for planned in &points {
        history.taken.remove(&spec.space, &planned.new.unit_point);
    }
    let (trials, imported) = (snapshot.tried.len(), in_time);
    (
        Plan { points, basis, fitted, exhausted },
        Warm { fit, taken: history.taken, trials, imported },
    )
}

/// What the study asks for. Results from elsewhere are a start already: with each of them, one
/// space-filling point fewer is needed.
fn options(snapshot: &Snapshot) -> Options {
    let Study { spec, next_obs, .. } = &snapshot.study;
    let options = spec.options();
    match snapshot.imported.iter().filter(|imported| imported.obs_seq < *next_obs).count() {
        0 => options,
        imported => {
            let start = options.start_points(&spec.space);
            let left = start.saturating_sub(u32::try_from(imported).unwrap_or(u32::MAX));
            Options { start_points: Some(left), ..options }
        }
    }
}

struct Known {
    history: History,
    pending: Vec<i32>,
    failed: Vec<i32>,
}

/// What the tuner is told. Results in the order they were recorded; the rest by number.
fn known(snapshot: &Snapshot) -> Known {
    let numbers = |is: fn(TrialState) -> bool| {
        snapshot.tried.iter().filter(move |trial| is(trial.state)).map(|trial| trial.number)
    };
    let pending = numbers(TrialState::is_open).collect();
    let failed = numbers(|state| state == TrialState::Failed).collect();
    let mut history = History::default();
    // Where nothing is learned, that they are taken is all that counts.
    if snapshot.study.spec.algorithm.learns() {
        for result in results(snapshot, snapshot.study.next_obs) {
            history.observed.push(result.observation);
            history.further.push(result.further);
        }
        for trial in &snapshot.tried {
            match trial.state {
                state if state.is_open() => history.pending.push(trial.point()),
                TrialState::Failed => history.failed.push(trial.point()),
                _ => {}
            }
        }
    }
    Known { history, pending, failed }
}

/// A result as the posterior learns it.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The trial's number; `None` if it comes from elsewhere.
    pub number: Option<i32>,
    /// Where, and what it counts as: larger is better. A pruned trial's counts at what
    /// [`stopping::worth`] says.
    pub observation: Observation,
    /// What else counts of it, as [`History::further`].
    pub further: Vec<f64>,
}

/// The first `horizon` results, of trials and from elsewhere, in the order they were recorded.
pub fn results(snapshot: &Snapshot, horizon: i32) -> Vec<Learned> {
    /// A result where it was recorded.
    struct Recorded<'a> {
        obs_seq: i32,
        number: Option<i32>,
        unit_point: &'a [f64],
        value: f64,
        measurements: Option<&'a BTreeMap<String, f64>>,
        is_pruned: bool,
    }
    let StudySpec { direction, goals, .. } = &snapshot.study.spec;
    let of_trials = snapshot.tried.iter().filter_map(|trial| {
        Some(Recorded {
            obs_seq: trial.obs_seq?,
            number: Some(trial.number),
            unit_point: &trial.unit_point,
            value: trial.value?,
            measurements: trial.measurements.as_ref().map(|json| &json.0),
            is_pruned: trial.state == TrialState::Pruned,
        })
    });
    let imported = snapshot.imported.iter().map(|one| Recorded {
        obs_seq: one.obs_seq,
        number: None,
        unit_point: &one.unit_point,
        value: one.value,
        measurements: Some(&one.measurements.0),
        is_pruned: false,
    });
    let mut recorded: Vec<Recorded<'_>> =
        of_trials.chain(imported).filter(|result| result.obs_seq < horizon).collect();
    recorded.sort_by_key(|result| result.obs_seq);
    let results: Vec<stopping::Result> = recorded
        .iter()
        .map(|result| stopping::Result {
            value: direction.orient(result.value),
            is_pruned: result.is_pruned,
        })
        .collect();
    let nothing = BTreeMap::new();
    let learned = recorded.into_iter().zip(stopping::worth(&results)).map(|(result, value)| {
        let measurements = result.measurements.unwrap_or(&nothing);
        let judged = goals.judge(*direction, result.value, measurements);
        Learned {
            number: result.number,
            observation: Observation { point: UnitPoint(result.unit_point.to_vec()), value },
            further: judged.expect("a report that lacks something is refused").further(),
        }
    });
    learned.collect()
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
