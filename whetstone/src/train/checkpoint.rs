//! Everything that a training goes on from, at the end of an epoch.
//!
//! The bytes are safetensors: the arrays of [`network::file`](crate::network::file), for each
//! variable the optimiser's averages as `<variable>.average_1` and so on, and under `strop` in the
//! header's `__metadata__` a JSON object with the rest. Random numbers need no saving, since every
//! stream is a function of seed, purpose and number of the update.

use super::collapse::Collapse;
use super::error::TrainError;
use super::training::Training;
use crate::archive::{Archive, ArchiveError, Kind};
use crate::data::Fingerprint;
use crate::health::Spikes;
use crate::network::{Layer, Network, RestoreError};
use crate::ops::real::with_values;
use crate::sharpen::{ChosenState, StateError};
use candle_core::{Tensor, Var};
use recipe::{Recipe, RecipeError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const KIND: Kind = Kind { name: "checkpoint", version: 1 };

/// Everything that a training goes on from, at the end of an epoch.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    said: Description,
    recipe: Recipe,
    archive: Archive,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Description {
    recipe: BTreeMap<String, Value>,
    seed: u64,
    data: Fingerprint,
    epochs: u32,
    updates: u64,
    sharpener: ChosenState,
    collapse: Collapse,
}

/// Why a training cannot go on from a checkpoint.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// The bytes are not what they should be.
    #[error("the checkpoint cannot be used: {0}")]
    Archive(#[from] ArchiveError),
    /// Its recipe is none that is known here.
    #[error("the checkpoint's recipe cannot be used: {0}")]
    Recipe(#[from] RecipeError),
    /// It was taken from the training of another recipe.
    #[error("the checkpoint was taken with `{name}` = {found}; this training has {needed}")]
    OtherRecipe {
        /// The first hyperparameter that differs, in the order of the names.
        name: String,
        /// Its value then.
        found: String,
        /// Its value now.
        needed: String,
    },
    /// It was taken from a training of another seed.
    #[error("the checkpoint was taken with seed {found}; this training has {needed}")]
    OtherSeed {
        /// The seed then.
        found: u64,
        /// The seed now.
        needed: u64,
    },
    /// It was taken on other images.
    #[error("the checkpoint was taken on {found}; this training has {needed}")]
    OtherData {
        /// The data set then.
        found: String,
        /// The data set now.
        needed: String,
    },
    /// Its sharpener is none that the recipe chooses.
    #[error("the checkpoint's sharpener cannot be used: {0}")]
    Sharpener(#[from] StateError),
    /// Its counts are none that the training can have.
    #[error(
        "the checkpoint was taken after {found} epochs and {updates} updates; this training has \
         {most} epochs and other updates in them"
    )]
    Counts {
        /// Epochs completed then.
        found: u32,
        /// Updates made then.
        updates: u64,
        /// Epochs that this training has.
        most: u32,
    },
}

impl Checkpoint {
    pub(super) fn of(training: &Training) -> candle_core::Result<Checkpoint> {
        let Training { recipe, data, seed, network, optimizer, sharpener, .. } = training;
        let mut archive = Archive::default();
        network.save_layers(&mut archive)?;
        for (index, (name, var)) in named_variables(network).enumerate() {
            for (number, average) in (1..).zip(optimizer.averages(index)?) {
                with_values::<f32, _>(&average, |values| {
                    archive.put(average_name(&name, number), var.dims(), values);
                    Ok(())
                })?;
            }
        }
        let said = Description {
            recipe: recipe.to_parameters(),
            seed: *seed,
            data: data.fingerprint(),
            epochs: training.epochs,
            updates: optimizer.updates(),
            sharpener: sharpener.state(),
            collapse: training.collapse.clone(),
        };
        Ok(Checkpoint { said, recipe: (*recipe).clone(), archive })
    }

    /// Epochs that were complete when it was taken; the 0-based epoch to go on with.
    pub fn epoch(&self) -> u32 {
        self.said.epochs
    }

    /// As a file. The same checkpoint gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.archive.to_bytes(KIND, &self.said)
    }

    /// Reads a checkpoint back, bit for bit. Whether it fits a training, [`train`](super::train)
    /// finds out.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] says what is wrong with the bytes. Nothing in them can do more harm
    /// than that.
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let (archive, said) = Archive::from_bytes::<Description>(KIND, bytes)?;
        let recipe = Recipe::from_parameters(&said.recipe)?;
        Ok(Checkpoint { said, recipe, archive })
    }

    /// Puts a training that has just begun where this one was.
    pub(super) fn restore(&self, training: &mut Training) -> Result<(), TrainError> {
        self.check(training)?;
        let Training { network, optimizer, sharpener, .. } = training;
        network.restore_layers(&self.archive).map_err(|error| match error {
            RestoreError::Archive(error) => CheckpointError::from(error).into(),
            RestoreError::Tensor(error) => TrainError::Tensor(error),
        })?;
        let mut names: BTreeSet<String> =
            network.layers.iter().flat_map(Layer::array_names).collect();
        let mut averages = Vec::new();
        for (name, var) in named_variables(network) {
            let mut of_one = Vec::new();
            for number in 1..=optimizer.averages_per_variable() {
                let name = average_name(&name, number);
                let values = self.archive.get::<f32>(&name, var.dims());
                let values = values.map_err(CheckpointError::from)?;
                of_one.push(Tensor::from_vec(values, var.dims(), var.device())?);
                names.insert(name);
            }
            averages.push(of_one);
        }
        self.archive.only(&names).map_err(CheckpointError::from)?;
        optimizer.resume(self.said.updates, &averages)?;
        sharpener.resume(&self.said.sharpener).map_err(CheckpointError::from)?;
        training.epochs = self.said.epochs;
        training.collapse = self.said.collapse.clone();
        if training.epochs > 0 {
            let (data, network) = (training.data, &training.network);
            training.spikes = Some(Spikes::of(network, data, data.measured())?);
        }
        Ok(())
    }

    /// Whether it was taken from a training of the same recipe, seed and data.
    fn check(&self, training: &Training) -> Result<(), CheckpointError> {
        let (found, needed) = (self.recipe.to_parameters(), training.recipe.to_parameters());
        if let Some(name) = needed.keys().find(|name| found[*name] != needed[*name]) {
            let [found, needed] = [&found, &needed].map(|of| of[name].to_string());
            return Err(CheckpointError::OtherRecipe { name: name.clone(), found, needed });
        }
        let (found, needed) = (self.said.seed, training.seed);
        if found != needed {
            return Err(CheckpointError::OtherSeed { found, needed });
        }
        let (found, needed) = (&self.said.data, &training.data.fingerprint());
        if found != needed {
            let [found, needed] = [found, needed].map(Fingerprint::to_string);
            return Err(CheckpointError::OtherData { found, needed });
        }
        let (found, updates, most) =
            (self.said.epochs, self.said.updates, training.epochs_planned());
        let sound = updates == u64::from(found) * training.batches as u64
            && self.said.collapse.layers() == training.network.layers.len();
        if found > most || !sound {
            return Err(CheckpointError::Counts { found, updates, most });
        }
        Ok(())
    }
}

/// Every variable under its name, in the order of [`Network::variables`].
fn named_variables(network: &Network) -> impl Iterator<Item = (String, &Var)> {
    network.layers.iter().flat_map(Layer::named_variables)
}

/// Under which name a running average of a variable is kept.
fn average_name(variable: &str, number: usize) -> String {
    format!("{variable}.average_{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Limits, load};
    use candle_core::Device;

    /// What is said of a checkpoint whose description was changed, by someone who can add up.
    fn refusal(change: impl FnOnce(&mut Value)) -> CheckpointError {
        let data = load("digits", None, Limits { train: Some(40), test: Some(20) }).unwrap();
        let recipe = Recipe {
            conv1_features: 2,
            conv2_features: 2,
            conv3_features: 2,
            dense_units: 3,
            ..Recipe::default()
        };
        let mut training = Training::new(&recipe, &data, 1, &Device::Cpu).unwrap();
        let bytes = Checkpoint::of(&training).unwrap().to_bytes();
        Checkpoint::from_bytes(&bytes).unwrap().restore(&mut training).unwrap();

        let (archive, mut said) = Archive::from_bytes::<Value>(KIND, &bytes).unwrap();
        change(&mut said);
        let checkpoint = match Checkpoint::from_bytes(&archive.to_bytes(KIND, &said)) {
            Ok(checkpoint) => checkpoint,
            Err(error) => return error,
        };
        match checkpoint.restore(&mut training) {
            Err(TrainError::Checkpoint(error)) => error,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_description_of_another_state_is_refused() {
        for (epochs, updates) in [(1, 3), (1_000, 2_000)] {
            let error = refusal(|said| {
                said["epochs"] = epochs.into();
                said["updates"] = updates.into();
            });
            assert!(matches!(error, CheckpointError::Counts { .. }), "{error}");
        }
        let error = refusal(|said| said["collapse"]["constant"] = vec![0; 4].into());
        assert!(matches!(error, CheckpointError::Counts { .. }), "{error}");
        let error = refusal(|said| said["recipe"]["rho"] = 2.0.into());
        assert!(matches!(error, CheckpointError::Recipe(_)), "{error}");
        for host in [vec![0.0; 4], vec![0.0, 0.0, 0.0, 0.0, 7.0]] {
            let error = refusal(|said| said["sharpener"]["scheduled"]["host"] = host.into());
            assert!(matches!(error, CheckpointError::Sharpener(_)), "{error}");
        }
        let error = refusal(|said| {
            said["sharpener"] = serde_json::json!({ "adaptive": {
                "host": [0.0, 0.0, 0.0, 0.0, 0.0], "sharpening": false, "reference_loss": 1.0,
                "epochs_without_improvement": 0, "waiting": false, "epochs_completed": 0,
                "stop": false,
            } });
        });
        let expected = StateError::OtherKind { found: "adaptive", needed: "scheduled" };
        assert_eq!(error, CheckpointError::Sharpener(expected));
    }
}
