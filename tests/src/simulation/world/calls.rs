//! Calls as they go over the wire, and their answers in the model's words.

use std::{collections::BTreeMap, time::Duration};

use coordinator::storage::leases;
use proto::v1::{
    Algorithm, CancelStudyRequest, Capabilities, CompleteRequest, CreateStudyRequest, Directive,
    EnqueueTrialsRequest, ExtendStudyRequest, FailRequest, HeartbeatRequest, LeaseRef,
    LeaseRequest, LeaseResponse, Metric, PauseStudyRequest, Point, ReleaseRequest,
    ReportMetricsRequest, ResumeStudyRequest, Space, StudySpec, Value, value::Kind,
};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{Fault, World};
use crate::{
    simulation::{
        model::{Answer, Fence, lines::quarters},
        operation::{Call, Deed, Rules, Speech},
        replica::Replica,
    },
    space,
};

/// When a coordinator gives up waiting for a lock, less what a clock may be off.
const LOCKS_TIME_OUT: Duration = Duration::from_millis(1_900);

/// An answer, and the key of the lease if it is one.
pub(super) type Heard = (Answer, Option<String>);

impl World {
    /// Makes one call at one coordinator.
    ///
    /// # Errors
    ///
    /// An answer that no call may get.
    pub(super) async fn call(
        &self,
        replica: Replica,
        call: &Call,
        fence: Option<Fence>,
        budget: i32,
    ) -> Result<Heard, Fault> {
        let answer = match *call {
            Call::Ask { worker, slot } => match self.ask(replica, worker, slot).await {
                Ok(heard) => return Ok(heard),
                Err(status) => Err(status),
            },
            Call::Speak { speech, .. } => {
                let fence = fence.expect("who speaks quotes a lease");
                speak(replica, self.quote(&fence), speech).await
            }
            Call::Reap => return self.reap(&replica).await,
            Call::Steer { study, deed } => {
                steer(replica, &self.names[study], study, deed, budget).await
            }
        };
        match answer {
            Ok(answer) => Ok((answer, None)),
            Err(status) => match status.code() {
                code @ (Code::Aborted
                | Code::AlreadyExists
                | Code::FailedPrecondition
                | Code::InvalidArgument) => Ok((Answer::Refused(code), None)),
                // Locks time out after two seconds; a deadlock is found after one.
                Code::Unavailable if self.clock_set.elapsed() > LOCKS_TIME_OUT => Err(Fault::Slow),
                _ => Err(Fault::Wrong(format!("{call:?} broke: {status}"))),
            },
        }
    }

    async fn ask(&self, mut replica: Replica, worker: usize, slot: usize) -> Result<Heard, Status> {
        let request = LeaseRequest {
            worker_id: self.workers[worker].to_string(),
            slot: u32::try_from(slot).expect("a handful"),
            capabilities: Some(Capabilities {
                objectives: vec!["external".into()],
                studies: self.names.clone(),
                label: worker.to_string(),
                device: "cpu".into(),
            }),
            wait: Some(Duration::ZERO.try_into().expect("no time at all")),
        };
        let LeaseResponse { lease, idle, .. } = replica.workers.lease(request).await?.into_inner();
        let Some(lease) = lease else { return Ok((Answer::Nothing { idle }, None)) };
        let quoted = lease.r#ref.clone().expect("a lease has a reference");
        let study = self.names.iter().position(|name| *name == lease.study);
        let study = study.ok_or_else(|| Status::internal("a lease of another study"))?;
        let grant = (study, lease.number as usize, quoted.attempt as usize);
        let best = lease.best_value.map(in_quarters);
        let answer = Answer::Granted { grant, ttl: in_fives(lease.ttl), best };
        Ok((answer, Some(quoted.lease_id)))
    }

    /// A pass of the reaper, at once.
    async fn reap(&self, replica: &Replica) -> Result<Heard, Fault> {
        let broke = |error| Fault::Wrong(format!("the reaper broke: {error}"));
        let touched = leases::reap(&replica.pool).await.map_err(broke)?;
        let names: Vec<String> =
            sqlx::query_scalar("select name from study where study_id = any ($1)")
                .bind(touched.studies)
                .fetch_all(&self.pool)
                .await
                .expect("reads names");
        let place = |name: &String| self.names.iter().position(|other| other == name);
        let mut studies: Vec<usize> = names.iter().filter_map(place).collect();
        studies.sort_unstable();
        Ok((Answer::Reaped(studies), None))
    }

    fn quote(&self, fence: &Fence) -> LeaseRef {
        LeaseRef {
            trial_id: fence.trial.map_or(1 << 40, |at| self.trials[&at]),
            attempt: u32::try_from(fence.attempt).expect("a handful"),
            lease_id: match fence.lease {
                Some(grant) => self.leases[&grant].clone(),
                None => Uuid::new_v4().to_string(),
            },
        }
    }
}

async fn speak(mut replica: Replica, quoted: LeaseRef, speech: Speech) -> Result<Answer, Status> {
    let r#ref = Some(quoted);
    let workers = &mut replica.workers;
    let is_withdrawn = |directive: Directive| match directive {
        Directive::Cancel => Ok(true),
        Directive::Continue => Ok(false),
        other => Err(Status::internal(format!("told {other:?}"))),
    };
    Ok(match speech {
        Speech::Beat(progress) => {
            let request = HeartbeatRequest { r#ref, progress: quarters(progress) };
            let answer = workers.heartbeat(request).await?.into_inner();
            let is_withdrawn = is_withdrawn(answer.directive())?;
            Answer::Renewed { ttl: in_fives(answer.ttl), is_withdrawn }
        }
        Speech::Report { step, value } => {
            let value = quarters(value);
            let metrics = vec![Metric { step: step.into(), name: "loss".into(), value }];
            let request =
                ReportMetricsRequest { r#ref, metrics, progress: value, resumed_from_epoch: 0 };
            let answer = workers.report_metrics(request).await?.into_inner();
            Answer::Told { is_withdrawn: is_withdrawn(answer.directive())? }
        }
        Speech::Complete { value, is_pruned } => {
            let request = CompleteRequest {
                r#ref,
                value: quarters(value),
                measurements: BTreeMap::new(),
                pruned: is_pruned,
            };
            let duplicate = workers.complete(request).await?.into_inner().duplicate;
            Answer::Recorded { duplicate }
        }
        Speech::Fail(class) => {
            let request = FailRequest { r#ref, failure_class: class.into(), detail: String::new() };
            Answer::Failed { retried: workers.fail(request).await?.into_inner().retried }
        }
        Speech::Release => {
            workers.release(ReleaseRequest { r#ref, reason: String::new() }).await?;
            Answer::Released
        }
    })
}

async fn steer(
    mut replica: Replica,
    name: &str,
    study: usize,
    deed: Deed,
    budget: i32,
) -> Result<Answer, Status> {
    let people = &mut replica.people;
    let name = name.to_owned();
    match deed {
        Deed::Enqueue { count, request } => {
            let key = u128::from(request) << 64 | (study as u128) << 32 | count as u128;
            let request = EnqueueTrialsRequest {
                study: name,
                points: (0..count).map(|_| somewhere()).collect(),
                request_id: Uuid::from_u128(key).to_string(),
            };
            let trials = people.enqueue_trials(request).await?.into_inner().trials;
            return Ok(Answer::Enqueued(
                trials.iter().map(|trial| trial.number as usize).collect(),
            ));
        }
        Deed::Pause => {
            drop(people.pause_study(PauseStudyRequest { name, ..Default::default() }).await?)
        }
        Deed::Resume => {
            drop(people.resume_study(ResumeStudyRequest { name, ..Default::default() }).await?)
        }
        Deed::Cancel => {
            drop(people.cancel_study(CancelStudyRequest { name, ..Default::default() }).await?)
        }
        Deed::Extend(_) => {
            let max_trials = u32::try_from(budget).unwrap_or(0);
            people
                .extend_study(ExtendStudyRequest { name, max_trials, ..Default::default() })
                .await?;
        }
    }
    Ok(Answer::Steered)
}

impl Replica {
    /// Creates a study in which points are drawn at random: nothing is ever fitted.
    pub(in crate::simulation) async fn create(
        &self,
        name: &str,
        rules: &Rules,
    ) -> Result<(), Status> {
        let whole = |number: i32| number.unsigned_abs();
        let space = Space { parameters: vec![space::float("x", 0.0, 1.0)] };
        let spec = StudySpec {
            algorithm: Algorithm::Random.into(),
            max_parallel: whole(rules.max_parallel),
            max_failures: whole(rules.max_failures),
            max_trial_seconds: u32::try_from(rules.max_trial_seconds).expect("a day"),
            ..space::external(name, space, whole(rules.max_trials))
        };
        let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
        self.people.clone().create_study(request).await.map(drop)
    }

    /// Enqueues so many points.
    pub(in crate::simulation) async fn enqueue(
        &self,
        name: &str,
        count: usize,
    ) -> Result<(), Status> {
        let request = EnqueueTrialsRequest {
            study: name.to_owned(),
            points: (0..count).map(|_| somewhere()).collect(),
            request_id: String::new(),
        };
        self.people.clone().enqueue_trials(request).await.map(drop)
    }
}

fn somewhere() -> Point {
    let x = Value { kind: Some(Kind::Number(0.5)) };
    Point { values: BTreeMap::from([("x".to_owned(), x)]) }
}

fn in_quarters(value: f64) -> u8 {
    (4.0 * value) as u8
}

/// Seconds, rounded up to fives: what a right lasted when it was given, if that was less than five
/// seconds ago.
fn in_fives(ttl: Option<impl TryInto<Duration>>) -> i64 {
    let ttl = ttl.and_then(|ttl| ttl.try_into().ok()).expect("a span of time");
    5 * (ttl.as_secs_f64() / 5.0).ceil() as i64
}
