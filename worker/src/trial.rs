//! One Whetstone trial: from a lease to what its training measured.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Instant;

use proto::v1;
use proto::v1::{objective, value};
use recipe::Recipe;
use tracing::{info, warn};
use whetstone::data::{DataError, Dataset};
use whetstone::device::Device;
use whetstone::health::LayerHealth;
use whetstone::network::{Extent, Plan};
use whetstone::train::{
    Checkpoint, EpochReport, Options, Outcome, State, TrainError, Trained, Watch, train,
};

use crate::checkpoints::{self, Checkpoints};
use crate::datasets::{Datasets, Wanted};
use crate::evaluation::{Failure, Measured, broken};
use crate::halt::{Halt, Why};
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
    device: &Device,
    progress: &Progress,
    checkpoints: &Checkpoints,
    halt: &Halt,
) -> Result<Measured, Failure> {
    let objective = whetstone_objective(lease)?;
    let metric = metric(&objective.metric)?;
    let point = lease.point.as_ref().map(|point| &point.values);
    let parameters = parameters(&objective.fixed, point.into_iter().flatten())?;
    let recipe = Recipe::from_parameters(&parameters)
        .map_err(|error| Failure::UserError(one_line(&error)))?;
    let wanted = Wanted {
        name: objective.dataset.clone(),
        train_images: objective.train_images,
        validation_images: objective.validation_images,
        test_images: objective.test_images,
    };
    let dataset = datasets.get(&wanted).map_err(|error| data_failure(&error))?;

    let begun_at = Instant::now();
    let training = Training { recipe: &recipe, dataset: &dataset, seed: lease.seed, device, halt };
    let mut last = None;
    let ended = training.run(progress, checkpoints, &mut last);
    let train_seconds = begun_at.elapsed().as_secs_f64();
    let trained = match (ended, last) {
        (Err(TrainError::Stopped), Some(last)) if halt.why() == Some(Why::Pruned) => {
            let measured = measured(&unfinished(&last, &recipe, &dataset), metric, train_seconds);
            return Ok(Measured { is_pruned: true, ..measured });
        }
        (ended, _) => ended.map_err(train_failure)?,
    };
    if let Some(reason) = &trained.outcome.collapsed {
        info!(reason, "the training came to nothing and ends early, with the value that it has");
    }
    let mut measured = measured(&trained.outcome, metric, train_seconds);
    // The test images are looked at by those alone who may end as the best, or they would choose.
    let may_be_best = lease.best_value.is_none_or(|best| measured.value > best);
    if dataset.validation.is_some() && may_be_best {
        let Trained { network, sharpness, .. } = &trained;
        let test = whetstone::evaluate::evaluate(network, &dataset, &dataset.test, sharpness)
            .map_err(|error| train_failure(error.into()))?;
        measured.measurements.insert("test_accuracy".to_owned(), test.binary);
        measured.measurements.insert("test_soft_accuracy".to_owned(), test.soft);
    }
    Ok(measured)
}

/// What does not change between two tries at one training.
struct Training<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    seed: u64,
    device: &'a Device,
    halt: &'a Halt,
}

impl Training<'_> {
    /// Goes on from what an earlier attempt left, or begins afresh if that is of no use. The result
    /// is the same, only later.
    ///
    /// `last` is the newest epoch's report, if there is one.
    fn run(
        &self,
        progress: &Progress,
        checkpoints: &Checkpoints,
        last: &mut Option<EpochReport>,
    ) -> Result<Trained, TrainError> {
        if let Some(found) = checkpoints.found() {
            let resumed = Checkpoint::from_bytes(&found.bytes).map_err(TrainError::from).and_then(
                |checkpoint| self.run_from(Some(&checkpoint), progress, checkpoints, last),
            );
            match resumed {
                Err(error @ TrainError::Checkpoint(_)) => {
                    let error = one_line(&error);
                    warn!(
                        error,
                        epoch = found.epoch,
                        "a checkpoint is of no use; training starts afresh"
                    );
                }
                ended => return ended,
            }
        }
        self.run_from(None, progress, checkpoints, last)
    }

    fn run_from(
        &self,
        from: Option<&Checkpoint>,
        progress: &Progress,
        checkpoints: &Checkpoints,
        last: &mut Option<EpochReport>,
    ) -> Result<Trained, TrainError> {
        let Training { recipe, dataset, seed, device, halt } = *self;
        let epochs = from.map_or(0, Checkpoint::epoch);
        progress.resume(epochs, f64::from(epochs) / f64::from(recipe.epochs_planned().max(1)));
        let options = Options { from, device: Some(device), ..Options::default() };
        let mut watch = Epochs { progress, checkpoints, last };
        train(recipe, dataset, seed, options, &mut watch, halt.stop())
    }
}

/// Hands on what every epoch leaves.
struct Epochs<'a> {
    progress: &'a Progress,
    checkpoints: &'a Checkpoints,
    last: &'a mut Option<EpochReport>,
}

impl Watch for Epochs<'_> {
    fn epoch(&mut self, report: &EpochReport, state: &State<'_>) {
        *self.last = Some(report.clone());
        tell_epoch(report, self.progress);
        if !self.checkpoints.are_wanted() {
            return;
        }
        match state.checkpoint() {
            Ok(checkpoint) => self.checkpoints.save(checkpoints::Checkpoint {
                epoch: checkpoint.epoch(),
                bytes: checkpoint.to_bytes(),
            }),
            Err(error) => warn!(%error, epoch = report.epoch, "no checkpoint can be taken"),
        }
    }
}

fn train_failure(error: TrainError) -> Failure {
    match error {
        TrainError::Stopped => Failure::Stopped,
        TrainError::Diverged { .. } => Failure::NotANumber(one_line(&error)),
        TrainError::Recipe { .. } => Failure::UserError(one_line(&error)),
        TrainError::Tensor(_) | TrainError::Checkpoint(_) => broken(one_line(&error)),
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
        DataError::UnknownDataSet { .. } | DataError::NothingLeft { .. } => {
            Failure::UserError(one_line(error))
        }
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
    let health: Vec<_> = epoch.layers.iter().flat_map(LayerHealth::metrics).collect();
    let health = health.iter().map(|(name, x)| (name.as_str(), *x));
    progress.step(epoch.epoch, done, whole.into_iter().chain(by_layer).chain(health));
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
        ("collapsed", f64::from(u8::from(outcome.collapsed.is_some()))),
        ("epochs", f64::from(outcome.epochs)),
        ("train_seconds", train_seconds),
        ("parameters", outcome.parameters as f64),
        ("multiply_adds", outcome.multiply_adds as f64),
    ];
    let measurements = measurements.map(|(name, x)| (name.to_owned(), x)).into();
    Measured { value, measurements, is_pruned: false }
}

/// What a training that was told to end early had come to with its last whole epoch.
fn unfinished(last: &EpochReport, recipe: &Recipe, data: &Dataset) -> Outcome {
    let image = Extent { height: data.height, width: data.width, channels: data.channels };
    let plan = Plan::new(recipe, image, data.classes).expect("a plan, because it was trained");
    Outcome {
        soft_accuracy: last.soft_accuracy,
        binary_accuracy: last.binary_accuracy,
        test: None,
        sharpening_finished: last.sharpness.iter().all(|sharpness| *sharpness == 1.0),
        collapsed: None,
        epochs: last.epoch + 1,
        parameters: plan.parameters(),
        multiply_adds: plan.multiply_adds(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_training_reports_what_studies_may_ask_for() {
        let outcome = Outcome {
            soft_accuracy: 0.75,
            binary_accuracy: 0.5,
            test: None,
            sharpening_finished: true,
            collapsed: None,
            epochs: 7,
            parameters: 1_000,
            multiply_adds: 20_000,
        };
        let measured = measured(&outcome, Metric::Binary, 1.5);
        assert_eq!(measured.value, 0.5);
        let mut names: Vec<&str> = measured.measurements.keys().map(String::as_str).collect();
        let mut known = recipe::MEASUREMENTS.to_vec();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
    }
}
