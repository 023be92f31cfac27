//! When each activation turns from a soft curve into a hard threshold.
//!
//! A [`Sharpener`] is told about batches and epochs and answers with one [`Sharpness`] a layer,
//! input to output. It knows nothing of networks: the training loop hands its answers on.
//!
//! | sharpener | decides by |
//! |---|---|
//! | [`Scheduled`] | a window of epochs per layer; a little after every batch |
//! | [`Adaptive`] | the training loss: sharpens while it is level, pauses while it recovers |
//! | [`Simple`] | a fixed number of equal steps, one at each epoch's end |
//!
//! All three follow the published behaviour of Whetstone (W. Severa et al., "Training deep neural
//! networks for binary communication with the Whetstone method", Nature Machine Intelligence 1,
//! 2019, <https://arxiv.org/abs/1810.11521>), its lags included. Sharpness is kept in f64 and seen
//! by the layers in f32.
//!
//! Nothing here hardens what the epochs did not suffice for: a training that ends before
//! [`Sharpener::finished`] leaves a partly soft network.

mod adaptive;
mod chosen;
mod scheduled;
mod sharpness;
mod simple;
mod state;

pub use adaptive::{Adaptive, AdaptiveSettings, AdaptiveState, Direction, Trend};
pub use chosen::{Chosen, ChosenState};
pub use scheduled::{ScheduleError, Scheduled, ScheduledState, Window};
pub use sharpness::Sharpness;
pub use simple::Simple;
pub use state::StateError;

/// In which order layers sharpen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One after another, from the input to the output.
    BottomUp,
    /// All at once.
    Uniform,
}

/// What decides the sharpness of every layer as training goes on.
///
/// The caller reports in the order of the work: [`Sharpener::after_batch`] once for each batch of
/// an epoch, then [`Sharpener::after_epoch`]. What [`Sharpener::sharpness`] says between two
/// reports holds for the forward pass of the next batch.
pub trait Sharpener {
    /// Sharpness of each layer as the decision keeps it, in f64, input to output.
    fn host(&self) -> &[f64];

    /// Takes note of one more batch.
    fn after_batch(&mut self);

    /// Takes note of the end of an epoch whose mean training loss was `loss`.
    fn after_epoch(&mut self, loss: f64);

    /// Whether training should end: every layer was fully sharp when the last epoch ended.
    ///
    /// Decided only at an epoch's end; false before the first. Without any layer, true after it.
    fn stop(&self) -> bool;

    /// Whether every layer is fully sharp now.
    fn finished(&self) -> bool {
        self.host().iter().all(|sharpness| *sharpness == 1.0)
    }

    /// What the layers see, input to output.
    fn sharpness(&self) -> Vec<Sharpness> {
        self.host().iter().map(|sharpness| Sharpness::from_host(*sharpness)).collect()
    }
}
