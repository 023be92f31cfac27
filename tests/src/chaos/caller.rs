//! Calls that go on to the next coordinator when one does not answer.

use std::time::Duration;

use proto::v1::{
    study_service_client::StudyServiceClient, worker_service_client::WorkerServiceClient,
};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

/// How long a connection may take to be made, and a ping to be answered.
const SECOND: Duration = Duration::from_secs(1);

/// Deadline of a call that is answered at once.
pub const DEADLINE: Duration = Duration::from_secs(4);

/// Connections to all coordinators, one of which is used.
pub struct Caller {
    channels: Vec<Channel>,
    current: usize,
}

impl Caller {
    /// Connections that are made when needed; the `first` of them is used first.
    pub fn new(urls: &[String], first: usize) -> anyhow::Result<Self> {
        let connect = |url: &String| -> anyhow::Result<Channel> {
            Ok(Endpoint::from_shared(url.clone())?
                .connect_timeout(SECOND)
                .http2_keep_alive_interval(SECOND)
                .keep_alive_timeout(SECOND)
                .keep_alive_while_idle(true)
                .connect_lazy())
        };
        let channels = urls.iter().map(connect).collect::<Result<Vec<_>, _>>()?;
        anyhow::ensure!(!channels.is_empty(), "there is no coordinator to call");
        Ok(Self { current: first % channels.len(), channels })
    }

    /// Uses the next coordinator from now on.
    pub fn turn(&mut self) {
        self.current = (self.current + 1) % self.channels.len();
    }

    /// Workers' verbs.
    pub fn workers(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.channels[self.current].clone())
    }

    /// People's verbs.
    pub fn studies(&self) -> StudyServiceClient<Channel> {
        StudyServiceClient::new(self.channels[self.current].clone())
    }

    /// Makes a call until it is answered: with what was asked for, or with a refusal that another
    /// try would only repeat. Goes on to the next coordinator after each failure.
    pub async fn until_answered<T, F, C>(&mut self, mut call: C) -> Result<T, Status>
    where
        C: FnMut(&Caller) -> F,
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let mut wait = Duration::from_millis(50);
        loop {
            match call(self).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if !passes(&status) => return Err(status),
                Err(_) => {
                    self.turn();
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(SECOND);
                }
            }
        }
    }
}

/// Whether another try may help, by the rules of a worker.
pub fn passes(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Unknown
            | Code::Internal
    )
}

/// A request that is given up after a while.
pub fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}
