//! The network a recipe describes on a given kind of image, before any weight exists.

use crate::ops::sharpened_norm::Pool;
use recipe::Recipe;

/// A recipe that cannot be built on the data it is meant for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// A pool would leave no pixel.
    #[error(
        "the pool after {layer} leaves nothing of {height}×{width} pixels: use larger images or \
         one pool less"
    )]
    Vanished {
        /// The layer before the pool.
        layer: &'static str,
        /// Rows that reach the pool.
        height: usize,
        /// Columns that reach the pool.
        width: usize,
    },
    /// Data without pixels or without classes to tell apart.
    #[error("a network needs images of at least one pixel and at least two classes")]
    Nothing,
}

/// Rows, columns and channels of an image or an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Rows, in pixels.
    pub height: usize,
    /// Columns, in pixels.
    pub width: usize,
    /// Numbers a pixel holds.
    pub channels: usize,
}

impl Extent {
    /// Numbers in all.
    pub fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a layer reads what is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A convolution: a square of this side around each pixel.
    Square(usize),
    /// A dense layer: everything.
    Everything,
}

/// One sharpenable layer: linear map, batch norm, perhaps a pool, activation.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPlan {
    /// `conv1`, `conv2`, `conv3`, `dense` or `output`.
    pub name: &'static str,
    /// What comes in.
    pub input: Extent,
    /// How it is read.
    pub reach: Reach,
    /// Neurons per pixel, or in all for a dense layer.
    pub features: usize,
    /// What stands between norm and activation.
    pub pool: Pool,
    /// Standard deviation of the noise on the linear map's result, in training.
    pub noise: Option<f64>,
    /// What the norm's moving statistics keep at each batch, in [0, 1].
    pub norm_momentum: f64,
}

impl LayerPlan {
    /// What comes out.
    pub fn output(&self) -> Extent {
        let Extent { height, width, .. } = self.input;
        let (height, width) = match (self.reach, self.pool) {
            (Reach::Everything, _) => (1, 1),
            (Reach::Square(_), Pool::None) => (height, width),
            (Reach::Square(_), Pool::TwoByTwo) => (height / 2, width / 2),
        };
        Extent { height, width, channels: self.features }
    }

    /// Inputs of one neuron.
    pub fn inputs_per_neuron(&self) -> usize {
        match self.reach {
            Reach::Square(side) => side * side * self.input.channels,
            Reach::Everything => self.input.len(),
        }
    }

    /// Shape of the linear map's weights: HWIO, or `(inputs, outputs)` for a dense layer.
    pub fn weights_shape(&self) -> Vec<usize> {
        match self.reach {
            Reach::Square(side) => vec![side, side, self.input.channels, self.features],
            Reach::Everything => vec![self.input.len(), self.features],
        }
    }

    /// Numbers in the linear map.
    pub fn weights(&self) -> usize {
        self.inputs_per_neuron() * self.features
    }

    /// Multiply-adds of the linear map, forward, for one image. Products with the padding count.
    pub fn multiply_adds(&self) -> usize {
        match self.reach {
            Reach::Square(_) => self.input.height * self.input.width * self.weights(),
            Reach::Everything => self.weights(),
        }
    }
}

/// The layers of a network, input to output, with every size known.
///
/// Three convolutions, a dense layer and the output: what M. Parsa et al., "Hyperparameter
/// Optimization in Binary Communication Networks for Neuromorphic Deployment", 2020
/// (<https://arxiv.org/abs/2005.04171>) most likely mean by their six-layer network, the decoding
/// being the sixth.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the network looks at.
    pub image: Extent,
    /// The layers, input to output.
    pub layers: Vec<LayerPlan>,
    /// Classes to tell apart.
    pub classes: usize,
    /// Whether norms learn an offset (beta).
    pub norm_center: bool,
    /// Whether norms learn a factor (gamma).
    pub norm_scale: bool,
}

impl Plan {
    /// Plans the network of a recipe: pools after the first two convolutions, and after the third
    /// if the recipe says so.
    ///
    /// # Errors
    ///
    /// [`PlanError::Vanished`] if the images are too small for the pools, [`PlanError::Nothing`]
    /// if there is no image or nothing to tell apart.
    pub fn new(recipe: &Recipe, image: Extent, classes: usize) -> Result<Self, PlanError> {
        Self::with_pools(recipe, image, classes, [true, true, recipe.third_pool])
    }

    /// The same with a free choice of the convolutions that are followed by a pool.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn with_pools(
        recipe: &Recipe,
        image: Extent,
        classes: usize,
        pools: [bool; 3],
    ) -> Result<Self, PlanError> {
        if image.is_empty() || classes < 2 {
            return Err(PlanError::Nothing);
        }
        let convolutions = [
            ("conv1", recipe.conv1_filter, recipe.conv1_features),
            ("conv2", recipe.conv2_filter, recipe.conv2_features),
            ("conv3", recipe.conv3_filter, recipe.conv3_features),
        ];
        let mut layers: Vec<LayerPlan> = Vec::with_capacity(5);
        let mut input = image;
        for ((name, side, features), pool) in convolutions.into_iter().zip(pools) {
            if pool && (input.height < 2 || input.width < 2) {
                let Extent { height, width, .. } = input;
                return Err(PlanError::Vanished { layer: name, height, width });
            }
            layers.push(LayerPlan {
                name,
                input,
                reach: Reach::Square(side as usize),
                features: features as usize,
                pool: if pool { Pool::TwoByTwo } else { Pool::None },
                noise: None,
                norm_momentum: recipe.conv_norm_momentum,
            });
            input = layers[layers.len() - 1].output();
        }
        let width = recipe.neurons_per_class as usize * classes;
        let dense = recipe.dense_units as usize;
        for (name, features, noise) in [("dense", dense, recipe.noise()), ("output", width, None)] {
            layers.push(LayerPlan {
                name,
                input,
                reach: Reach::Everything,
                features,
                pool: Pool::None,
                noise,
                norm_momentum: recipe.dense_norm_momentum,
            });
            input = layers[layers.len() - 1].output();
        }
        let Recipe { norm_center, norm_scale, .. } = *recipe;
        Ok(Self { image, layers, classes, norm_center, norm_scale })
    }

    /// Output neurons.
    pub fn width(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.features)
    }

    /// Trainable numbers as Keras counts them for this network: weights, a bias per feature, and
    /// the norms' offsets and factors.
    ///
    /// The biases are counted so that numbers can be compared, but do not exist here: each would
    /// stand before a batch norm, which takes it off again.
    pub fn parameters(&self) -> usize {
        let norm = usize::from(self.norm_center) + usize::from(self.norm_scale);
        self.layers.iter().map(|layer| layer.weights() + layer.features * (1 + norm)).sum()
    }

    /// Multiply-adds of all linear maps, forward, for one image.
    pub fn multiply_adds(&self) -> usize {
        self.layers.iter().map(LayerPlan::multiply_adds).sum()
    }
}
