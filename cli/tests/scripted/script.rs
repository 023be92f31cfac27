//! A coordinator that says what the script says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use proto::v1::study_service_server::StudyService;
use proto::v1::value::Kind;
use proto::v1::*;
use tonic::{Request, Response, Status};

type Stream = tokio_stream::Iter<std::vec::IntoIter<Result<WatchStudyResponse, Status>>>;
type Answer<T> = Result<Response<T>, Status>;

/// What a coordinator knows, and what it will say to those who watch: one stream after the other.
#[derive(Clone, Default)]
pub struct Script {
    pub studies: Vec<Study>,
    pub trials: Vec<Trial>,
    pub front: GetParetoFrontResponse,
    pub watches: Arc<Mutex<VecDeque<Vec<WatchStudyResponse>>>>,
    pub enqueued: Arc<Mutex<Vec<Point>>>,
    pub workers: Vec<Worker>,
}

impl Script {
    fn named(&self, name: &str) -> Result<Study, Status> {
        let found = self
            .studies
            .iter()
            .find(|study| study.spec.as_ref().is_some_and(|spec| spec.name == name));
        found.cloned().ok_or_else(|| Status::not_found(format!("there is no study named `{name}`")))
    }
}

impl Script {
    fn workers_named(&self, label: &str) -> Result<Vec<Worker>, Status> {
        let workers = self.workers.iter().filter(|worker| worker.label == label);
        let workers: Vec<Worker> = workers.cloned().collect();
        match workers.is_empty() {
            true => Err(Status::not_found(format!("there is no worker `{label}`"))),
            false => Ok(workers),
        }
    }
}

#[tonic::async_trait]
impl StudyService for Script {
    type WatchStudyStream = Stream;

    async fn create_study(
        &self,
        asked: Request<CreateStudyRequest>,
    ) -> Answer<CreateStudyResponse> {
        let asked = asked.into_inner();
        assert_eq!(asked.request_id.len(), 36, "a uuid makes repeated calls harmless");
        let spec = asked.spec.unwrap();
        if self.named(&spec.name).is_ok() {
            let text = format!("there is a study named `{}` already", spec.name);
            return Err(Status::already_exists(text));
        }
        let study = Study { spec: Some(spec), state: ACTIVE, ..Study::default() };
        Ok(Response::new(CreateStudyResponse { study: Some(study) }))
    }

    async fn get_study(&self, asked: Request<GetStudyRequest>) -> Answer<GetStudyResponse> {
        let study = Some(self.named(&asked.into_inner().name)?);
        Ok(Response::new(GetStudyResponse { study }))
    }

    async fn list_studies(&self, _: Request<ListStudiesRequest>) -> Answer<ListStudiesResponse> {
        Ok(Response::new(ListStudiesResponse { studies: self.studies.clone() }))
    }

    async fn pause_study(&self, _: Request<PauseStudyRequest>) -> Answer<PauseStudyResponse> {
        Err(Status::failed_precondition("the study `s` has ended"))
    }

    async fn resume_study(&self, _: Request<ResumeStudyRequest>) -> Answer<ResumeStudyResponse> {
        Err(Status::internal("broken"))
    }

    async fn cancel_study(
        &self,
        asked: Request<CancelStudyRequest>,
    ) -> Answer<CancelStudyResponse> {
        let study = Some(self.named(&asked.into_inner().name)?);
        Ok(Response::new(CancelStudyResponse { study }))
    }

    async fn get_pareto_front(
        &self,
        asked: Request<GetParetoFrontRequest>,
    ) -> Answer<GetParetoFrontResponse> {
        self.named(&asked.into_inner().study)?;
        Ok(Response::new(self.front.clone()))
    }

    async fn extend_study(
        &self,
        asked: Request<ExtendStudyRequest>,
    ) -> Answer<ExtendStudyResponse> {
        let asked = asked.into_inner();
        let mut study = self.named(&asked.name)?;
        study.spec.get_or_insert_default().max_trials = asked.max_trials;
        study.state = ACTIVE;
        Ok(Response::new(ExtendStudyResponse { study: Some(study) }))
    }

    async fn prioritize_study(
        &self,
        asked: Request<PrioritizeStudyRequest>,
    ) -> Answer<PrioritizeStudyResponse> {
        let asked = asked.into_inner();
        assert_eq!(asked.request_id.len(), 36, "a uuid makes repeated calls harmless");
        let mut study = self.named(&asked.name)?;
        study.spec.get_or_insert_default().priority = asked.priority;
        Ok(Response::new(PrioritizeStudyResponse { study: Some(study) }))
    }

    async fn cancel_trial(
        &self,
        asked: Request<CancelTrialRequest>,
    ) -> Answer<CancelTrialResponse> {
        let asked = asked.into_inner();
        assert_eq!(asked.request_id.len(), 36, "a uuid makes repeated calls harmless");
        let trial = self.trials.iter().find(|trial| trial.number == asked.number).cloned();
        let missing = || Status::not_found(format!("there is no trial {} in `s`", asked.number));
        Ok(Response::new(CancelTrialResponse { trial: Some(trial.ok_or_else(missing)?) }))
    }

    async fn list_workers(
        &self,
        asked: Request<ListWorkersRequest>,
    ) -> Answer<ListWorkersResponse> {
        let with_gone = asked.into_inner().with_gone;
        let is_listed = |worker: &&Worker| with_gone || worker.state() != WorkerState::Gone;
        let workers = self.workers.iter().filter(is_listed).cloned().collect();
        Ok(Response::new(ListWorkersResponse { workers }))
    }

    async fn drain_workers(
        &self,
        asked: Request<DrainWorkersRequest>,
    ) -> Answer<DrainWorkersResponse> {
        let asked = asked.into_inner();
        let mut workers = self.workers_named(&asked.worker)?;
        for worker in &mut workers {
            worker.state = WorkerState::Draining.into();
            worker.drained_because = asked.reason.clone();
        }
        Ok(Response::new(DrainWorkersResponse { workers }))
    }

    async fn undrain_workers(
        &self,
        asked: Request<UndrainWorkersRequest>,
    ) -> Answer<UndrainWorkersResponse> {
        let workers = self.workers_named(&asked.into_inner().worker)?;
        Ok(Response::new(UndrainWorkersResponse { workers }))
    }

    async fn import_trials(
        &self,
        asked: Request<ImportTrialsRequest>,
    ) -> Answer<ImportTrialsResponse> {
        let asked = asked.into_inner();
        assert_eq!(asked.request_id.len(), 36, "a uuid makes repeated calls harmless");
        let imported = match asked.from {
            Some(import_trials_request::From::Trials(sent)) => {
                assert_eq!(sent.source, "r.csv");
                let points = sent.trials.iter().filter_map(|trial| trial.point.clone());
                self.enqueued.lock().unwrap().extend(points);
                sent.trials.len() as u32
            }
            other => panic!("{other:?}"),
        };
        Ok(Response::new(ImportTrialsResponse { imported, ..Default::default() }))
    }

    async fn list_trials(&self, asked: Request<ListTrialsRequest>) -> Answer<ListTrialsResponse> {
        let asked = asked.into_inner();
        let trials = self.trials.iter().filter(|trial| trial.number >= asked.from_number);
        let trials = trials.take(asked.limit as usize).cloned().collect();
        Ok(Response::new(ListTrialsResponse { trials }))
    }

    async fn get_trial(&self, asked: Request<GetTrialRequest>) -> Answer<GetTrialResponse> {
        let number = asked.into_inner().number;
        let trial = self.trials.iter().find(|trial| trial.number == number).cloned();
        let missing = || Status::not_found(format!("there is no trial {number} in `s`"));
        Ok(Response::new(GetTrialResponse { trial: Some(trial.ok_or_else(missing)?) }))
    }

    async fn enqueue_trials(
        &self,
        asked: Request<EnqueueTrialsRequest>,
    ) -> Answer<EnqueueTrialsResponse> {
        self.enqueued.lock().unwrap().extend(asked.into_inner().points);
        Ok(Response::new(EnqueueTrialsResponse { trials: vec![trial(9, RUNNING)] }))
    }

    async fn watch_study(&self, asked: Request<WatchStudyRequest>) -> Answer<Stream> {
        self.named(&asked.into_inner().name)?;
        let next = self.watches.lock().unwrap().pop_front().unwrap_or_default();
        let updates: Vec<_> = next.into_iter().map(Ok).collect();
        Ok(Response::new(tokio_stream::iter(updates)))
    }

    async fn get_importance(
        &self,
        asked: Request<GetImportanceRequest>,
    ) -> Answer<GetImportanceResponse> {
        self.named(&asked.into_inner().study)?;
        let share = |value| Some(Share { value, estimator: 0.0, surrogate: 0.125 });
        let (first, total) = (share(0.75), share(1.0));
        let effects = vec![Effect { parameter: "units".to_owned(), first, total }];
        let importance = Some(Importance { horizon: 8, spread: 0.5, effects });
        Ok(Response::new(GetImportanceResponse { importance }))
    }

    async fn get_calibration(
        &self,
        asked: Request<GetCalibrationRequest>,
    ) -> Answer<GetCalibrationResponse> {
        self.named(&asked.into_inner().study)?;
        let text = "study `s` has 4 results; its posterior says nothing before 5";
        Err(Status::failed_precondition(text))
    }

    async fn get_dependence(
        &self,
        asked: Request<GetDependenceRequest>,
    ) -> Answer<GetDependenceResponse> {
        let asked = asked.into_inner();
        self.named(&asked.study)?;
        assert_eq!(asked.parameter, "units");
        let places = (1..=9).map(|n| Place {
            value: Some(Value { kind: Some(Kind::Integer(n)) }),
            mean: n as f64 / 8.0,
            deviation: 0.25,
            results: 1,
        });
        let places = places.collect();
        let dependences = vec![Dependence { parameter: asked.parameter, places }];
        Ok(Response::new(GetDependenceResponse { horizon: 8, dependences }))
    }
}

pub const ACTIVE: i32 = StudyState::Active as i32;
pub const COMPLETED: i32 = StudyState::Completed as i32;
pub const CANCELLED: i32 = StudyState::Cancelled as i32;
pub const RUNNING: i32 = TrialState::Running as i32;
pub const DONE: i32 = TrialState::Completed as i32;

/// A trial of the study `s`.
pub fn trial(number: u32, state: i32) -> Trial {
    let is_done = state == DONE;
    Trial {
        number,
        study: "s".to_owned(),
        state,
        value: is_done.then_some(0.75),
        measurements: [("binary_accuracy".to_owned(), 0.75), ("soft_accuracy".to_owned(), 0.9)]
            .into(),
        point: Some(Point {
            values: [("units".to_owned(), Value { kind: Some(Kind::Integer(7)) })].into(),
        }),
        ..Trial::default()
    }
}
