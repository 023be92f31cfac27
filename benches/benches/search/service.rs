//! A study on a coordinator that runs elsewhere, over gRPC: what a user's workers see.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use proto::v1::{
    self as wire, Capabilities, CompleteRequest, CreateStudyRequest, ExternalObjective,
    FailRequest, FailureClass, LeaseRef, LeaseRequest, Objective, ReleaseRequest, StudySpec,
    objective, parameter, study_service_client::StudyServiceClient, value,
    worker_service_client::WorkerServiceClient,
};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tuner::{Algorithm, Domain, Parameter, Point, Scale, Value};
use uuid::Uuid;

use crate::{problem::Problem, run::Optimizer};

/// Each open trial is held by a worker of its own.
struct Held {
    worker: Uuid,
    lease: LeaseRef,
}

pub struct Service {
    runtime: Runtime,
    workers: WorkerServiceClient<Channel>,
    study: String,
    idle: Vec<Uuid>,
    open: BTreeMap<u64, Held>,
}

impl Service {
    /// Creates a study of the problem, with a name that no other has.
    pub fn new(
        url: &str,
        problem: &Problem,
        algorithm: Algorithm,
        budget: u32,
        seed: u64,
    ) -> Result<Service> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let study = format!("{}-{seed}-{}", problem.name, &Uuid::new_v4().to_string()[..8]);
        let spec = StudySpec {
            name: study.clone(),
            space: Some(wire::Space {
                parameters: problem.space.parameters().iter().map(parameter).collect(),
            }),
            objective: Some(Objective {
                kind: Some(objective::Kind::External(ExternalObjective::default())),
            }),
            direction: match problem.maximize {
                true => wire::Direction::Maximize,
                false => wire::Direction::Minimize,
            }
            .into(),
            algorithm: match algorithm {
                Algorithm::GaussianProcess => wire::Algorithm::GaussianProcess,
                Algorithm::Random => wire::Algorithm::Random,
                Algorithm::Grid => wire::Algorithm::Grid,
                Algorithm::Sobol => wire::Algorithm::Sobol,
                Algorithm::Tpe => wire::Algorithm::Tpe,
                Algorithm::Evolution => wire::Algorithm::Evolution,
            }
            .into(),
            max_trials: budget,
            seed,
            ..StudySpec::default()
        };
        let workers = runtime.block_on(async {
            let channel = Channel::from_shared(url.to_owned())?.connect().await?;
            let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
            StudyServiceClient::new(channel.clone()).create_study(request).await?;
            anyhow::Ok(WorkerServiceClient::new(channel))
        });
        let workers = workers.with_context(|| format!("create {study} at {url}"))?;
        Ok(Service { runtime, workers, study, idle: Vec::new(), open: BTreeMap::new() })
    }
}

impl Optimizer for Service {
    fn ask(&mut self) -> Result<(u64, Point)> {
        let worker = self.idle.pop().unwrap_or_else(Uuid::new_v4);
        let request = LeaseRequest {
            worker_id: worker.to_string(),
            slot: 0,
            capabilities: Some(Capabilities {
                objectives: vec!["external".to_owned()],
                studies: vec![self.study.clone()],
                label: "bench".to_owned(),
                device: "none".to_owned(),
            }),
            wait: None,
        };
        let answer = self.runtime.block_on(self.workers.lease(request))?.into_inner();
        let lease = answer.lease.context("the coordinator has no trial left")?;
        let token = u64::from(lease.number);
        let point = lease.point.unwrap_or_default().values.into_iter();
        let point = point.filter_map(|(name, worth)| Some((name, natural(worth.kind?))));
        let fence = lease.r#ref.context("a lease without a reference")?;
        self.open.insert(token, Held { worker, lease: fence });
        Ok((token, point.collect()))
    }

    fn tell(&mut self, token: u64, value: f64) -> Result<()> {
        let Held { worker, lease } = self.open.remove(&token).expect("asked before it is told");
        let request = CompleteRequest { r#ref: Some(lease), value, ..CompleteRequest::default() };
        self.runtime.block_on(self.workers.complete(request))?;
        self.idle.push(worker);
        Ok(())
    }

    fn fail(&mut self, token: u64) -> Result<()> {
        let Held { worker, lease } = self.open.remove(&token).expect("asked before it fails");
        let request = FailRequest {
            r#ref: Some(lease),
            failure_class: FailureClass::Nan.into(),
            detail: "diverged".to_owned(),
        };
        self.runtime.block_on(self.workers.fail(request))?;
        self.idle.push(worker);
        Ok(())
    }

    fn lose(&mut self, token: u64) -> Result<()> {
        let Held { worker, lease } = self.open.remove(&token).expect("asked before it is lost");
        let request = ReleaseRequest { r#ref: Some(lease), reason: "lost".to_owned() };
        self.runtime.block_on(self.workers.release(request))?;
        self.idle.push(worker);
        Ok(())
    }
}

fn parameter(parameter: &Parameter) -> wire::Parameter {
    let scale = |scale: &Scale| match scale {
        Scale::Linear => wire::Scale::Linear.into(),
        Scale::Log => wire::Scale::Log.into(),
    };
    let domain = match &parameter.domain {
        Domain::Float { low, high, scale: s } => {
            parameter::Domain::Float(wire::FloatDomain { low: *low, high: *high, scale: scale(s) })
        }
        Domain::Int { low, high, scale: s } => {
            parameter::Domain::Int(wire::IntDomain { low: *low, high: *high, scale: scale(s) })
        }
        Domain::Ordinal { values } => {
            parameter::Domain::Ordinal(wire::OrdinalDomain { values: values.clone() })
        }
        Domain::Categorical { choices } => {
            parameter::Domain::Categorical(wire::CategoricalDomain { choices: choices.clone() })
        }
        Domain::Bool => parameter::Domain::Bool(wire::BoolDomain {}),
    };
    wire::Parameter {
        name: parameter.name.clone(),
        domain: Some(domain),
        condition: parameter.condition.as_ref().map(|condition| wire::Condition {
            parameter: condition.parameter.clone(),
            values: condition.values.iter().map(worth).collect(),
        }),
        default_value: None,
    }
}

fn worth(value: &Value) -> wire::Value {
    let kind = match value {
        Value::Bool(on) => value::Kind::Boolean(*on),
        Value::Int(whole) => value::Kind::Integer(*whole),
        Value::Float(real) => value::Kind::Number(*real),
        Value::Text(text) => value::Kind::Text(text.clone()),
    };
    wire::Value { kind: Some(kind) }
}

fn natural(kind: value::Kind) -> Value {
    match kind {
        value::Kind::Boolean(on) => Value::Bool(on),
        value::Kind::Integer(whole) => Value::Int(whole),
        value::Kind::Number(real) => Value::Float(real),
        value::Kind::Text(text) => Value::Text(text),
    }
}
