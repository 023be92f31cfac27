//! The words for what is a number on the wire.

use std::time::Duration;

use proto::v1::constraint::Bound;
use proto::v1::{
    Algorithm, Constraint, Direction, EndReason, StartDesign, StoppingRule, Study, StudySpec,
    StudyState, Trial, TrialState,
};

/// The word for a study's state.
pub fn study_state(study: &Study) -> &'static str {
    match study.state() {
        StudyState::Unspecified => "unknown",
        StudyState::Active => "active",
        StudyState::Paused => "paused",
        StudyState::Completed => "completed",
        StudyState::Cancelled => "cancelled",
    }
}

/// Whether nothing can change it any more.
pub fn has_ended(study: &Study) -> bool {
    matches!(study.state(), StudyState::Completed | StudyState::Cancelled)
}

/// The word for a trial's state.
pub fn trial_state(trial: &Trial) -> &'static str {
    match trial.state() {
        TrialState::Unspecified => "unknown",
        TrialState::Queued => "queued",
        TrialState::Running => "running",
        TrialState::Completed => "completed",
        TrialState::Pruned => "pruned",
        TrialState::Failed => "failed",
        TrialState::Cancelled => "cancelled",
    }
}

/// Whether a trial has reached its end state.
pub fn is_final(trial: &Trial) -> bool {
    !matches!(trial.state(), TrialState::Unspecified | TrialState::Queued | TrialState::Running)
}

/// Why a study ended, as the end of "it ended: …"; nothing if it has not.
pub fn end_reason(study: &Study) -> &'static str {
    match study.ended_because() {
        EndReason::Unspecified => "",
        EndReason::BudgetSpent => "the budget is spent",
        EndReason::SpaceExhausted => "every point was tried",
        EndReason::GainBelow => "further trials would gain too little",
        EndReason::Cancelled => "cancelled",
    }
}

/// The same as a word for programs.
pub fn end_reason_word(study: &Study) -> Option<&'static str> {
    match study.ended_because() {
        EndReason::Unspecified => None,
        EndReason::BudgetSpent => Some("budget_spent"),
        EndReason::SpaceExhausted => Some("space_exhausted"),
        EndReason::GainBelow => Some("gain_below"),
        EndReason::Cancelled => Some("cancelled"),
    }
}

/// The word for a stopping rule, as study files spell it.
pub fn stopping_rule(rule: StoppingRule) -> &'static str {
    match rule {
        StoppingRule::Unspecified => "none",
        StoppingRule::Median => "median",
        StoppingRule::SuccessiveHalving => "successive_halving",
    }
}

/// The word for an algorithm, as study files spell it.
pub fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Unspecified | Algorithm::GaussianProcess => "gaussian_process",
        Algorithm::Random => "random",
        Algorithm::Grid => "grid",
        Algorithm::Sobol => "sobol",
        Algorithm::Tpe => "tpe",
        Algorithm::Evolution => "evolution",
    }
}

/// The word for a start design, as study files spell it.
pub fn start_design(design: StartDesign) -> &'static str {
    match design {
        StartDesign::Unspecified | StartDesign::LatinHypercube => "latin_hypercube",
        StartDesign::Sobol => "sobol",
        StartDesign::Random => "random",
    }
}

/// The word for a direction, as study files spell it.
pub fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Unspecified | Direction::Maximize => "maximize",
        Direction::Minimize => "minimize",
    }
}

/// What a study makes good besides its value, as in "and minimize multiply_adds"; empty if
/// nothing.
pub fn also(spec: &StudySpec) -> String {
    let further = spec.also.iter();
    let further = further
        .map(|further| format!(", {} {}", direction(further.direction()), further.measurement));
    further.collect()
}

/// A constraint, as in "multiply_adds ≤ 200,000".
pub fn constraint(constraint: &Constraint) -> String {
    let name = &constraint.measurement;
    match constraint.bound {
        Some(Bound::AtMost(bound)) => format!("{name} ≤ {}", crate::value::number(bound)),
        Some(Bound::AtLeast(bound)) => format!("{name} ≥ {}", crate::value::number(bound)),
        None => name.clone(),
    }
}

/// Whether the point was chosen before the posterior had anything to say.
pub fn is_start(trial: &Trial) -> bool {
    trial.suggestion.as_ref().is_some_and(|suggestion| suggestion.origin == "start")
}

/// A span of time, to two units.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Seconds between the beginning and the end of a trial's last attempt.
pub fn seconds(trial: &Trial) -> Option<f64> {
    let (begun, ended) = (trial.started_at.as_ref()?, trial.finished_at.as_ref()?);
    let whole = (ended.seconds - begun.seconds) as f64;
    Some(whole + f64::from(ended.nanos - begun.nanos) * 1e-9).filter(|seconds| *seconds >= 0.0)
}

/// A count with its noun.
pub fn count(n: u32, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        _ => format!("{n} {noun}s"),
    }
}

/// An instant for people: to the minute, in UTC.
pub fn instant(at: Option<&prost_types::Timestamp>) -> String {
    // `2026-01-31T12:34:56.789Z`: the first sixteen characters, the T replaced.
    at.map_or_else(
        || "–".to_owned(),
        |at| at.to_string().chars().take(16).collect::<String>().replace('T', " "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_at_most_two_units() {
        let cases = [(0.25, "0.2s"), (59.9, "59s"), (61.0, "1m01s"), (3_660.0, "1h01m")];
        for (seconds, text) in cases {
            assert_eq!(span(Duration::from_secs_f64(seconds)), text);
        }
        assert_eq!(span(Duration::from_secs(90_000)), "1d01h");
    }

    #[test]
    fn a_trial_lasts_from_its_start_to_its_end() {
        let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        let trial = Trial {
            started_at: at(10, 900_000_000),
            finished_at: at(12, 400_000_000),
            ..Trial::default()
        };
        assert!((seconds(&trial).unwrap() - 1.5).abs() < 1e-9);
        assert_eq!(seconds(&Trial::default()), None);
    }

    #[test]
    fn an_instant_is_told_to_the_minute() {
        let at = prost_types::Timestamp { seconds: 1_769_862_896, nanos: 0 };
        assert_eq!(instant(Some(&at)), "2026-01-31 12:34");
    }
}
