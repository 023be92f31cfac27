//! A worker's slot that does just what the test says.

use std::time::Duration;

use proto::v1::{
    ArtifactKind, Capabilities, CompleteRequest, FailRequest, FailureClass, GetRequest,
    HeartbeatRequest, HeartbeatResponse, Lease, LeaseRequest, LeaseResponse, Metric, Point,
    PutHeader, PutRequest, ReleaseRequest, ReportMetricsRequest, Value,
    artifact_service_client::ArtifactServiceClient, get_response, put_request::Part, value::Kind,
    worker_service_client::WorkerServiceClient,
};
use sha2::{Digest as _, Sha256};
use tonic::{Status, transport::Channel};
use uuid::Uuid;

/// A worker with one slot. Cloning it gives the same worker, as after a lost answer.
#[derive(Clone)]
pub struct Hand {
    client: WorkerServiceClient<Channel>,
    artifacts: ArtifactServiceClient<Channel>,
    worker_id: Uuid,
    label: String,
}

impl Hand {
    /// A new worker that evaluates external and Whetstone objectives.
    pub fn new(channel: &Channel) -> Self {
        Self {
            client: WorkerServiceClient::new(channel.clone()),
            artifacts: ArtifactServiceClient::new(channel.clone()),
            worker_id: Uuid::new_v4(),
            label: "hand".into(),
        }
    }

    /// A new worker on a host of that name.
    pub fn on(channel: &Channel, label: &str) -> Self {
        Self { label: label.into(), ..Self::new(channel) }
    }

    /// The same worker at another coordinator.
    pub fn at(&self, channel: &Channel) -> Self {
        Self { worker_id: self.worker_id, label: self.label.clone(), ..Self::new(channel) }
    }

    /// The worker's uuid.
    pub fn worker_id(&self) -> Uuid {
        self.worker_id
    }

    /// One Lease call that waits so long.
    pub async fn ask(&mut self, wait: Duration) -> Result<LeaseResponse, Status> {
        let request = LeaseRequest {
            worker_id: self.worker_id.to_string(),
            slot: 0,
            capabilities: Some(Capabilities {
                objectives: vec!["external".into(), "whetstone".into()],
                label: self.label.clone(),
                device: "cpu".into(),
                ..Default::default()
            }),
            wait: Some(wait.try_into().expect("a short wait")),
        };
        self.client.lease(request).await.map(tonic::Response::into_inner)
    }

    /// A lease that there must be.
    pub async fn lease(&mut self) -> Lease {
        let answer = self.ask(Duration::from_secs(10)).await.expect("is answered");
        answer.lease.expect("there is a trial")
    }

    /// That there is no lease to be had now.
    pub async fn finds_nothing(&mut self) {
        let answer = self.ask(Duration::ZERO).await.expect("is answered");
        assert_eq!(answer.lease, None);
    }

    /// Completes with a value; `true` if that had been recorded before.
    pub async fn complete(&mut self, lease: &Lease, value: f64) -> Result<bool, Status> {
        self.complete_with(lease, value, &[]).await
    }

    /// Completes with a value and other measurements, by name.
    pub async fn complete_with(
        &mut self,
        lease: &Lease,
        value: f64,
        measured: &[(&str, f64)],
    ) -> Result<bool, Status> {
        let measurements = measured.iter().map(|&(name, x)| (name.to_owned(), x)).collect();
        let r#ref = lease.r#ref.clone();
        let request = CompleteRequest { r#ref, value, measurements, pruned: false };
        Ok(self.client.complete(request).await?.into_inner().duplicate)
    }

    /// Ends the trial early with its last value, as one that was told to does.
    pub async fn prune(&mut self, lease: &Lease, value: f64) -> Result<bool, Status> {
        self.prune_with(lease, value, &[]).await
    }

    /// The same with other measurements, by name.
    pub async fn prune_with(
        &mut self,
        lease: &Lease,
        value: f64,
        measured: &[(&str, f64)],
    ) -> Result<bool, Status> {
        let measurements = measured.iter().map(|&(name, x)| (name.to_owned(), x)).collect();
        let r#ref = lease.r#ref.clone();
        let request = CompleteRequest { r#ref, value, measurements, pruned: true };
        Ok(self.client.complete(request).await?.into_inner().duplicate)
    }

    /// Fails; `true` if the trial will be tried again.
    pub async fn fail(&mut self, lease: &Lease, class: FailureClass) -> Result<bool, Status> {
        let request = FailRequest {
            r#ref: lease.r#ref.clone(),
            failure_class: class.into(),
            detail: "as the test says".into(),
        };
        Ok(self.client.fail(request).await?.into_inner().retried)
    }

    /// Gives the trial back.
    pub async fn release(&mut self, lease: &Lease) -> Result<(), Status> {
        let request = ReleaseRequest { r#ref: lease.r#ref.clone(), reason: "drain".into() };
        self.client.release(request).await.map(drop)
    }

    /// Beats; answers the directive.
    pub async fn beat(&mut self, lease: &Lease, progress: f64) -> Result<i32, Status> {
        Ok(self.beat_and_hear(lease, progress).await?.directive)
    }

    /// Beats; answers all that it hears.
    pub async fn beat_and_hear(
        &mut self,
        lease: &Lease,
        progress: f64,
    ) -> Result<HeartbeatResponse, Status> {
        let request = HeartbeatRequest { r#ref: lease.r#ref.clone(), progress };
        Ok(self.client.heartbeat(request).await?.into_inner())
    }

    /// Reports one metric of one epoch; answers the directive.
    pub async fn report(
        &mut self,
        lease: &Lease,
        step: u32,
        name: &str,
        value: f64,
    ) -> Result<i32, Status> {
        self.report_all(lease, step, &[(name, value)]).await
    }

    /// Reports all metrics of one epoch; answers the directive.
    pub async fn report_all(
        &mut self,
        lease: &Lease,
        step: u32,
        measured: &[(&str, f64)],
    ) -> Result<i32, Status> {
        // As a worker does: the first steps that are reported tell where it went on.
        let resumed_from_epoch = lease.checkpoint.as_ref().map_or(0, |found| found.epoch);
        let request = ReportMetricsRequest {
            r#ref: lease.r#ref.clone(),
            metrics: measured
                .iter()
                .map(|&(name, value)| Metric { step, name: name.into(), value })
                .collect(),
            progress: 0.5,
            resumed_from_epoch,
        };
        Ok(self.client.report_metrics(request).await?.into_inner().directive)
    }

    /// Stores a checkpoint; whether it is the newest.
    pub async fn put(&mut self, lease: &Lease, epoch: u32, bytes: &[u8]) -> Result<bool, Status> {
        self.send(in_messages(lease, epoch, bytes)).await
    }

    /// Sends the messages of an artifact, such as they are.
    pub async fn send(&mut self, messages: Vec<PutRequest>) -> Result<bool, Status> {
        let answer = self.artifacts.put(tokio_stream::iter(messages)).await?;
        Ok(answer.into_inner().is_newest)
    }

    /// Sends the messages of an artifact as a test hands them out.
    pub async fn send_as_they_come(
        &mut self,
        messages: tokio::sync::mpsc::Receiver<PutRequest>,
    ) -> Result<bool, Status> {
        let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
        Ok(self.artifacts.put(messages).await?.into_inner().is_newest)
    }

    /// Reads an artifact.
    pub async fn get(&mut self, sha256: &[u8]) -> Result<Vec<u8>, Status> {
        let request = GetRequest { sha256: sha256.to_vec() };
        let mut messages = self.artifacts.get(request).await?.into_inner();
        let (mut announced, mut bytes) = (None, Vec::new());
        while let Some(message) = messages.message().await? {
            match message.part.expect("no empty message") {
                get_response::Part::Header(header) => announced = Some(header.bytes),
                get_response::Part::Chunk(chunk) => bytes.extend(chunk),
            }
        }
        assert_eq!(announced, Some(bytes.len() as u64));
        assert_eq!(Sha256::digest(&bytes).as_slice(), sha256);
        Ok(bytes)
    }

    /// Works alone until there is nothing left; says how many trials it completed.
    pub async fn work(&mut self, objective: impl Fn(&Point) -> f64) -> usize {
        self.work_with(|point| (objective(point), vec![])).await
    }

    /// The same with other measurements beside the value.
    pub async fn work_with(
        &mut self,
        objective: impl Fn(&Point) -> (f64, Vec<(&'static str, f64)>),
    ) -> usize {
        let mut done = 0;
        loop {
            let answer = self.ask(Duration::from_secs(5)).await.expect("is answered");
            let Some(lease) = answer.lease else { return done };
            let (value, measured) = objective(lease.point.as_ref().expect("a lease has a point"));
            assert!(!self.complete_with(&lease, value, &measured).await.expect("is recorded"));
            done += 1;
        }
    }
}

/// The messages that store a checkpoint, in chunks of no particular size.
pub fn in_messages(lease: &Lease, epoch: u32, bytes: &[u8]) -> Vec<PutRequest> {
    let header = PutHeader {
        r#ref: lease.r#ref.clone(),
        kind: ArtifactKind::Checkpoint.into(),
        epoch,
        sha256: Sha256::digest(bytes).to_vec(),
        bytes: bytes.len() as u64,
    };
    let chunks = bytes.chunks(100_003).map(|chunk| Part::Chunk(chunk.to_vec()));
    let parts = std::iter::once(Part::Header(header)).chain(chunks);
    parts.map(|part| PutRequest { part: Some(part) }).collect()
}

/// A parameter's value as a number: switches as 0 and 1.
pub fn number(point: &Point, name: &str) -> f64 {
    match point.values.get(name) {
        Some(Value { kind: Some(Kind::Number(number)) }) => *number,
        Some(Value { kind: Some(Kind::Integer(whole)) }) => *whole as f64,
        Some(Value { kind: Some(Kind::Boolean(on)) }) => f64::from(u8::from(*on)),
        other => panic!("parameter `{name}` is {other:?}"),
    }
}
