//! What a study is: the domain, without SQL and without wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tuner::{Algorithm, Options, Space, StartDesign, Value};

use crate::{goals::Goals, trial::Trial};

/// Metrics that a Whetstone objective may maximise; the first is the default.
pub const METRICS: [&str; 2] = ["binary_accuracy", "soft_accuracy"];

/// Failed or lapsed attempts that end a trial, unless the study says otherwise (taste).
pub const MAX_FAILURES: i32 = 3;

/// Hard limit on one attempt in seconds, unless the study says otherwise: a day.
pub const MAX_TRIAL_SECONDS: i32 = 86_400;

/// Most trials a study may have: a plan reads them all.
pub const TRIALS_MAX: i32 = 100_000;

/// Most epochs between two checkpoints: longer than any training.
pub const CHECKPOINT_EPOCHS_MAX: u32 = 10_000;

/// Most trials open at once; also what "no limit" means.
pub const PARALLEL_MAX: i32 = 10_000;

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
