//! Workers' verbs.

use std::time::Duration;

use proto::v1::{self as wire, worker_service_server::WorkerService};
use tonic::{Request, Response, Status};

use super::{convert, detached};
use crate::{
    limits::DETAIL_BYTES_MAX,
    scheduler::{Answer, Scheduler},
};

/// What a worker waits before it asks again once every study has ended: it is told so at once, and
/// not held, because it may want to go.
const IDLE_PAUSE: Duration = Duration::from_secs(2);

/// What a worker waits that was told to go and has asked again: it does not know the word, or a person may
/// take it back.
const DRAINED_PAUSE: Duration = Duration::from_secs(30);

/// The worker service of one replica.
pub struct Leases {
    scheduler: Scheduler,
}

impl Leases {
    pub fn new(scheduler: Scheduler) -> Self {
        Self { scheduler }
    }
}

#[tonic::async_trait]
impl WorkerService for Leases {
    async fn lease(
        &self,
        request: Request<wire::LeaseRequest>,
    ) -> Result<Response<wire::LeaseResponse>, Status> {
        let request = request.into_inner();
        let asker = convert::asker(&request)?;
        let wait = convert::wait(&request)?;
        // Not detached: one who hangs up must not be handed a trial. If the grant was on its way,
        // the same slot gets the same lease when it asks again.
        let response = match self.scheduler.lease(&asker, wait).await? {
            Answer::Lease(lease) => {
                wire::LeaseResponse { lease: Some(convert::granted(&lease)), ..Default::default() }
            }
            Answer::Nothing { idle } => {
                let pause = if idle { IDLE_PAUSE } else { Duration::ZERO };
                let retry_after = Some(convert::span(pause));
                wire::LeaseResponse { lease: None, retry_after, idle, drain: None }
            }
            Answer::Drained(order) => wire::LeaseResponse {
                lease: None,
                retry_after: Some(convert::span(DRAINED_PAUSE)),
                idle: false,
                drain: Some(convert::drain_to_wire(&order)),
            },
        };
        Ok(Response::new(response))
    }

    async fn heartbeat(
        &self,
        request: Request<wire::HeartbeatRequest>,
    ) -> Result<Response<wire::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        let fence = convert::fence(request.r#ref)?;
        let progress = convert::progress(request.progress);
        let renewed = self.scheduler.heartbeat(&fence, progress).await?;
        Ok(Response::new(wire::HeartbeatResponse {
            ttl: Some(convert::span(renewed.ttl)),
            directive: convert::directive_to_wire(renewed.directive),
            drain: renewed.drain.as_ref().map(convert::drain_to_wire),
        }))
    }

    async fn report_metrics(
        &self,
        request: Request<wire::ReportMetricsRequest>,
    ) -> Result<Response<wire::ReportMetricsResponse>, Status> {
        let request = request.into_inner();
        let resumed = convert::resumed(&request)?;
        let fence = convert::fence(request.r#ref)?;
        let progress = convert::progress(request.progress);
        let batch = convert::metrics(request.metrics)?;
        let scheduler = self.scheduler.clone();
        let directive =
            detached(async move { scheduler.report(&fence, &batch, progress, resumed).await })
                .await?;
        let directive = convert::directive_to_wire(directive);
        Ok(Response::new(wire::ReportMetricsResponse { directive }))
    }

    async fn complete(
        &self,
        request: Request<wire::CompleteRequest>,
    ) -> Result<Response<wire::CompleteResponse>, Status> {
        let request = request.into_inner();
        let report = convert::report(&request)?;
        let fence = convert::fence(request.r#ref)?;
        let scheduler = self.scheduler.clone();
        let duplicate = detached(async move { scheduler.complete(&fence, &report).await }).await?;
        Ok(Response::new(wire::CompleteResponse { duplicate }))
    }

    async fn fail(
        &self,
        request: Request<wire::FailRequest>,
    ) -> Result<Response<wire::FailResponse>, Status> {
        let request = request.into_inner();
        let fence = convert::fence(request.r#ref)?;
        let class = convert::failure_class(request.failure_class)?;
        let detail = cut(&request.detail);
        let scheduler = self.scheduler.clone();
        let retried = detached(async move { scheduler.fail(&fence, class, &detail).await }).await?;
        Ok(Response::new(wire::FailResponse { retried }))
    }

    async fn release(
        &self,
        request: Request<wire::ReleaseRequest>,
    ) -> Result<Response<wire::ReleaseResponse>, Status> {
        let request = request.into_inner();
        let fence = convert::fence(request.r#ref)?;
        let reason = cut(&request.reason);
        let scheduler = self.scheduler.clone();
        detached::<()>(async move { scheduler.release(&fence, &reason).await }).await?;
        Ok(Response::new(wire::ReleaseResponse {}))
    }
}

/// What Postgres can store of a text for people: no NUL, at most [`DETAIL_BYTES_MAX`] bytes.
fn cut(text: &str) -> String {
    let mut text = text.replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(DETAIL_BYTES_MAX));
    text
}
