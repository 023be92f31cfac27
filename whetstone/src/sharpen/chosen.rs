//! The sharpener that a recipe chooses, and how its state is saved.

use super::{ScheduleError, Scheduled, ScheduledState, Sharpener, StateError};
use recipe::Recipe;
use serde::{Deserialize, Serialize};

/// The sharpener that a recipe chooses.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// By a window of epochs per layer.
    Scheduled(Scheduled),
}

/// What a training has to save of its sharpener to go on from the end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenState {
    /// Of a [`Chosen::Scheduled`].
    Scheduled(ScheduledState),
}

impl Chosen {
    /// The sharpener of a recipe. `batches_per_epoch` counts a last, smaller batch too.
    ///
    /// # Errors
    ///
    /// If the recipe's schedule cannot be followed.
    ///
    /// # Panics
    ///
    /// If `batches_per_epoch` is 0.
    pub fn from_recipe(recipe: &Recipe, batches_per_epoch: usize) -> Result<Chosen, ScheduleError> {
        Ok(Chosen::Scheduled(Scheduled::from_recipe(recipe, batches_per_epoch)?))
    }

    /// What has changed since training began.
    pub fn state(&self) -> ChosenState {
        match self {
            Chosen::Scheduled(sharpener) => ChosenState::Scheduled(sharpener.state().clone()),
        }
    }

    /// Goes on from the state of a sharpener that the same recipe chose.
    ///
    /// # Errors
    ///
    /// [`StateError`] if it is none.
    pub fn resume(&mut self, state: &ChosenState) -> Result<(), StateError> {
        match (self, state) {
            (Chosen::Scheduled(sharpener), ChosenState::Scheduled(state)) => {
                sharpener.resume(state)
            }
        }
    }

    fn inner(&self) -> &dyn Sharpener {
        match self {
            Chosen::Scheduled(sharpener) => sharpener,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn Sharpener {
        match self {
            Chosen::Scheduled(sharpener) => sharpener,
        }
    }
}

impl Sharpener for Chosen {
    fn host(&self) -> &[f64] {
        self.inner().host()
    }

    fn after_batch(&mut self) {
        self.inner_mut().after_batch();
    }

    fn after_epoch(&mut self, loss: f64) {
        self.inner_mut().after_epoch(loss);
    }

    fn stop(&self) -> bool {
        self.inner().stop()
    }
}
