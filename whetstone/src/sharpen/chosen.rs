//! The sharpener that a recipe chooses, and how its state is saved.

use super::{
    Adaptive, AdaptiveSettings, AdaptiveState, ScheduleError, Scheduled, ScheduledState, Sharpener,
    StateError,
};
use recipe::Recipe;
use serde::{Deserialize, Serialize};

/// The sharpener that a recipe chooses.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// By a window of epochs per layer.
    Scheduled(Scheduled),
    /// By the training loss.
    Adaptive(Adaptive),
}

/// What a training has to save of its sharpener to go on from the end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenState {
    /// Of a [`Chosen::Scheduled`].
    Scheduled(ScheduledState),
    /// Of a [`Chosen::Adaptive`].
    Adaptive(AdaptiveState),
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
        Ok(match recipe.sharpener {
            recipe::Sharpener::Scheduled => {
                Chosen::Scheduled(Scheduled::from_recipe(recipe, batches_per_epoch)?)
            }
            recipe::Sharpener::Adaptive => {
                let (layers, settings) =
                    (recipe.sharpenable_layers() as usize, AdaptiveSettings::from_recipe(recipe));
                Chosen::Adaptive(Adaptive::new(layers, batches_per_epoch, settings))
            }
        })
    }

    /// What has changed since training began.
    pub fn state(&self) -> ChosenState {
        match self {
            Chosen::Scheduled(sharpener) => ChosenState::Scheduled(sharpener.state().clone()),
            Chosen::Adaptive(sharpener) => ChosenState::Adaptive(sharpener.state().clone()),
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
            (Chosen::Adaptive(sharpener), ChosenState::Adaptive(state)) => sharpener.resume(state),
            (Chosen::Scheduled(_), ChosenState::Adaptive(_)) => {
                Err(StateError::OtherKind { found: "adaptive", needed: "scheduled" })
            }
            (Chosen::Adaptive(_), ChosenState::Scheduled(_)) => {
                Err(StateError::OtherKind { found: "scheduled", needed: "adaptive" })
            }
        }
    }

    fn inner(&self) -> &dyn Sharpener {
        match self {
            Chosen::Scheduled(sharpener) => sharpener,
            Chosen::Adaptive(sharpener) => sharpener,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn Sharpener {
        match self {
            Chosen::Scheduled(sharpener) => sharpener,
            Chosen::Adaptive(sharpener) => sharpener,
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
