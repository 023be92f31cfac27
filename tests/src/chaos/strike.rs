//! The deed of one fault, from its begin to its end.

use std::{sync::Arc, time::Duration};

use rustix::process::Signal;
use sqlx::Connection as _;
use tokio::time::sleep;

use super::{
    city::{City, now},
    fault::Kind,
    schedule::Fault,
    storm,
};

/// Breaks something and, after its span, mends it.
///
/// # Errors
///
/// If the harness was not able to: then nothing was tested.
pub async fn strike(city: Arc<City>, fault: Fault) -> anyhow::Result<()> {
    let from = now();
    let Fault { kind, which, span, .. } = fault;
    let mut worker_id = None;
    match kind {
        Kind::WorkerKilled => worker_id = city.fleet.kill(which),
        Kind::WorkerStopped => {
            worker_id = city.fleet.signal(which, Signal::STOP);
            sleep(span).await;
            city.fleet.signal(which, Signal::CONT);
        }
        Kind::TrainerKilled => {
            city.trainer.iter().for_each(|trainer| trainer.kill());
        }
        Kind::TrainerStopped => {
            city.trainer.iter().for_each(|trainer| trainer.signal(Signal::STOP));
            sleep(span).await;
            city.trainer.iter().for_each(|trainer| trainer.signal(Signal::CONT));
        }
        Kind::SpoolFull => {
            city.trainer.iter().try_for_each(|trainer| trainer.starve())?;
            sleep(span).await;
            city.trainer.iter().try_for_each(|trainer| trainer.feed())?;
        }
        Kind::CoordinatorKilled => city.replica(which).kill(),
        Kind::CoordinatorStopped => {
            city.replica(which).signal(Signal::STOP);
            sleep(span).await;
            city.replica(which).signal(Signal::CONT);
        }
        Kind::PostgresKilled => city.postgres.kill(),
        Kind::DiskFull => {
            city.postgres.starve()?;
            sleep(span).await;
            city.postgres.feed()?;
        }
        Kind::LocksHeld => hold_locks(&city, span).await,
        Kind::SessionsEnded => end_sessions(&city).await,
        Kind::ConnectionStorm => storm::connections(&city.replica(which).front, span).await,
        Kind::AskerStorm => storm::askers(&city.replica(which).url(), span).await,
        Kind::FrontDelayed
        | Kind::FrontTorn
        | Kind::FrontHalfOpen
        | Kind::FrontForgetful
        | Kind::FrontClosed => {
            let front = &city.replica(which).front;
            front.suffer(kind.trouble().unwrap_or_default());
            sleep(span).await;
            front.heal();
        }
        Kind::BackDelayed
        | Kind::BackTorn
        | Kind::BackHalfOpen
        | Kind::BackForgetful
        | Kind::BackClosed => {
            let back = &city.replica(which).back;
            back.suffer(kind.trouble().unwrap_or_default());
            sleep(span).await;
            back.heal();
        }
    }
    city.note(kind, from, worker_id);
    Ok(())
}

/// Mends everything that a strike can have left behind.
///
/// # Errors
///
/// If a full disk stays full.
pub fn mend(city: &City) -> anyhow::Result<()> {
    for replica in &city.replicas {
        replica.signal(Signal::CONT);
        replica.front.heal();
        replica.back.heal();
    }
    for which in 0..city.plan.workers {
        city.fleet.signal(u64::try_from(which).expect("fits"), Signal::CONT);
    }
    if let Some(trainer) = &city.trainer {
        trainer.signal(Signal::CONT);
        trainer.feed()?;
    }
    city.postgres.feed()?;
    city.postgres.release();
    Ok(())
}

/// A session that has locked some trials, their leases and their studies, and goes to sleep.
async fn hold_locks(city: &City, span: Duration) {
    // Without a database nobody holds a lock in it; so with each statement that fails below.
    let Ok(pool) = city.postgres.pool().await else { return };
    if let Ok(mut connection) = pool.acquire().await
        && let Ok(mut tx) = connection.begin().await
    {
        for statement in [
            "select from trial where state in ('queued', 'running')
              order by random() limit 10 for update skip locked",
            "select from lease order by random() limit 5 for update skip locked",
            "select from study where state = 'active' limit 2 for update skip locked",
        ] {
            let _refused = sqlx::query(statement).execute(&mut *tx).await;
        }
        let _cut =
            sqlx::query("select pg_sleep($1)").bind(span.as_secs_f64()).execute(&mut *tx).await;
    }
    pool.close().await;
}

async fn end_sessions(city: &City) {
    let Ok(pool) = city.postgres.pool().await else { return };
    let _away = sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'strop-coordinator' and pid % 2 = (random() < 0.5)::int",
    )
    .execute(&pool)
    .await;
    pool.close().await;
}
