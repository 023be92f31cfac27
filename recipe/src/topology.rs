//! The blocks of the network as lists, from the fields that a search can name.

use crate::recipe::Recipe;

/// One convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Side of its filters, in pixels.
    pub filter: u32,
    /// Output channels.
    pub features: u32,
    /// Whether its block halves the image.
    pub downsampled: bool,
}

/// The most convolutional blocks a recipe can name.
pub const CONV_BLOCKS_MAX: u32 = 6;
/// The most hidden dense layers a recipe can name.
pub const DENSE_LAYERS_MAX: u32 = 3;

impl Recipe {
    /// The convolutions, input to output: [`Recipe::conv_blocks`] of them, at most
    /// [`CONV_BLOCKS_MAX`].
    pub fn convolutions(&self) -> Vec<Convolution> {
        let all: [_; CONV_BLOCKS_MAX as usize] = [
            (self.conv1_filter, self.conv1_features),
            (self.conv2_filter, self.conv2_features),
            (self.conv3_filter, self.conv3_features),
            (self.conv4_filter, self.conv4_features),
            (self.conv5_filter, self.conv5_features),
            (self.conv6_filter, self.conv6_features),
        ];
        (0..self.conv_blocks)
            .zip(all)
            .map(|(block, (filter, features))| Convolution {
                filter,
                features,
                downsampled: block < self.downsampled_blocks,
            })
            .collect()
    }

    /// Neurons of the hidden dense layers, input to output: [`Recipe::dense_layers`] of them, at
    /// most [`DENSE_LAYERS_MAX`].
    pub fn dense_widths(&self) -> Vec<u32> {
        let all: [_; DENSE_LAYERS_MAX as usize] =
            [self.dense_units, self.dense2_units, self.dense3_units];
        all.into_iter().take(self.dense_layers as usize).collect()
    }
}
