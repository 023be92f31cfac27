//! All hyperparameters: name, range, unit, meaning. The one place that lists them.
//!
//! Ranges are wide: they keep out what cannot train or would overflow, and leave judgement to the
//! search. The paper's own values are a small part of each.

use std::ops::Bound::{Excluded, Included};

use crate::choice::{Activation, Downsampling, EpochPolicy, NoiseLocation, Optimizer, Sharpener};
use crate::parameter::{Field, ParameterInfo};
use crate::recipe::Recipe;
use crate::topology::{CONV_BLOCKS_MAX, DENSE_LAYERS_MAX};

/// Far beyond any training, and small enough that no sum over a schedule overflows.
const EPOCHS_MAX: u32 = 10_000;
/// Wider filters than 11 × 11 have not been useful since AlexNet, and cost quadratically.
const FILTER_MAX: u32 = 11;
/// Eight times the widest layer of the paper: a guard against slips, not a recommendation.
const FEATURES_MAX: u32 = 4_096;
/// As for the features: sixty-four times the paper's widest dense layer.
const DENSE_UNITS_MAX: u32 = 65_536;
/// From 5 neurons per class on, the decoded probabilities saturate (4 n beyond ln 1e7); 1,024 is
/// far into that.
const NEURONS_PER_CLASS_MAX: u32 = 1_024;
/// More than the largest data set has.
const BATCH_SIZE_MAX: u32 = 65_536;

/// A quarter of the largest images: more leaves little to see.
const SHIFT_MAX: u32 = 8;

/// Declares an entry whose value is one of a choice's words.
macro_rules! choice_field {
    ($field:ident: $choice:ident) => {
        Field::Choice {
            names: $choice::NAMES,
            get: |recipe| recipe.$field.name(),
            set: |recipe, index| recipe.$field = $choice::ALL[index],
        }
    };
}

const fn epochs(low: u32, at: fn(&mut Recipe) -> &mut u32) -> Field {
    Field::Integer { low, high: EPOCHS_MAX, odd: false, at }
}

/// Odd, so that "same" padding is symmetric.
const fn filter(at: fn(&mut Recipe) -> &mut u32) -> Field {
    Field::Integer { low: 1, high: FILTER_MAX, odd: true, at }
}

const fn count(high: u32, at: fn(&mut Recipe) -> &mut u32) -> Field {
    Field::Integer { low: 1, high, odd: false, at }
}

/// How many layers of a kind.
const fn layers(low: u32, high: u32, at: fn(&mut Recipe) -> &mut u32) -> Field {
    Field::Integer { low, high, odd: false, at }
}

/// A share of the way, or of a loss: from just above nothing to all of it.
const fn share(at: fn(&mut Recipe) -> &mut f64) -> Field {
    positive(1.0, at)
}

/// What a running average keeps: from nothing to nearly everything.
const fn kept(at: fn(&mut Recipe) -> &mut f64) -> Field {
    Field::Float { low: Included(0.0), high: Excluded(1.0), at }
}

const fn positive(high: f64, at: fn(&mut Recipe) -> &mut f64) -> Field {
    Field::Float { low: Excluded(0.0), high: Included(high), at }
}

const fn from_zero(high: f64, at: fn(&mut Recipe) -> &mut f64) -> Field {
    Field::Float { low: Included(0.0), high: Included(high), at }
}

pub(crate) static PARAMETERS: &[ParameterInfo] = &[
    ParameterInfo {
        name: "learning_rate",
        unit: "",
        meaning: "factor on every step; Adadelta wants about 1, RMSprop and Adam 0.001, SGD 0.01 to 0.1",
        field: positive(100.0, |r| &mut r.learning_rate),
    },
    ParameterInfo {
        name: "decay",
        unit: "per update",
        meaning: "decay of the learning rate: after t updates it is lr / (1 + decay t)",
        field: from_zero(1.0, |r| &mut r.decay),
    },
    ParameterInfo {
        name: "warmup_epochs",
        unit: "epochs",
        meaning: "epochs over which the learning rate rises linearly to its full value; 0 for none",
        field: epochs(0, |r| &mut r.warmup_epochs),
    },
    ParameterInfo {
        name: "optimizer",
        unit: "",
        meaning: "the rule that turns gradients into steps",
        field: choice_field!(optimizer: Optimizer),
    },
    ParameterInfo {
        name: "rho",
        unit: "per update",
        meaning: "what the optimiser's averages of squares keep at each update (Adam's beta 2)",
        field: kept(|r| &mut r.rho),
    },
    ParameterInfo {
        name: "momentum",
        unit: "per update",
        meaning: "what Adam's average of gradients (its beta 1) and SGD's of steps keep; else inert",
        field: kept(|r| &mut r.momentum),
    },
    ParameterInfo {
        name: "optimizer_epsilon",
        unit: "",
        meaning: "keeps the optimiser's divisor from zero; sets the size of Adadelta's first steps",
        field: positive(1.0, |r| &mut r.optimizer_epsilon),
    },
    ParameterInfo {
        name: "noise_location",
        unit: "",
        meaning: "where in the first hidden dense layer Gaussian noise is added during training",
        field: choice_field!(noise_location: NoiseLocation),
    },
    ParameterInfo {
        name: "noise_std",
        unit: "of the values it is added to",
        meaning: "standard deviation of the noise; inert if noise_location is \"none\"",
        field: from_zero(10.0, |r| &mut r.noise_std),
    },
    ParameterInfo {
        name: "conv_norm_momentum",
        unit: "per batch",
        meaning: "what batch norm's moving statistics keep in the convolutional blocks",
        field: kept(|r| &mut r.conv_norm_momentum),
    },
    ParameterInfo {
        name: "dense_norm_momentum",
        unit: "per batch",
        meaning: "what batch norm's moving statistics keep in the dense blocks",
        field: kept(|r| &mut r.dense_norm_momentum),
    },
    ParameterInfo {
        name: "norm_epsilon",
        unit: "of the variance",
        meaning: "added to the variance in every batch norm, inside the root",
        field: positive(1.0, |r| &mut r.norm_epsilon),
    },
    ParameterInfo {
        name: "norm_center",
        unit: "",
        meaning: "whether batch norm learns an offset",
        field: Field::Bool { at: |r| &mut r.norm_center },
    },
    ParameterInfo {
        name: "norm_scale",
        unit: "",
        meaning: "whether batch norm learns a factor",
        field: Field::Bool { at: |r| &mut r.norm_scale },
    },
    ParameterInfo {
        name: "sharpener",
        unit: "",
        meaning: "what decides when which layer sharpens: a schedule, or the training loss",
        field: choice_field!(sharpener: Sharpener),
    },
    ParameterInfo {
        name: "sharpening_start",
        unit: "epochs",
        meaning: "epoch, counted from 0, after whose end the first layer begins to sharpen; if adaptive, \
                  epochs before anything is decided",
        field: epochs(1, |r| &mut r.sharpening_start),
    },
    ParameterInfo {
        name: "sharpening_duration",
        unit: "epochs",
        meaning: "epochs in which one layer goes from soft to hard; inert if adaptive",
        field: epochs(1, |r| &mut r.sharpening_duration),
    },
    ParameterInfo {
        name: "sharpening_intermission",
        unit: "epochs",
        meaning: "rest between one layer's end and the next one's beginning; inert if adaptive",
        field: epochs(0, |r| &mut r.sharpening_intermission),
    },
    ParameterInfo {
        name: "adaptive_rate",
        unit: "per epoch",
        meaning: "sharpness a layer gains; this and the next six are inert unless adaptive",
        field: share(|r| &mut r.adaptive_rate),
    },
    ParameterInfo {
        name: "adaptive_critical_rate",
        unit: "per epoch",
        meaning: "the same in the critical zone, where a little changes much",
        field: share(|r| &mut r.adaptive_critical_rate),
    },
    ParameterInfo {
        name: "adaptive_critical",
        unit: "",
        meaning: "sharpness at which the critical zone begins",
        field: from_zero(1.0, |r| &mut r.adaptive_critical),
    },
    ParameterInfo {
        name: "adaptive_first_layer_rate",
        unit: "",
        meaning: "factor on the first layer's rates",
        field: positive(10.0, |r| &mut r.adaptive_first_layer_rate),
    },
    ParameterInfo {
        name: "adaptive_patience",
        unit: "epochs",
        meaning: "epochs without improvement before sharpening goes on",
        field: epochs(0, |r| &mut r.adaptive_patience),
    },
    ParameterInfo {
        name: "adaptive_increase",
        unit: "of the loss",
        meaning: "rise since the last significant loss that pauses sharpening",
        field: positive(10.0, |r| &mut r.adaptive_increase),
    },
    ParameterInfo {
        name: "adaptive_decrease",
        unit: "of the loss",
        meaning: "fall since the last significant loss that counts as improvement",
        field: share(|r| &mut r.adaptive_decrease),
    },
    ParameterInfo {
        name: "conv_blocks",
        unit: "blocks",
        meaning: "convolutional blocks; filters and features beyond them are inert",
        field: layers(1, CONV_BLOCKS_MAX, |r| &mut r.conv_blocks),
    },
    ParameterInfo {
        name: "conv1_filter",
        unit: "pixels",
        meaning: "side of the first convolution's filters",
        field: filter(|r| &mut r.conv1_filter),
    },
    ParameterInfo {
        name: "conv2_filter",
        unit: "pixels",
        meaning: "side of the second convolution's filters",
        field: filter(|r| &mut r.conv2_filter),
    },
    ParameterInfo {
        name: "conv3_filter",
        unit: "pixels",
        meaning: "side of the third convolution's filters",
        field: filter(|r| &mut r.conv3_filter),
    },
    ParameterInfo {
        name: "conv4_filter",
        unit: "pixels",
        meaning: "side of the fourth convolution's filters",
        field: filter(|r| &mut r.conv4_filter),
    },
    ParameterInfo {
        name: "conv5_filter",
        unit: "pixels",
        meaning: "side of the fifth convolution's filters",
        field: filter(|r| &mut r.conv5_filter),
    },
    ParameterInfo {
        name: "conv6_filter",
        unit: "pixels",
        meaning: "side of the sixth convolution's filters",
        field: filter(|r| &mut r.conv6_filter),
    },
    ParameterInfo {
        name: "conv1_features",
        unit: "channels",
        meaning: "output channels of the first convolution",
        field: count(FEATURES_MAX, |r| &mut r.conv1_features),
    },
    ParameterInfo {
        name: "conv2_features",
        unit: "channels",
        meaning: "output channels of the second convolution",
        field: count(FEATURES_MAX, |r| &mut r.conv2_features),
    },
    ParameterInfo {
        name: "conv3_features",
        unit: "channels",
        meaning: "output channels of the third convolution",
        field: count(FEATURES_MAX, |r| &mut r.conv3_features),
    },
    ParameterInfo {
        name: "conv4_features",
        unit: "channels",
        meaning: "output channels of the fourth convolution",
        field: count(FEATURES_MAX, |r| &mut r.conv4_features),
    },
    ParameterInfo {
        name: "conv5_features",
        unit: "channels",
        meaning: "output channels of the fifth convolution",
        field: count(FEATURES_MAX, |r| &mut r.conv5_features),
    },
    ParameterInfo {
        name: "conv6_features",
        unit: "channels",
        meaning: "output channels of the sixth convolution",
        field: count(FEATURES_MAX, |r| &mut r.conv6_features),
    },
    ParameterInfo {
        name: "downsampled_blocks",
        unit: "blocks",
        meaning: "how many convolutional blocks, from the first on, halve the image",
        field: layers(0, CONV_BLOCKS_MAX, |r| &mut r.downsampled_blocks),
    },
    ParameterInfo {
        name: "downsampling",
        unit: "",
        meaning: "how they do it: a 2×2 max-pool, or a convolution of stride 2",
        field: choice_field!(downsampling: Downsampling),
    },
    ParameterInfo {
        name: "dense_layers",
        unit: "layers",
        meaning: "hidden dense layers; widths beyond them are inert",
        field: layers(0, DENSE_LAYERS_MAX, |r| &mut r.dense_layers),
    },
    ParameterInfo {
        name: "dense_units",
        unit: "neurons",
        meaning: "width of the first hidden dense layer",
        field: count(DENSE_UNITS_MAX, |r| &mut r.dense_units),
    },
    ParameterInfo {
        name: "dense2_units",
        unit: "neurons",
        meaning: "width of the second hidden dense layer",
        field: count(DENSE_UNITS_MAX, |r| &mut r.dense2_units),
    },
    ParameterInfo {
        name: "dense3_units",
        unit: "neurons",
        meaning: "width of the third hidden dense layer",
        field: count(DENSE_UNITS_MAX, |r| &mut r.dense3_units),
    },
    ParameterInfo {
        name: "neurons_per_class",
        unit: "neurons",
        meaning: "output neurons that vote for one class, none shared",
        field: count(NEURONS_PER_CLASS_MAX, |r| &mut r.neurons_per_class),
    },
    ParameterInfo {
        name: "activation",
        unit: "",
        meaning: "the curve that sharpens into a threshold",
        field: choice_field!(activation: Activation),
    },
    ParameterInfo {
        name: "batch_size",
        unit: "images",
        meaning: "images per update; the last batch of an epoch may be smaller",
        field: count(BATCH_SIZE_MAX, |r| &mut r.batch_size),
    },
    ParameterInfo {
        name: "augment_shift",
        unit: "pixels",
        meaning: "each training image is shifted by up to so many pixels each way, at random",
        field: layers(0, SHIFT_MAX, |r| &mut r.augment_shift),
    },
    ParameterInfo {
        name: "augment_mirror",
        unit: "",
        meaning: "whether half of the training images are mirrored left to right, at random",
        field: Field::Bool { at: |r| &mut r.augment_mirror },
    },
    ParameterInfo {
        name: "epochs",
        unit: "epochs",
        meaning: "epochs asked for; epoch_policy says whether the schedule may take longer; if adaptive, \
                  the most there are",
        field: epochs(1, |r| &mut r.epochs),
    },
    ParameterInfo {
        name: "epoch_policy",
        unit: "",
        meaning: "whether training is extended until the schedule has finished; inert if adaptive",
        field: choice_field!(epoch_policy: EpochPolicy),
    },
];
