//! A trained network as a file: everything that measuring it or deploying it needs.
//!
//! The file is safetensors. Each layer has the arrays `<layer>.weights`, `<layer>.gamma` and
//! `<layer>.beta` (32 bits, the last two only if its norm learns them), `<layer>.moving_mean` and
//! `<layer>.moving_variance` (64 bits). The header's `__metadata__` holds, under `strop`, a JSON
//! object of `kind` ("network"), `version` and `contents`: `recipe`, `image` (height, width, channels), `key` (the
//! output neurons of each class) and `sharpness` (of each layer, 0 to 1).

use super::{Extent, Layer, Network, Plan, PlanError, RestoreError};
use crate::archive::{Archive, ArchiveError, Kind};
use crate::sharpen::Sharpness;
use crate::softmax_decode::{Key, KeyError};
use recipe::{Recipe, RecipeError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

const KIND: Kind = Kind { name: "network", version: 1 };
/// Far beyond any image, and small enough that no size overflows.
const IMAGE_LEN_MAX: usize = 1 << 32;

/// A network and how sharp each of its layers is, input to output.
#[derive(Debug)]
pub struct Saved {
    /// The network.
    pub network: Network,
    /// Sharpness of each layer when it was saved.
    pub sharpness: Vec<Sharpness>,
}

/// Why a file is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFileError {
    /// The bytes are not what they should be.
    #[error("the network's file cannot be used")]
    Archive(#[from] ArchiveError),
    /// Its recipe is none that is known here.
    #[error("the network's recipe cannot be used")]
    Recipe(#[from] RecipeError),
    /// Its recipe does not fit its image.
    #[error("the network's recipe does not fit its image")]
    Plan(#[from] PlanError),
    /// Its key does not fit its output.
    #[error("the network's key cannot be used")]
    Key(#[from] KeyError),
    /// What its description says does not fit together.
    #[error("the network's description contradicts itself: {0}")]
    Contradiction(&'static str),
    /// Tensors could not be made.
    #[error("the network's weights could not be made")]
    Tensor(#[from] candle_core::Error),
}

impl From<RestoreError> for NetworkFileError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Archive(error) => Self::Archive(error),
            RestoreError::Tensor(error) => Self::Tensor(error),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Description {
    recipe: BTreeMap<String, Value>,
    image: [usize; 3],
    key: Vec<Vec<usize>>,
    sharpness: Vec<f32>,
}

impl Network {
    /// The file of this network at these sharpnesses. The same network gives the same bytes.
    ///
    /// # Errors
    ///
    /// If a weight is not on the CPU.
    ///
    /// # Panics
    ///
    /// If there is not one sharpness a layer.
    pub fn to_bytes(&self, sharpness: &[Sharpness]) -> candle_core::Result<Vec<u8>> {
        assert_eq!(sharpness.len(), self.layers.len());
        let mut archive = Archive::default();
        self.save_layers(&mut archive)?;
        let Extent { height, width, channels } = self.plan.image;
        Ok(archive.to_bytes(
            KIND,
            &Description {
                recipe: self.recipe.to_parameters(),
                image: [height, width, channels],
                key: (0..self.key.classes())
                    .map(|class| self.key.neurons(class).to_vec())
                    .collect(),
                sharpness: sharpness.iter().map(|sharpness| sharpness.get()).collect(),
            },
        ))
    }

    /// Reads a network from its file, bit for bit as it was saved.
    ///
    /// # Errors
    ///
    /// [`NetworkFileError`] says what is wrong with the file. Nothing in it can do more harm than
    /// that.
    pub fn from_bytes(bytes: &[u8]) -> Result<Saved, NetworkFileError> {
        let (archive, said) = Archive::from_bytes::<Description>(KIND, bytes)?;
        let recipe = Recipe::from_parameters(&said.recipe)?;
        let [height, width, channels] = said.image;
        let len = said.image.iter().try_fold(1usize, |len, side| len.checked_mul(*side));
        if len.is_none_or(|len| len > IMAGE_LEN_MAX) {
            return Err(NetworkFileError::Contradiction("no image is that large"));
        }
        let plan = Plan::new(&recipe, Extent { height, width, channels }, said.key.len())?;
        let key = Key::from_neurons(plan.width(), said.key)?;
        let layers = plan.layers.iter().map(|layer| Layer::load(layer, &recipe, &archive));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let sharpness: Option<Vec<_>> = said.sharpness.into_iter().map(Sharpness::new).collect();
        let sharpness = sharpness.filter(|sharpness| sharpness.len() == layers.len()).ok_or(
            NetworkFileError::Contradiction("each layer needs one sharpness between 0 and 1"),
        )?;
        let network = Network::of(layers, key, &plan, &recipe);
        archive.only(&network.layers.iter().flat_map(Layer::array_names).collect())?;
        Ok(Saved { network, sharpness })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let recipe = Recipe {
            conv1_features: 2,
            conv2_features: 2,
            conv3_features: 2,
            dense_units: 3,
            neurons_per_class: 1,
            ..Recipe::default()
        };
        let image = Extent { height: 8, width: 8, channels: 1 };
        Network::new(&Plan::new(&recipe, image, 3).unwrap(), &recipe, 1).unwrap()
    }

    /// What is said of a file whose description was changed, by someone who can add up.
    fn refusal(change: impl FnOnce(&mut Value)) -> NetworkFileError {
        let bytes = network().to_bytes(&[Sharpness::SOFT; 5]).unwrap();
        let (archive, mut said) = Archive::from_bytes::<Value>(KIND, &bytes).unwrap();
        change(&mut said);
        Network::from_bytes(&archive.to_bytes(KIND, &said)).unwrap_err()
    }

    #[test]
    fn a_description_that_does_not_fit_its_arrays_is_refused() {
        let unfit = |error| matches!(error, NetworkFileError::Archive(ArchiveError::Unfit { .. }));
        assert!(unfit(refusal(|said| said["image"] = vec![16, 16, 1].into())));
        assert!(unfit(refusal(|said| said["recipe"]["dense_units"] = 65_536.into())));
        assert!(unfit(refusal(|said| said["recipe"]["conv1_features"] = 4_096.into())));
        let missing = refusal(|said| said["recipe"]["dense_layers"] = 2.into());
        assert!(matches!(missing, NetworkFileError::Archive(ArchiveError::Missing { .. })));
        let excess = refusal(|said| said["recipe"]["norm_center"] = false.into());
        assert!(matches!(excess, NetworkFileError::Archive(ArchiveError::Excess { .. })));
    }

    #[test]
    fn a_description_that_makes_no_network_is_refused() {
        let key = |key: Vec<Vec<i32>>| {
            matches!(refusal(|said| said["key"] = key.into()), NetworkFileError::Key(_))
        };
        assert!(key(vec![vec![0], vec![1], vec![3]]), "a neuron beyond the output");
        assert!(key(vec![vec![0], vec![1], vec![]]), "a class without a neuron");
        assert!(key(vec![vec![0], vec![1], vec![2, 2]]), "a neuron twice");
        let no_class = refusal(|said| said["key"] = Value::Array(vec![]));
        assert!(matches!(no_class, NetworkFileError::Plan(PlanError::Nothing)), "{no_class}");
        for image in [[usize::MAX; 3], [1 << 33, 1, 1]] {
            let huge = refusal(|said| said["image"] = image.to_vec().into());
            assert!(matches!(huge, NetworkFileError::Contradiction(_)), "{huge}");
        }
        let small = refusal(|said| said["image"] = vec![2, 2, 1].into());
        assert!(matches!(small, NetworkFileError::Plan(PlanError::Vanished { .. })), "{small}");
        let unknown = refusal(|said| said["recipe"]["depth"] = 4.into());
        assert!(matches!(unknown, NetworkFileError::Recipe(_)), "{unknown}");
        for sharpness in [vec![0.0; 4], vec![0.0, 0.0, 0.0, 0.0, 1.5]] {
            let off = refusal(|said| said["sharpness"] = sharpness.into());
            assert!(matches!(off, NetworkFileError::Contradiction(_)), "{off}");
        }
        let other = refusal(|said| said["image"] = "large".into());
        assert!(matches!(other, NetworkFileError::Archive(ArchiveError::Description(_))));
    }
}
