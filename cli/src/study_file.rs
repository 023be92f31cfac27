//! Study files: TOML in, the wire's `StudySpec` out, or one line that says what is wrong and where.
//!
//! Everything that can be told from the file alone is told here, with its line. What needs more
//! knowledge, such as which hyperparameters a network has, the coordinator checks.

mod early_stopping;
mod error;
mod goals;
mod parameter;
mod table;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use proto::v1::objective::Kind;
use proto::v1::{
    Algorithm, Direction, ExternalObjective, Objective, Space, StartDesign, StudySpec, Value,
    WhetstoneObjective,
};
use toml::Spanned;

pub use error::{Error, Source};

use crate::limits::{
    CHECKPOINT_EPOCHS_MAX, FAILURES_MAX, PARALLEL_MAX, PARAMETERS_MAX, PRIORITY_MAX,
    STUDY_NAME_BYTES_MAX, TRIAL_SECONDS_MAX, TRIALS_MAX,
};
pub use parameter::kind_of;
use table::{FileTable, ObjectiveTable};

/// Data sets that workers know.
pub const DATASETS: [&str; 5] = ["digits", "mnist", "fashion-mnist", "cifar-10", "cifar-100"];
/// What a Whetstone trial may report as its value.
const METRICS: [&str; 2] = ["binary_accuracy", "soft_accuracy"];

/// What the command line says instead of the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Another name.
    pub name: Option<String>,
    /// Another budget.
    pub max_trials: Option<u32>,
    /// Another seed.
    pub seed: Option<u64>,
}

/// Reads a study file.
pub fn read(path: &Path, overrides: &Overrides) -> Result<StudySpec, Error> {
    let label = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &label, overrides),
        Err(error) => Err(Source { text: "", label: &label }.whole(error.to_string())),
    }
}

/// Reads the text of a study file; `label` is what errors call it.
pub fn parse(text: &str, label: &str, overrides: &Overrides) -> Result<StudySpec, Error> {
    let source = Source { text, label };
    let file: FileTable = toml::from_str(text).map_err(|error| source.syntax(&error))?;

    let name = match (&overrides.name, &file.name) {
        (Some(name), _) => {
            check_name(name).map_err(|text| source.whole(text))?;
            name.clone()
        }
        (None, Some(name)) => {
            let known = check_name(name.get_ref());
            known.map_err(|text| source.at(name.span(), text))?;
            name.get_ref().clone()
        }
        (None, None) => {
            return Err(source.whole("`name` is missing: add name = \"…\", or use --name"));
        }
    };
    let max_trials = match (overrides.max_trials, &file.max_trials) {
        (Some(trials), _) => trials,
        (None, Some(trials)) => within(source, "max_trials", trials, 1, TRIALS_MAX)?,
        (None, None) => {
            return Err(source.whole("`max_trials` is missing: how many points may be tried?"));
        }
    };
    let optional = |key: &str, value: &Option<Spanned<u32>>, high: u32| match value {
        Some(value) => within(source, key, value, 0, high),
        None => Ok(0),
    };
    let algorithm = match &file.algorithm {
        None => Algorithm::Unspecified,
        Some(word) => one_of(
            source,
            "algorithm",
            word,
            &[
                ("gaussian_process", Algorithm::GaussianProcess),
                ("random", Algorithm::Random),
                ("grid", Algorithm::Grid),
                ("sobol", Algorithm::Sobol),
                ("tpe", Algorithm::Tpe),
                ("evolution", Algorithm::Evolution),
            ],
        )?,
    };
    let start_design = match &file.start_design {
        None => StartDesign::Unspecified,
        Some(word) => one_of(
            source,
            "start_design",
            word,
            &[
                ("latin_hypercube", StartDesign::LatinHypercube),
                ("sobol", StartDesign::Sobol),
                ("random", StartDesign::Random),
            ],
        )?,
    };
    let direction = match &file.direction {
        None => Direction::Unspecified,
        Some(word) => one_of(
            source,
            "direction",
            word,
            &[("maximize", Direction::Maximize), ("minimize", Direction::Minimize)],
        )?,
    };

    let mut parameters = Vec::with_capacity(file.parameter.len());
    for table in &file.parameter {
        let parameter = parameter::parameter(source, table, &parameters)?;
        if algorithm == Algorithm::Grid && crate::value::options(&parameter).is_none() {
            let text = format!(
                "parameter `{}`: a grid has no points on a float range; use `ordinal` or another \
                 algorithm",
                parameter.name
            );
            return Err(source.at(table.span(), text));
        }
        parameters.push(parameter);
    }
    match parameters.len() {
        0 => return Err(source.whole("there is no [[parameter]]: a study searches at least one")),
        n if n > PARAMETERS_MAX => {
            let text = format!("{n} parameters are more than the {PARAMETERS_MAX} allowed");
            return Err(source.whole(text));
        }
        _ => {}
    }

    let objective = objective(source, &file.objective, &parameters)?;
    let goals = goals::goals(source, &file, &objective)?;
    let has_goals = !goals.also.is_empty() || !goals.constraints.is_empty();
    let early_stopping = match &file.early_stopping {
        None => None,
        Some(table) => Some(early_stopping::early_stopping(source, table, &objective, has_goals)?),
    };
    let stop_when_gain_below = match &file.stop_when_gain_below {
        None => 0.0,
        Some(gain) => early_stopping::gain(source, gain, algorithm, has_goals)?,
    };
    let priority = match &file.priority {
        None => 0,
        Some(priority) if priority.get_ref().unsigned_abs() <= PRIORITY_MAX => *priority.get_ref(),
        Some(priority) => {
            let text = format!(
                "`priority` = {} must be from -{PRIORITY_MAX} to {PRIORITY_MAX}",
                priority.get_ref()
            );
            return Err(source.at(priority.span(), text));
        }
    };
    Ok(StudySpec {
        name,
        space: Some(Space { parameters }),
        objective: Some(objective),
        direction: direction.into(),
        algorithm: algorithm.into(),
        max_trials,
        max_parallel: optional("max_parallel", &file.max_parallel, PARALLEL_MAX)?,
        max_failures: optional("max_failures", &file.max_failures, FAILURES_MAX)?,
        max_trial_seconds: optional(
            "max_trial_seconds",
            &file.max_trial_seconds,
            TRIAL_SECONDS_MAX,
        )?,
        seed: overrides.seed.or(file.seed).unwrap_or(0),
        start_points: optional("start_points", &file.start_points, TRIALS_MAX)?,
        checkpoint_epochs: optional(
            "checkpoint_epochs",
            &file.checkpoint_epochs,
            CHECKPOINT_EPOCHS_MAX,
        )?,
        start_design: start_design.into(),
        also: goals.also,
        constraints: goals.constraints,
        reference: goals.reference,
        early_stopping,
        stop_when_gain_below,
        priority,
    })
}

/// Where the text of a study file fixes or searches a hyperparameter, if it does.
pub fn place_of(text: &str, name: &str) -> Option<Range<usize>> {
    let file: FileTable = toml::from_str(text).ok()?;
    let fixed = file.objective.get_ref().fixed.get(name).map(Spanned::span);
    let names = file.parameter.iter().map(|parameter| &parameter.get_ref().name);
    fixed.or_else(|| names.into_iter().find(|given| given.get_ref() == name).map(Spanned::span))
}

/// How many points a space has, every combination counted; `None` if it is infinite, or more than
/// 128 bits can count.
pub fn size(space: &Space) -> Option<u128> {
    space
        .parameters
        .iter()
        .map(crate::value::options)
        .try_fold(1_u128, |product, options| product.checked_mul(options?))
}

fn objective(
    source: Source<'_>,
    table: &Spanned<ObjectiveTable>,
    parameters: &[proto::v1::Parameter],
) -> Result<Objective, Error> {
    let objective = table.get_ref();
    let kinds = [("whetstone", true), ("external", false)];
    let misplaced = |key: &str, kind: &str| {
        let text = format!("`{key}` belongs to an objective of kind \"{kind}\"");
        Err(source.at(table.span(), text))
    };
    if !one_of(source, "kind", &objective.kind, &kinds)? {
        let whetstone = [
            ("dataset", objective.dataset.is_some()),
            ("metric", objective.metric.is_some()),
            ("train_images", objective.train_images.is_some()),
            ("test_images", objective.test_images.is_some()),
            ("validation_images", objective.validation_images.is_some()),
            ("fixed", !objective.fixed.is_empty()),
        ];
        if let Some((key, _)) = whetstone.iter().find(|(_, given)| *given) {
            return misplaced(key, "whetstone");
        }
        let labels = objective.labels.clone();
        return Ok(Objective { kind: Some(Kind::External(ExternalObjective { labels })) });
    }
    if !objective.labels.is_empty() {
        return misplaced("labels", "external");
    }
    let Some(dataset) = &objective.dataset else {
        let text = format!("`dataset` is missing: one of {}", error::listed(&DATASETS));
        return Err(source.at(table.span(), text));
    };
    let dataset = one_of(source, "dataset", dataset, &DATASETS.map(|name| (name, name)))?;
    let metric = match &objective.metric {
        None => METRICS[0],
        Some(metric) => one_of(source, "metric", metric, &METRICS.map(|name| (name, name)))?,
    };
    let train_images = objective.train_images.unwrap_or(0);
    let validation_images = match &objective.validation_images {
        None => 0,
        // How many images a data set has, the worker knows.
        Some(images) if train_images == 0 => *images.get_ref(),
        Some(images) => within(source, "validation_images", images, 0, train_images - 1)?,
    };
    let mut fixed = BTreeMap::new();
    for (name, value) in &objective.fixed {
        if parameters.iter().any(|parameter| parameter.name == *name) {
            let text = format!("`{name}` is both fixed and searched: drop one of the two");
            return Err(source.at(value.span(), text));
        }
        let kind = kind_of(value.get_ref()).ok_or_else(|| {
            let text = format!("`{name}` must be a number, a string, true or false");
            source.at(value.span(), text)
        })?;
        fixed.insert(name.clone(), Value { kind: Some(kind) });
    }
    Ok(Objective {
        kind: Some(Kind::Whetstone(WhetstoneObjective {
            dataset: dataset.to_owned(),
            train_images,
            test_images: objective.test_images.unwrap_or(0),
            validation_images,
            metric: metric.to_owned(),
            fixed,
        })),
    })
}

/// Whether a name may stand in paths and commands; if not, what it must be.
pub fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match starts && name.chars().all(allowed) && name.len() <= STUDY_NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(format!(
            "`name` = \"{name}\" must start with a letter or digit, then letters, digits, `.`, \
             `_` or `-`, at most {STUDY_NAME_BYTES_MAX} in all"
        )),
    }
}

/// A number from `low` to `high`.
pub fn within(
    source: Source<'_>,
    key: &str,
    value: &Spanned<u32>,
    low: u32,
    high: u32,
) -> Result<u32, Error> {
    match (low..=high).contains(value.get_ref()) {
        true => Ok(*value.get_ref()),
        false => {
            let text = format!("`{key}` = {} must be from {low} to {high}", value.get_ref());
            Err(source.at(value.span(), text))
        }
    }
}

/// What a word stands for; an error that lists the words if it is none of them.
pub fn one_of<T: Copy>(
    source: Source<'_>,
    key: &str,
    word: &Spanned<String>,
    words: &[(&str, T)],
) -> Result<T, Error> {
    let found = words.iter().find(|(allowed, _)| allowed == word.get_ref());
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let allowed: Vec<&str> = words.iter().map(|(allowed, _)| *allowed).collect();
        let text = format!(
            "`{key}` = \"{}\" is unknown: it must be one of {}",
            word.get_ref(),
            error::listed(&allowed)
        );
        source.at(word.span(), text)
    })
}

#[cfg(test)]
mod tests;
