//! What a study is: the domain, without SQL and without wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tuner::{Algorithm, Options, Space, StartDesign, Value};

#[cfg(doc)]
use crate::limits::{CHECKPOINT_EPOCHS_MAX, PARALLEL_MAX, PRIORITY_MAX, TRIALS_MAX};
use crate::{goals::Goals, limits::STUDY_NAME_BYTES_MAX, trial::Trial};

/// Metrics that a Whetstone objective may maximise; the first is the default.
pub const METRICS: [&str; 2] = ["binary_accuracy", "soft_accuracy"];

/// Failed or lapsed attempts that end a trial, unless the study says otherwise (taste).
pub const MAX_FAILURES: i32 = 3;

/// Hard limit on one attempt in seconds, unless the study says otherwise: a day.
pub const MAX_TRIAL_SECONDS: i32 = 86_400;

/// Other trials that a stopping rule compares with at least, unless the study says otherwise: fewer say
/// little of a median (the peers ask for as many).
pub const STOPPING_TRIALS_MIN: u32 = 5;

/// Of so many trials one passes a rung of successive halving, unless the study says otherwise (taste).
pub const REDUCTION: u32 = 3;

/// Whether a text may name a study: no other is ever looked for.
pub fn is_study_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    starts_well && name.len() <= STUDY_NAME_BYTES_MAX && name.bytes().all(plain)
}

/// Everything about a study that does not change.
#[derive(Clone, Debug, PartialEq)]
pub struct StudySpec {
    /// Unique among studies.
    pub name: String,
    /// What is searched.
    pub space: Space,
    /// What a trial measures.
    pub objective: Objective,
    /// Which way is better.
    pub direction: Direction,
    /// How points are chosen.
    pub algorithm: Algorithm,
    /// Points of the start design first; `None`: the algorithm's own number.
    pub start_points: Option<i32>,
    /// What they are.
    pub start_design: StartDesign,
    /// Seed of every random choice in the study.
    pub seed: u64,
    /// The budget in trials, 1 to [`TRIALS_MAX`].
    pub max_trials: i32,
    /// Most trials open at once, 1 to [`PARALLEL_MAX`].
    pub max_parallel: i32,
    /// Failed or lapsed attempts that end a trial.
    pub max_failures: i32,
    /// Hard limit on one attempt, in seconds.
    pub max_trial_seconds: i32,
    /// Epochs between two checkpoints, at most [`CHECKPOINT_EPOCHS_MAX`]; 0: none.
    pub checkpoint_epochs: i32,
    /// What is wanted besides a good value.
    pub goals: Goals,
    /// When trials are stopped early; `None`: never.
    pub early_stopping: Option<EarlyStopping>,
    /// The study ends when further trials would gain less, in the objective's unit; `None`: never.
    pub gain_min: Option<f64>,
    /// Workers serve studies of a higher one first; at most [`PRIORITY_MAX`] either way.
    pub priority: i16,
}

impl StudySpec {
    /// What the tuner is asked for.
    pub fn options(&self) -> Options {
        Options {
            algorithm: self.algorithm,
            start_points: self.start_points.map(i32::unsigned_abs),
            start_design: self.start_design,
        }
    }
}

/// When trials are stopped early; stored as JSON in `study.early_stopping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Which rule.
    pub rule: StoppingRule,
    /// What is compared, in the direction of the objective.
    pub metric: String,
    /// Other trials to compare with, at least.
    pub min_trials: u32,
    /// No trial is stopped before this step.
    pub min_steps: u32,
    /// η of successive halving; the median rule has no use for it.
    pub reduction: u32,
}

impl EarlyStopping {
    /// The rule as the tuner takes it.
    pub fn rule(&self) -> tuner::stopping::Rule {
        let limits =
            tuner::stopping::Limits { trials_min: self.min_trials, steps_min: self.min_steps };
        match self.rule {
            StoppingRule::Median => tuner::stopping::Rule::Median(limits),
            StoppingRule::SuccessiveHalving => {
                let reduction = self.reduction;
                tuner::stopping::Rule::SuccessiveHalving { reduction, limits }
            }
        }
    }
}

/// A rule by which trials are stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppingRule {
    /// Worse than the median of the others.
    Median,
    /// Not among the best that reached a rung.
    SuccessiveHalving,
}

impl StoppingRule {
    /// The word in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            StoppingRule::Median => "median",
            StoppingRule::SuccessiveHalving => "successive_halving",
        }
    }
}

/// What a trial measures; stored as JSON in `study.objective`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Train a Whetstone network and report its accuracy.
    Whetstone(Whetstone),
    /// Whatever a worker of one's own measures.
    External(External),
}

impl Objective {
    /// The word by which workers say that they can do it.
    pub fn kind(&self) -> &'static str {
        match self {
            Objective::Whetstone(_) => "whetstone",
            Objective::External(_) => "external",
        }
    }
}

/// Which network is trained on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whetstone {
    /// One of [`recipe::DATASETS`].
    pub dataset: String,
    /// Images to train on; 0: all.
    pub train_images: u32,
    /// Images to test on; 0: all.
    pub test_images: u32,
    /// Training images held out to measure on; 0: none, it is measured on the test images. Studies
    /// from before there was a choice do not say.
    #[serde(default)]
    pub validation_images: u32,
    /// One of [`METRICS`].
    pub metric: String,
    /// Hyperparameters that are not searched, by name.
    pub fixed: BTreeMap<String, Value>,
}

/// Handed to workers unread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct External {
    /// Which program, which data, which constants.
    pub labels: BTreeMap<String, String>,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Larger values are better.
    Maximize,
    /// Smaller values are better.
    Minimize,
}

impl Direction {
    /// The word in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Maximize => "maximize",
            Direction::Minimize => "minimize",
        }
    }

    /// The direction that [`Direction::as_str`] names, which a check in the schema guards.
    pub fn of(word: &str) -> Direction {
        if word == "minimize" { Direction::Minimize } else { Direction::Maximize }
    }

    /// Turns an objective's value into one that is better when larger, and back.
    pub fn orient(self, value: f64) -> f64 {
        match self {
            Direction::Maximize => value,
            Direction::Minimize => -value,
        }
    }
}

/// Where a study stands; the drawing of its life is in `migrations/0001_study.sql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "study_state", rename_all = "lowercase")]
pub enum StudyState {
    /// Hands out trials.
    Active,
    /// Hands out nothing; running trials go on.
    Paused,
    /// Budget spent or space exhausted, nothing open.
    Completed,
    /// Withdrawn by a person.
    Cancelled,
}

impl StudyState {
    /// Whether nothing can change it any more.
    pub fn is_final(self) -> bool {
        matches!(self, StudyState::Completed | StudyState::Cancelled)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            StudyState::Active => "active",
            StudyState::Paused => "paused",
            StudyState::Completed => "completed",
            StudyState::Cancelled => "cancelled",
        }
    }
}

/// Why a study ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// As many trials as its budget allows.
    BudgetSpent,
    /// Every point of its space was tried.
    SpaceExhausted,
    /// Further trials would have gained too little.
    GainBelow,
    /// A person withdrew it.
    Cancelled,
}

impl EndReason {
    /// The reason of a word in SQL.
    pub fn of(word: &str) -> Option<EndReason> {
        match word {
            "budget_spent" => Some(EndReason::BudgetSpent),
            "space_exhausted" => Some(EndReason::SpaceExhausted),
            "gain_below" => Some(EndReason::GainBelow),
            "cancelled" => Some(EndReason::Cancelled),
            _ => None,
        }
    }
}

/// A study as it stands.
#[derive(Clone, Debug)]
pub struct Study {
    /// Its key in the database.
    pub study_id: i64,
    /// What does not change.
    pub spec: StudySpec,
    /// Where it stands.
    pub state: StudyState,
    /// The next trial's number; also how many there are.
    pub next_number: i32,
    /// The next observation's number; also how many results there are.
    pub next_obs: i32,
    /// Plans made so far.
    pub posterior_version: i64,
    /// Whether the planner has found no point left to try.
    pub exhausted: bool,
    /// Whether further trials would gain too little.
    pub converged: bool,
    /// Why it ended.
    pub ended_because: Option<EndReason>,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it reached its end state.
    pub finished_at: Option<OffsetDateTime>,
}

/// Trials of a study by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct TrialCounts {
    /// Waiting for a worker.
    pub queued: i64,
    /// Held by a worker.
    pub running: i64,
    /// Ended with a value.
    pub completed: i64,
    /// Stopped early.
    pub pruned: i64,
    /// Given up.
    pub failed: i64,
    /// Withdrawn.
    pub cancelled: i64,
}

/// A study with what people ask about it first.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The study.
    pub study: Study,
    /// Its trials by state.
    pub counts: TrialCounts,
    /// Its best trial that keeps every constraint; `None` before the first.
    pub best: Option<Trial>,
    /// What further trials may gain, as last computed.
    pub prospect: Option<Prospect>,
    /// Results from elsewhere.
    pub imported: i64,
}

/// What further trials may gain, as of some results.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Prospect {
    /// Observations 0 … horizon−1 were known.
    pub horizon: i32,
    /// Numbers of the trials that had failed.
    pub failed: Vec<i32>,
    /// Trials 0 … taken−1 had been planned.
    pub taken: i32,
    /// Further trials that were thought through.
    pub trials: i32,
    /// What they gain in expectation, at most; objective's unit.
    pub gain: f64,
    /// What any number of trials gains with a probability of 90 %, at most.
    pub regret_bound: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_stored_before_there_were_validation_images_holds_none_out() {
        let stored = r#"{"whetstone": {"dataset": "digits", "train_images": 0, "test_images": 0,
                         "metric": "binary_accuracy", "fixed": {}}}"#;
        let Ok(Objective::Whetstone(objective)) = serde_json::from_str(stored) else {
            panic!("it does not read");
        };
        assert_eq!(objective.validation_images, 0);
    }
}
