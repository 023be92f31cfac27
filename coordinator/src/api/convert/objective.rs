//! What a trial measures; a Whetstone objective is checked against the trainer's own table of
//! hyperparameters, so that a misspelt name fails now and not after a night.

use std::collections::BTreeMap;

use proto::v1::{self as wire, objective::Kind};
use recipe::{DATASETS, Recipe};
use serde_json::Value as Json;
use tuner::{Domain, Space, Value};

use super::{invalid, space, text};
use crate::{
    Error,
    limits::{FIXED_MAX, LABEL_BYTES_MAX, LABELS_MAX},
    study::{External, METRICS, Objective, Whetstone},
};

pub fn objective(objective: Option<wire::Objective>, over: &Space) -> Result<Objective, Error> {
    match objective.and_then(|objective| objective.kind) {
        None => Err(invalid("the study has no objective; choose `whetstone` or `external`")),
        Some(Kind::Whetstone(asked)) => {
            let asked = whetstone(asked)?;
            check_recipe(&asked, over)?;
            Ok(Objective::Whetstone(asked))
        }
        Some(Kind::External(asked)) => {
            if asked.labels.len() > LABELS_MAX {
                let count = asked.labels.len();
                return Err(invalid(format!(
                    "the objective has {count} labels; at most {LABELS_MAX} fit: put the others into \
                     a file and name that"
                )));
            }
            let mut bytes = 0;
            for (name, value) in &asked.labels {
                if name.contains('\0') || value.contains('\0') {
                    return Err(invalid(format!("label `{name}` holds a NUL byte; take it out")));
                }
                bytes += name.len() + value.len();
            }
            if bytes > LABEL_BYTES_MAX {
                return Err(invalid(format!(
                    "the objective's labels have {bytes} bytes; at most {LABEL_BYTES_MAX} fit: put \
                     long ones into a file and name that"
                )));
            }
            Ok(Objective::External(External { labels: asked.labels.into_iter().collect() }))
        }
    }
}

fn whetstone(asked: wire::WhetstoneObjective) -> Result<Whetstone, Error> {
    text("the data set's name", &asked.dataset)?;
    if !DATASETS.contains(&asked.dataset.as_str()) {
        let known = DATASETS.join(", ");
        return Err(invalid(format!(
            "there is no data set `{}`; known are {known}",
            asked.dataset
        )));
    }
    let metric = if asked.metric.is_empty() { METRICS[0].to_owned() } else { asked.metric };
    text("the metric's name", &metric)?;
    if !METRICS.contains(&metric.as_str()) {
        let known = METRICS.join(" or ");
        return Err(invalid(format!("there is no metric `{metric}` to maximise; choose {known}")));
    }
    if asked.fixed.len() > FIXED_MAX {
        let count = asked.fixed.len();
        return Err(invalid(format!(
            "{count} hyperparameters are fixed; a network has fewer than {FIXED_MAX}"
        )));
    }
    // How many images a data set has, the worker knows.
    if (1..=asked.validation_images).contains(&asked.train_images) {
        return Err(invalid(format!(
            "validation_images is {} and held out of the {} of train_images, which leaves none to \
             train on; hold out fewer",
            asked.validation_images, asked.train_images
        )));
    }
    Ok(Whetstone {
        dataset: asked.dataset,
        train_images: asked.train_images,
        test_images: asked.test_images,
        validation_images: asked.validation_images,
        metric,
        fixed: space::values("fixed hyperparameter", asked.fixed)?,
    })
}

/// Every corner of the space, one parameter at a time, must make a recipe.
fn check_recipe(asked: &Whetstone, over: &Space) -> Result<(), Error> {
    let mut fixed: BTreeMap<String, Json> = BTreeMap::new();
    for (name, value) in &asked.fixed {
        if over.parameters().iter().any(|parameter| parameter.name == *name) {
            return Err(invalid(format!(
                "hyperparameter `{name}` is both fixed and searched; choose one"
            )));
        }
        fixed.insert(name.clone(), json(value));
    }
    recipe(&fixed)?;
    for parameter in over.parameters() {
        let corners: Vec<Json> = match &parameter.domain {
            Domain::Float { low, high, .. } => vec![(*low).into(), (*high).into()],
            Domain::Int { low, high, .. } => vec![(*low).into(), (*high).into()],
            Domain::Ordinal { values } => values.iter().map(|value| (*value).into()).collect(),
            Domain::Categorical { choices } => {
                choices.iter().map(|choice| choice.as_str().into()).collect()
            }
            Domain::Bool => vec![false.into(), true.into()],
        };
        for corner in corners {
            let mut one = fixed.clone();
            one.insert(parameter.name.clone(), corner);
            recipe(&one)?;
        }
    }
    Ok(())
}

fn recipe(parameters: &BTreeMap<String, Json>) -> Result<Recipe, Error> {
    Recipe::from_parameters(parameters).map_err(|error| invalid(error.to_string()))
}

fn json(value: &Value) -> Json {
    match value {
        Value::Bool(on) => (*on).into(),
        Value::Int(whole) => (*whole).into(),
        Value::Float(real) => (*real).into(),
        Value::Text(word) => word.as_str().into(),
    }
}

pub fn objective_to_wire(objective: &Objective) -> wire::Objective {
    let kind = match objective {
        Objective::Whetstone(asked) => Kind::Whetstone(wire::WhetstoneObjective {
            dataset: asked.dataset.clone(),
            train_images: asked.train_images,
            test_images: asked.test_images,
            validation_images: asked.validation_images,
            metric: asked.metric.clone(),
            fixed: asked
                .fixed
                .iter()
                .map(|(name, value)| (name.clone(), space::value_to_wire(value)))
                .collect(),
        }),
        Objective::External(asked) => Kind::External(wire::ExternalObjective {
            labels: asked.labels.clone().into_iter().collect(),
        }),
    };
    wire::Objective { kind: Some(kind) }
}
