//! The scheduled sharpener: a window of epochs for each layer.

use recipe::{Recipe, schedule};

use super::Sharpener;
use super::state::{StateError, check};
use serde::{Deserialize, Serialize};

/// Epochs in which one layer goes from soft to hard, compared with the 0-based index of the last
/// completed epoch: the layer moves while that index lies in `start … stop − 1`, and is hard from
/// `stop` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: u32,
    stop: u32,
}

/// Why a schedule cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Nothing can sharpen before an epoch is complete.
    #[error("a layer cannot begin to sharpen at epoch 0; the first possible start is 1")]
    StartsAtZero,

    /// The window holds no epoch.
    #[error("a window must stop after it starts, but one starts at {start} and stops at {stop}")]
    EmptyWindow {
        /// The window's first epoch.
        start: u32,
        /// The epoch at which it ends.
        stop: u32,
    },

    /// Some layer would never sharpen.
    #[error(
        "{layers} layers sharpen but the schedule has windows for {windows}; give one for each"
    )]
    TooFewWindows {
        /// Layers of the network that sharpen.
        layers: usize,
        /// Windows that were given.
        windows: usize,
    },
}

impl Window {
    /// The window that starts and stops at these epochs.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::StartsAtZero`] and [`ScheduleError::EmptyWindow`].
    pub fn new(start: u32, stop: u32) -> Result<Window, ScheduleError> {
        match (start, stop) {
            (0, _) => Err(ScheduleError::StartsAtZero),
            _ if stop <= start => Err(ScheduleError::EmptyWindow { start, stop }),
            _ => Ok(Window { start, stop }),
        }
    }

    /// One window for each of `layers` layers, evenly spaced; see [`recipe::schedule`].
    ///
    /// # Errors
    ///
    /// [`ScheduleError::StartsAtZero`] if `start` is 0, [`ScheduleError::EmptyWindow`] if
    /// `duration` is.
    pub fn evenly(
        layers: u32,
        start: u32,
        duration: u32,
        intermission: u32,
    ) -> Result<Vec<Window>, ScheduleError> {
        schedule::windows(layers, start, duration, intermission)
            .into_iter()
            .map(|(start, stop)| Window::new(start, stop))
            .collect()
    }

    /// Index of the last completed epoch from which on the layer moves.
    pub fn start(self) -> u32 {
        self.start
    }

    /// Index of the last completed epoch from which on the layer is hard, come what may.
    pub fn stop(self) -> u32 {
        self.stop
    }
}

/// Sharpens each layer linearly, batch by batch, within its window.
///
/// With `N = (stop − start) · batches` batches in a window, a layer gains `1 / (N − 1)` after each,
/// so that the window's first batch runs at 0 and its last at 1. A window of a single batch jumps
/// to 1 after it.
///
/// # The lag
///
/// What is compared with the windows is the index of the last *completed* epoch, which is 0 during
/// epochs 0 and 1. So the window (start, stop) acts in the 0-based epochs `start + 1 … stop`, the
/// first two epochs never sharpen, and training ends after epoch `stop` of the last window. A
/// reader would correct this; published schedules are meant with it.
#[derive(Clone, Debug)]
pub struct Scheduled {
    windows: Vec<Window>,
    increments: Vec<f64>,
    state: ScheduledState,
}

/// What changes in a [`Scheduled`] sharpener as training goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduledState {
    host: Vec<f64>,
    epochs_completed: u32,
    stop: bool,
}

impl Scheduled {
    /// A sharpener for `layers` layers that follows one window each; windows beyond the layers
    /// are ignored. `batches_per_epoch` counts a last, smaller batch too.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::TooFewWindows`].
    ///
    /// # Panics
    ///
    /// If `batches_per_epoch` is 0.
    pub fn new(
        layers: usize,
        windows: &[Window],
        batches_per_epoch: usize,
    ) -> Result<Scheduled, ScheduleError> {
        assert!(batches_per_epoch > 0, "an epoch has at least one batch");
        let windows = windows
            .get(..layers)
            .ok_or(ScheduleError::TooFewWindows { layers, windows: windows.len() })?;
        let increments = windows
            .iter()
            .map(|window| f64::from(window.stop - window.start) * batches_per_epoch as f64)
            // One batch alone has no interval to divide: all of it at once.
            .map(|batches| if batches > 1.0 { 1.0 / (batches - 1.0) } else { 1.0 })
            .collect();
        Ok(Scheduled {
            windows: windows.to_vec(),
            increments,
            state: ScheduledState { host: vec![0.0; layers], epochs_completed: 0, stop: false },
        })
    }

    /// The sharpener that a recipe asks for.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::StartsAtZero`] and [`ScheduleError::EmptyWindow`], if the recipe's fields
    /// were set past its ranges.
    ///
    /// # Panics
    ///
    /// If `batches_per_epoch` is 0.
    pub fn from_recipe(
        recipe: &Recipe,
        batches_per_epoch: usize,
    ) -> Result<Scheduled, ScheduleError> {
        let windows = recipe
            .schedule()
            .into_iter()
            .map(|(start, stop)| Window::new(start, stop))
            .collect::<Result<Vec<_>, _>>()?;
        Scheduled::new(windows.len(), &windows, batches_per_epoch)
    }
}

impl Scheduled {
    /// What has changed since training began.
    pub fn state(&self) -> &ScheduledState {
        &self.state
    }

    /// Goes on from a state of a sharpener that was made alike.
    ///
    /// # Errors
    ///
    /// [`StateError`] if it is none.
    pub fn resume(&mut self, state: &ScheduledState) -> Result<(), StateError> {
        check(&state.host, self.windows.len())?;
        self.state = state.clone();
        Ok(())
    }
}

impl Sharpener for Scheduled {
    fn host(&self) -> &[f64] {
        &self.state.host
    }

    fn after_batch(&mut self) {
        // The lag: during epoch 1 this is still 0, as it is during epoch 0.
        let last_completed = self.state.epochs_completed.saturating_sub(1);
        if last_completed == 0 {
            return;
        }
        for ((sharpness, window), increment) in
            self.state.host.iter_mut().zip(&self.windows).zip(&self.increments)
        {
            if last_completed >= window.stop {
                *sharpness = 1.0;
            } else if last_completed >= window.start {
                *sharpness = (*sharpness + increment).min(1.0);
            }
        }
    }

    fn after_epoch(&mut self, _loss: f64) {
        self.state.epochs_completed += 1;
        self.state.stop = self.finished();
    }

    fn stop(&self) -> bool {
        self.state.stop
    }
}
