//! Worker processes that have called, and those that are to go.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::{Doing as _, Error},
    limits::{UNFIT_FAILURES, UNFIT_WITHIN, WORKERS_LISTED_MAX},
    trial::{Asker, FailureClass, LeaseRef},
    worker::{DrainOrder, Worker, WorkerState},
};

/// How long after its last call a worker is noted as seen again, in seconds: 10,000 that wait would else
/// be 500 writes a second.
const SEEN_EVERY_S: f64 = 120.0;

/// The fewest characters of an id that name a worker. Taste.
const ID_CHARACTERS_MIN: usize = 8;

/// What is known of a worker that calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has never called before, and so holds no lease.
    New,
    /// It has.
    Known,
    /// It is to go.
    Drained(DrainOrder),
}

/// Enters a worker at its first call and notes later ones now and then.
pub async fn register(db: &mut PgConnection, asker: &Asker) -> Result<Standing, Error> {
    let known: Option<(Option<String>, bool)> = sqlx::query_as(
        "-- workers::register
        with known as (
            select drained_because, is_unfit, seen_at from worker where worker_id = $1),
        added as (
            insert into worker (worker_id, label, device)
            select $1, $2, $3 where not exists (select from known)
                on conflict (worker_id) do nothing),
        seen as (
            update worker w
               set seen_at = clock_timestamp()
              from known
             where w.worker_id = $1
               and known.seen_at < clock_timestamp() - make_interval(secs => $4))
        select drained_because, is_unfit from known",
    )
    .bind(asker.worker_id)
    .bind(&asker.label)
    .bind(&asker.device)
    .bind(SEEN_EVERY_S)
    .fetch_optional(db)
    .await
    .doing("register a worker")?;
    Ok(match known {
        None => Standing::New,
        Some((reason, is_unfit)) => {
            DrainOrder::of(reason, is_unfit).map_or(Standing::Known, Standing::Drained)
        }
    })
}

/// Counts a failure of an attempt against its worker if it looks like the machine's; true if that was one
/// too many and the worker is now to go. In the transaction that recorded the failure.
pub async fn count_against(
    db: &mut PgConnection,
    fence: &LeaseRef,
    class: FailureClass,
) -> Result<bool, Error> {
    if !class.is_machines() {
        return Ok(false);
    }
    let minutes = UNFIT_WITHIN.as_secs() / 60;
    let reason = format!(
        "{UNFIT_FAILURES} trials have failed on its machine within {minutes} minutes, the last with class {}",
        class.as_str()
    );
    let drained = sqlx::query(
        "-- workers::count_against
        update worker w
           set drained_because = $6, is_unfit = true, drained_at = clock_timestamp()
          from attempt a
         where a.trial_id = $1 and a.attempt = $2 and a.lease_id = $3
           and w.worker_id = a.worker_id
           and w.drained_because is null
           and (select count(*) from attempt f
                 where f.worker_id = w.worker_id
                   and f.failure_class in ('data', 'device_lost')
                   and f.ended_at > greatest(w.failures_count_from,
                                             clock_timestamp() - make_interval(secs => $4))) >= $5",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(UNFIT_WITHIN.as_secs_f64())
    .bind(UNFIT_FAILURES)
    .bind(reason)
    .execute(db)
    .await
    .doing("count a failure against its worker")?;
    Ok(drained.rows_affected() == 1)
}

#[derive(sqlx::FromRow)]
struct Row {
    worker_id: Uuid,
    label: String,
    device: String,
    state: String,
    running: i64,
    drained_because: Option<String>,
    is_unfit: bool,
    registered_at: OffsetDateTime,
    seen_at: OffsetDateTime,
}

impl From<Row> for Worker {
    fn from(row: Row) -> Self {
        Worker {
            worker_id: row.worker_id,
            label: row.label,
            device: row.device,
            state: WorkerState::of(&row.state),
            running: row.running,
            drained: DrainOrder::of(row.drained_because, row.is_unfit),
            registered_at: row.registered_at,
            seen_at: row.seen_at,
        }
    }
}

/// Workers, the newest first.
pub async fn list(db: &mut PgConnection, with_gone: bool) -> Result<Vec<Worker>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "-- workers::list
        select worker_id, label, device, state, running, drained_because, is_unfit, registered_at, seen_at
          from v1.workers
         where $1 or state <> 'gone'
         order by registered_at desc, worker_id
         limit $2",
    )
    .bind(with_gone)
    .bind(WORKERS_LISTED_MAX)
    .fetch_all(db)
    .await
    .doing("list workers")?;
    Ok(rows.into_iter().map(Worker::from).collect())
}

/// The workers that a label or an id means and that are not gone.
///
/// # Errors
///
/// [`Error::WorkerNotFound`] if there is none.
pub async fn named(db: &mut PgConnection, name: &str) -> Result<Vec<Worker>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "-- workers::named
        select worker_id, label, device, state, running, drained_because, is_unfit, registered_at, seen_at
          from v1.workers
         where state <> 'gone'
           and (label = $1 or $2 and starts_with(worker_id::text, lower($1)))
         order by registered_at desc, worker_id
         limit $3",
    )
    .bind(name)
    .bind(name.len() >= ID_CHARACTERS_MIN)
    .bind(WORKERS_LISTED_MAX)
    .fetch_all(db)
    .await
    .doing("look for a worker")?;
    match rows.is_empty() {
        true => Err(Error::WorkerNotFound { name: name.to_owned() }),
        false => Ok(rows.into_iter().map(Worker::from).collect()),
    }
}

/// Workers by their ids, in the order of [`list`].
pub async fn by_ids(db: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Worker>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "-- workers::by_ids
        select worker_id, label, device, state, running, drained_because, is_unfit, registered_at, seen_at
          from v1.workers
         where worker_id = any ($1)
         order by registered_at desc, worker_id",
    )
    .bind(ids)
    .fetch_all(db)
    .await
    .doing("read workers")?;
    Ok(rows.into_iter().map(Worker::from).collect())
}

/// Sends workers away, for a reason; those that are to go already keep theirs.
pub async fn drain(db: &mut PgConnection, ids: &[Uuid], reason: &str) -> Result<(), Error> {
    sqlx::query(
        "-- workers::drain
        update worker
           set drained_because = $2, drained_at = clock_timestamp()
         where worker_id = any ($1) and drained_because is null",
    )
    .bind(ids)
    .bind(reason)
    .execute(db)
    .await
    .doing("send workers away")?;
    Ok(())
}

/// Lets workers stay after all. What their machines did before no longer counts.
pub async fn undrain(db: &mut PgConnection, ids: &[Uuid]) -> Result<(), Error> {
    sqlx::query(
        "-- workers::undrain
        update worker
           set drained_because = null, is_unfit = false, drained_at = null,
               failures_count_from = clock_timestamp()
         where worker_id = any ($1)",
    )
    .bind(ids)
    .execute(db)
    .await
    .doing("let workers stay")?;
    Ok(())
}
