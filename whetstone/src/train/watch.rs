//! Who is told about a training, and what they may take of it.

use super::checkpoint::Checkpoint;
use super::report::EpochReport;
use super::training::Training;

/// Is told about every epoch of a training, at its end.
///
/// A closure over the report is a watch that takes no checkpoint:
///
/// ```
/// use whetstone::train::{EpochReport, Watch};
///
/// let mut losses = Vec::new();
/// let watch: &mut dyn Watch = &mut |report: &EpochReport| losses.push(report.loss);
/// ```
pub trait Watch {
    /// An epoch has ended; `state` is what the next one will begin with.
    fn epoch(&mut self, report: &EpochReport, state: &State<'_>);
}

impl<F: FnMut(&EpochReport)> Watch for F {
    fn epoch(&mut self, report: &EpochReport, _: &State<'_>) {
        self(report);
    }
}

/// All that a training goes on from, on loan between two epochs.
pub struct State<'a>(pub(super) &'a Training<'a>);

impl State<'_> {
    /// A copy of it, from which [`train`](super::train) goes on as if it had never stopped.
    ///
    /// It takes memory for the weights and the optimiser's averages once more, and no time to
    /// speak of.
    ///
    /// # Errors
    ///
    /// If there is no memory for the copy.
    pub fn checkpoint(&self) -> candle_core::Result<Checkpoint> {
        Checkpoint::of(self.0)
    }
}
