//! People who create, pause, resume, extend, fill and cancel studies while everything breaks. Each
//! call is repeated until it is answered, and many are made twice on purpose.

use std::{fmt::Debug, sync::Arc, time::Duration};

use proto::v1::{
    Algorithm, CancelStudyRequest, CreateStudyRequest, EarlyStopping, EnqueueTrialsRequest,
    ExtendStudyRequest, PauseStudyRequest, Point, ResumeStudyRequest, Space, StoppingRule,
    StudySpec, Value, value::Kind as Worth,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    caller::{Caller, DEADLINE, within},
    city::City,
    dice::Dice,
    wanted::Wanted,
};
use crate::space::{external, float, small_networks, switch};

/// Studies that are to be open at any time.
const OPEN: i64 = 5;

/// Lives until told to stop.
pub struct People {
    city: Arc<City>,
    wanted: Arc<Wanted>,
    dice: Dice,
    caller: Caller,
    /// Another way to the coordinators, for calls made twice at once.
    twin: Caller,
    created: usize,
}

impl People {
    /// They come.
    pub fn new(city: &Arc<City>, wanted: &Arc<Wanted>) -> anyhow::Result<Self> {
        let urls = city.urls();
        Ok(Self {
            city: Arc::clone(city),
            wanted: Arc::clone(wanted),
            dice: Dice::new(city.plan.seed, "people"),
            caller: Caller::new(&urls, 0)?,
            twin: Caller::new(&urls, 1)?,
            created: 0,
        })
    }

    /// They meddle until told to stop. What they began they finish: a study is never left paused.
    pub async fn live(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let pool = self.city.postgres.pool().await?;
        while !stop.is_cancelled() {
            let open: Result<i64, _> = sqlx::query_scalar(
                "select count(*) from study where state in ('active', 'paused')",
            )
            .fetch_one(&pool)
            .await;
            match open {
                Ok(open) if open < OPEN => self.create().await,
                _ => self.meddle().await,
            }
            sleep(self.dice.between(Duration::from_millis(100), Duration::from_millis(500))).await;
        }
        pool.close().await;
        Ok(())
    }

    async fn meddle(&mut self) {
        let names: Vec<String> = self.wanted.studies().into_keys().rev().take(8).collect();
        if names.is_empty() {
            return;
        }
        let name = self.dice.pick(&names).clone();
        match self.dice.below(10) {
            0..3 => self.pause_and_resume(&name).await,
            3..6 => self.enqueue(&name).await,
            6..8 => self.extend(&name).await,
            8 => self.cancel(&name).await,
            _ => {}
        }
    }

    /// Creates a study by two equal calls at once, and sometimes misuses their id.
    async fn create(&mut self) {
        let name = format!("study-{:04}", self.created);
        self.created += 1;
        let spec = match self.city.trainer.is_some() && self.created % 6 == 2 {
            // More than lapse and fail in any run: nothing is to be given up.
            true => {
                StudySpec { max_failures: 100, checkpoint_epochs: 1, ..small_networks(&name, 4) }
            }
            false => self.spec(&name),
        };
        self.wanted.study(&name, |study| {
            study.budgets.insert(spec.max_trials);
        });
        let request_id = Uuid::new_v4().to_string();
        let request = CreateStudyRequest { spec: Some(spec.clone()), request_id };
        let (once, again) =
            tokio::join!(create(&mut self.caller, &request), create(&mut self.twin, &request));
        for answer in [once, again] {
            match answer {
                Ok(found) if found == name => {}
                other => self.wrong("CreateStudy made twice", &other),
            }
        }
        if self.dice.chance(0.2) {
            let other = StudySpec { max_trials: spec.max_trials + 1, ..spec };
            let misuse = CreateStudyRequest { spec: Some(other), ..request };
            match create(&mut self.caller, &misuse).await {
                Err(status) if status.code() == Code::AlreadyExists => {}
                other => self.wrong("CreateStudy with an id used before", &other),
            }
        }
    }

    fn spec(&mut self, name: &str) -> StudySpec {
        let parameters = vec![float("x", 0.0, 1.0), switch("a"), switch("b"), switch("c")];
        let budget = 30 + u32::try_from(self.dice.below(50)).expect("fits");
        let mut spec = external(name, Space { parameters }, budget);
        spec.max_failures = 100;
        let algorithms =
            [Algorithm::Random, Algorithm::Sobol, Algorithm::Tpe, Algorithm::GaussianProcess];
        spec.algorithm = (*self.dice.pick(&algorithms)).into();
        spec.seed = self.dice.next();
        if self.dice.chance(0.3) {
            spec.max_parallel = 4;
        }
        if self.dice.chance(0.3) {
            spec.early_stopping = Some(EarlyStopping {
                rule: StoppingRule::Median.into(),
                metric: "score".into(),
                ..Default::default()
            });
        }
        spec
    }

    async fn pause_and_resume(&mut self, name: &str) {
        let request = PauseStudyRequest { name: name.to_owned(), ..Default::default() };
        let call = |caller: &Caller| {
            let (mut client, request) = (caller.studies(), within(DEADLINE, request.clone()));
            async move { client.pause_study(request).await }
        };
        let paused = self.caller.until_answered(call).await;
        self.only_if_open("PauseStudy", paused);
        sleep(self.dice.between(Duration::from_millis(200), Duration::from_secs(2))).await;
        let request = ResumeStudyRequest { name: name.to_owned(), ..Default::default() };
        let call = |caller: &Caller| {
            let (mut client, request) = (caller.studies(), within(DEADLINE, request.clone()));
            async move { client.resume_study(request).await }
        };
        let resumed = self.caller.until_answered(call).await;
        self.only_if_open("ResumeStudy", resumed);
    }

    async fn cancel(&mut self, name: &str) {
        let request = CancelStudyRequest { name: name.to_owned(), ..Default::default() };
        let call = |caller: &Caller| {
            let (mut client, request) = (caller.studies(), within(DEADLINE, request.clone()));
            async move { client.cancel_study(request).await }
        };
        let cancelled = self.caller.until_answered(call).await;
        if self.only_if_open("CancelStudy", cancelled).is_some() {
            self.wanted.study(name, |study| study.cancelled = true);
        }
    }

    /// Enqueues points by two equal calls, one after the other: both name the same trials.
    async fn enqueue(&mut self, name: &str) {
        let points = (0..=self.dice.below(3)).map(|_| self.point()).collect();
        let request_id = Uuid::new_v4().to_string();
        let request = EnqueueTrialsRequest { study: name.to_owned(), points, request_id };
        let call = |caller: &Caller| {
            let (mut client, request) = (caller.studies(), within(DEADLINE, request.clone()));
            async move { client.enqueue_trials(request).await }
        };
        let once = self.caller.until_answered(call).await;
        let again = self.twin.until_answered(call).await;
        let numbers = |answer: proto::v1::EnqueueTrialsResponse| {
            answer.trials.iter().map(|trial| trial.number).collect::<Vec<_>>()
        };
        let (once, again) = (once.map(numbers), again.map(numbers));
        match (&once, &again) {
            (Ok(once), Ok(again)) if once == again => {}
            // A study of networks has another space.
            (Err(once), Err(again))
                if once.code() == again.code()
                    && matches!(once.code(), Code::FailedPrecondition | Code::InvalidArgument) => {}
            _ => self.wanted.wrong(format!("EnqueueTrials made twice: {once:?}, {again:?}")),
        }
    }

    fn point(&mut self) -> Point {
        let number = |x| Value { kind: Some(Worth::Number(x)) };
        let on = |on| Value { kind: Some(Worth::Boolean(on)) };
        let mut values = vec![("x".to_owned(), number(self.dice.uniform()))];
        for name in ["a", "b", "c"] {
            values.push((name.to_owned(), on(self.dice.chance(0.5))));
        }
        Point { values: values.into_iter().collect() }
    }

    async fn extend(&mut self, name: &str) {
        let Some(study) = self.wanted.studies().remove(name) else { return };
        let Some(largest) = study.budgets.last() else { return };
        let max_trials = largest + 1 + u32::try_from(self.dice.below(5)).expect("fits");
        self.wanted.study(name, |study| {
            study.budgets.insert(max_trials);
        });
        let request =
            ExtendStudyRequest { name: name.to_owned(), max_trials, ..Default::default() };
        let call = |caller: &Caller| {
            let (mut client, request) = (caller.studies(), within(DEADLINE, request.clone()));
            async move { client.extend_study(request).await }
        };
        let extended = self.caller.until_answered(call).await;
        self.only_if_open("ExtendStudy", extended);
    }

    /// An answer to a call that a study in its end state refuses.
    fn only_if_open<T: Debug>(&self, call: &str, answer: Result<T, Status>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(status) if status.code() == Code::FailedPrecondition => None,
            Err(status) => {
                self.wrong(call, &Err::<(), _>(status));
                None
            }
        }
    }

    fn wrong<T: Debug>(&self, call: &str, answer: &Result<T, Status>) {
        let answer = match answer {
            Ok(answer) => format!("{answer:?}"),
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        self.wanted.wrong(format!("{call}: {answer}"));
    }
}

async fn create(caller: &mut Caller, request: &CreateStudyRequest) -> Result<String, Status> {
    let call = |caller: &Caller| {
        let (mut client, request) = (caller.studies(), within(DEADLINE, request.clone()));
        async move { client.create_study(request).await }
    };
    let answer = caller.until_answered(call).await?;
    let spec = answer.study.and_then(|study| study.spec);
    Ok(spec.map(|spec| spec.name).unwrap_or_default())
}
