//! The simple sharpener: equal steps, one at each epoch's end.

use super::{Order, Sharpener};

/// Raises sharpness by one of `steps` equal steps at the end of every epoch from `start_epoch` on:
/// layer after layer, or all layers together.
///
/// Steps are counted in whole numbers. Adding up fractions and dividing them among the layers, as
/// the method was first published, makes a layer jump to 1 an epoch early and fall back for some
/// numbers of layers and steps (six layers of five steps, for one).
///
/// Whether training ends is decided before the step of the same epoch, so it runs for one epoch
/// after the last: `start_epoch + steps · layers + 1` in all from the bottom up.
#[derive(Clone, Debug)]
pub struct Simple {
    start_epoch: u32,
    steps: u32,
    order: Order,
    steps_taken: u32,
    epochs_completed: u32,
    host: Vec<f64>,
    stop: bool,
}

impl Simple {
    /// Steps a layer takes from soft to hard, unless told otherwise.
    pub const STEPS: u32 = 4;

    /// A sharpener for `layers` layers that takes its first step at the end of the 0-based epoch
    /// `start_epoch`, and `steps` of them a layer.
    ///
    /// # Panics
    ///
    /// If `steps` is 0.
    pub fn new(layers: usize, start_epoch: u32, steps: u32, order: Order) -> Simple {
        assert!(steps > 0, "a layer sharpens in at least one step");
        Simple {
            start_epoch,
            steps,
            order,
            steps_taken: 0,
            epochs_completed: 0,
            host: vec![0.0; layers],
            stop: false,
        }
    }

    /// Sharpness of a layer after all steps taken so far.
    fn reached(&self, layer: usize) -> f64 {
        let before = match self.order {
            Order::BottomUp => u64::from(self.steps) * layer as u64,
            Order::Uniform => 0,
        };
        let own = u64::from(self.steps_taken).saturating_sub(before).min(self.steps.into());
        own as f64 / f64::from(self.steps)
    }
}

impl Sharpener for Simple {
    fn host(&self) -> &[f64] {
        &self.host
    }

    fn after_batch(&mut self) {}

    fn after_epoch(&mut self, _loss: f64) {
        self.stop = self.finished();
        if self.epochs_completed >= self.start_epoch && !self.stop {
            self.steps_taken += 1;
            for layer in 0..self.host.len() {
                self.host[layer] = self.reached(layer);
            }
        }
        self.epochs_completed += 1;
    }

    fn stop(&self) -> bool {
        self.stop
    }
}
