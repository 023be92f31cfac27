//! People's verbs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use proto::v1::{self as wire, study_service_server::StudyService};
use sqlx::{PgConnection, PgPool};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{
    admission::refusal,
    convert, detached, enqueue, import,
    insight::Insights,
    once::Once,
    steering,
    watch::{self, Changes},
    workers,
};
use crate::{
    Error,
    error::Doing as _,
    front::Front,
    limits::{TRIALS_A_PAGE_MAX, WATCHES_MAX},
    scheduler::Scheduler,
    storage::{self, imported, leases, prospects, studies, trials},
    study::{Overview, Study, StudySpec, StudyState},
    trial::{NewPoint, Trial},
};

/// How long one should wait that found no place to watch from: others look at the end of their study.
const WATCH_PAUSE: Duration = Duration::from_secs(30);

/// The study service of one replica.
pub struct Studies {
    scheduler: Scheduler,
    insights: Insights,
    watches: Arc<Semaphore>,
}

impl Studies {
    pub fn new(scheduler: Scheduler) -> Self {
        let watches = Arc::new(Semaphore::new(WATCHES_MAX));
        Self { insights: Insights::new(scheduler.clone()), watches, scheduler }
    }

    /// Moves a study to another state and answers how it stands then.
    async fn steer(
        &self,
        once: Result<Once, Error>,
        name: String,
        to: StudyState,
    ) -> Result<wire::Study, Status> {
        let (once, scheduler) = (once?, self.scheduler.clone());
        detached(async move { steering::steer(&scheduler, once, &name, to).await }).await
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
        let request = request.into_inner();
        let once = Once::of("PauseStudy", &request.request_id, &request);
        let study = Some(self.steer(once, request.name, StudyState::Paused).await?);
        Ok(Response::new(wire::PauseStudyResponse { study }))
    }

    async fn resume_study(
        &self,
        request: Request<wire::ResumeStudyRequest>,
    ) -> Result<Response<wire::ResumeStudyResponse>, Status> {
        let request = request.into_inner();
        let once = Once::of("ResumeStudy", &request.request_id, &request);
        let study = Some(self.steer(once, request.name, StudyState::Active).await?);
        Ok(Response::new(wire::ResumeStudyResponse { study }))
    }

    async fn cancel_study(
        &self,
        request: Request<wire::CancelStudyRequest>,
    ) -> Result<Response<wire::CancelStudyResponse>, Status> {
        let request = request.into_inner();
        let once = Once::of("CancelStudy", &request.request_id, &request);
        let study = Some(self.steer(once, request.name, StudyState::Cancelled).await?);
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
        let scheduler = self.scheduler.clone();
        let study = detached(async move { steering::extend(&scheduler, request).await }).await?;
        Ok(Response::new(wire::ExtendStudyResponse { study: Some(study) }))
    }

    async fn prioritize_study(
        &self,
        request: Request<wire::PrioritizeStudyRequest>,
    ) -> Result<Response<wire::PrioritizeStudyResponse>, Status> {
        let request = request.into_inner();
        let scheduler = self.scheduler.clone();
        let study =
            detached(async move { steering::prioritize(&scheduler, request).await }).await?;
        Ok(Response::new(wire::PrioritizeStudyResponse { study: Some(study) }))
    }

    async fn cancel_trial(
        &self,
        request: Request<wire::CancelTrialRequest>,
    ) -> Result<Response<wire::CancelTrialResponse>, Status> {
        let request = request.into_inner();
        let scheduler = self.scheduler.clone();
        let trial =
            detached(async move { steering::cancel_trial(&scheduler, request).await }).await?;
        Ok(Response::new(wire::CancelTrialResponse { trial: Some(trial) }))
    }

    async fn list_workers(
        &self,
        request: Request<wire::ListWorkersRequest>,
    ) -> Result<Response<wire::ListWorkersResponse>, Status> {
        let workers = workers::list(&self.scheduler, request.into_inner().with_gone).await?;
        Ok(Response::new(wire::ListWorkersResponse { workers }))
    }

    async fn drain_workers(
        &self,
        request: Request<wire::DrainWorkersRequest>,
    ) -> Result<Response<wire::DrainWorkersResponse>, Status> {
        let request = request.into_inner();
        let scheduler = self.scheduler.clone();
        let workers = detached(async move { workers::drain(&scheduler, request).await }).await?;
        Ok(Response::new(wire::DrainWorkersResponse { workers }))
    }

    async fn undrain_workers(
        &self,
        request: Request<wire::UndrainWorkersRequest>,
    ) -> Result<Response<wire::UndrainWorkersResponse>, Status> {
        let request = request.into_inner();
        let scheduler = self.scheduler.clone();
        let workers = detached(async move { workers::undrain(&scheduler, request).await }).await?;
        Ok(Response::new(wire::UndrainWorkersResponse { workers }))
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
            0 => TRIALS_A_PAGE_MAX,
            limit => limit.min(TRIALS_A_PAGE_MAX),
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
        let trials = detached(async move { enqueue::enqueue(&scheduler, request).await }).await?;
        Ok(Response::new(wire::EnqueueTrialsResponse { trials }))
    }

    async fn watch_study(
        &self,
        request: Request<wire::WatchStudyRequest>,
    ) -> Result<Response<Self::WatchStudyStream>, Status> {
        let name = request.into_inner().name;
        let place = Arc::clone(&self.watches).try_acquire_owned().map_err(|_| {
            refusal(
                format!("{WATCHES_MAX} watches are open, which is as many as may be"),
                WATCH_PAUSE,
            )
        })?;
        Ok(Response::new(watch::watch(self.scheduler.clone(), name, place).await?))
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
    let once = Once::of("CreateStudy", &request.request_id, &request)?;
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
