//! Results from elsewhere become observations of a study.

use std::collections::BTreeMap;

use proto::v1::{self as wire, import_trials_request::From as Origin};
use recipe::Recipe;
use sqlx::PgConnection;
use tuner::{Point, Value};

use super::{convert, enqueue::new_point, once::Once};
use crate::{
    Error,
    error::Doing as _,
    limits::{IMPORTED_MAX, TRIALS_AT_ONCE_MAX},
    scheduler::Scheduler,
    storage::{
        self,
        imported::{self, Finished, Import},
        studies,
    },
    study::{Objective, Study, StudySpec, Whetstone},
};

/// What is about to be imported, and what was left out.
#[derive(Default)]
struct Batch {
    source: String,
    imports: Vec<Import>,
    outside: u32,
    known: u32,
    first_outside: String,
}

impl Batch {
    /// Takes a point in if it lies in the space; else counts it, or fails. `what` names it.
    fn add(
        &mut self,
        study: &Study,
        what: String,
        (point, value, measurements): (Point, f64, BTreeMap<String, f64>),
        source_trial_id: Option<i64>,
        skip_outside: bool,
    ) -> Result<(), Error> {
        let StudySpec { name, direction, goals, .. } = &study.spec;
        if let Err(missing) = goals.judge(*direction, value, &measurements) {
            return Err(Error::Invalid(format!(
                "{what} has no `{}`, which study `{name}` asks for; nothing was imported",
                missing.measurement
            )));
        }
        match new_point(study, point) {
            Ok(at) => {
                self.imports.push(Import { at, value, measurements, source_trial_id });
            }
            Err(error) if !skip_outside => {
                return Err(Error::Invalid(format!(
                    "{what} lies outside of the space of `{name}`: {error}; nothing was imported"
                )));
            }
            Err(error) => {
                if self.outside == 0 {
                    self.first_outside = format!("{what}: {error}");
                }
                self.outside += 1;
            }
        }
        Ok(())
    }
}

pub async fn import(
    scheduler: &Scheduler,
    request: wire::ImportTrialsRequest,
) -> Result<wire::ImportTrialsResponse, Error> {
    use prost::Message as _;
    let once = Once::of("ImportTrials", &request.request_id, &request)?;
    let mut tx = storage::begin(scheduler.pool(), "import results").await?;
    if let Some(kept) = once.answered(&mut tx).await? {
        return wire::ImportTrialsResponse::decode(kept.as_slice())
            .map_err(|error| Error::Plan(format!("a kept answer does not read: {error}")));
    }
    let study = studies::by_name(&mut tx, &request.study).await?;
    let batch = match request.from {
        None => {
            return Err(Error::Invalid(
                "nothing to import; name another study or send results".to_owned(),
            ));
        }
        Some(Origin::OtherStudy(other)) => {
            of_study(&mut tx, &study, &other, request.skip_outside).await?
        }
        Some(Origin::Trials(trials)) => of_trials(&study, trials, request.skip_outside)?,
    };
    let count = batch.imports.len();
    if count > 0 && !imported::insert(&mut tx, &study, &batch.source, &batch.imports).await? {
        let (name, state) = (study.spec.name.clone(), study.state.as_str());
        return Err(Error::StudyEnded { name, state, verb: "given results; extend it first" });
    }
    // Counted once the study's row is locked, so that two imports cannot both find room.
    if imported::count(&mut tx, study.study_id).await? > IMPORTED_MAX {
        return Err(Error::Invalid(format!(
            "study `{}` would learn from more than {IMPORTED_MAX} imported results; import fewer",
            study.spec.name
        )));
    }
    let response = wire::ImportTrialsResponse {
        imported: u32::try_from(count).expect("imports are limited far below 2^32"),
        outside: batch.outside,
        known: batch.known,
        first_outside: batch.first_outside,
    };
    once.keep(&mut tx, &response.encode_to_vec()).await?;
    tx.commit().await.doing("import results")?;
    tracing::info!(study = study.spec.name, source = batch.source, count, "results imported");
    scheduler.changed(study.study_id);
    Ok(response)
}

/// Results that a person sent.
fn of_trials(
    study: &Study,
    sent: wire::ImportedTrials,
    skip_outside: bool,
) -> Result<Batch, Error> {
    let count = sent.trials.len();
    if count == 0 || count > TRIALS_AT_ONCE_MAX as usize {
        return Err(Error::Invalid(format!(
            "{count} results in one call; send from 1 to {TRIALS_AT_ONCE_MAX}"
        )));
    }
    let source = convert::source(&sent.source)?;
    let mut batch = Batch { source, ..Batch::default() };
    for (place, trial) in (1..).zip(sent.trials) {
        let what = format!("result {place}");
        let result = convert::imported(&what, trial)?;
        batch.add(study, what, result, None, skip_outside)?;
    }
    Ok(batch)
}

/// The completed trials of another study.
async fn of_study(
    db: &mut PgConnection,
    study: &Study,
    other: &str,
    skip_outside: bool,
) -> Result<Batch, Error> {
    let other = studies::by_name(db, other).await?;
    let between = Between::new(study, &other)?;
    let finished = imported::finished(db, other.study_id, study.study_id).await?;
    if finished.is_empty() {
        let name = &other.spec.name;
        return Err(Error::Invalid(format!("study `{name}` has no completed trial to import")));
    }
    let mut batch = Batch { source: other.spec.name.clone(), ..Batch::default() };
    for Finished { trial_id, number, params, value, measurements, is_known } in finished {
        if is_known {
            batch.known += 1;
            continue;
        }
        let what = format!("trial {number} of `{}`", other.spec.name);
        let result = (between.carry(params.0), value, measurements.0);
        batch.add(study, what, result, Some(trial_id), skip_outside)?;
    }
    Ok(batch)
}

/// The way of a point from one study's space into another's.
struct Between {
    /// Values that the other study does not search and this one does.
    added: Point,
    /// Values that this study does not search: the other's must be the same.
    fixed: Point,
}

impl Between {
    /// Fails if the two studies do not measure the same.
    fn new(study: &Study, other: &Study) -> Result<Between, Error> {
        let unlike = |what: String| {
            Error::Invalid(format!(
                "results of `{}` cannot be compared with those of `{}`: {what}; import them as a CSV \
                 if you know better",
                other.spec.name, study.spec.name
            ))
        };
        if study.study_id == other.study_id {
            return Err(unlike("it is the same study".to_owned()));
        }
        if study.spec.direction != other.spec.direction {
            return Err(unlike("one is maximised and the other minimised".to_owned()));
        }
        let (ours, theirs) = match (&study.spec.objective, &other.spec.objective) {
            (Objective::External(_), Objective::External(_)) => {
                return Ok(Between { added: Point::new(), fixed: Point::new() });
            }
            (Objective::Whetstone(ours), Objective::Whetstone(theirs)) => (ours, theirs),
            (ours, theirs) => {
                let (ours, theirs) = (ours.kind(), theirs.kind());
                return Err(unlike(format!("one is {theirs} and the other {ours}")));
            }
        };
        let measured = |of: &Whetstone| {
            let Whetstone { dataset, train_images, test_images, validation_images, metric, .. } =
                of;
            format!(
                "{metric} on {dataset} with {train_images} training, {validation_images} \
                 validation and {test_images} test images (0: all, or none for validation)"
            )
        };
        if measured(ours) != measured(theirs) {
            return Err(unlike(format!(
                "one is {} and the other {}",
                measured(theirs),
                measured(ours)
            )));
        }
        let searched = |of: &Study, name: &str| {
            of.spec.space.parameters().iter().any(|parameter| parameter.name == name)
        };
        let (ours, theirs) = (constants(ours), constants(theirs));
        let mut between = Between { added: Point::new(), fixed: Point::new() };
        for (name, our) in ours {
            let their = &theirs[&name];
            match (searched(study, &name), searched(other, &name)) {
                (true, false) => {
                    between.added.insert(name, their.clone());
                }
                (false, true) => {
                    between.fixed.insert(name, our);
                }
                (false, false) if !same(&our, their) => {
                    return Err(unlike(format!(
                        "`{name}` is {their} in one and {our} in the other"
                    )));
                }
                _ => {}
            }
        }
        Ok(between)
    }

    /// A point as this study would name it. What cannot be carried stays, and is refused by the space.
    fn carry(&self, mut point: Point) -> Point {
        point.retain(|name, value| !self.fixed.get(name).is_some_and(|fixed| same(fixed, value)));
        for (name, value) in &self.added {
            point.entry(name.clone()).or_insert_with(|| value.clone());
        }
        point
    }
}

/// Every hyperparameter of a network that is not searched, defaults included.
fn constants(network: &Whetstone) -> BTreeMap<String, Value> {
    let mut constants: BTreeMap<String, Value> = Recipe::default()
        .to_parameters()
        .into_iter()
        .filter_map(|(name, value)| Some((name, serde_json::from_value(value).ok()?)))
        .collect();
    constants.extend(network.fixed.clone());
    constants
}

/// Equal, whole numbers passing for real ones.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_number(), b.as_number()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
