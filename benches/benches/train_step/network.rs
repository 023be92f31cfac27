//! The three networks: small and square, wide filters, and the size of CIFAR.

use recipe::{Optimizer, Recipe};
use serde_json::{Value, json};

/// A network of three pooled convolutions, a dense layer and 100 output neurons for 10 classes.
pub struct Sizes {
    /// Rows and columns of an image.
    pub side: usize,
    /// Numbers a pixel holds.
    pub channels: usize,
    /// Features of each convolution.
    pub features: [u32; 3],
    /// Side of each convolution's kernels.
    pub kernels: [u32; 3],
    /// Neurons of the dense layer.
    pub dense: u32,
}

/// By name.
pub const NETWORKS: [(&str, Sizes); 3] = [
    ("a", Sizes { side: 28, channels: 1, features: [32, 64, 256], kernels: [3, 3, 3], dense: 256 }),
    (
        "b",
        Sizes { side: 28, channels: 1, features: [128, 128, 256], kernels: [7, 5, 3], dense: 256 },
    ),
    (
        "c",
        Sizes { side: 32, channels: 3, features: [64, 256, 512], kernels: [3, 5, 5], dense: 512 },
    ),
];

impl Sizes {
    /// The same for Strop.
    pub fn recipe(&self) -> Recipe {
        let (
            [conv1_features, conv2_features, conv3_features],
            [conv1_filter, conv2_filter, conv3_filter],
        ) = (self.features, self.kernels);
        Recipe {
            optimizer: Optimizer::Rmsprop,
            learning_rate: 1e-3,
            conv1_filter,
            conv2_filter,
            conv3_filter,
            conv1_features,
            conv2_features,
            conv3_features,
            dense_units: self.dense,
            neurons_per_class: 10,
            downsampled_blocks: 3,
            ..Recipe::default()
        }
    }

    /// The same for PyTorch.
    pub fn json(&self) -> Value {
        json!({
            "side": self.side,
            "channels": self.channels,
            "features": self.features,
            "kernels": self.kernels,
            "dense": self.dense,
        })
    }
}
