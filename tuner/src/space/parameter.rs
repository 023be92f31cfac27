//! What a user says about one parameter: its name, its domain, and when it matters.

use serde::{Deserialize, Serialize};

use super::value::Value;

/// How a range is spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal differences are equally far apart.
    #[default]
    Linear,
    /// Equal ratios are equally far apart; the range must be positive.
    Log,
}

/// The values a parameter can take. Ranges include both ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Domain {
    /// A real number in `[low, high]`.
    Float {
        /// Smallest value, natural units.
        low: f64,
        /// Largest value, natural units; above `low`.
        high: f64,
        /// Linear unless said otherwise.
        #[serde(default)]
        scale: Scale,
    },
    /// A whole number in `[low, high]`, both within ±2⁴⁰.
    Int {
        /// Smallest value.
        low: i64,
        /// Largest value; `low` itself is legal and leaves one option.
        high: i64,
        /// Linear unless said otherwise.
        #[serde(default)]
        scale: Scale,
    },
    /// One of a few numbers that have an order; the distance between two is their difference in
    /// rank, so `[1e-4, 1e-3, 1]` is evenly spaced. Listed in any order, ranked by size.
    Ordinal {
        /// At least one, all different, at most 1,024.
        values: Vec<f64>,
    },
    /// One of a few names without an order; any two are equally far apart.
    Categorical {
        /// At least one, all different, at most 1,024.
        choices: Vec<String>,
    },
    /// `false` or `true`; treated as two categories.
    Bool,
}

/// When a parameter matters: its parent is active and takes one of these values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Name of the parent, a discrete parameter that is listed earlier.
    pub parameter: String,
    /// Values of the parent under which this parameter is active; at least one.
    pub values: Vec<Value>,
}

/// One dimension of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// A lower-case letter, then up to 63 lower-case letters, digits or underscores.
    pub name: String,
    /// The values it can take.
    pub domain: Domain,
    /// When it matters; `None` means always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// A value the user trusts; see [`Space::default_point`](crate::Space::default_point).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}
