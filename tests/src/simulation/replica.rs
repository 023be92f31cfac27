//! A coordinator in this process: all of its verbs, without a socket, a reaper or anything else that
//! would act by itself.

use std::time::Duration;

use coordinator::{api, scheduler::Scheduler, storage};
use proto::v1::{
    study_service_client::StudyServiceClient, worker_service_client::WorkerServiceClient,
};
use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::{HealthReporter, HealthService};

use super::model::LEASE_SECONDS;

/// One coordinator.
#[derive(Clone)]
pub struct Replica {
    pub people: StudyServiceClient<Routes>,
    pub workers: WorkerServiceClient<Routes>,
    pub pool: PgPool,
    scheduler: Scheduler,
}

impl Replica {
    /// A coordinator on a database. Its sessions come and go as those of a real one do.
    pub fn new(options: PgConnectOptions) -> Self {
        let pool = storage::pool(options);
        let ttl = Duration::from_secs(LEASE_SECONDS.unsigned_abs());
        let scheduler = Scheduler::new(pool.clone(), ttl, CancellationToken::new());
        let health = HealthService::from_health_reporter(HealthReporter::new());
        let routes = api::routes(scheduler.clone(), health, 1 << 20);
        Self {
            people: StudyServiceClient::new(routes.clone()),
            workers: WorkerServiceClient::new(routes),
            pool,
            scheduler,
        }
    }

    /// Ends what it has begun.
    pub async fn stop(&self) {
        self.scheduler.stop().cancel();
        self.scheduler.tasks().close();
        self.scheduler.tasks().wait().await;
        self.pool.close().await;
    }
}
