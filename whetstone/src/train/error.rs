//! Why a training ended without an outcome.

use super::checkpoint::CheckpointError;

/// Why a training ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// [`Stop`](super::Stop) was asked for.
    #[error("training was stopped on request")]
    Stopped,
    /// The loss is no longer a number. Another learning rate may help, another attempt will not.
    #[error(
        "the loss became infinite or undefined in epoch {epoch}, batch {batch}: lower the learning \
         rate"
    )]
    Diverged {
        /// The epoch, from 0.
        epoch: u32,
        /// The batch within it, from 0.
        batch: usize,
    },
    /// The recipe cannot be followed on this data.
    #[error("the recipe does not fit the data set `{dataset}`: {reason}")]
    Recipe {
        /// The data set.
        dataset: String,
        /// What does not fit, as a sentence.
        reason: String,
    },
    /// The checkpoint is none of this training. Begin anew, without it.
    #[error("training cannot go on from the checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// A tensor operation failed, which no valid recipe brings about.
    #[error("a tensor operation failed in training")]
    Tensor(#[from] candle_core::Error),
}
