//! [`Client`]: the worker's calls, and what each kind of answer means for a worker.
//!
//! Whether a call is repeated is decided here and only here. Every call of the protocol may be
//! repeated with the same content, so the question is only whether it can help.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use proto::v1;
use proto::v1::artifact_service_client::ArtifactServiceClient;
use proto::v1::worker_service_client::WorkerServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::artifacts::{self, Incoming};
use crate::backoff::Backoff;
use crate::checkpoints::Checkpoint;
use crate::report::{Answer, Report};

/// A connection that is not made by then is given up; the next call tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Without pings a connection whose other end vanished looks alive for minutes: the call hangs,
/// and so does the next. These two bound that to ten seconds.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_ANSWER: Duration = Duration::from_secs(5);

/// Deadline of a call that is answered at once.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How long the coordinator may hold a Lease call while there is no work.
pub const LEASE_WAIT: Duration = Duration::from_secs(20);

/// Deadline of storing or fetching a checkpoint: as long as a coordinator bears with one.
pub const ARTIFACT_DEADLINE: Duration = Duration::from_secs(120);

/// Why a call gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The trial was handed on or has ended. Drop the work and ask for another.
    #[error("the lease no longer holds: {reason}")]
    LeaseLost {
        /// The coordinator's sentence.
        reason: String,
    },
    /// The coordinator, its database or the way to it is down or overloaded. Try again later.
    #[error("the coordinator is away: {reason}")]
    Away {
        /// The status and what lies under it, on one line.
        reason: String,
    },
    /// The coordinator understood and says no; the same call would get the same answer.
    #[error("the coordinator refuses the call {call}: {reason}")]
    Refused {
        /// The call's name in the protocol.
        call: &'static str,
        /// The status, on one line.
        reason: String,
    },
}

impl CallError {
    fn new(call: &'static str, status: &Status) -> CallError {
        match status.code() {
            Code::Aborted => CallError::LeaseLost { reason: status.message().to_owned() },
            // A deadline that passes on this side reads CANCELLED, not DEADLINE_EXCEEDED; a
            // connection that breaks in mid-call reads UNKNOWN; INTERNAL is what the coordinator
            // says when its database failed it.
            Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Unknown
            | Code::Internal => CallError::Away { reason: one_line(status) },
            _ => CallError::Refused { call, reason: one_line(status) },
        }
    }
}

/// A status as `CODE: message: cause: cause`. Its own text would repeat its fields.
fn one_line(status: &Status) -> String {
    let line = format!("{:?}: {}", status.code(), status.message());
    match status.source() {
        Some(cause) => format!("{line}: {}", crate::one_line::one_line(cause)),
        None => line,
    }
    .replace(['\n', '\r'], " ")
}

/// A connection to the coordinator that makes and mends itself. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    service: WorkerServiceClient<Channel>,
    artifacts: ArtifactServiceClient<Channel>,
}

impl Client {
    /// A client for the coordinator at `address`; the connection is made by the first call.
    ///
    /// Must be called inside the tokio runtime that will drive the connection.
    pub fn connect_when_needed(address: Endpoint) -> Client {
        let channel = address
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Client {
            service: WorkerServiceClient::new(channel.clone()),
            artifacts: ArtifactServiceClient::new(channel),
        }
    }

    /// Asks for a trial. Held open by the coordinator for up to the request's `wait`.
    ///
    /// # Errors
    ///
    /// [`CallError`], as of every call here.
    pub async fn lease(&self, request: v1::LeaseRequest) -> Result<v1::LeaseResponse, CallError> {
        let request = with_deadline(request, LEASE_WAIT + CALL_DEADLINE);
        answer("Lease", self.service.clone().lease(request).await)
    }

    /// Renews a lease, with a deadline of its own: a renewal that comes too late is none.
    pub async fn heartbeat(
        &self,
        request: v1::HeartbeatRequest,
        deadline: Duration,
    ) -> Result<v1::HeartbeatResponse, CallError> {
        let request = with_deadline(request, deadline);
        answer("Heartbeat", self.service.clone().heartbeat(request).await)
    }

    /// Adds metrics of the running attempt.
    pub async fn report_metrics(
        &self,
        request: v1::ReportMetricsRequest,
    ) -> Result<v1::ReportMetricsResponse, CallError> {
        let request = with_deadline(request, CALL_DEADLINE);
        answer("ReportMetrics", self.service.clone().report_metrics(request).await)
    }

    /// Stores the state of a training with the coordinator, once; `false` if that has a later one of
    /// the same attempt already.
    pub async fn put(
        &self,
        lease: v1::LeaseRef,
        checkpoint: Arc<Checkpoint>,
    ) -> Result<bool, CallError> {
        let messages = off_thread(|| artifacts::requests(lease, checkpoint)).await;
        let request = with_deadline(tokio_stream::iter(messages), ARTIFACT_DEADLINE);
        answer("Put", self.artifacts.clone().put(request).await).map(|response| response.is_newest)
    }

    /// Fetches the state of a training, once, and makes sure that it is what was stored.
    ///
    /// # Errors
    ///
    /// [`CallError`]; one that came damaged counts as refused.
    pub async fn get(&self, checkpoint: &v1::Checkpoint) -> Result<Checkpoint, CallError> {
        let failed = |status: &Status| CallError::new("Get", status);
        let damaged = |damage: artifacts::Damage| CallError::Refused {
            call: "Get",
            reason: format!("the artifact is damaged: {damage}"),
        };
        let v1::Checkpoint { epoch, sha256, bytes } = checkpoint.clone();
        let request = with_deadline(v1::GetRequest { sha256: sha256.clone() }, ARTIFACT_DEADLINE);
        let answer = self.artifacts.clone().get(request).await;
        let mut messages = answer.map_err(|status| failed(&status))?.into_inner();
        let mut incoming = Incoming::new(bytes).map_err(damaged)?;
        while let Some(message) = messages.message().await.map_err(|status| failed(&status))? {
            incoming.take(message).map_err(damaged)?;
        }
        let bytes = off_thread(move || incoming.whole(&sha256)).await.map_err(damaged)?;
        Ok(Checkpoint { epoch, bytes })
    }

    /// Sends a report once.
    pub async fn send(&self, report: &Report) -> Result<Answer, CallError> {
        let mut service = self.service.clone();
        match report.clone() {
            Report::Complete(request) => {
                let request = with_deadline(request, CALL_DEADLINE);
                answer("Complete", service.complete(request).await)
                    .map(|response| Answer::Recorded { duplicate: response.duplicate })
            }
            Report::Fail(request) => {
                let request = with_deadline(request, CALL_DEADLINE);
                answer("Fail", service.fail(request).await)
                    .map(|response| Answer::Failed { retried: response.retried })
            }
            Report::Release(request) => {
                let request = with_deadline(request, CALL_DEADLINE);
                answer("Release", service.release(request).await).map(|_| Answer::Released)
            }
        }
    }

    /// Sends a report, the very same each time, until the coordinator answers it.
    ///
    /// # Errors
    ///
    /// [`CallError::LeaseLost`] and [`CallError::Refused`], which are answers too; never
    /// [`CallError::Away`]. It waits for as long as it takes: drop the future to give up.
    pub async fn deliver(
        &self,
        report: &Report,
        backoff: &mut Backoff,
    ) -> Result<Answer, CallError> {
        let mut told = false;
        loop {
            match self.send(report).await {
                Err(CallError::Away { reason }) => {
                    if !told {
                        tracing::warn!(reason, "a report waits for the coordinator to return");
                        told = true;
                    }
                    tokio::time::sleep(backoff.wait()).await;
                }
                answered => {
                    backoff.reset();
                    return answered;
                }
            }
        }
    }
}

/// Hashing a large state would hold up whatever else the runtime's only thread waits for.
async fn off_thread<T: Send + 'static>(deed: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(deed).await.expect("hashing does not panic")
}

fn with_deadline<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

fn answer<T>(
    call: &'static str,
    answer: Result<tonic::Response<T>, Status>,
) -> Result<T, CallError> {
    answer.map(tonic::Response::into_inner).map_err(|status| CallError::new(call, &status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: Code) -> CallError {
        CallError::new("Complete", &Status::new(code, "why"))
    }

    #[test]
    fn only_a_passing_trouble_is_worth_another_try() {
        for code in [
            Code::Unavailable,
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Unknown,
            Code::Internal,
        ] {
            assert!(matches!(verdict(code), CallError::Away { .. }), "{code:?}");
        }
        for code in [
            Code::InvalidArgument,
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::Unimplemented,
            Code::NotFound,
            Code::FailedPrecondition,
        ] {
            assert!(matches!(verdict(code), CallError::Refused { .. }), "{code:?}");
        }
        assert_eq!(verdict(Code::Aborted), CallError::LeaseLost { reason: "why".into() });
    }

    #[test]
    fn a_refusal_reads_as_one_line_that_names_the_call() {
        let error = CallError::new("Lease", &Status::invalid_argument("slot is\nmissing"));
        assert_eq!(
            error.to_string(),
            "the coordinator refuses the call Lease: InvalidArgument: slot is missing"
        );
    }
}
