//! The network a recipe describes on a given kind of image, before any weight exists.

use crate::ops::sharpened_norm::Pool;
use recipe::{Convolution, Downsampling, NoiseLocation, Recipe};

/// A recipe that cannot be built on the data it is meant for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// A pool would leave no pixel.
    #[error(
        "the pool after {layer} leaves nothing of {height}×{width} pixels: use larger images, a \
         smaller `downsampled_blocks`, or `downsampling` by \"stride\""
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

/// Noise in one layer, in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// What it is added to.
    pub site: Site,
    /// Its standard deviation.
    pub deviation: f64,
}

/// What noise is added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The linear map's result.
    Linear,
    /// The normalised values, before the activation.
    Norm,
    /// The activation.
    Activation,
}

/// One sharpenable layer: linear map, batch norm, perhaps a pool, activation.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPlan {
    /// `conv1` … `conv6`, `dense`, `dense2`, `dense3` or `output`.
    pub name: &'static str,
    /// What comes in.
    pub input: Extent,
    /// How it is read.
    pub reach: Reach,
    /// Neurons per pixel, or in all for a dense layer.
    pub features: usize,
    /// Pixels from one visit of a convolution to the next, both ways: 1 or 2; 1 for a dense layer.
    pub stride: usize,
    /// What stands between norm and activation.
    pub pool: Pool,
    /// Noise in training.
    pub noise: Option<Noise>,
    /// What the norm's moving statistics keep at each batch, in [0, 1].
    pub norm_momentum: f64,
}

impl LayerPlan {
    /// Rows and columns that the linear map gives, before any pool.
    fn mapped(&self) -> (usize, usize) {
        match self.reach {
            Reach::Everything => (1, 1),
            Reach::Square(_) => {
                (self.input.height.div_ceil(self.stride), self.input.width.div_ceil(self.stride))
            }
        }
    }

    /// What comes out.
    pub fn output(&self) -> Extent {
        let (height, width) = self.mapped();
        let (height, width) = match self.pool {
            Pool::None => (height, width),
            Pool::TwoByTwo => (height / 2, width / 2),
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
        let (height, width) = self.mapped();
        height * width * self.weights()
    }
}

/// The names of convolutional layers.
const CONVOLUTIONS: [&str; 6] = ["conv1", "conv2", "conv3", "conv4", "conv5", "conv6"];
/// The names of hidden dense layers.
const DENSE: [&str; 3] = ["dense", "dense2", "dense3"];

/// The layers of a network, input to output, with every size known.
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
    /// Plans the network of a recipe.
    ///
    /// # Errors
    ///
    /// [`PlanError::Vanished`] if the images are too small for the pools, [`PlanError::Nothing`]
    /// if there is no image or nothing to tell apart.
    pub fn new(recipe: &Recipe, image: Extent, classes: usize) -> Result<Self, PlanError> {
        Self::with_convolutions(recipe, &recipe.convolutions(), image, classes)
    }

    /// The same with a free choice of the convolutions, of which a recipe can only downsample the
    /// first few.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    ///
    /// # Panics
    ///
    /// If there are more than six.
    pub fn with_convolutions(
        recipe: &Recipe,
        convolutions: &[Convolution],
        image: Extent,
        classes: usize,
    ) -> Result<Self, PlanError> {
        if image.is_empty() || classes < 2 {
            return Err(PlanError::Nothing);
        }
        assert!(convolutions.len() <= CONVOLUTIONS.len(), "there are names for six convolutions");
        let mut layers: Vec<LayerPlan> = Vec::new();
        let mut input = image;
        for (name, convolution) in CONVOLUTIONS.into_iter().zip(convolutions) {
            let layer = convolutional(name, convolution, input, recipe)?;
            input = layer.output();
            layers.push(layer);
        }
        let output = recipe.neurons_per_class as usize * classes;
        let hidden = DENSE.into_iter().zip(recipe.dense_widths());
        let dense = hidden.map(|(name, units)| (name, units as usize));
        for (index, (name, features)) in dense.chain([("output", output)]).enumerate() {
            let noise = if index == 0 { noise(recipe) } else { None };
            let (reach, norm_momentum) = (Reach::Everything, recipe.dense_norm_momentum);
            let (stride, pool) = (1, Pool::None);
            let layer =
                LayerPlan { name, input, reach, features, stride, pool, noise, norm_momentum };
            input = layer.output();
            layers.push(layer);
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

fn convolutional(
    name: &'static str,
    convolution: &Convolution,
    input: Extent,
    recipe: &Recipe,
) -> Result<LayerPlan, PlanError> {
    let (stride, pool) = match (convolution.downsampled, recipe.downsampling) {
        (false, _) => (1, Pool::None),
        (true, Downsampling::Stride) => (2, Pool::None),
        (true, Downsampling::Pool) => (1, Pool::TwoByTwo),
    };
    if pool == Pool::TwoByTwo && (input.height < 2 || input.width < 2) {
        let Extent { height, width, .. } = input;
        return Err(PlanError::Vanished { layer: name, height, width });
    }
    Ok(LayerPlan {
        name,
        input,
        reach: Reach::Square(convolution.filter as usize),
        features: convolution.features as usize,
        stride,
        pool,
        noise: None,
        norm_momentum: recipe.conv_norm_momentum,
    })
}

/// The noise of the first hidden dense layer.
fn noise(recipe: &Recipe) -> Option<Noise> {
    let site = match recipe.noise_location {
        NoiseLocation::None => return None,
        NoiseLocation::AfterDense => Site::Linear,
        NoiseLocation::AfterDenseNorm => Site::Norm,
        NoiseLocation::AfterDenseActivation => Site::Activation,
    };
    recipe.noise().map(|deviation| Noise { site, deviation })
}
