//! What a trial, a lease and a report are: the domain, without SQL and without wire.
//!
//! The drawing of a trial's life is in `migrations/0002_trial.sql`.

use std::{collections::BTreeMap, time::Duration};

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tuner::{Point, UnitPoint};
use uuid::Uuid;

use crate::{artifact::Checkpoint, study::Objective, worker::DrainOrder};

/// Where a trial stands. The last four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "trial_state", rename_all = "lowercase")]
pub enum TrialState {
    /// Waiting for a worker.
    Queued,
    /// One worker holds its lease.
    Running,
    /// Ended with a value.
    Completed,
    /// Stopped early, with the last value.
    Pruned,
    /// Given up.
    Failed,
    /// Withdrawn.
    Cancelled,
}

impl TrialState {
    /// The word for it in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            TrialState::Queued => "queued",
            TrialState::Running => "running",
            TrialState::Completed => "completed",
            TrialState::Pruned => "pruned",
            TrialState::Failed => "failed",
            TrialState::Cancelled => "cancelled",
        }
    }

    /// Whether a result may still come.
    pub fn is_open(self) -> bool {
        matches!(self, TrialState::Queued | TrialState::Running)
    }
}

/// The fence: which attempt at which trial a report speaks of. All three must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LeaseRef {
    /// The trial, the same on every attempt.
    pub trial_id: i64,
    /// Leases granted so far, this one included.
    pub attempt: i32,
    /// New on each grant.
    pub lease_id: Uuid,
}

/// Who asks for work.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The worker process.
    pub worker_id: Uuid,
    /// Which of its places.
    pub slot: i32,
    /// Objective kinds it understands.
    pub objectives: Vec<String>,
    /// Studies it serves by name; empty: all.
    pub studies: Vec<String>,
    /// Host name, for people.
    pub label: String,
    /// What it computes on, for people.
    pub device: String,
}

/// One granted lease, with all that a worker needs to begin.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The fence.
    pub fence: LeaseRef,
    /// How long the right lasts from now.
    pub ttl: Duration,
    /// The study's key.
    pub study_id: i64,
    /// The study's name.
    pub study: String,
    /// The trial's number in it.
    pub number: i32,
    /// The point to evaluate.
    pub point: Point,
    /// What to evaluate there.
    pub objective: Objective,
    /// Seed of everything random in the trial.
    pub seed: u64,
    /// Where an earlier attempt came to.
    pub checkpoint: Option<Checkpoint>,
    /// Epochs between two checkpoints; 0: none.
    pub checkpoint_epochs: i32,
    /// The best value of the study so far that keeps every constraint, in the objective's unit.
    pub best_value: Option<f64>,
}

/// What a finished training reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The objective's value; finite.
    pub value: f64,
    /// Everything else measured, by name; finite.
    pub measurements: BTreeMap<String, f64>,
    /// Whether the training was stopped early.
    pub is_pruned: bool,
}

impl Report {
    /// Where the report leaves its trial.
    pub fn state(&self) -> TrialState {
        if self.is_pruned { TrialState::Pruned } else { TrialState::Completed }
    }

    /// Tells a repeated report from a contradicting one: the bits of every number count.
    pub fn sha256(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.value.to_bits().to_be_bytes());
        for (name, value) in &self.measurements {
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name.as_bytes());
            hash.update(value.to_bits().to_be_bytes());
        }
        // Added only where it says something, so that older reports keep their hash.
        if self.is_pruned {
            hash.update(b"pruned");
        }
        hash.finalize().to_vec()
    }
}

/// Why an attempt failed; it decides whether the trial is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The point or objective cannot be trained at all.
    UserError,
    /// The loss became NaN or infinite, which the seed would repeat.
    Nan,
    /// Out of memory.
    Oom,
    /// Data missing or damaged on that worker.
    Data,
    /// The worker's code broke.
    Panic,
    /// The accelerator went away.
    DeviceLost,
}

impl FailureClass {
    /// Whether another attempt could end otherwise.
    pub fn is_retryable(self) -> bool {
        !matches!(self, FailureClass::UserError | FailureClass::Nan)
    }

    /// Whether it looks like the fault of the worker's machine: what its disk lacks and its accelerator
    /// that went away would fail the next trial as well. Memory runs out for large points on any machine,
    /// code breaks on all of them, and a lapsed lease has nobody left to send away: these do not count.
    pub fn is_machines(self) -> bool {
        matches!(self, FailureClass::Data | FailureClass::DeviceLost)
    }

    /// The word in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureClass::UserError => "user_error",
            FailureClass::Nan => "nan",
            FailureClass::Oom => "oom",
            FailureClass::Data => "data",
            FailureClass::Panic => "panic",
            FailureClass::DeviceLost => "device_lost",
        }
    }
}

/// What a renewal answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// How long the right lasts from now.
    pub ttl: Duration,
    /// What the worker should do with the trial.
    pub directive: Directive,
    /// Why it is to go, if it is.
    pub drain: Option<DrainOrder>,
}

/// What a worker should do with its trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    Continue,
    /// Give it back: a person has withdrawn it.
    Cancel,
    /// End it with the last value.
    Prune,
    /// Give it back, or end it soon: the worker is to go.
    Drain,
}

impl Directive {
    /// What the flags of a lease say. Whoever withdraws a trial wants no value of it.
    pub fn of(cancel: bool, prune: bool) -> Directive {
        match (cancel, prune) {
            (true, _) => Directive::Cancel,
            (false, true) => Directive::Prune,
            (false, false) => Directive::Continue,
        }
    }
}

/// Why an attempt was told to end its trial early.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Pruning {
    /// The rule.
    pub rule: String,
    /// The metric that was compared.
    pub metric: String,
    /// Epoch at which it was compared.
    pub step: i32,
    /// Quarters of a layer that had sharpened.
    pub stage: i32,
    /// Steps since the stage was reached.
    pub place: i32,
    /// The trial's value there, in the metric's own unit.
    pub value: f64,
    /// What it was worse than.
    pub threshold: f64,
    /// Trials that it was compared with.
    pub peers: i32,
}

/// A trial as people see it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Unique over all studies.
    pub trial_id: i64,
    /// The study's name.
    pub study: String,
    /// Number within the study.
    pub number: i32,
    /// Where it stands.
    pub state: TrialState,
    /// The point.
    pub point: Point,
    /// What it reached.
    pub value: Option<f64>,
    /// Everything else measured.
    pub measurements: BTreeMap<String, f64>,
    /// Leases granted so far.
    pub attempt: i32,
    /// Attempts that failed or lapsed.
    pub failures: i32,
    /// What it was decided from; `None` if a person enqueued it.
    pub suggestion: Option<Suggested>,
    /// Share of the running attempt that is done.
    pub progress: f64,
    /// Last metrics of the current attempt.
    pub metrics: BTreeMap<String, f64>,
    /// Label of the last worker.
    pub worker: String,
    /// Why the last attempt failed.
    pub failure: String,
    /// When it was planned or enqueued.
    pub created_at: OffsetDateTime,
    /// When its last attempt began.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
    /// Epochs that the last attempt found trained; `None` if it began afresh.
    pub resumed_from_epoch: Option<i32>,
    /// Whether its result keeps every constraint; `None` without a result.
    pub feasible: Option<bool>,
    /// Why the last attempt was told to end early.
    pub pruning: Option<Pruning>,
}

/// What the posterior said about a point when it was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggested {
    /// Why this point.
    pub origin: String,
    /// The plan that chose it.
    pub posterior_version: i64,
    /// Results known then.
    pub horizon: i32,
    /// Predicted value, in the objective's unit.
    pub mean: Option<f64>,
    /// Standard deviation of it.
    pub deviation: Option<f64>,
    /// What it promised; see [`tuner::suggest_for`].
    pub acquisition: Option<f64>,
}

/// A point to be inserted as a trial, in both coordinate systems.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPoint {
    /// Natural units.
    pub point: Point,
    /// The same in the unit cube.
    pub unit_point: UnitPoint,
}

/// Seed of everything random in a trial: the same on every attempt, different for each trial.
///
/// The finaliser of SplitMix64 (G. Steele et al., "Fast Splittable Pseudorandom Number Generators",
/// OOPSLA 2014) over the study's seed advanced by the trial's number.
pub fn trial_seed(study_seed: u64, number: i32) -> u64 {
    let step = u64::from(number.unsigned_abs()) + 1;
    let mut z = study_seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_of_a_study_have_different_seeds_and_the_first_is_splitmix_of_the_studys() {
        // First output of SplitMix64 seeded with 1234567, from its published test vector.
        assert_eq!(trial_seed(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(trial_seed(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_report_with_one_bit_changed_hashes_differently() {
        let report = Report {
            value: 0.5,
            measurements: BTreeMap::from([("epochs".to_owned(), 3.0)]),
            is_pruned: false,
        };
        assert_ne!(report.sha256(), Report { is_pruned: true, ..report.clone() }.sha256());
        let mut other = report.clone();
        other.measurements.insert("epochs".to_owned(), f64::from_bits(3.0_f64.to_bits() + 1));
        assert_eq!(report.sha256(), report.clone().sha256());
        assert_ne!(report.sha256(), other.sha256());
    }
}
