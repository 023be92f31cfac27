//! [`Halt`]: the flag that ends a training before its time, and why it was raised.

use std::sync::{Arc, OnceLock};

use whetstone::train::Stop;

/// Why a training has to end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The coordinator said that the trial was handed on or has ended: nobody wants the result.
    Lost,
    /// The lease may have lapsed by this worker's clock, and the coordinator did not answer.
    Lapsed,
    /// A person withdrew the trial.
    Cancelled,
    /// Others do better at the same stage: the trial ends with its last value.
    Pruned,
    /// This worker is going away.
    Drain,
}

impl Why {
    /// One word for a log line, and for the reason of a release.
    pub fn word(self) -> &'static str {
        match self {
            Why::Lost => "lost",
            Why::Lapsed => "lapsed",
            Why::Cancelled => "cancelled",
            Why::Pruned => "pruned",
            Why::Drain => "drain",
        }
    }
}

/// A flag of one training, shared by whoever may end it and the training that looks at each batch.
///
/// The first reason stays: a drain does not turn a lost lease into one that can be released.
#[derive(Clone, Debug, Default)]
pub struct Halt {
    why: Arc<OnceLock<Why>>,
    stop: Stop,
}

impl Halt {
    /// A lowered flag.
    pub fn new() -> Halt {
        Halt::default()
    }

    /// Raises the flag, unless it is up already.
    pub fn set(&self, why: Why) {
        // The reason stands before the flag can be seen; a later reason is dropped on purpose.
        let _first = self.why.set(why);
        self.stop.ask();
    }

    /// Why the flag is up; `None` while it is down.
    pub fn why(&self) -> Option<Why> {
        self.why.get().copied()
    }

    /// The bare flag, as the trainer takes it.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let halt = Halt::new();
        assert_eq!(halt.why(), None);
        halt.set(Why::Lost);
        halt.clone().set(Why::Drain);
        assert_eq!(halt.why(), Some(Why::Lost));
    }
}
