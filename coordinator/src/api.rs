//! The wire: services, limits, health and reflection. Nothing outside this folder and `error.rs`
//! names a gRPC status.

mod admission;
mod artifacts;
mod convert;
mod enqueue;
mod import;
mod insight;
mod leases;
mod once;
mod steering;
mod studies;
mod watch;
mod workers;

use std::future::Future;

use proto::v1::{
    artifact_service_server::ArtifactServiceServer, study_service_server::StudyServiceServer,
    worker_service_server::WorkerServiceServer,
};
use tonic::{Status, service::Routes};

pub use admission::{Admission, Caller};

use crate::{
    Error,
    limits::{MESSAGE_BYTES_MAX, REPLY_BYTES_MAX},
    scheduler::Scheduler,
    storage,
};

/// All services, the standard health service (`health`) and server reflection. Artifacts of more than
/// `artifact_bytes_max` bytes are refused.
pub fn routes(
    scheduler: Scheduler,
    health: tonic_health::server::HealthService,
    artifact_bytes_max: u64,
) -> Routes {
    let studies = StudyServiceServer::new(studies::Studies::new(scheduler.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(REPLY_BYTES_MAX);
    let leases = WorkerServiceServer::new(leases::Leases::new(scheduler.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(REPLY_BYTES_MAX);
    let artifacts =
        ArtifactServiceServer::new(artifacts::Artifacts::new(scheduler, artifact_bytes_max))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors decode because the build made them")
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let health = tonic_health::pb::health_server::HealthServer::new(health)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    Routes::new(health)
        .add_service(studies)
        .add_service(leases)
        .add_service(artifacts)
        .add_service(reflection)
}

/// Runs a deed on a task of its own. A client that hangs up drops its request's future at any
/// `await`; the deed goes on to its commit all the same, or until the database has not answered for
/// too long.
async fn detached<T: Send + 'static>(
    deed: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Status> {
    detached_for_long(storage::in_time(deed)).await
}

/// The same for a deed that bounds its time itself.
async fn detached_for_long<T: Send + 'static>(
    deed: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(deed).await {
        Ok(outcome) => outcome.map_err(Status::from),
        Err(panic) => {
            let cause: &dyn std::error::Error = &panic;
            tracing::error!(error = cause, "a request broke");
            Err(Status::internal("the request broke the coordinator; its log says how"))
        }
    }
}
