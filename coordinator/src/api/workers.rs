//! People look at workers and send them away.

use proto::v1 as wire;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{convert, once::Once};
use crate::{
    Error,
    error::Doing as _,
    scheduler::Scheduler,
    storage::{self, workers},
    worker::Worker,
};

/// What is kept of an answer: whom it was about.
type Kept = Vec<Uuid>;

/// Workers, the newest first.
pub async fn list(scheduler: &Scheduler, with_gone: bool) -> Result<Vec<wire::Worker>, Error> {
    let mut connection = storage::read(scheduler.pool(), "list workers").await?;
    let workers = workers::list(&mut connection, with_gone).await?;
    Ok(workers.iter().map(convert::worker_to_wire).collect())
}

/// Sends workers away and answers how they stand then.
pub async fn drain(
    scheduler: &Scheduler,
    request: wire::DrainWorkersRequest,
) -> Result<Vec<wire::Worker>, Error> {
    let once = Once::of("DrainWorkers", &request.request_id, &request)?;
    let reason = convert::reason(&request.reason)?;
    let name = convert::worker_name(&request.worker)?;
    let mut tx = storage::begin(scheduler.pool(), "send workers away").await?;
    let ids = meant(&mut tx, &once, name).await?;
    if ids.is_new {
        workers::drain(&mut tx, &ids.ids, &reason).await?;
        tracing::info!(worker = name, count = ids.ids.len(), reason, "workers sent away");
    }
    let workers = answer(tx, &once, ids).await;
    scheduler.drained();
    workers
}

/// Lets workers stay after all and answers how they stand then.
pub async fn undrain(
    scheduler: &Scheduler,
    request: wire::UndrainWorkersRequest,
) -> Result<Vec<wire::Worker>, Error> {
    let once = Once::of("UndrainWorkers", &request.request_id, &request)?;
    let name = convert::worker_name(&request.worker)?;
    let mut tx = storage::begin(scheduler.pool(), "let workers stay").await?;
    let ids = meant(&mut tx, &once, name).await?;
    if ids.is_new {
        workers::undrain(&mut tx, &ids.ids).await?;
        tracing::info!(worker = name, count = ids.ids.len(), "workers may stay");
    }
    answer(tx, &once, ids).await
}

/// Whom a call is about.
struct Meant {
    ids: Kept,
    /// Whether it is not a repeated one.
    is_new: bool,
}

async fn meant(db: &mut PgConnection, once: &Once, name: &str) -> Result<Meant, Error> {
    match once.answered(db).await? {
        Some(kept) => {
            let ids = serde_json::from_slice(&kept)
                .map_err(|error| Error::Plan(format!("a kept answer does not read: {error}")))?;
            Ok(Meant { ids, is_new: false })
        }
        None => {
            let workers: Vec<Worker> = workers::named(db, name).await?;
            let ids = workers.iter().map(|worker| worker.worker_id).collect();
            Ok(Meant { ids, is_new: true })
        }
    }
}

async fn answer(
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    once: &Once,
    Meant { ids, is_new }: Meant,
) -> Result<Vec<wire::Worker>, Error> {
    if is_new {
        once.keep(&mut tx, &serde_json::to_vec(&ids).expect("ids are JSON")).await?;
    }
    let workers = workers::by_ids(&mut tx, &ids).await?;
    tx.commit().await.doing("change workers")?;
    Ok(workers.iter().map(convert::worker_to_wire).collect())
}
