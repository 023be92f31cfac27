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
