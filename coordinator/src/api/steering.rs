//! People steer: studies to other states, budgets and priorities, trials to their end.

use proto::v1 as wire;
use sqlx::PgConnection;

use super::{convert, once::Once, studies::overview};
use crate::{
    Error,
    error::Doing as _,
    scheduler::Scheduler,
    storage::{self, events, leases, studies, trials},
    study::{Study, StudyState},
    trial::TrialState,
};

/// What is kept of an answer that is told as things stand when it is told again.
const DONE: &[u8] = b"done";

/// Moves a study to another state and answers how it stands then.
pub async fn steer(
    scheduler: &Scheduler,
    once: Once,
    name: &str,
    to: StudyState,
) -> Result<wire::Study, Error> {
    let mut tx = storage::begin(scheduler.pool(), "steer a study").await?;
    let is_new = once.answered(&mut tx).await?.is_none();
    let study = studies::by_name(&mut tx, name).await?;
    if is_new {
        move_to(&mut tx, &study, to).await?;
        once.keep(&mut tx, DONE).await?;
    }
    tx.commit().await.doing("steer a study")?;

    // In transactions of their own: the study's lock is the last to be taken, never the first. Done again
    // when the call is repeated: whoever did it first may have died in between.
    let mut tx = storage::begin(scheduler.pool(), "withdraw trials").await?;
    if to == StudyState::Cancelled {
        let grace = scheduler.cancel_grace();
        leases::cancel_open(&mut tx, study.study_id, grace).await?;
    }
    studies::close_if_done(&mut tx, study.study_id).await?;
    let study = studies::by_name(&mut tx, name).await?;
    let study_id = study.study_id;
    let overview = overview(&mut tx, study).await?;
    tx.commit().await.doing("withdraw trials")?;
    scheduler.changed(study_id);
    Ok(convert::overview_to_wire(&overview))
}

async fn move_to(db: &mut PgConnection, study: &Study, to: StudyState) -> Result<(), Error> {
    let open = [StudyState::Active, StudyState::Paused];
    if !studies::set_state(db, study.study_id, &open, to).await? {
        // Asking for the state that a study is in is no mistake: the answer was lost, perhaps. It is
        // read again, because it may have come to it only now.
        let now = studies::by_name(db, &study.spec.name).await?;
        if now.state != to {
            let verb = match to {
                StudyState::Paused => "paused",
                StudyState::Active => "resumed",
                StudyState::Cancelled | StudyState::Completed => "cancelled",
            };
            let (name, state) = (now.spec.name.clone(), now.state.as_str());
            return Err(Error::StudyEnded { name, state, verb });
        }
    }
    let detail = serde_json::json!({ "from": study.state.as_str(), "to": to.as_str() });
    events::note(db, study.study_id, None, "steer", detail).await?;
    tracing::info!(study = study.spec.name, to = to.as_str(), "study steered");
    Ok(())
}

/// Gives a study another budget and answers how it stands then.
pub async fn extend(
    scheduler: &Scheduler,
    request: wire::ExtendStudyRequest,
) -> Result<wire::Study, Error> {
    let once = Once::of("ExtendStudy", &request.request_id, &request)?;
    let max_trials = convert::budget(request.max_trials)?;
    let name = &request.name;
    let mut tx = storage::begin(scheduler.pool(), "extend a study").await?;
    let is_new = once.answered(&mut tx).await?.is_none();
    let study = studies::by_name(&mut tx, name).await?;
    let study_id = study.study_id;
    if is_new {
        if !studies::extend(&mut tx, study_id, max_trials).await? {
            return Err(not_extended(&study, max_trials));
        }
        let detail = serde_json::json!({ "from": study.spec.max_trials, "to": max_trials });
        events::note(&mut tx, study_id, None, "extend", detail).await?;
        // A budget cut down to what is planned may be spent already.
        studies::close_if_done(&mut tx, study_id).await?;
        once.keep(&mut tx, DONE).await?;
        tracing::info!(study = name, max_trials, "study extended");
    }
    let study = studies::by_name(&mut tx, name).await?;
    let overview = overview(&mut tx, study).await?;
    tx.commit().await.doing("extend a study")?;
    scheduler.changed(study_id);
    Ok(convert::overview_to_wire(&overview))
}

/// Gives a study another priority and answers how it stands then.
pub async fn prioritize(
    scheduler: &Scheduler,
    request: wire::PrioritizeStudyRequest,
) -> Result<wire::Study, Error> {
    let once = Once::of("PrioritizeStudy", &request.request_id, &request)?;
    let priority = convert::priority(request.priority)?;
    let mut tx = storage::begin(scheduler.pool(), "prioritize a study").await?;
    let is_new = once.answered(&mut tx).await?.is_none();
    let study = studies::by_name(&mut tx, &request.name).await?;
    let study_id = study.study_id;
    if is_new {
        if !studies::prioritize(&mut tx, study_id, priority).await? {
            let (name, state) = (request.name, study.state.as_str());
            return Err(Error::StudyEnded { name, state, verb: "given another priority" });
        }
        let detail = serde_json::json!({ "from": study.spec.priority, "to": priority });
        events::note(&mut tx, study_id, None, "prioritize", detail).await?;
        once.keep(&mut tx, DONE).await?;
        tracing::info!(study = study.spec.name, priority, "study prioritized");
    }
    let study = studies::by_name(&mut tx, &study.spec.name).await?;
    let overview = overview(&mut tx, study).await?;
    tx.commit().await.doing("prioritize a study")?;
    scheduler.changed(study_id);
    Ok(convert::overview_to_wire(&overview))
}

/// Withdraws one trial and answers how it stands then.
pub async fn cancel_trial(
    scheduler: &Scheduler,
    request: wire::CancelTrialRequest,
) -> Result<wire::Trial, Error> {
    let once = Once::of("CancelTrial", &request.request_id, &request)?;
    let number = i32::try_from(request.number).unwrap_or(i32::MAX);
    let mut tx = storage::begin(scheduler.pool(), "withdraw a trial").await?;
    let is_new = once.answered(&mut tx).await?.is_none();
    let study = studies::by_name(&mut tx, &request.study).await?;
    let trial = trials::by_number(&mut tx, &study, number).await?;
    if is_new {
        let grace = scheduler.cancel_grace();
        let asked = leases::cancel_one(&mut tx, study.study_id, trial.trial_id, grace).await?;
        let now = trials::by_number(&mut tx, &study, number).await?;
        // Withdrawing it twice is no mistake.
        if !asked && now.state != TrialState::Cancelled {
            let (study, state) = (request.study, now.state.as_str());
            return Err(Error::TrialEnded { study, number, state });
        }
        once.keep(&mut tx, DONE).await?;
        // It may have been the last that was open.
        studies::close_if_done(&mut tx, study.study_id).await?;
        tracing::info!(study = request.study, trial.number = number, "trial withdrawn");
    }
    let trial = trials::by_number(&mut tx, &study, number).await?;
    tx.commit().await.doing("withdraw a trial")?;
    scheduler.changed(study.study_id);
    Ok(convert::trial_to_wire(&trial))
}

/// Why a study could not be given a budget. As it stood a moment before: it may have changed since.
fn not_extended(study: &Study, max_trials: i32) -> Error {
    let name = study.spec.name.clone();
    match study.state {
        StudyState::Cancelled => {
            Error::StudyEnded { name, state: study.state.as_str(), verb: "extended" }
        }
        StudyState::Completed if study.exhausted && max_trials > study.next_number => {
            Error::SpaceExhausted { name }
        }
        _ => {
            let planned = study.next_number;
            let has_ended = study.state == StudyState::Completed;
            let least = planned + i32::from(has_ended);
            Error::BudgetTooSmall { name, asked: max_trials, planned, least }
        }
    }
}
