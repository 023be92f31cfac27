//! The lease protocol a second time: in memory, one step at a time, from what it promises and not from
//! its SQL.
//!
//! Seconds are whole and count from the start of a case. A moment that lies ahead is put in the middle
//! between two tens by [`Model::settle`], and time goes by in tens: so none is ever met exactly, and
//! the seconds that the real thing spends computing decide nothing.

mod deeds;
pub mod lines;
mod speeches;
mod study;

use std::collections::HashMap;

use tonic::Code;

use super::operation::{Call, Deed, Forgery, Rules};
use study::{Outcome, Reached, Stage, State, Study, Trial, When};

/// How long a lease lasts without a heartbeat, in seconds.
pub const LEASE_SECONDS: i64 = 60;

/// How long a withdrawn trial may still run: two leases.
const GRACE_SECONDS: i64 = 2 * LEASE_SECONDS;

/// Names a lease that was granted: study, trial, attempt from 1.
pub type Grant = (usize, usize, usize);

/// What a call quotes.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    /// The study and the trial's number in it; `None`: a trial that there is not.
    pub trial: Option<(usize, usize)>,
    /// The attempt.
    pub attempt: usize,
    /// The grant whose lease id it is; `None`: an id that was never granted.
    pub lease: Option<Grant>,
}

/// What a call is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A lease, and how many seconds it lasts, rounded up to fives.
    Granted {
        /// Which.
        grant: Grant,
        /// Seconds.
        ttl: i64,
        /// The best value of the study, in quarters.
        best: Option<u8>,
    },
    /// No lease.
    Nothing {
        /// Whether all studies have ended.
        idle: bool,
    },
    /// A heartbeat was taken.
    Renewed {
        /// Seconds, as above.
        ttl: i64,
        /// Whether to give the trial up.
        is_withdrawn: bool,
    },
    /// Metrics were taken.
    Told {
        /// Whether to give the trial up.
        is_withdrawn: bool,
    },
    /// A result was taken.
    Recorded {
        /// Whether it had been before.
        duplicate: bool,
    },
    /// A failure was taken.
    Failed {
        /// Whether the trial is tried again.
        retried: bool,
    },
    /// A trial was taken back.
    Released,
    /// A reaper put back trials of these studies.
    Reaped(Vec<usize>),
    /// Trials of these numbers were enqueued.
    Enqueued(Vec<usize>),
    /// A study was steered.
    Steered,
    /// It was refused.
    Refused(Code),
    /// There is no lease that the call could speak of: it was not made.
    Unsaid,
}

/// Studies and workers as they should stand.
#[derive(Clone, Debug)]
pub struct Model {
    now: i64,
    studies: Vec<Study>,
    /// All leases ever granted, in order.
    grants: Vec<Grant>,
    late_reports: usize,
    /// What requests that carried a name were answered; one name for other points is another request.
    answered: HashMap<(usize, usize, u64), Vec<usize>>,
}

impl Model {
    /// Fresh studies with these limits.
    pub fn new(rules: &[Rules]) -> Self {
        let study = |&rules: &Rules| Study {
            rules,
            stage: Stage::Active,
            trials: Vec::new(),
            plans: 0,
            results: 0,
            events: Vec::new(),
        };
        Self {
            now: 0,
            studies: rules.iter().map(study).collect(),
            grants: Vec::new(),
            late_reports: 0,
            answered: HashMap::new(),
        }
    }

    /// Time goes by.
    pub fn wait(&mut self, tens: i64) {
        self.now += 10 * tens;
    }

    /// What the coordinator should answer; the model then stands where the database should.
    pub fn call(&mut self, call: &Call) -> Answer {
        match *call {
            Call::Steer { study, deed: Deed::Extend(by) } => {
                let budget = self.budget(study, by);
                self.call_with(call, budget)
            }
            _ => self.call_with(call, 0),
        }
    }

    /// The same, where an extension asks for a budget that was worked out before.
    pub fn call_with(&mut self, call: &Call, budget: i32) -> Answer {
        match *call {
            Call::Ask { worker, slot } => self.ask(worker, slot),
            Call::Speak { speech, .. } => match self.fence(call) {
                Some(fence) => self.speak(&fence, speech),
                None => Answer::Unsaid,
            },
            Call::Reap => self.reap(),
            Call::Steer { study, deed } => self.steer(study, deed, budget),
        }
    }

    /// What the call quotes; `None` if it is about no lease, or none was granted yet.
    pub fn fence(&self, call: &Call) -> Option<Fence> {
        let Call::Speak { back, forgery, .. } = *call else { return None };
        let last = self.grants.len().checked_sub(1)?;
        let (study, trial, attempt) = self.grants[last - back % self.grants.len()];
        let genuine =
            Fence { trial: Some((study, trial)), attempt, lease: Some((study, trial, attempt)) };
        Some(match forgery {
            Forgery::None => genuine,
            Forgery::LeaseId => Fence { lease: None, ..genuine },
            Forgery::FirstLeaseId => Fence { lease: Some((study, trial, 1)), ..genuine },
            Forgery::NextAttempt => Fence { attempt: attempt + 1, ..genuine },
            Forgery::OtherTrial => {
                Fence { trial: trial.checked_sub(1).map(|other| (study, other)), ..genuine }
            }
        })
    }

    /// The lease that the slot holds, else the first trial that it may have.
    fn ask(&mut self, worker: usize, slot: usize) -> Answer {
        let now = self.now;
        for (study, within) in self.studies.iter_mut().enumerate() {
            let best = within.best();
            for (number, trial) in within.trials.iter_mut().enumerate() {
                let Some(lease) = &mut trial.lease else { continue };
                if (lease.worker, lease.slot) == (worker, slot) {
                    lease.expires = lease.deadline.min(now + LEASE_SECONDS);
                    let grant = (study, number, trial.attempts.len());
                    return Answer::Granted { grant, ttl: left(now, lease.expires), best };
                }
            }
        }
        let mut active: Vec<usize> = (0..self.studies.len())
            .filter(|&study| self.studies[study].stage == Stage::Active)
            .collect();
        active.sort_by_key(|&study| self.studies[study].count(State::Running));
        for study in active {
            let within = &mut self.studies[study];
            if !within.trials.iter().any(|trial| trial.is_ready(now)) {
                if !within.may_plan() {
                    continue;
                }
                within.plan();
            }
            if let Some(number) = within.grant(now, worker, slot) {
                let grant = (study, number, within.trials[number].attempts.len());
                let ttl = LEASE_SECONDS.min(within.rules.max_trial_seconds);
                let best = within.best();
                self.grants.push(grant);
                return Answer::Granted { grant, ttl, best };
            }
        }
        let ended = |study: &Study| matches!(study.stage, Stage::Completed | Stage::Cancelled);
        Answer::Nothing { idle: self.studies.iter().all(ended) }
    }

    /// Lapsed leases let others in.
    fn reap(&mut self) -> Answer {
        let now = self.now;
        let mut touched = Vec::new();
        for (index, study) in self.studies.iter_mut().enumerate() {
            for number in 0..study.trials.len() {
                let max_failures = study.rules.max_failures;
                let trial = &mut study.trials[number];
                if trial.lease.as_ref().is_none_or(|lease| lease.expires > now) {
                    continue;
                }
                let wait = match trial.failures {
                    0 => 0,
                    before => back_off(before - 1),
                };
                trial.not_before = When { at: now + wait, jitter: wait as f64 * speeches::JITTER };
                trial.failures += 1;
                let to = match trial.is_withdrawn {
                    true => State::Cancelled,
                    false if trial.failures >= max_failures => State::Failed,
                    false => State::Queued,
                };
                trial.end(Outcome::Expired, Some("lease_expired"), to);
                study.note(number, "reap", State::Running, to);
                touched.push(index);
            }
            study.close_if_done();
        }
        touched.dedup();
        Answer::Reaped(touched)
    }

    /// Puts every moment that lies ahead in the middle between two tens, and forgets what was drawn at
    /// random. Says whether anything was moved.
    pub fn settle(&mut self) -> bool {
        let now = self.now;
        let mut moved = false;
        let mut settle = |at: &mut i64| {
            if *at > now {
                let to = now + (*at - now - 1) / 10 * 10 + 5;
                moved |= to != *at;
                *at = to;
            }
        };
        let mut drawn = false;
        for trial in self.studies.iter_mut().flat_map(|study| &mut study.trials) {
            settle(&mut trial.not_before.at);
            drawn |= std::mem::take(&mut trial.not_before.jitter) != 0.0;
            if let Some(lease) = &mut trial.lease {
                settle(&mut lease.expires);
                settle(&mut lease.deadline);
            }
        }
        moved || drawn
    }

    /// Every lease by trial, with the seconds left until it lapses and until its deadline.
    pub fn leases(&self) -> impl Iterator<Item = ((usize, usize), i64, i64)> {
        self.each().filter_map(|(at, trial)| {
            let lease = trial.lease.as_ref()?;
            Some((at, lease.expires - self.now, lease.deadline - self.now))
        })
    }

    /// Every waiting trial, with the seconds left until it may be handed out.
    pub fn waiting(&self) -> impl Iterator<Item = ((usize, usize), i64)> {
        let queued = self.each().filter(|(_, trial)| trial.state == State::Queued);
        queued.map(|(at, trial)| (at, trial.not_before.at - self.now))
    }

    fn each(&self) -> impl Iterator<Item = ((usize, usize), &Trial)> {
        self.studies.iter().enumerate().flat_map(|(index, study)| {
            study.trials.iter().enumerate().map(move |(number, trial)| ((index, number), trial))
        })
    }
}

/// How long a trial waits after a failure that was preceded by so many.
fn back_off(before: i32) -> i64 {
    (0..before).fold(5, |seconds, _| 2 * seconds).min(300)
}

/// Seconds that are left of a right, which are never fewer than none.
fn left(now: i64, until: i64) -> i64 {
    (until - now).max(0)
}
