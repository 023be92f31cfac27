//! What a person wants of a study.

use tonic::Code;

use super::{Answer, GRACE_SECONDS, Model, Stage, State};
use crate::simulation::operation::Deed;

impl Model {
    pub(super) fn steer(&mut self, study: usize, deed: Deed, budget: i32) -> Answer {
        match deed {
            Deed::Enqueue { count, request } => self.enqueue(study, count, request),
            Deed::Pause => self.to(study, Stage::Paused),
            Deed::Resume => self.to(study, Stage::Active),
            Deed::Cancel => self.to(study, Stage::Cancelled),
            Deed::Extend(_) => self.extend(study, budget),
        }
    }

    /// The budget that an extension asks for.
    pub fn budget(&self, study: usize, by: i32) -> i32 {
        i32::try_from(self.studies[study].trials.len()).expect("a handful") + by
    }

    /// All of the points or none, once for each name of a request.
    fn enqueue(&mut self, study: usize, count: usize, request: u64) -> Answer {
        if let Some(numbers) = self.answered.get(&(study, count, request)) {
            return Answer::Enqueued(numbers.clone());
        }
        let within = &mut self.studies[study];
        let first = within.trials.len();
        let is_open = matches!(within.stage, Stage::Active | Stage::Paused);
        if !is_open || first + count > within.rules.max_trials.unsigned_abs() as usize {
            return Answer::Refused(Code::FailedPrecondition);
        }
        for _ in 0..count {
            within.add(None, "enqueue");
        }
        within.events.push("enqueue".to_owned());
        let numbers: Vec<usize> = (first..first + count).collect();
        self.answered.insert((study, count, request), numbers.clone());
        Answer::Enqueued(numbers)
    }

    /// The study first, and then its trials.
    fn to(&mut self, study: usize, to: Stage) -> Answer {
        let answer = self.stage_to(study, to);
        if answer == Answer::Steered {
            self.after(study, to);
        }
        answer
    }

    /// The first half of a cancel: nothing is handed out any more.
    pub fn begin_cancel(&mut self, study: usize) -> Answer {
        self.stage_to(study, Stage::Cancelled)
    }

    /// The second half. Between the two a trial may end in its own way.
    pub fn finish_cancel(&mut self, study: usize) {
        self.after(study, Stage::Cancelled);
    }

    fn stage_to(&mut self, study: usize, to: Stage) -> Answer {
        let within = &mut self.studies[study];
        match within.stage {
            Stage::Active | Stage::Paused => within.stage = to,
            already if already == to => {}
            Stage::Completed | Stage::Cancelled => {
                return Answer::Refused(Code::FailedPrecondition);
            }
        }
        within.events.push("steer".to_owned());
        Answer::Steered
    }

    /// A cancelled study's waiting trials are withdrawn at once; running ones are asked to stop.
    fn after(&mut self, study: usize, to: Stage) {
        let now = self.now;
        let within = &mut self.studies[study];
        for number in 0..within.trials.len() {
            let trial = &mut within.trials[number];
            if to != Stage::Cancelled || !trial.is_open() {
                continue;
            }
            trial.is_withdrawn = true;
            if let Some(lease) = &mut trial.lease {
                lease.is_withdrawn = true;
                lease.deadline = lease.deadline.min(now + GRACE_SECONDS);
                lease.expires = lease.expires.min(lease.deadline);
            } else {
                trial.state = State::Cancelled;
                within.note(number, "cancel", State::Queued, State::Cancelled);
            }
        }
        within.close_if_done();
    }

    /// A study that had ended goes on if the budget leaves it something to do.
    fn extend(&mut self, study: usize, budget: i32) -> Answer {
        if budget < 1 {
            return Answer::Refused(Code::InvalidArgument);
        }
        let within = &mut self.studies[study];
        let planned = i32::try_from(within.trials.len()).expect("a handful");
        let is_taken = match within.stage {
            Stage::Active | Stage::Paused => budget >= planned,
            Stage::Completed => budget > planned,
            Stage::Cancelled => false,
        };
        if !is_taken {
            return Answer::Refused(Code::FailedPrecondition);
        }
        within.rules.max_trials = budget;
        if within.stage == Stage::Completed {
            within.stage = Stage::Active;
        }
        within.events.push("extend".to_owned());
        within.close_if_done();
        Answer::Steered
    }
}
