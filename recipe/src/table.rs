//! All hyperparameters: name, range, unit, meaning. The one place that lists them.
//!
//! Ranges are wide: they keep out what cannot train or would overflow, and leave judgement to the
//! search. The paper's own values are a small part of each.

use std::ops::Bound::{Excluded, Included};

use crate::choice::{Activation, EpochPolicy, NoiseLocation, Optimizer};
use crate::parameter::{Field, ParameterInfo};
use crate::recipe::Recipe;

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
        meaning: "factor on every step; Adadelta wants about 1, RMSprop about 0.001",
        field: positive(100.0, |r| &mut r.learning_rate),
    },
    ParameterInfo {
        name: "decay",
        unit: "per update",
        meaning: "decay of the learning rate: after t updates it is lr / (1 + decay t)",
        field: from_zero(1.0, |r| &mut r.decay),
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
        meaning: "what the optimiser's running averages keep at each update",
        field: kept(|r| &mut r.rho),
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
        meaning: "where Gaussian noise is added during training",
        field: choice_field!(noise_location: NoiseLocation),
    },
    ParameterInfo {
        name: "noise_std",
        unit: "of the layer's linear output",
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
        name: "sharpening_start",
        unit: "epochs",
        meaning: "epoch, counted from 0, after whose end the first layer begins to sharpen",
        field: epochs(1, |r| &mut r.sharpening_start),
    },
    ParameterInfo {
        name: "sharpening_duration",
        unit: "epochs",
        meaning: "epochs in which one layer goes from soft to hard",
        field: epochs(1, |r| &mut r.sharpening_duration),
    },
    ParameterInfo {
        name: "sharpening_intermission",
        unit: "epochs",
        meaning: "rest between one layer's end and the next one's beginning",
        field: epochs(0, |r| &mut r.sharpening_intermission),
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
        name: "dense_units",
        unit: "neurons",
        meaning: "width of the hidden dense layer",
        field: count(DENSE_UNITS_MAX, |r| &mut r.dense_units),
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
        name: "epochs",
        unit: "epochs",
        meaning: "epochs asked for; epoch_policy says whether sharpening may take longer",
        field: epochs(1, |r| &mut r.epochs),
    },
    ParameterInfo {
        name: "epoch_policy",
        unit: "",
        meaning: "whether training is extended until sharpening has finished",
        field: choice_field!(epoch_policy: EpochPolicy),
    },
    ParameterInfo {
        name: "third_pool",
        unit: "",
        meaning: "whether a max-pool follows the third convolutional block too",
        field: Field::Bool { at: |r| &mut r.third_pool },
    },
];
