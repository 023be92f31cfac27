//! Studies and trials.

use proto::v1 as wire;
use time::OffsetDateTime;
use tuner::{Algorithm, StartDesign};

use super::{
    goals::{goals, goals_to_wire},
    invalid,
    lease::word,
    objective::{objective, objective_to_wire},
    space::{point_to_wire, space, space_to_wire},
};
use crate::{
    Error,
    goals::Goals,
    limits::{
        CHECKPOINT_EPOCHS_MAX, FAILURES_MAX, PARALLEL_MAX, PRIORITY_MAX, REDUCTION_MAX,
        STOPPING_STEPS_MAX, STOPPING_TRIALS_MAX, STUDY_NAME_BYTES_MAX, TRIAL_SECONDS_MAX,
        TRIALS_MAX,
    },
    study::{
        Direction, EarlyStopping, EndReason, MAX_FAILURES, MAX_TRIAL_SECONDS, Objective, Overview,
        Prospect, REDUCTION, STOPPING_TRIALS_MIN, StoppingRule, Study, StudySpec, StudyState,
        TrialCounts, is_study_name,
    },
    trial::{Pruning, Suggested, Trial, TrialState},
};

/// What a stopping rule of a Whetstone study may compare.
const STOPPING_METRICS: [&str; 3] = ["binary_accuracy", "soft_accuracy", "train_accuracy"];

/// What a person asked for, checked, with absent fields at their defaults.
pub fn spec(spec: Option<wire::StudySpec>) -> Result<StudySpec, Error> {
    let spec = spec.ok_or_else(|| invalid("the request has no study; fill in `spec`"))?;
    name(&spec.name)?;
    let over = space(spec.space)?;
    let objective = objective(spec.objective, &over)?;
    let direction = direction(spec.direction)?;
    if matches!(objective, Objective::Whetstone(_)) && direction == Direction::Minimize {
        return Err(invalid("a whetstone objective is an accuracy; its direction is maximize"));
    }
    let algorithm = match wire::Algorithm::try_from(spec.algorithm) {
        Ok(wire::Algorithm::Unspecified | wire::Algorithm::GaussianProcess) => {
            Algorithm::GaussianProcess
        }
        Ok(wire::Algorithm::Random) => Algorithm::Random,
        Ok(wire::Algorithm::Grid) => Algorithm::Grid,
        Ok(wire::Algorithm::Sobol) => Algorithm::Sobol,
        Ok(wire::Algorithm::Tpe) => Algorithm::Tpe,
        Ok(wire::Algorithm::Evolution) => Algorithm::Evolution,
        Err(_) => return Err(invalid(format!("unknown algorithm {}", spec.algorithm))),
    };
    let start_points =
        match ranged("start_points", spec.start_points, 0, TRIALS_MAX.unsigned_abs())? {
            0 => None,
            points => Some(points),
        };
    let start_design = match wire::StartDesign::try_from(spec.start_design) {
        Ok(wire::StartDesign::Unspecified | wire::StartDesign::LatinHypercube) => {
            StartDesign::LatinHypercube
        }
        Ok(wire::StartDesign::Sobol) => StartDesign::Sobol,
        Ok(wire::StartDesign::Random) => StartDesign::Random,
        Err(_) => return Err(invalid(format!("unknown start design {}", spec.start_design))),
    };
    let goals = goals(spec.also, spec.constraints, spec.reference, &objective)?;
    let early_stopping = early_stopping(spec.early_stopping, &objective, &goals)?;
    let gain_min = gain_min(spec.stop_when_gain_below, algorithm, &goals)?;
    let spec = StudySpec {
        name: spec.name,
        space: over,
        objective,
        direction,
        algorithm,
        start_points,
        start_design,
        seed: spec.seed,
        max_trials: budget(spec.max_trials)?,
        max_parallel: match ranged(
            "max_parallel",
            spec.max_parallel,
            0,
            PARALLEL_MAX.unsigned_abs(),
        )? {
            0 => PARALLEL_MAX,
            parallel => parallel,
        },
        max_failures: match ranged("max_failures", spec.max_failures, 0, FAILURES_MAX)? {
            0 => MAX_FAILURES,
            failures => failures,
        },
        max_trial_seconds: match ranged(
            "max_trial_seconds",
            spec.max_trial_seconds,
            0,
            TRIAL_SECONDS_MAX,
        )? {
            0 => MAX_TRIAL_SECONDS,
            seconds => seconds,
        },
        checkpoint_epochs: ranged(
            "checkpoint_epochs",
            spec.checkpoint_epochs,
            0,
            CHECKPOINT_EPOCHS_MAX,
        )?,
        goals,
        early_stopping,
        gain_min,
        priority: priority(spec.priority)?,
    };
    spec.options().check(&spec.space).map_err(|error| invalid(error.to_string()))?;
    Ok(spec)
}

pub fn direction(direction: i32) -> Result<Direction, Error> {
    match wire::Direction::try_from(direction) {
        Ok(wire::Direction::Unspecified | wire::Direction::Maximize) => Ok(Direction::Maximize),
        Ok(wire::Direction::Minimize) => Ok(Direction::Minimize),
        Err(_) => Err(invalid(format!("unknown direction {direction}"))),
    }
}

pub fn direction_to_wire(direction: Direction) -> wire::Direction {
    match direction {
        Direction::Maximize => wire::Direction::Maximize,
        Direction::Minimize => wire::Direction::Minimize,
    }
}

/// A study's budget.
pub fn budget(max_trials: u32) -> Result<i32, Error> {
    ranged("max_trials", max_trials, 1, TRIALS_MAX.unsigned_abs())
}

/// A study's priority.
pub fn priority(priority: i32) -> Result<i16, Error> {
    i16::try_from(priority).ok().filter(|priority| priority.abs() <= PRIORITY_MAX).ok_or_else(
        || {
            invalid(format!(
                "priority is {priority}; it must be from -{PRIORITY_MAX} to {PRIORITY_MAX}"
            ))
        },
    )
}

fn early_stopping(
    asked: Option<wire::EarlyStopping>,
    objective: &Objective,
    goals: &Goals,
) -> Result<Option<EarlyStopping>, Error> {
    let Some(asked) = asked else { return Ok(None) };
    let rule = match wire::StoppingRule::try_from(asked.rule) {
        Ok(wire::StoppingRule::Unspecified) => return Ok(None),
        Ok(wire::StoppingRule::Median) => StoppingRule::Median,
        Ok(wire::StoppingRule::SuccessiveHalving) => StoppingRule::SuccessiveHalving,
        Err(_) => return Err(invalid(format!("unknown stopping rule {}", asked.rule))),
    };
    if *goals != Goals::default() {
        return Err(invalid(
            "early_stopping compares one metric, which is no measure of a study with further \
             objectives or constraints; leave one of the two out",
        ));
    }
    let metric = match objective {
        Objective::Whetstone(network) if asked.metric.is_empty() => network.metric.clone(),
        Objective::Whetstone(_) if !STOPPING_METRICS.contains(&asked.metric.as_str()) => {
            let known = STOPPING_METRICS.join(", ");
            let metric = asked.metric;
            return Err(invalid(format!(
                "early_stopping cannot compare `{metric}`; its metric is one of {known}"
            )));
        }
        Objective::External(_) if asked.metric.is_empty() => {
            return Err(invalid(
                "early_stopping needs a metric; name one that the study's workers report",
            ));
        }
        _ => {
            word("a metric", &asked.metric)?;
            asked.metric
        }
    };
    let or = |value: u32, default: u32| if value == 0 { default } else { value };
    let limited = |what: &str, value: u32, low: u32, high: u32| {
        ranged(&format!("early_stopping.{what}"), value, low, high).map(i32::unsigned_abs)
    };
    let reduction = or(asked.reduction, REDUCTION);
    Ok(Some(EarlyStopping {
        rule,
        metric,
        min_trials: or(
            limited("min_trials", asked.min_trials, 0, STOPPING_TRIALS_MAX)?,
            STOPPING_TRIALS_MIN,
        ),
        min_steps: limited("min_steps", asked.min_steps, 0, STOPPING_STEPS_MAX)?,
        reduction: limited("reduction", reduction, 2, REDUCTION_MAX)?,
    }))
}

fn early_stopping_to_wire(by: &EarlyStopping) -> wire::EarlyStopping {
    let rule = match by.rule {
        StoppingRule::Median => wire::StoppingRule::Median,
        StoppingRule::SuccessiveHalving => wire::StoppingRule::SuccessiveHalving,
    };
    wire::EarlyStopping {
        rule: rule.into(),
        metric: by.metric.clone(),
        min_trials: by.min_trials,
        min_steps: by.min_steps,
        reduction: by.reduction,
    }
}

fn gain_min(gain: f64, algorithm: Algorithm, goals: &Goals) -> Result<Option<f64>, Error> {
    if gain == 0.0 {
        return Ok(None);
    }
    if !gain.is_finite() || gain < 0.0 {
        return Err(invalid(format!(
            "stop_when_gain_below is {gain}; it must be a positive number in the objective's unit"
        )));
    }
    if algorithm != Algorithm::GaussianProcess {
        return Err(invalid(format!(
            "stop_when_gain_below needs a posterior, which the algorithm `{algorithm}` has not; use \
             gaussian_process"
        )));
    }
    if *goals != Goals::default() {
        return Err(invalid(
            "stop_when_gain_below speaks of the value alone, not of further objectives or constraints; \
             leave one of the two out",
        ));
    }
    Ok(Some(gain))
}

fn ranged(what: &str, value: u32, low: u32, high: u32) -> Result<i32, Error> {
    if !(low..=high).contains(&value) {
        return Err(invalid(format!("{what} is {value}; it must be from {low} to {high}")));
    }
    Ok(i32::try_from(value).expect("every upper limit here fits"))
}

fn name(name: &str) -> Result<(), Error> {
    if !is_study_name(name) {
        let shown: String = name.chars().take(80).collect();
        return Err(invalid(format!(
            "{shown:?} cannot name a study; start with a letter or digit, go on with letters, \
             digits, `.`, `_` or `-`, at most {STUDY_NAME_BYTES_MAX} in all"
        )));
    }
    Ok(())
}

pub fn spec_to_wire(spec: &StudySpec) -> wire::StudySpec {
    let algorithm = match spec.algorithm {
        Algorithm::GaussianProcess => wire::Algorithm::GaussianProcess,
        Algorithm::Random => wire::Algorithm::Random,
        Algorithm::Grid => wire::Algorithm::Grid,
        Algorithm::Sobol => wire::Algorithm::Sobol,
        Algorithm::Tpe => wire::Algorithm::Tpe,
        Algorithm::Evolution => wire::Algorithm::Evolution,
    };
    let start_design = match spec.start_design {
        StartDesign::LatinHypercube => wire::StartDesign::LatinHypercube,
        StartDesign::Sobol => wire::StartDesign::Sobol,
        StartDesign::Random => wire::StartDesign::Random,
    };
    let (also, constraints) = goals_to_wire(&spec.goals);
    wire::StudySpec {
        name: spec.name.clone(),
        space: Some(space_to_wire(&spec.space)),
        objective: Some(objective_to_wire(&spec.objective)),
        direction: direction_to_wire(spec.direction).into(),
        algorithm: algorithm.into(),
        max_trials: spec.max_trials.unsigned_abs(),
        max_parallel: spec.max_parallel.unsigned_abs(),
        max_failures: spec.max_failures.unsigned_abs(),
        max_trial_seconds: spec.max_trial_seconds.unsigned_abs(),
        seed: spec.seed,
        start_points: spec.start_points.unwrap_or(0).unsigned_abs(),
        checkpoint_epochs: spec.checkpoint_epochs.unsigned_abs(),
        start_design: start_design.into(),
        also,
        constraints,
        reference: spec.goals.reference,
        early_stopping: spec.early_stopping.as_ref().map(early_stopping_to_wire),
        stop_when_gain_below: spec.gain_min.unwrap_or(0.0),
        priority: spec.priority.into(),
    }
}

pub fn overview_to_wire(overview: &Overview) -> wire::Study {
    let Overview { study, counts, best, prospect, imported } = overview;
    let Study { spec, state, posterior_version, created_at, finished_at, .. } = study;
    let state = match state {
        StudyState::Active => wire::StudyState::Active,
        StudyState::Paused => wire::StudyState::Paused,
        StudyState::Completed => wire::StudyState::Completed,
        StudyState::Cancelled => wire::StudyState::Cancelled,
    };
    wire::Study {
        spec: Some(spec_to_wire(spec)),
        state: state.into(),
        counts: Some(counts_to_wire(counts)),
        best: best.as_ref().map(trial_to_wire),
        posterior_version: *posterior_version,
        space_size: spec.space.size().map(|size| size.to_string()).unwrap_or_default(),
        created_at: Some(instant(*created_at)),
        finished_at: finished_at.map(instant),
        ended_because: study.ended_because.map_or(0, |reason| end_reason_to_wire(reason).into()),
        prospect: prospect.as_ref().map(prospect_to_wire),
        imported: u32::try_from(*imported).unwrap_or(u32::MAX),
    }
}

fn end_reason_to_wire(reason: EndReason) -> wire::EndReason {
    match reason {
        EndReason::BudgetSpent => wire::EndReason::BudgetSpent,
        EndReason::SpaceExhausted => wire::EndReason::SpaceExhausted,
        EndReason::GainBelow => wire::EndReason::GainBelow,
        EndReason::Cancelled => wire::EndReason::Cancelled,
    }
}

fn prospect_to_wire(prospect: &Prospect) -> wire::Prospect {
    wire::Prospect {
        horizon: prospect.horizon.unsigned_abs(),
        trials: prospect.trials.unsigned_abs(),
        gain: prospect.gain,
        regret_bound: prospect.regret_bound,
    }
}

fn counts_to_wire(counts: &TrialCounts) -> wire::TrialCounts {
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    wire::TrialCounts {
        queued: count(counts.queued),
        running: count(counts.running),
        completed: count(counts.completed),
        pruned: count(counts.pruned),
        failed: count(counts.failed),
        cancelled: count(counts.cancelled),
    }
}

pub fn trial_to_wire(trial: &Trial) -> wire::Trial {
    let state = match trial.state {
        TrialState::Queued => wire::TrialState::Queued,
        TrialState::Running => wire::TrialState::Running,
        TrialState::Completed => wire::TrialState::Completed,
        TrialState::Pruned => wire::TrialState::Pruned,
        TrialState::Failed => wire::TrialState::Failed,
        TrialState::Cancelled => wire::TrialState::Cancelled,
    };
    wire::Trial {
        trial_id: trial.trial_id,
        study: trial.study.clone(),
        number: trial.number.unsigned_abs(),
        state: state.into(),
        point: Some(point_to_wire(&trial.point)),
        value: trial.value,
        measurements: trial.measurements.clone().into_iter().collect(),
        attempt: trial.attempt.unsigned_abs(),
        failures: trial.failures.unsigned_abs(),
        suggestion: Some(suggestion_to_wire(trial.suggestion.as_ref())),
        progress: trial.progress,
        metrics: trial.metrics.clone().into_iter().collect(),
        worker: trial.worker.clone(),
        failure: trial.failure.clone(),
        created_at: Some(instant(trial.created_at)),
        started_at: trial.started_at.map(instant),
        finished_at: trial.finished_at.map(instant),
        resumed_from_epoch: trial.resumed_from_epoch.unwrap_or(0).unsigned_abs(),
        feasible: trial.feasible,
        pruning: trial.pruning.as_ref().map(pruning_to_wire),
    }
}

fn pruning_to_wire(pruning: &Pruning) -> wire::Pruning {
    wire::Pruning {
        rule: pruning.rule.clone(),
        metric: pruning.metric.clone(),
        step: pruning.step.unsigned_abs(),
        stage: pruning.stage.unsigned_abs(),
        value: pruning.value,
        threshold: pruning.threshold,
        peers: pruning.peers.unsigned_abs(),
    }
}

fn suggestion_to_wire(suggested: Option<&Suggested>) -> wire::Suggestion {
    match suggested {
        None => wire::Suggestion { origin: "enqueued".to_owned(), ..Default::default() },
        Some(suggested) => wire::Suggestion {
            origin: suggested.origin.clone(),
            posterior_version: suggested.posterior_version,
            horizon: suggested.horizon.unsigned_abs(),
            mean: suggested.mean,
            deviation: suggested.deviation,
            acquisition: suggested.acquisition,
        },
    }
}

pub fn instant(instant: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: instant.unix_timestamp(),
        nanos: i32::try_from(instant.nanosecond()).expect("a second has 10^9 nanoseconds"),
    }
}
