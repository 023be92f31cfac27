//! The tables of a study file, as TOML has them. Unknown keys are refused everywhere.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTable {
    pub name: Option<Spanned<String>>,
    pub max_trials: Option<Spanned<u32>>,
    pub max_parallel: Option<Spanned<u32>>,
    pub max_failures: Option<Spanned<u32>>,
    pub max_trial_seconds: Option<Spanned<u32>>,
    pub checkpoint_epochs: Option<Spanned<u32>>,
    pub priority: Option<Spanned<i32>>,
    pub seed: Option<u64>,
    pub algorithm: Option<Spanned<String>>,
    pub start_points: Option<Spanned<u32>>,
    pub start_design: Option<Spanned<String>>,
    pub direction: Option<Spanned<String>>,
    pub stop_when_gain_below: Option<Spanned<f64>>,
    pub early_stopping: Option<Spanned<EarlyStoppingTable>>,
    pub objective: Spanned<ObjectiveTable>,
    #[serde(default)]
    pub constraint: Vec<Spanned<ConstraintTable>>,
    #[serde(default)]
    pub parameter: Vec<Spanned<ParameterTable>>,
}

/// `[objective]`: of one kind or the other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveTable {
    pub kind: Spanned<String>,
    pub dataset: Option<Spanned<String>>,
    pub train_images: Option<u32>,
    pub test_images: Option<u32>,
    pub validation_images: Option<Spanned<u32>>,
    pub metric: Option<Spanned<String>>,
    pub reference: Option<Spanned<f64>>,
    #[serde(default)]
    pub also: Vec<Spanned<AlsoTable>>,
    #[serde(default)]
    pub fixed: BTreeMap<String, Spanned<toml::Value>>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// `[[objective.also]]`: what is to be good besides the value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlsoTable {
    pub measurement: Spanned<String>,
    pub direction: Option<Spanned<String>>,
    pub reference: Option<Spanned<f64>>,
}

/// `[[constraint]]`: what a trial must keep to count.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstraintTable {
    pub measurement: Spanned<String>,
    pub at_most: Option<Spanned<f64>>,
    pub at_least: Option<Spanned<f64>>,
}

/// `[early_stopping]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingTable {
    pub rule: Spanned<String>,
    pub metric: Option<Spanned<String>>,
    pub min_trials: Option<Spanned<u32>>,
    pub min_steps: Option<Spanned<u32>>,
    pub reduction: Option<Spanned<u32>>,
}

/// `[[parameter]]`: a name and exactly one domain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterTable {
    pub name: Spanned<String>,
    pub ordinal: Option<Spanned<Vec<f64>>>,
    pub float: Option<Spanned<Vec<f64>>>,
    pub int: Option<Spanned<Vec<i64>>>,
    pub categorical: Option<Spanned<Vec<String>>>,
    pub bool: Option<Spanned<bool>>,
    pub scale: Option<Spanned<String>>,
    pub default: Option<Spanned<toml::Value>>,
    pub when: Option<Spanned<WhenTable>>,
}

/// `when = { parameter = "…", in = […] }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhenTable {
    pub parameter: Spanned<String>,
    #[serde(rename = "in")]
    pub values: Vec<Spanned<toml::Value>>,
}
