//! Studies and trials as the model has them.

use std::collections::BTreeMap;

use super::LEASE_SECONDS;
use crate::simulation::operation::Rules;

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    Running,
    Completed,
    Pruned,
    Failed,
    Cancelled,
}

/// Where a study stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Active,
    Paused,
    Completed,
    Cancelled,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Running,
    Completed,
    Pruned,
    Failed,
    Expired,
    Released,
    Cancelled,
}

#[derive(Clone, Debug)]
pub(super) struct Study {
    pub(super) rules: Rules,
    pub(super) stage: Stage,
    pub(super) trials: Vec<Trial>,
    pub(super) plans: i64,
    pub(super) results: i32,
    pub(super) events: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) state: State,
    /// A person chose the point; otherwise the plan's version, and how many results it knew.
    pub(super) planned: Option<(i64, i32)>,
    pub(super) failures: i32,
    pub(super) not_before: When,
    pub(super) is_withdrawn: bool,
    pub(super) attempts: Vec<Attempt>,
    pub(super) lease: Option<Lease>,
    pub(super) result: Option<Reached>,
}

#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) worker: usize,
    pub(super) outcome: Outcome,
    pub(super) class: Option<&'static str>,
    pub(super) metrics: BTreeMap<u8, u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) worker: usize,
    pub(super) slot: usize,
    pub(super) expires: i64,
    pub(super) deadline: i64,
    pub(super) is_withdrawn: bool,
    pub(super) progress: u8,
}

#[derive(Clone, Debug)]
pub(super) struct Reached {
    pub(super) attempt: usize,
    pub(super) place: i32,
    pub(super) value: u8,
    pub(super) is_pruned: bool,
}

/// A moment ahead: a second, give or take a share that is drawn at random.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) at: i64,
    /// How far before and after it may be, in seconds.
    pub(super) jitter: f64,
}

impl Study {
    pub(super) fn count(&self, state: State) -> usize {
        self.trials.iter().filter(|trial| trial.state == state).count()
    }

    pub(super) fn open(&self) -> usize {
        self.trials.iter().filter(|trial| trial.is_open()).count()
    }

    pub(super) fn has_spent_its_budget(&self) -> bool {
        self.trials.len() >= self.rules.max_trials.unsigned_abs() as usize
    }

    pub(super) fn may_plan(&self) -> bool {
        let parallel = self.rules.max_parallel.unsigned_abs() as usize;
        !self.has_spent_its_budget() && self.open() < parallel
    }

    pub(super) fn plan(&mut self) {
        self.plans += 1;
        self.add(Some((self.plans, self.results)), "plan");
    }

    pub(super) fn add(&mut self, planned: Option<(i64, i32)>, kind: &str) {
        self.events.push(format!("{} {kind}", self.trials.len()));
        self.trials.push(Trial {
            state: State::Queued,
            planned,
            failures: 0,
            not_before: When { at: i64::MIN / 2, jitter: 0.0 },
            is_withdrawn: false,
            attempts: Vec::new(),
            lease: None,
            result: None,
        });
    }

    /// Hands out the first that may be: those that a person chose first, then by number.
    pub(super) fn grant(&mut self, now: i64, worker: usize, slot: usize) -> Option<usize> {
        if self.count(State::Running) >= self.rules.max_parallel.unsigned_abs() as usize {
            return None;
        }
        let ready = (0..self.trials.len()).filter(|&number| self.trials[number].is_ready(now));
        let number = ready.min_by_key(|&number| (self.trials[number].planned.is_some(), number))?;
        let seconds = self.rules.max_trial_seconds;
        let trial = &mut self.trials[number];
        trial.state = State::Running;
        trial.attempts.push(Attempt {
            worker,
            outcome: Outcome::Running,
            class: None,
            metrics: BTreeMap::new(),
        });
        trial.lease = Some(Lease {
            worker,
            slot,
            expires: now + LEASE_SECONDS.min(seconds),
            deadline: now + seconds,
            is_withdrawn: false,
            progress: 0,
        });
        self.note(number, "lease", State::Queued, State::Running);
        Some(number)
    }

    /// The best value of a finished training.
    pub(super) fn best(&self) -> Option<u8> {
        let results = self.trials.iter().filter_map(|trial| trial.result.as_ref());
        results.filter(|result| !result.is_pruned).map(|result| result.value).max()
    }

    pub(super) fn close_if_done(&mut self) {
        if self.stage == Stage::Active && self.has_spent_its_budget() && self.open() == 0 {
            self.stage = Stage::Completed;
        }
    }

    pub(super) fn note(&mut self, number: usize, kind: &str, from: State, to: State) {
        let attempt = self.trials[number].attempts.len();
        self.events.push(format!("{number}#{attempt} {kind} {} → {}", from.word(), to.word()));
    }
}

impl Trial {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Queued | State::Running)
    }

    pub(super) fn is_ready(&self, now: i64) -> bool {
        self.state == State::Queued && self.not_before.at <= now
    }

    /// Ends the attempt that runs, and its lease.
    pub(super) fn end(&mut self, outcome: Outcome, class: Option<&'static str>, to: State) {
        let attempt = self.attempts.last_mut().expect("a running trial has an attempt");
        (attempt.outcome, attempt.class) = (outcome, class);
        self.lease = None;
        self.state = to;
    }
}
