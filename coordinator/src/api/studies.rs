//! People's verbs.

use std::collections::HashMap;

use prost::Message;
use proto::v1::{self as wire, study_service_server::StudyService};
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgPool};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    convert, detached, import,
    insight::Insights,
    watch::{self, Changes},
};
use crate::{
    Error,
    error::Doing as _,
    front::Front,
    scheduler::Scheduler,
    storage::{self, events, idempotency, imported, leases, prospects, studies, trials},
    study::{Overview, Study, StudySpec, StudyState},
    trial::{NewPoint, Trial},
};

/// Most points enqueued by one call, and most trials on a page.
pub(super) const TRIALS_AT_ONCE_MAX: u32 = 1_000;

/// The study service of one replica.
pub struct Studies {
    scheduler: Scheduler,
    insights: Insights,
}

impl Studies {
    pub fn new(scheduler: Scheduler) -> Self {
        Self { insights: Insights::new(scheduler.clone()), scheduler }
    }

    /// Moves a study to another state and answers how it stands then.
    async fn steer(&self, name: String, to: StudyState) -> Result<wire::Study, Status> {
        let scheduler = self.scheduler.clone();
        detached(async move { steer(&scheduler, &name, to).await }).await
    }
}

#[tonic::async_trait]
impl StudyService for Studies {
    type WatchStudyStream = Changes;

    async fn create_study(
        &self,
        request: Request<wire::CreateStudyRequest>,
    ) -> Result<Response<wire::CreateStudyResponse>, Status> {
        let request = request.into_inner();
        let scheduler = self.scheduler.clone();
        let study = detached(async move { create(&scheduler, request).await }).await?;
        Ok(Response::new(wire::CreateStudyResponse { study: Some(study) }))
    }

    async fn get_study(
        &self,
        request: Request<wire::GetStudyRequest>,
    ) -> Result<Response<wire::GetStudyResponse>, Status> {
        let name = request.into_inner().name;
        let overview = storage::in_time(async {
            let mut connection = storage::read(self.scheduler.pool(), "read studies").await?;
            let study = studies::by_name(&mut connection, &name).await?;
            overview(&mut connection, study).await
        });
        let study = Some(convert::overview_to_wire(&overview.await?));
        Ok(Response::new(wire::GetStudyResponse { study }))
    }

    async fn list_studies(
        &self,
        _request: Request<wire::ListStudiesRequest>,
    ) -> Result<Response<wire::ListStudiesResponse>, Status> {
        let listed = storage::in_time(async {
            let mut connection = storage::read(self.scheduler.pool(), "read studies").await?;
            let mut listed = Vec::new();
            for study in studies::list(&mut connection).await? {
                let overview = overview(&mut connection, study).await?;
                listed.push(convert::overview_to_wire(&overview));
            }
            Ok(listed)
        });
        Ok(Response::new(wire::ListStudiesResponse { studies: listed.await? }))
    }

    async fn pause_study(
        &self,
        request: Request<wire::PauseStudyRequest>,
    ) -> Result<Response<wire::PauseStudyResponse>, Status> {
        let study = Some(self.steer(request.into_inner().name, StudyState::Paused).await?);
        Ok(Response::new(wire::PauseStudyResponse { study }))
    }

    async fn resume_study(
        &self,
        request: Request<wire::ResumeStudyRequest>,
    ) -> Result<Response<wire::ResumeStudyResponse>, Status> {
        let study = Some(self.steer(request.into_inner().name, StudyState::Active).await?);
        Ok(Response::new(wire::ResumeStudyResponse { study }))
    }

    async fn cancel_study(
        &self,
        request: Request<wire::CancelStudyRequest>,
    ) -> Result<Response<wire::CancelStudyResponse>, Status> {
        let study = Some(self.steer(request.into_inner().name, StudyState::Cancelled).await?);
        Ok(Response::new(wire::CancelStudyResponse { study }))
    }

    async fn get_pareto_front(
        &self,
        request: Request<wire::GetParetoFrontRequest>,
    ) -> Result<Response<wire::GetParetoFrontResponse>, Status> {
        let name = request.into_inner().study;
        let (front, trials) = front(self.scheduler.pool(), &name).await?;
        Ok(Response::new(convert::front_to_wire(&front, &trials)))
    }

    async fn extend_study(
        &self,
        request: Request<wire::ExtendStudyRequest>,
    ) -> Result<Response<wire::ExtendStudyResponse>, Status> {
        let request = request.into_inner();
        let max_trials = convert::budget(request.max_trials)?;
        let scheduler = self.scheduler.clone();
        let study =
            detached(async move { extend(&scheduler, &request.name, max_trials).await }).await?;
        Ok(Response::new(wire::ExtendStudyResponse { study: Some(study) }))
    }

    async fn import_trials(
        &self,
        request: Request<wire::ImportTrialsRequest>,
    ) -> Result<Response<wire::ImportTrialsResponse>, Status> {
        let scheduler = self.scheduler.clone();
        let request = request.into_inner();
        let response = detached(async move { import::import(&scheduler, request).await }).await?;
        Ok(Response::new(response))
    }

    async fn list_trials(
        &self,
        request: Request<wire::ListTrialsRequest>,
    ) -> Result<Response<wire::ListTrialsResponse>, Status> {
        let request = request.into_inner();
        let limit = match request.limit {
            0 => TRIALS_AT_ONCE_MAX,
            limit => limit.min(TRIALS_AT_ONCE_MAX),
        };
        let from = i32::try_from(request.from_number).unwrap_or(i32::MAX);
        let page = storage::in_time(async {
            let mut connection = storage::read(self.scheduler.pool(), "read studies").await?;
            let study = studies::by_name(&mut connection, &request.study).await?;
            trials::page(&mut connection, &study, from, i64::from(limit)).await
        });
        let trials = page.await?.iter().map(convert::trial_to_wire).collect();
        Ok(Response::new(wire::ListTrialsResponse { trials }))
    }

    async fn get_trial(
        &self,
        request: Request<wire::GetTrialRequest>,
    ) -> Result<Response<wire::GetTrialResponse>, Status> {
        let request = request.into_inner();
        let number = i32::try_from(request.number).unwrap_or(i32::MAX);
        let trial = storage::in_time(async {
            let mut connection = storage::read(self.scheduler.pool(), "read studies").await?;
            let study = studies::by_name(&mut connection, &request.study).await?;
            trials::by_number(&mut connection, &study, number).await
        });
        let trial = Some(convert::trial_to_wire(&trial.await?));
        Ok(Response::new(wire::GetTrialResponse { trial }))
    }

    async fn enqueue_trials(
        &self,
        request: Request<wire::EnqueueTrialsRequest>,
    ) -> Result<Response<wire::EnqueueTrialsResponse>, Status> {
        let request = request.into_inner();
        let scheduler = self.scheduler.clone();
        let trials = detached(async move { enqueue(&scheduler, request).await }).await?;
        Ok(Response::new(wire::EnqueueTrialsResponse { trials }))
    }

    async fn watch_study(
        &self,
        request: Request<wire::WatchStudyRequest>,
    ) -> Result<Response<Self::WatchStudyStream>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(watch::watch(self.scheduler.clone(), name).await?))
    }

    async fn get_importance(
        &self,
        request: Request<wire::GetImportanceRequest>,
    ) -> Result<Response<wire::GetImportanceResponse>, Status> {
        let study = request.into_inner().study;
        let importance = Some(self.insights.importance(&study).await?);
        Ok(Response::new(wire::GetImportanceResponse { importance }))
    }

    async fn get_calibration(
        &self,
        request: Request<wire::GetCalibrationRequest>,
    ) -> Result<Response<wire::GetCalibrationResponse>, Status> {
        let study = request.into_inner().study;
        let calibration = Some(self.insights.calibration(&study).await?);
        Ok(Response::new(wire::GetCalibrationResponse { calibration }))
    }

    async fn get_dependence(
        &self,
        request: Request<wire::GetDependenceRequest>,
    ) -> Result<Response<wire::GetDependenceResponse>, Status> {
        Ok(Response::new(self.insights.dependence(request.into_inner()).await?))
    }
}

/// A study with what people ask about it first.
pub(super) async fn overview(db: &mut PgConnection, study: Study) -> Result<Overview, Error> {
    let counts = trials::counts(db, study.study_id).await?;
    let best = trials::best(db, &study).await?;
    let prospect = prospects::last(db, study.study_id).await?;
    let imported = imported::count(db, study.study_id).await?;
    Ok(Overview { study, counts, best, prospect, imported })
}

/// A study's front and the trials on it. Nothing is held while it is computed: results are never
/// changed.
async fn front(pool: &PgPool, name: &str) -> Result<(Front, Vec<Trial>), Error> {
    let found = storage::in_time(async {
        let mut connection = storage::read(pool, "read studies").await?;
        let study = studies::by_name(&mut connection, name).await?;
        let results = trials::feasible(&mut connection, study.study_id).await?;
        Ok((study, results))
    });
    let (study, results) = found.await?;
    let StudySpec { direction, goals, .. } = study.spec.clone();
    let front = tokio::task::spawn_blocking(move || {
        let references = goals.for_tuner(direction).references;
        Front::of(&results, &references, &goals.directions(direction))
    })
    .await
    .map_err(|panic| Error::Plan(panic.to_string()))?;
    let found = storage::in_time(async {
        let mut connection = storage::read(pool, "read studies").await?;
        trials::by_numbers(&mut connection, &study, &front.numbers).await
    });
    let found = found.await?;
    let mut found: HashMap<i32, Trial> =
        found.into_iter().map(|trial| (trial.number, trial)).collect();
    // A study that was deleted meanwhile has none of them left.
    let trials = front.numbers.iter().filter_map(|number| found.remove(number)).collect();
    Ok((front, trials))
}

async fn create(
    scheduler: &Scheduler,
    request: wire::CreateStudyRequest,
) -> Result<wire::Study, Error> {
    let once = Once::of(&request.request_id, &request)?;
    let spec = convert::spec(request.spec)?;
    let mut tx = storage::begin(scheduler.pool(), "create a study").await?;
    if once.answered(&mut tx).await?.is_none() {
        let study_id = studies::insert(&mut tx, &spec).await?;
        // A point known to work goes first, if there is one.
        if let Some(point) = spec.space.default_point() {
            let unit_point =
                spec.space.encode(&point).map_err(|error| Error::Invalid(error.to_string()))?;
            leases::enqueue(&mut tx, study_id, &[NewPoint { point, unit_point }]).await?;
        }
        once.keep(&mut tx, spec.name.as_bytes()).await?;
        tx.commit().await.doing("create a study")?;
        tracing::info!(study = spec.name, trials = spec.max_trials, "study created");
        scheduler.changed(study_id);
    }
    let mut connection = storage::read(scheduler.pool(), "read studies").await?;
    let study = studies::by_name(&mut connection, &spec.name).await?;
    Ok(convert::overview_to_wire(&overview(&mut connection, study).await?))
}

async fn enqueue(
    scheduler: &Scheduler,
    request: wire::EnqueueTrialsRequest,
) -> Result<Vec<wire::Trial>, Error> {
    let once = Once::of(&request.request_id, &request)?;
    let count = request.points.len();
    if count == 0 || count > TRIALS_AT_ONCE_MAX as usize {
        return Err(Error::Invalid(format!(
            "{count} points in one call; send from 1 to {TRIALS_AT_ONCE_MAX}"
        )));
    }
    let mut tx = storage::begin(scheduler.pool(), "enqueue trials").await?;
    let study = studies::by_name(&mut tx, &request.study).await?;
    let numbers: Vec<i32> = match once.answered(&mut tx).await? {
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
pub(super) fn new_point(study: &Study, mut point: tuner::Point) -> Result<NewPoint, Error> {
    let space = &study.spec.space;
    for parameter in space.parameters() {
        if let Some(default) = &parameter.default {
            point.entry(parameter.name.clone()).or_insert_with(|| default.clone());
        }
    }
    let unit_point = space.encode(&point).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(NewPoint { point: space.decode(&unit_point), unit_point })
}

async fn steer(scheduler: &Scheduler, name: &str, to: StudyState) -> Result<wire::Study, Error> {
    let open = [StudyState::Active, StudyState::Paused];
    let mut tx = storage::begin(scheduler.pool(), "steer a study").await?;
    let study = studies::by_name(&mut tx, name).await?;
    if !studies::set_state(&mut tx, study.study_id, &open, to).await? {
        // Asking for the state that a study is in is no mistake: the answer was lost, perhaps. It is
        // read again, because it may have come to it only now.
        let now = studies::by_name(&mut tx, name).await?;
        if now.state != to {
            let verb = match to {
                StudyState::Paused => "paused",
                StudyState::Active => "resumed",
                StudyState::Cancelled | StudyState::Completed => "cancelled",
            };
            let (name, state) = (name.to_owned(), now.state.as_str());
            return Err(Error::StudyEnded { name, state, verb });
        }
    }
    let detail = serde_json::json!({ "from": study.state.as_str(), "to": to.as_str() });
    events::note(&mut tx, study.study_id, None, "steer", detail).await?;
    tx.commit().await.doing("steer a study")?;
    tracing::info!(study = name, to = to.as_str(), "study steered");

    // In transactions of their own: the study's lock is the last to be taken, never the first.
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

/// Gives a study another budget and answers how it stands then.
async fn extend(scheduler: &Scheduler, name: &str, max_trials: i32) -> Result<wire::Study, Error> {
    let mut tx = storage::begin(scheduler.pool(), "extend a study").await?;
    let study = studies::by_name(&mut tx, name).await?;
    let study_id = study.study_id;
    if !studies::extend(&mut tx, study_id, max_trials).await? {
        return Err(not_extended(&study, max_trials));
    }
    let detail = serde_json::json!({ "from": study.spec.max_trials, "to": max_trials });
    events::note(&mut tx, study_id, None, "extend", detail).await?;
    // A budget cut down to what is planned may be spent already.
    studies::close_if_done(&mut tx, study_id).await?;
    let study = studies::by_name(&mut tx, name).await?;
    let overview = overview(&mut tx, study).await?;
    tx.commit().await.doing("extend a study")?;
    tracing::info!(study = name, max_trials, "study extended");
    scheduler.changed(study_id);
    Ok(convert::overview_to_wire(&overview))
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

/// A call that may be repeated: nothing to it unless it carries a request id.
pub(super) struct Once {
    request_id: Option<Uuid>,
    sha256: Vec<u8>,
}

impl Once {
    pub(super) fn of(request_id: &str, request: &impl Message) -> Result<Self, Error> {
        let request_id = match request_id {
            "" => None,
            text => Some(Uuid::parse_str(text).map_err(|_| {
                Error::Invalid("request_id is not a uuid; leave it empty if you need none".into())
            })?),
        };
        Ok(Self { request_id, sha256: Sha256::digest(request.encode_to_vec()).to_vec() })
    }

    pub(super) async fn answered(&self, db: &mut PgConnection) -> Result<Option<Vec<u8>>, Error> {
        match self.request_id {
            Some(request_id) => idempotency::answered(db, request_id, &self.sha256).await,
            None => Ok(None),
        }
    }

    pub(super) async fn keep(&self, db: &mut PgConnection, response: &[u8]) -> Result<(), Error> {
        match self.request_id {
            Some(request_id) => idempotency::keep(db, request_id, &self.sha256, response).await,
            None => Ok(()),
        }
    }
}
