//! The adaptive sharpener: sharpens while the training loss is level, pauses while it recovers.

use super::state::{StateError, check};
use super::{Order, Sharpener};
use recipe::Recipe;
use serde::{Deserialize, Serialize};

/// What an [`Adaptive`] sharpener goes by. The defaults are Whetstone's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveSettings {
    /// Epochs before anything is decided, at least 1.
    pub min_init_epochs: u32,
    /// Sharpness a layer gains in one epoch.
    pub rate: f64,
    /// The same, once the layer is in its critical zone.
    pub critical_rate: f64,
    /// Sharpness at which the critical zone begins: there a little changes the curve a lot.
    pub critical: f64,
    /// Factor on the first layer's rate, from the bottom up only.
    pub first_layer_relative_rate: f64,
    /// Epochs without improvement that are waited for before sharpening goes on.
    pub patience: u32,
    /// Rise of the loss, relative to the reference, that pauses sharpening.
    pub significant_increase: f64,
    /// Fall of the loss, relative to the reference, that counts as improvement.
    pub significant_decrease: f64,
    /// In which order layers sharpen.
    pub order: Order,
}

impl Default for AdaptiveSettings {
    fn default() -> Self {
        AdaptiveSettings {
            min_init_epochs: 10,
            rate: 0.25,
            critical_rate: 0.126,
            critical: 0.75,
            first_layer_relative_rate: 1.0,
            patience: 1,
            significant_increase: 0.15,
            significant_decrease: 0.15,
            order: Order::BottomUp,
        }
    }
}

impl AdaptiveSettings {
    /// The settings of a recipe, from the bottom up.
    pub fn from_recipe(recipe: &Recipe) -> AdaptiveSettings {
        AdaptiveSettings {
            min_init_epochs: recipe.sharpening_start,
            rate: recipe.adaptive_rate,
            critical_rate: recipe.adaptive_critical_rate,
            critical: recipe.adaptive_critical,
            first_layer_relative_rate: recipe.adaptive_first_layer_rate,
            patience: recipe.adaptive_patience,
            significant_increase: recipe.adaptive_increase,
            significant_decrease: recipe.adaptive_decrease,
            order: Order::BottomUp,
        }
    }
}

/// How an epoch's loss stood to the reference loss held until then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// (loss − reference) / reference.
    pub relative_change: f64,
    /// What that amounts to.
    pub direction: Direction,
}

/// What a change of the loss amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Down by the significant decrease or more.
    Improved,
    /// Neither up nor down by much. A loss that is not a number counts here too.
    Level,
    /// Up by the significant increase or more.
    Degraded,
}

/// Sharpens while the loss is level, pauses when it has risen, and goes on once it has stopped
/// falling.
///
/// The loss is compared with a *reference*, the loss at the last significant event, and not with
/// the epoch before. From the bottom up at most one layer finishes in an epoch.
#[derive(Clone, Debug)]
pub struct Adaptive {
    settings: AdaptiveSettings,
    batches_per_epoch: f64,
    trend: Option<Trend>,
    state: AdaptiveState,
}

/// What decides how an [`Adaptive`] sharpener goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveState {
    host: Vec<f64>,
    sharpening: bool,
    reference_loss: f64,
    epochs_without_improvement: u32,
    /// A layer has become hard in this epoch; the next one has to wait for the epoch's end.
    waiting: bool,
    epochs_completed: u32,
    stop: bool,
}

impl Adaptive {
    /// What the first loss is compared with: larger than any, so that it counts as improvement.
    const FIRST_REFERENCE_LOSS: f64 = 1e6;
    /// A layer this near to 1 is taken there at once, from the bottom up: what rounding left of
    /// an epoch's share must not cost another epoch. Whetstone's value.
    const SNAP_BOTTOM_UP: f64 = 1e-3;
    /// The same when all layers move together; Whetstone's value too.
    const SNAP_UNIFORM: f64 = 1e-6;

    /// A sharpener for `layers` layers. `batches_per_epoch` counts a last, smaller batch too.
    ///
    /// # Panics
    ///
    /// If `batches_per_epoch` or `settings.min_init_epochs` is 0.
    pub fn new(layers: usize, batches_per_epoch: usize, settings: AdaptiveSettings) -> Adaptive {
        assert!(batches_per_epoch > 0, "an epoch has at least one batch");
        assert!(settings.min_init_epochs > 0, "the first epoch always passes without a decision");
        Adaptive {
            settings,
            batches_per_epoch: batches_per_epoch as f64,
            trend: None,
            state: AdaptiveState {
                host: vec![0.0; layers],
                sharpening: false,
                reference_loss: Self::FIRST_REFERENCE_LOSS,
                epochs_without_improvement: 0,
                waiting: false,
                epochs_completed: 0,
                stop: false,
            },
        }
    }

    /// Whether sharpness moves with every batch now.
    pub fn sharpening(&self) -> bool {
        self.state.sharpening
    }

    /// The loss at the last significant event.
    pub fn reference_loss(&self) -> f64 {
        self.state.reference_loss
    }

    /// Epochs since the last significant event.
    pub fn epochs_without_improvement(&self) -> u32 {
        self.state.epochs_without_improvement
    }

    /// How the last epoch's loss stood to the reference held before it; `None` before the first.
    pub fn trend(&self) -> Option<Trend> {
        self.trend
    }

    /// What decides how it goes on; the trend does not.
    pub fn state(&self) -> &AdaptiveState {
        &self.state
    }

    /// Goes on from a state of a sharpener that was made alike.
    ///
    /// # Errors
    ///
    /// [`StateError`] if it is none.
    pub fn resume(&mut self, state: &AdaptiveState) -> Result<(), StateError> {
        check(&state.host, self.state.host.len())?;
        self.state = state.clone();
        Ok(())
    }

    /// What a layer at this sharpness gains in one batch, before any factor.
    fn gain(&self, sharpness: f64) -> f64 {
        let AdaptiveSettings { rate, critical_rate, critical, .. } = self.settings;
        let per_epoch = if sharpness >= critical { critical_rate } else { rate };
        per_epoch / self.batches_per_epoch
    }

    fn sharpen_bottom_up(&mut self, layer: usize) {
        let factor = match layer {
            0 => self.settings.first_layer_relative_rate,
            _ => 1.0,
        };
        let sharpness = self.state.host[layer];
        let raised = snapped(sharpness + factor * self.gain(sharpness), Self::SNAP_BOTTOM_UP);
        self.state.host[layer] = raised;
        self.state.waiting = raised == 1.0;
    }

    fn sharpen_uniformly(&mut self) {
        let sharpness = self.state.host[0];
        let raised = snapped(sharpness + self.gain(sharpness), Self::SNAP_UNIFORM);
        self.state.host.fill(raised);
    }

    /// Starts to count anew from this loss.
    fn take_as_reference(&mut self, loss: f64) {
        self.state.reference_loss = loss;
        self.state.epochs_without_improvement = 0;
    }

    fn compare(&self, loss: f64) -> Trend {
        let relative_change = (loss - self.state.reference_loss) / self.state.reference_loss;
        let direction = if relative_change >= self.settings.significant_increase {
            Direction::Degraded
        } else if relative_change <= -self.settings.significant_decrease {
            Direction::Improved
        } else {
            Direction::Level
        };
        Trend { relative_change, direction }
    }

    fn decide(&mut self, loss: f64, direction: Direction) {
        match direction {
            Direction::Improved => self.take_as_reference(loss),
            // A rise is not an improvement either, and counts.
            Direction::Level | Direction::Degraded => self.state.epochs_without_improvement += 1,
        }
        if self.state.sharpening {
            if direction == Direction::Degraded {
                self.take_as_reference(loss);
                self.state.sharpening = false;
            }
        } else if self.state.epochs_without_improvement > self.settings.patience {
            self.take_as_reference(loss);
            self.state.sharpening = true;
        }
    }
}

/// At most 1, and exactly 1 if nearer to it than the tolerance.
fn snapped(sharpness: f64, tolerance: f64) -> f64 {
    if 1.0 - sharpness < tolerance { 1.0 } else { sharpness }
}

impl Sharpener for Adaptive {
    fn host(&self) -> &[f64] {
        &self.state.host
    }

    fn after_batch(&mut self) {
        if !self.state.sharpening {
            return;
        }
        let Some(layer) = self.state.host.iter().position(|sharpness| *sharpness < 1.0) else {
            self.state.sharpening = false;
            return;
        };
        match self.settings.order {
            Order::BottomUp if self.state.waiting => {}
            Order::BottomUp => self.sharpen_bottom_up(layer),
            Order::Uniform => self.sharpen_uniformly(),
        }
    }

    fn after_epoch(&mut self, loss: f64) {
        self.state.stop = self.finished();
        self.state.waiting = false;
        let trend = self.compare(loss);
        self.trend = Some(trend);
        self.state.epochs_completed += 1;
        if self.state.epochs_completed >= self.settings.min_init_epochs {
            self.decide(loss, trend.direction);
        } else {
            self.state.reference_loss = loss;
        }
    }

    fn stop(&self) -> bool {
        self.state.stop
    }
}
