//! What a rule says, and why.

use std::fmt;

/// What a rule says of a running trial.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It has reported nothing that could be compared, stands between two rungs, or at a step before
    /// the first that counts.
    TooEarly,
    /// Too few others have a value there.
    TooFew {
        /// Others that have one.
        peers: u32,
        /// Others that must.
        needed: u32,
    },
    /// It holds its own.
    Continue(Compared),
    /// It should end now.
    Prune(Compared),
}

/// A comparison at one stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// The trial's step.
    pub step: u32,
    /// Quarters of a layer that had sharpened then; 0 where nothing sharpens.
    pub stage: u32,
    /// Steps since it reached the stage; the step itself where nothing sharpens.
    pub place: u32,
    /// The trial's value, larger is better.
    pub value: f64,
    /// What it must not be worse than.
    pub threshold: f64,
    /// Others that it was compared with.
    pub peers: u32,
}

impl Compared {
    /// The verdict that the comparison amounts to.
    pub(super) fn verdict(self) -> Verdict {
        if self.value < self.threshold { Verdict::Prune(self) } else { Verdict::Continue(self) }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::TooEarly => f.write_str("nothing to compare yet"),
            Verdict::TooFew { peers, needed } => {
                write!(f, "{peers} other trials can be compared with, {needed} are needed")
            }
            Verdict::Continue(by) => write!(f, "{} is not worse than {}", by.value, by.threshold),
            Verdict::Prune(by) => write!(f, "{} is worse than {}", by.value, by.threshold),
        }
    }
}
