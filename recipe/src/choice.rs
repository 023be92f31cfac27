//! The hyperparameters that are words: one enum each, with the words used everywhere else.

use serde::Serialize;

/// Declares an enum whose variants have names, listed once for reading, writing and error texts.
macro_rules! choice {
    (
        $(#[$about:meta])*
        $choice:ident { $( $(#[$variant_about:meta])* $variant:ident = $name:literal, )+ }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        pub enum $choice {
            $( $(#[$variant_about])* #[serde(rename = $name)] $variant, )+
        }

        impl $choice {
            /// Every variant, in the order of [`Self::NAMES`].
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for each variant, as it stands in parameters, files and tables.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The word for this variant.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl std::fmt::Display for $choice {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

choice! {
    /// The rule that turns gradients into steps, in the form of Keras 2.
    Optimizer {
        /// M. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012
        /// (<https://arxiv.org/abs/1212.5701>), scaled by a learning rate of about 1.
        Adadelta = "adadelta",
        /// T. Hinton's RMSprop (Coursera lecture 6e, 2012), epsilon outside the root; wants a
        /// learning rate of about 1e-3.
        Rmsprop = "rmsprop",
        /// D. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", 2014
        /// (<https://arxiv.org/abs/1412.6980>), epsilon outside the root; wants about 1e-3.
        Adam = "adam",
        /// Gradient descent with momentum; wants about 1e-2 to 1e-1.
        Sgd = "sgd",
    }
}

choice! {
    /// What decides when which layer sharpens.
    Sharpener {
        /// A window of epochs for each layer, by start, duration and intermission.
        Scheduled = "scheduled",
        /// The training loss: sharpen while it is level, pause while it recovers.
        Adaptive = "adaptive",
    }
}

choice! {
    /// How a convolutional block halves the image.
    Downsampling {
        /// By a 2×2 max-pool before its activation; an odd last row or column is dropped.
        Pool = "pool",
        /// By a convolution that visits every other pixel: n pixels become ⌈n/2⌉.
        Stride = "stride",
    }
}

choice! {
    /// Where Gaussian noise is added during training: somewhere in the first hidden dense layer, and
    /// so nowhere in a network that has none.
    NoiseLocation {
        /// Nowhere. The noise's standard deviation is then inert.
        None = "none",
        /// To the layer's linear output, before its batch norm.
        AfterDense = "after_dense",
        /// To the normalised values, before the activation: on the scale of its threshold.
        AfterDenseNorm = "after_dense_norm",
        /// To the activation, so that what is passed on lies around 0 to 1.
        AfterDenseActivation = "after_dense_activation",
    }
}

choice! {
    /// The curve that sharpens into a threshold.
    Activation {
        /// A ramp through (½, ½), clipped to 0 … 1; becomes a step at ½.
        BoundedRelu = "bounded_relu",
        /// A logistic curve; becomes a step at 0.
        Sigmoid = "sigmoid",
    }
}

choice! {
    /// What happens when the sharpening schedule needs more epochs than were asked for.
    EpochPolicy {
        /// Train the number of epochs asked for and measure the network as it then stands, as the
        /// paper did: it may be partly soft.
        Fixed = "fixed",
        /// Train until the schedule is finished, or for the epochs asked for if that is longer.
        Extend = "extend",
    }
}
