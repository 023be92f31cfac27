//! What people ask a study's posterior. Computed for the call, on a thread of its own.

use std::sync::Arc;

use proto::v1 as wire;
use tokio::sync::Semaphore;

use super::convert;
use crate::{
    Error,
    error::Doing as _,
    limits::POSTERIORS_ASKED_AT_ONCE_MAX,
    scheduler::{Scheduler, believed::Believed},
    storage::{in_time, posterior, studies},
};

/// The way to the posteriors. Cheap to clone.
#[derive(Clone)]
pub(super) struct Insights {
    scheduler: Scheduler,
    permits: Arc<Semaphore>,
}

impl Insights {
    pub(super) fn new(scheduler: Scheduler) -> Self {
        Self { scheduler, permits: Arc::new(Semaphore::new(POSTERIORS_ASKED_AT_ONCE_MAX)) }
    }

    pub(super) async fn importance(&self, study: &str) -> Result<wire::Importance, Error> {
        self.ask(study, |believed| {
            let (horizon, importance) = (believed.horizon(), believed.importance());
            Ok(convert::importance_to_wire(believed.space(), horizon, &importance))
        })
        .await
    }

    pub(super) async fn calibration(&self, study: &str) -> Result<wire::Calibration, Error> {
        self.ask(study, |believed| {
            Ok(convert::calibration_to_wire(believed.horizon(), &believed.calibration()?))
        })
        .await
    }

    pub(super) async fn dependence(
        &self,
        request: wire::GetDependenceRequest,
    ) -> Result<wire::GetDependenceResponse, Error> {
        let wire::GetDependenceRequest { study, parameter } = request;
        self.ask(&study.clone(), move |believed| {
            let space = believed.space();
            let places = match parameter.as_str() {
                "" => 0..space.parameters().len(),
                name => {
                    let place = convert::place(&study, space, name)?;
                    place..place + 1
                }
            };
            let dependences =
                places.map(|place| convert::dependence_to_wire(space, &believed.dependence(place)));
            let dependences = dependences.collect();
            let horizon = believed.horizon().unsigned_abs();
            Ok(wire::GetDependenceResponse { horizon, dependences })
        })
        .await
    }

    /// Reads a study's posterior and asks it something.
    async fn ask<T: Send + 'static>(
        &self,
        study: &str,
        question: impl FnOnce(&Believed) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            Error::Busy("as many questions to posteriors as may be are under way; ask again")
        })?;
        let pool = self.scheduler.pool();
        let read = in_time(async {
            let mut connection = pool.acquire().await.doing("reach the database")?;
            let study = studies::by_name(&mut connection, study).await?;
            drop(connection);
            // The posterior first: what it was fitted to is then in the snapshot.
            let stored = posterior::load(pool, study.study_id).await?;
            Ok((posterior::snapshot(pool, study.study_id).await?, stored, study))
        });
        let (snapshot, stored, study) = read.await?;
        let name = study.spec.name;
        let snapshot = snapshot.ok_or(Error::StudyNotFound { name })?;
        tokio::task::spawn_blocking(move || {
            // A client that hangs up does not stop the computing: the permit goes with that.
            let _permit = permit;
            question(&Believed::of(&snapshot, stored)?)
        })
        .await
        .map_err(|panic| Error::Plan(panic.to_string()))?
    }
}
