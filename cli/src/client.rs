//! Talking to a coordinator: people's verbs, with errors that a person can act on.

use std::time::Duration;

use proto::v1::import_trials_request::From;
use proto::v1::study_service_client::StudyServiceClient;
use proto::v1::{
    Calibration, CancelStudyRequest, CancelTrialRequest, CreateStudyRequest, DrainWorkersRequest,
    EnqueueTrialsRequest, ExtendStudyRequest, GetCalibrationRequest, GetDependenceRequest,
    GetDependenceResponse, GetImportanceRequest, GetParetoFrontRequest, GetParetoFrontResponse,
    GetStudyRequest, GetTrialRequest, ImportTrialsRequest, ImportTrialsResponse, Importance,
    ListStudiesRequest, ListTrialsRequest, ListWorkersRequest, PauseStudyRequest, Point,
    PrioritizeStudyRequest, ResumeStudyRequest, Study, StudySpec, Trial, UndrainWorkersRequest,
    WatchStudyRequest, WatchStudyResponse, Worker,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use uuid::Uuid;

use crate::exit::Failure;
use crate::limits::TRIALS_A_PAGE_MAX;

/// Long enough for any network that a person would wait for.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Without keep-alive, a connection that was cut and mended stays silent for minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The slowest answer is a study's thousand trials.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// What is computed for the call takes seconds, and minutes where no posterior is stored.
const COMPUTED_WITHIN: Duration = Duration::from_secs(300);
/// The first message of a watch holds all trials of a study: at most 100,000, some 2 KiB each.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// A coordinator that answered.
#[derive(Clone, Debug)]
pub struct Coordinator {
    url: String,
    client: StudyServiceClient<Channel>,
}

impl Coordinator {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if the URL is none, [`Failure::Unreachable`] if nobody answers.
    pub async fn connect(url: &str) -> Result<Self, Failure> {
        if !url.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "`{url}` is not an http:// address of a coordinator, such as http://127.0.0.1:50051"
            )));
        }
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| Failure::Usage(format!("`{url}` is not an address: {error}")))?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await.map_err(|error| Failure::Unreachable {
            url: url.to_owned(),
            why: last_cause(&error),
        })?;
        let client = StudyServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { url: url.to_owned(), client })
    }

    /// Creates a study.
    pub async fn create(&mut self, spec: StudySpec) -> Result<Study, Failure> {
        let request_id = once();
        let asked = request(CreateStudyRequest { spec: Some(spec), request_id });
        let answer = self.client.create_study(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().study, "study")
    }

    /// One study.
    pub async fn study(&mut self, name: &str) -> Result<Study, Failure> {
        let asked = request(GetStudyRequest { name: name.to_owned() });
        let answer = self.client.get_study(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().study, "study")
    }

    /// All studies, newest first.
    pub async fn studies(&mut self) -> Result<Vec<Study>, Failure> {
        let asked = request(ListStudiesRequest {});
        let answer = self.client.list_studies(asked).await.map_err(|s| self.failure(s))?;
        Ok(answer.into_inner().studies)
    }

    /// Stops handing out a study's trials.
    pub async fn pause(&mut self, name: &str) -> Result<Study, Failure> {
        let asked = request(PauseStudyRequest { name: name.to_owned(), request_id: once() });
        let answer = self.client.pause_study(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().study, "study")
    }

    /// Hands them out again.
    pub async fn resume(&mut self, name: &str) -> Result<Study, Failure> {
        let asked = request(ResumeStudyRequest { name: name.to_owned(), request_id: once() });
        let answer = self.client.resume_study(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().study, "study")
    }

    /// Ends a study for good.
    pub async fn cancel(&mut self, name: &str) -> Result<Study, Failure> {
        let asked = request(CancelStudyRequest { name: name.to_owned(), request_id: once() });
        let answer = self.client.cancel_study(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().study, "study")
    }

    /// Gives a study another budget.
    pub async fn extend(&mut self, name: &str, max_trials: u32) -> Result<Study, Failure> {
        let name = name.to_owned();
        let asked = request(ExtendStudyRequest { name, max_trials, request_id: once() });
        let answer = self.client.extend_study(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().study, "study")
    }

    /// Gives a study another priority.
    pub async fn prioritize(&mut self, name: &str, priority: i32) -> Result<Study, Failure> {
        let name = name.to_owned();
        let asked = request(PrioritizeStudyRequest { name, priority, request_id: once() });
        let answer = self.client.prioritize_study(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().study, "study")
    }

    /// Has a study learn from results from elsewhere.
    pub async fn import(
        &mut self,
        study: &str,
        from: From,
        skip_outside: bool,
    ) -> Result<ImportTrialsResponse, Failure> {
        let (study, from) = (study.to_owned(), Some(from));
        let request_id = once();
        let asked = request(ImportTrialsRequest { study, from, skip_outside, request_id });
        let answer = self.client.import_trials(asked).await.map_err(|s| self.failure(s))?;
        Ok(answer.into_inner())
    }

    /// All trials of a study by number, page after page.
    pub async fn trials(&mut self, study: &str) -> Result<Vec<Trial>, Failure> {
        let mut trials: Vec<Trial> = Vec::new();
        loop {
            let from_number = trials.last().map_or(0, |trial| trial.number + 1);
            let asked = ListTrialsRequest {
                study: study.to_owned(),
                from_number,
                limit: TRIALS_A_PAGE_MAX,
            };
            let asked = request(asked);
            let answer = self.client.list_trials(asked).await.map_err(|s| self.failure(s))?;
            let page = answer.into_inner().trials;
            let is_last = page.len() < TRIALS_A_PAGE_MAX as usize;
            trials.extend(page);
            if is_last {
                return Ok(trials);
            }
        }
    }

    /// The trade-offs of a study.
    pub async fn front(&mut self, study: &str) -> Result<GetParetoFrontResponse, Failure> {
        let asked = request(GetParetoFrontRequest { study: study.to_owned() });
        let answer = self.client.get_pareto_front(asked).await.map_err(|s| self.failure(s))?;
        Ok(answer.into_inner())
    }

    /// One trial.
    pub async fn trial(&mut self, study: &str, number: u32) -> Result<Trial, Failure> {
        let asked = request(GetTrialRequest { study: study.to_owned(), number });
        let answer = self.client.get_trial(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().trial, "trial")
    }

    /// Adds a point that a person chose.
    pub async fn enqueue(&mut self, study: &str, point: Point) -> Result<Trial, Failure> {
        let request_id = once();
        let points = vec![point];
        let asked = EnqueueTrialsRequest { study: study.to_owned(), points, request_id };
        let asked = request(asked);
        let answer = self.client.enqueue_trials(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().trials.pop(), "trial")
    }

    /// Withdraws a trial.
    pub async fn cancel_trial(&mut self, study: &str, number: u32) -> Result<Trial, Failure> {
        let study = study.to_owned();
        let asked = request(CancelTrialRequest { study, number, request_id: once() });
        let answer = self.client.cancel_trial(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().trial, "trial")
    }

    /// Workers, the newest first.
    pub async fn workers(&mut self, with_gone: bool) -> Result<Vec<Worker>, Failure> {
        let asked = request(ListWorkersRequest { with_gone });
        let answer = self.client.list_workers(asked).await.map_err(|s| self.failure(s))?;
        Ok(answer.into_inner().workers)
    }

    /// Sends workers away.
    pub async fn drain(&mut self, worker: &str, reason: &str) -> Result<Vec<Worker>, Failure> {
        let (worker, reason) = (worker.to_owned(), reason.to_owned());
        let asked = request(DrainWorkersRequest { worker, reason, request_id: once() });
        let answer = self.client.drain_workers(asked).await.map_err(|s| self.failure(s))?;
        Ok(answer.into_inner().workers)
    }

    /// Lets workers stay after all.
    pub async fn undrain(&mut self, worker: &str) -> Result<Vec<Worker>, Failure> {
        let worker = worker.to_owned();
        let asked = request(UndrainWorkersRequest { worker, request_id: once() });
        let answer = self.client.undrain_workers(asked).await.map_err(|s| self.failure(s))?;
        Ok(answer.into_inner().workers)
    }

    /// How much each hyperparameter matters.
    pub async fn importance(&mut self, study: &str) -> Result<Importance, Failure> {
        let asked = computed(GetImportanceRequest { study: study.to_owned() });
        let answer = self.client.get_importance(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().importance, "importance")
    }

    /// How far the posterior can be believed.
    pub async fn calibration(&mut self, study: &str) -> Result<Calibration, Failure> {
        let asked = computed(GetCalibrationRequest { study: study.to_owned() });
        let answer = self.client.get_calibration(asked).await.map_err(|s| self.failure(s))?;
        given(answer.into_inner().calibration, "calibration")
    }

    /// How the objective changes along a hyperparameter; along all if it is empty.
    pub async fn dependence(
        &mut self,
        study: &str,
        parameter: &str,
    ) -> Result<GetDependenceResponse, Failure> {
        let (study, parameter) = (study.to_owned(), parameter.to_owned());
        let asked = computed(GetDependenceRequest { study, parameter });
        let answer = self.client.get_dependence(asked).await.map_err(|s| self.failure(s))?;
        Ok(answer.into_inner())
    }

    /// A study as it changes. Without a limit on time: it lasts as long as the study.
    pub async fn watch(&mut self, name: &str) -> Result<Streaming<WatchStudyResponse>, Failure> {
        let asked = WatchStudyRequest { name: name.to_owned() };
        let answer = self.client.watch_study(asked).await.map_err(|s| self.failure(s))?;
        Ok(answer.into_inner())
    }

    /// What a refusal means for a person.
    pub fn failure(&self, status: Status) -> Failure {
        let message = status.message().to_owned();
        match status.code() {
            Code::InvalidArgument | Code::OutOfRange => Failure::Invalid(message),
            Code::NotFound => Failure::NotFound(message),
            Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => {
                Failure::Conflict(message)
            }
            // tonic reports its own time limit as CANCELLED, and a connection that broke in the
            // middle of an answer as UNKNOWN with a cause of its own.
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                self.unreachable(status)
            }
            Code::Unknown if std::error::Error::source(&status).is_some() => {
                self.unreachable(status)
            }
            code => Failure::Other(anyhow::anyhow!(
                "the coordinator at {} failed ({code:?}): {message}",
                self.url
            )),
        }
    }

    fn unreachable(&self, status: Status) -> Failure {
        let why = match std::error::Error::source(&status) {
            Some(cause) => last_cause(cause),
            None => status.message().to_owned(),
        };
        Failure::Unreachable { url: self.url.clone(), why }
    }
}

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER_WITHIN);
    request
}

/// What makes a call harmless that is sent twice because an answer was lost.
fn once() -> String {
    Uuid::new_v4().to_string()
}

/// A call for which the coordinator computes.
fn computed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(COMPUTED_WITHIN);
    request
}

fn given<T>(part: Option<T>, what: &str) -> Result<T, Failure> {
    part.ok_or_else(|| Failure::Other(anyhow::anyhow!("the coordinator's answer has no {what}")))
}

/// The innermost cause, which is the one that says something: "connection refused".
fn last_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
