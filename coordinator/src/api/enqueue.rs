//! People have points of their choice tried.

use proto::v1 as wire;

use super::{convert, once::Once};
use crate::{
    Error,
    error::Doing as _,
    limits::TRIALS_AT_ONCE_MAX,
    scheduler::Scheduler,
    storage::{self, leases, studies, trials},
    study::Study,
    trial::NewPoint,
};

/// Adds points that a person chose; all of them or none.
pub async fn enqueue(
    scheduler: &Scheduler,
    request: wire::EnqueueTrialsRequest,
) -> Result<Vec<wire::Trial>, Error> {
    let once = Once::of("EnqueueTrials", &request.request_id, &request)?;
    let count = request.points.len();
    if count == 0 || count > TRIALS_AT_ONCE_MAX as usize {
        return Err(Error::Invalid(format!(
            "{count} points in one call; send from 1 to {TRIALS_AT_ONCE_MAX}"
        )));
    }
    let mut tx = storage::begin(scheduler.pool(), "enqueue trials").await?;
    let answered = once.answered(&mut tx).await?;
    let study = studies::by_name(&mut tx, &request.study).await?;
    let numbers: Vec<i32> = match answered {
        Some(numbers) => serde_json::from_slice(&numbers)
            .map_err(|error| Error::Plan(format!("a kept answer does not read: {error}")))?,
        None => {
            let points = request
                .points
                .into_iter()
                .map(|point| new_point(&study, convert::point(point)?))
                .collect::<Result<Vec<_>, _>>()?;
            let numbers = leases::enqueue(&mut tx, study.study_id, &points).await?;
            let Some(numbers) = numbers else { return Err(no_room(&study, count)) };
            once.keep(&mut tx, &serde_json::to_vec(&numbers).expect("numbers are JSON")).await?;
            tx.commit().await.doing("enqueue trials")?;
            scheduler.changed(study.study_id);
            numbers
        }
    };
    let mut connection = storage::read(scheduler.pool(), "read studies").await?;
    let mut added = Vec::new();
    for number in numbers {
        let trial = trials::by_number(&mut connection, &study, number).await?;
        added.push(convert::trial_to_wire(&trial));
    }
    Ok(added)
}

fn no_room(study: &Study, asked: usize) -> Error {
    let name = study.spec.name.clone();
    if study.state.is_final() {
        let state = study.state.as_str();
        return Error::StudyEnded { name, state, verb: "given more trials" };
    }
    let budget = study.spec.max_trials;
    Error::BudgetSpent { name, left: budget - study.next_number, budget, asked }
}

/// A person's point in both coordinate systems; absent active parameters take their default.
pub fn new_point(study: &Study, mut point: tuner::Point) -> Result<NewPoint, Error> {
    let space = &study.spec.space;
    for parameter in space.parameters() {
        if let Some(default) = &parameter.default {
            point.entry(parameter.name.clone()).or_insert_with(|| default.clone());
        }
    }
    let unit_point = space.encode(&point).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(NewPoint { point: space.decode(&unit_point), unit_point })
}
