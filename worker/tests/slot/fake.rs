//! A coordinator that does what a test says, and remembers what it heard.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proto::v1;
use proto::v1::artifact_service_server::{ArtifactService, ArtifactServiceServer};
use proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming};
use worker::address::Address;

/// Everything that a worker can say. A report is heard even if it is answered with an error.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Lease(v1::LeaseRequest),
    Heartbeat(v1::HeartbeatRequest),
    Metrics(v1::ReportMetricsRequest),
    Complete(v1::CompleteRequest),
    Fail(v1::FailRequest),
    Release(v1::ReleaseRequest),
    Put(v1::PutHeader, Vec<u8>),
    Get(v1::GetRequest),
}

/// What a test tells the coordinator to do.
#[derive(Default)]
pub struct Script {
    /// Handed out one by one.
    pub trials: VecDeque<v1::Lease>,
    /// The trial that is out: its slot is given it again if it asks again.
    pub held: Option<v1::Lease>,
    /// How long a request for a trial is held open.
    pub lease_wait: Duration,
    /// Answered to each request for a trial.
    pub lease_refused: Option<Status>,
    /// Whether there is nothing left to wait for, once the trials are handed out.
    pub idle: bool,
    /// How long the answer to a heartbeat takes.
    pub heartbeat_wait: Duration,
    /// Answered to each heartbeat.
    pub heartbeat_refused: Option<Status>,
    /// Told in each answered heartbeat.
    pub directive: v1::Directive,
    /// Told in each answered heartbeat and request for a trial.
    pub drain: Option<v1::Drain>,
    /// Answered to the first reports of a value, one each.
    pub complete_refused: VecDeque<Status>,
    /// Sent in chunks to whoever reads an artifact.
    pub artifact: Vec<Vec<u8>>,
    /// Answered to the first readers of an artifact, one each.
    pub get_refused: VecDeque<Status>,
    /// How long it takes to store an artifact, once it is there.
    pub put_wait: Duration,
    /// Answered to the first who store an artifact, one each.
    pub put_refused: VecDeque<Status>,
}

#[derive(Clone)]
pub struct Fake {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    script: Mutex<Script>,
    heard: Mutex<Vec<(Instant, Call)>>,
    changed: Notify,
}

/// Answers while it is alive; dropped, it is gone from one moment to the next.
pub struct Serving {
    _gone: oneshot::Sender<()>,
}

impl Fake {
    /// A coordinator that follows a script and already answers.
    pub async fn serving(script: Script) -> (Fake, Serving) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Fake {
            address: listener.local_addr().unwrap(),
            state: Arc::new(State {
                script: Mutex::new(script),
                heard: Mutex::default(),
                changed: Notify::new(),
            }),
        };
        let serving = fake.serve(listener);
        (fake, serving)
    }

    /// Answers again, at the same address, after it was gone.
    pub async fn return_again(&self) -> Serving {
        loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => return self.serve(listener),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        let (alive, gone) = oneshot::channel::<()>();
        let service = WorkerServiceServer::new(self.clone());
        let artifacts = ArtifactServiceServer::new(self.clone());
        tokio::spawn(async move {
            let server = tonic::transport::Server::builder()
                .add_service(service)
                .add_service(artifacts)
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::select! {
                served = server => served.unwrap(),
                _ = gone => {}
            }
        });
        Serving { _gone: alive }
    }

    pub fn address(&self) -> Address {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Changes the script.
    pub fn now(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.state.script.lock().unwrap());
    }

    /// What was heard so far, with its time.
    pub fn heard(&self) -> Vec<(Instant, Call)> {
        self.state.heard.lock().unwrap().clone()
    }

    /// What was heard so far that a test looks for.
    pub fn all<T>(&self, look_for: impl Fn(&Call) -> Option<T>) -> Vec<T> {
        self.heard().iter().filter_map(|(_, call)| look_for(call)).collect()
    }

    /// Waits until at least `count` calls are what a test looks for.
    pub async fn until<T>(&self, count: usize, look_for: impl Fn(&Call) -> Option<T>) -> Vec<T> {
        let enough = async {
            loop {
                let changed = self.state.changed.notified();
                let found = self.all(&look_for);
                if found.len() >= count {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(30), enough).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain; heard {:#?}", self.heard()),
        }
    }

    fn hear(&self, call: Call) {
        self.state.heard.lock().unwrap().push((Instant::now(), call));
        self.state.changed.notify_waiters();
    }
}

/// A lease on the trial with this number, for a time in milliseconds.
pub fn lease(number: u32, ttl_ms: u64) -> v1::Lease {
    let reference = v1::LeaseRef {
        trial_id: 100 + i64::from(number),
        attempt: 1,
        lease_id: format!("lease-{number}"),
    };
    v1::Lease {
        r#ref: Some(reference),
        ttl: Some(Duration::from_millis(ttl_ms).try_into().unwrap()),
        study: "sharp".into(),
        number,
        ..v1::Lease::default()
    }
}

#[tonic::async_trait]
impl WorkerService for Fake {
    async fn lease(
        &self,
        request: Request<v1::LeaseRequest>,
    ) -> Result<Response<v1::LeaseResponse>, Status> {
        self.hear(Call::Lease(request.into_inner()));
        let wait = self.state.script.lock().unwrap().lease_wait;
        tokio::time::sleep(wait).await;
        let mut script = self.state.script.lock().unwrap();
        if let Some(status) = script.lease_refused.clone() {
            return Err(status);
        }
        let lease = script.held.take().or_else(|| script.trials.pop_front());
        script.held = lease.clone();
        let idle = lease.is_none() && script.idle;
        let drain = script.drain.clone();
        Ok(Response::new(v1::LeaseResponse { lease, retry_after: None, idle, drain }))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        self.hear(Call::Heartbeat(request.into_inner()));
        let wait = self.state.script.lock().unwrap().heartbeat_wait;
        tokio::time::sleep(wait).await;
        let mut script = self.state.script.lock().unwrap();
        match script.heartbeat_refused.clone() {
            Some(status) => {
                if status.code() == Code::Aborted {
                    script.held = None;
                }
                Err(status)
            }
            None => Ok(Response::new(v1::HeartbeatResponse {
                ttl: None,
                directive: script.directive.into(),
                drain: script.drain.clone(),
            })),
        }
    }

    async fn report_metrics(
        &self,
        request: Request<v1::ReportMetricsRequest>,
    ) -> Result<Response<v1::ReportMetricsResponse>, Status> {
        self.hear(Call::Metrics(request.into_inner()));
        Ok(Response::new(Default::default()))
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        self.hear(Call::Complete(request.into_inner()));
        let mut script = self.state.script.lock().unwrap();
        let refused = script.complete_refused.pop_front();
        if refused.as_ref().is_none_or(|status| status.code() == Code::Aborted) {
            script.held = None;
        }
        refused.map_or_else(|| Ok(Response::new(Default::default())), Err)
    }

    async fn fail(
        &self,
        request: Request<v1::FailRequest>,
    ) -> Result<Response<v1::FailResponse>, Status> {
        self.hear(Call::Fail(request.into_inner()));
        self.state.script.lock().unwrap().held = None;
        Ok(Response::new(Default::default()))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        self.hear(Call::Release(request.into_inner()));
        self.state.script.lock().unwrap().held = None;
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl ArtifactService for Fake {
    type GetStream = tokio_stream::Iter<std::vec::IntoIter<Result<v1::GetResponse, Status>>>;

    async fn put(
        &self,
        request: Request<Streaming<v1::PutRequest>>,
    ) -> Result<Response<v1::PutResponse>, Status> {
        use v1::put_request::Part;
        let mut stream = request.into_inner();
        let (mut first, mut bytes) = (None, Vec::new());
        while let Some(message) = stream.message().await? {
            match message.part {
                Some(Part::Header(header)) => first = Some(header),
                Some(Part::Chunk(chunk)) => bytes.extend(chunk),
                None => return Err(Status::invalid_argument("an empty message")),
            }
        }
        self.hear(Call::Put(first.unwrap_or_default(), bytes));
        let (wait, refused) = {
            let mut script = self.state.script.lock().unwrap();
            let refused = script.put_refused.pop_front();
            if refused.as_ref().is_some_and(|status| status.code() == Code::Aborted) {
                script.held = None;
            }
            (script.put_wait, refused)
        };
        tokio::time::sleep(wait).await;
        let stored = v1::PutResponse { is_newest: true };
        refused.map_or_else(|| Ok(Response::new(stored)), Err)
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<Self::GetStream>, Status> {
        use v1::get_response::Part;
        self.hear(Call::Get(request.into_inner()));
        let mut script = self.state.script.lock().unwrap();
        if let Some(refused) = script.get_refused.pop_front() {
            return Err(refused);
        }
        let bytes = script.artifact.iter().map(|chunk| chunk.len() as u64).sum();
        let header = Part::Header(v1::GetHeader { bytes });
        let chunks = script.artifact.iter().map(|chunk| Part::Chunk(chunk.clone()));
        let parts = std::iter::once(header).chain(chunks);
        let messages = parts.map(|part| Ok(v1::GetResponse { part: Some(part) }));
        Ok(Response::new(tokio_stream::iter(messages.collect::<Vec<_>>())))
    }
}
