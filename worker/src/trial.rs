//! One Whetstone trial: from a lease to what its training measured.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Instant;

use proto::v1;
use proto::v1::{objective, value};
use recipe::Recipe;
use whetstone::data::DataError;
use whetstone::train::{EpochReport, Options, Outcome, TrainError, train};

use crate::checkpoints::Checkpoints;
use crate::datasets::Datasets;
use crate::evaluation::{Failure, Measured};
use crate::halt::Halt;
use crate::one_line::one_line;
use crate::progress::Progress;

/// Which accuracy is the objective's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Binary,
    Soft,
}

/// Trains the network that a lease asks for.
///
/// Everything that can be wrong with the request is found before the first epoch, and before the
/// data set is read.
///
/// # Errors
///
/// [`Failure`], by what the coordinator should do about it.
pub fn evaluate(
    lease: &v1::Lease,
    datasets: &Datasets,
    progress: &Progress,
    _checkpoints: &Checkpoints,
    halt: &Halt,
) -> Result<Measured, Failure> {
    let objective = whetstone_objective(lease)?;
    let metric = metric(&objective.metric)?;
    let point = lease.point.as_ref().map(|point| &point.values);
    let parameters = parameters(&objective.fixed, point.into_iter().flatten())?;
    let recipe = Recipe::from_parameters(&parameters)
        .map_err(|error| Failure::UserError(one_line(&error)))?;
    let dataset = datasets
        .get(&objective.dataset, objective.train_images, objective.test_images)
        .map_err(|error| data_failure(&error))?;

    let begun_at = Instant::now();
    let mut tell = |epoch: &EpochReport| tell_epoch(epoch, progress);
    let options = Options::default();
    let trained = train(&recipe, &dataset, lease.seed, options, &mut tell, halt.stop());
    let train_seconds = begun_at.elapsed().as_secs_f64();
    match trained {
        Ok(trained) => Ok(measured(&trained.outcome, metric, train_seconds)),
        Err(TrainError::Stopped) => Err(Failure::Stopped),
        Err(error @ TrainError::Diverged { .. }) => Err(Failure::NotANumber(one_line(&error))),
        Err(error @ TrainError::Recipe { .. }) => Err(Failure::UserError(one_line(&error))),
        Err(error @ (TrainError::Tensor(_) | TrainError::Checkpoint(_))) => {
            Err(Failure::Broken(one_line(&error)))
        }
    }
}

fn whetstone_objective(lease: &v1::Lease) -> Result<&v1::WhetstoneObjective, Failure> {
    let kind = lease.objective.as_ref().and_then(|objective| objective.kind.as_ref());
    match kind {
        Some(objective::Kind::Whetstone(objective)) => Ok(objective),
        // Another worker may well be able to; this one never said that it was.
        Some(objective::Kind::External(_)) | None => Err(Failure::Broken(
            "this worker evaluates only `whetstone` objectives, and was given another".into(),
        )),
    }
}

fn metric(name: &str) -> Result<Metric, Failure> {
    match name {
        "" | "binary_accuracy" => Ok(Metric::Binary),
        "soft_accuracy" => Ok(Metric::Soft),
        other => Err(Failure::UserError(format!(
            "there is no metric `{other}`; write `binary_accuracy` or `soft_accuracy`"
        ))),
    }
}

/// What is fixed and what is searched, as one map.
fn parameters<'a>(
    fixed: impl IntoIterator<Item = (&'a String, &'a v1::Value)>,
    searched: impl IntoIterator<Item = (&'a String, &'a v1::Value)>,
) -> Result<BTreeMap<String, serde_json::Value>, Failure> {
    let mut parameters = BTreeMap::new();
    for (name, value) in fixed {
        parameters.insert(name.clone(), json(name, value)?);
    }
    for (name, value) in searched {
        match parameters.entry(name.clone()) {
            Entry::Vacant(free) => free.insert(json(name, value)?),
            Entry::Occupied(_) => {
                return Err(Failure::UserError(format!(
                    "`{name}` is searched and fixed at once; take it out of the fixed values"
                )));
            }
        };
    }
    Ok(parameters)
}

fn json(name: &str, value: &v1::Value) -> Result<serde_json::Value, Failure> {
    let json = match &value.kind {
        Some(value::Kind::Boolean(value)) => Some((*value).into()),
        Some(value::Kind::Integer(value)) => Some((*value).into()),
        // JSON has no NaN and no infinities.
        Some(value::Kind::Number(value)) => {
            serde_json::Number::from_f64(*value).map(serde_json::Value::Number)
        }
        Some(value::Kind::Text(value)) => Some(value.as_str().into()),
        None => None,
    };
    json.ok_or_else(|| Failure::UserError(format!("`{name}` has no value that can be used")))
}

fn data_failure(error: &DataError) -> Failure {
    match error {
        // No worker has it, so no other need try.
        DataError::UnknownDataSet { .. } => Failure::UserError(one_line(error)),
        DataError::FolderNeeded { .. } => {
            Failure::Data(format!("{} to this worker with --data-folder", one_line(error)))
        }
        _ => Failure::Data(one_line(error)),
    }
}

fn tell_epoch(epoch: &EpochReport, progress: &Progress) {
    let done = f64::from(epoch.epoch + 1) / f64::from(epoch.epochs_planned.max(1));
    let sharpness: Vec<_> = epoch.sharpness.iter().copied().map(f64::from).collect();
    let mean = sharpness.iter().sum::<f64>() / sharpness.len().max(1) as f64;
    let layers: Vec<_> = (1..=sharpness.len()).map(|layer| format!("sharpness_{layer}")).collect();
    let whole = [
        ("loss", epoch.loss),
        ("train_accuracy", epoch.train_accuracy),
        ("soft_accuracy", epoch.soft_accuracy),
        ("binary_accuracy", epoch.binary_accuracy),
        ("learning_rate", epoch.learning_rate),
        ("sharpness_mean", mean),
    ];
    let by_layer = layers.iter().map(String::as_str).zip(sharpness);
    progress.step(epoch.epoch, done, whole.into_iter().chain(by_layer));
}

fn measured(outcome: &Outcome, metric: Metric, train_seconds: f64) -> Measured {
    let value = match metric {
        Metric::Binary => outcome.binary_accuracy,
        Metric::Soft => outcome.soft_accuracy,
    };
    let measurements = [
        ("soft_accuracy", outcome.soft_accuracy),
        ("binary_accuracy", outcome.binary_accuracy),
        ("sharpening_finished", f64::from(u8::from(outcome.sharpening_finished))),
        ("epochs", f64::from(outcome.epochs)),
        ("train_seconds", train_seconds),
        ("parameters", outcome.parameters as f64),
        ("multiply_adds", outcome.multiply_adds as f64),
    ];
    let measurements = measurements.map(|(name, x)| (name.to_owned(), x)).into();
    Measured { value, measurements }
}
