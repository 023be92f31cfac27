//! What a worker says of its lease.

use proto::v1::FailureClass;
use tonic::Code;

use super::{Answer, Fence, LEASE_SECONDS, Model, Outcome, Reached, State, When, back_off, left};
use crate::simulation::operation::Speech;

/// The share by which a back-off may be longer or shorter.
pub(super) const JITTER: f64 = 0.2;

impl Model {
    pub(super) fn speak(&mut self, fence: &Fence, speech: Speech) -> Answer {
        match speech {
            Speech::Beat(progress) => self.beat(fence, progress),
            Speech::Report { step, value } => self.report(fence, step, value),
            Speech::Complete { value, is_pruned } => self.complete(fence, value, is_pruned),
            Speech::Fail(class) => self.fail(fence, class),
            Speech::Release => self.release(fence),
        }
    }

    /// The trial, if the fence is that of an attempt that was made.
    fn attempted(&self, fence: &Fence) -> Option<(usize, usize)> {
        let (study, number) = fence.trial?;
        (fence.lease == Some((study, number, fence.attempt))).then_some((study, number))
    }

    /// The trial, if the fence is that of the lease that runs.
    fn held(&self, fence: &Fence) -> Option<(usize, usize)> {
        let (study, number) = self.attempted(fence)?;
        let trial = &self.studies[study].trials[number];
        let is_last = trial.attempts.len() == fence.attempt;
        (trial.lease.is_some() && is_last).then_some((study, number))
    }

    /// What became of the attempt, and where its trial stands.
    fn became(&self, fence: &Fence) -> Option<(Outcome, State)> {
        let (study, number) = self.attempted(fence)?;
        let trial = &self.studies[study].trials[number];
        Some((trial.attempts[fence.attempt - 1].outcome, trial.state))
    }

    fn beat(&mut self, fence: &Fence, progress: u8) -> Answer {
        let now = self.now;
        let Some((study, number)) = self.held(fence) else { return lost() };
        let lease = self.studies[study].trials[number].lease.as_mut().expect("it is held");
        lease.progress = progress;
        lease.expires = lease.deadline.min(now + LEASE_SECONDS);
        Answer::Renewed { ttl: left(now, lease.expires), is_withdrawn: lease.is_withdrawn }
    }

    /// The first value of a step counts.
    fn report(&mut self, fence: &Fence, step: u8, value: u8) -> Answer {
        let Some((study, number)) = self.held(fence) else { return lost() };
        let trial = &mut self.studies[study].trials[number];
        let lease = trial.lease.as_mut().expect("it is held");
        lease.progress = value;
        let is_withdrawn = lease.is_withdrawn;
        trial.attempts.last_mut().expect("it runs").metrics.entry(step).or_insert(value);
        Answer::Told { is_withdrawn }
    }

    /// Taken from the trial's last attempt, also if that has lapsed and nobody has taken over, and also
    /// if a person has withdrawn the trial while it ran.
    fn complete(&mut self, fence: &Fence, value: u8, is_pruned: bool) -> Answer {
        let attempted = self.attempted(fence);
        let may_report = attempted.filter(|&(study, number)| {
            let trial = &self.studies[study].trials[number];
            let outcome = trial.attempts[fence.attempt - 1].outcome;
            fence.attempt == trial.attempts.len()
                && matches!(trial.state, State::Running | State::Queued)
                && matches!(outcome, Outcome::Running | Outcome::Expired)
        });
        if let Some((study, number)) = may_report {
            let (to, outcome, kind) = match is_pruned {
                true => (State::Pruned, Outcome::Pruned, "prune"),
                false => (State::Completed, Outcome::Completed, "complete"),
            };
            let within = &mut self.studies[study];
            let place = within.results;
            within.results += 1;
            let trial = &mut within.trials[number];
            let was = trial.state;
            trial.result = Some(Reached { attempt: fence.attempt, place, value, is_pruned });
            trial.end(outcome, None, to);
            within.note(number, kind, was, to);
            within.close_if_done();
            return Answer::Recorded { duplicate: false };
        }
        let earlier = attempted.and_then(|(study, number)| {
            let result = self.studies[study].trials[number].result.as_ref()?;
            let said = (result.value, result.is_pruned);
            (result.attempt == fence.attempt).then_some((study, number, said))
        });
        match earlier {
            Some((_, _, said)) if said == (value, is_pruned) => {
                Answer::Recorded { duplicate: true }
            }
            Some((study, number, _)) => {
                self.studies[study].events.push(format!("{number} result_conflict"));
                Answer::Refused(Code::AlreadyExists)
            }
            None => {
                self.late_reports += usize::from(fence.lease.is_some());
                lost()
            }
        }
    }

    fn fail(&mut self, fence: &Fence, class: FailureClass) -> Answer {
        let now = self.now;
        let Some((study, number)) = self.held(fence) else {
            return match self.became(fence) {
                Some((Outcome::Failed, state)) => {
                    Answer::Failed { retried: matches!(state, State::Queued | State::Running) }
                }
                _ => lost(),
            };
        };
        let (word, is_hopeless) = match class {
            FailureClass::UserError => ("user_error", true),
            FailureClass::Nan => ("nan", true),
            FailureClass::Oom => ("oom", false),
            FailureClass::Data => ("data", false),
            FailureClass::DeviceLost => ("device_lost", false),
            FailureClass::Panic | FailureClass::Unspecified => ("panic", false),
        };
        let within = &mut self.studies[study];
        let max_failures = within.rules.max_failures;
        let trial = &mut within.trials[number];
        let wait = back_off(trial.failures);
        trial.not_before = When { at: now + wait, jitter: wait as f64 * JITTER };
        trial.failures += 1;
        let to = match trial.is_withdrawn {
            _ if is_hopeless || trial.failures >= max_failures => State::Failed,
            true => State::Cancelled,
            false => State::Queued,
        };
        trial.end(Outcome::Failed, Some(word), to);
        within.note(number, "fail", State::Running, to);
        within.close_if_done();
        Answer::Failed { retried: to == State::Queued }
    }

    /// No failure is counted, and nobody waits.
    fn release(&mut self, fence: &Fence) -> Answer {
        let Some((study, number)) = self.held(fence) else {
            return match self.became(fence) {
                Some((Outcome::Released | Outcome::Cancelled, _)) => Answer::Released,
                _ => lost(),
            };
        };
        let within = &mut self.studies[study];
        let trial = &mut within.trials[number];
        let (outcome, to) = match trial.is_withdrawn {
            true => (Outcome::Cancelled, State::Cancelled),
            false => (Outcome::Released, State::Queued),
        };
        trial.end(outcome, None, to);
        within.note(number, "release", State::Running, to);
        within.close_if_done();
        Answer::Released
    }
}

fn lost() -> Answer {
    Answer::Refused(Code::Aborted)
}
