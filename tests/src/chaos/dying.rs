//! Workers die one after the other, and nothing else goes wrong.

use std::{path::Path, time::Duration};

use proto::v1::Algorithm;
use tokio::time::sleep;

use super::{
    city::{City, Plan, now},
    dice::Dice,
    fault::Kind,
    fleet::Manner,
    order::order,
    outage::{finish, until_results},
    pulse::Pulse,
    tally::Tally,
    wanted::Wanted,
};
use crate::space::{external, float};

/// How it goes.
#[derive(Clone, Copy, Debug)]
pub struct Dying {
    /// Trials to be done.
    pub trials: u32,
    /// How long each takes.
    pub work: Duration,
    /// Workers that do them.
    pub workers: usize,
    /// Time from one death to the next.
    pub pace: Duration,
}

/// Kills workers until all trials are done.
///
/// # Errors
///
/// If the harness itself cannot go on.
pub async fn dying(folder: &Path, seed: u64, how: Dying) -> anyhow::Result<Tally> {
    let ms = u64::try_from(how.work.as_millis()).unwrap_or(u64::MAX);
    let manner = Manner { work_ms_min: ms, work_ms_max: ms, plain: true };
    let plan = Plan { seed, replicas: 2, workers: how.workers, manner, trainer: false };
    let city = City::start(folder, plan).await?;
    let wanted = Wanted::default();
    let space = proto::v1::Space { parameters: vec![float("x", 0.0, 1.0)] };
    let mut spec = external("dying", space, how.trials);
    spec.algorithm = Algorithm::Random.into();
    order(&city, &wanted, spec).await?;
    let pulse = Pulse::start(&city).await?;
    until_results(&city, 1).await?;

    let mut dice = Dice::new(seed, "deaths");
    let pool = city.postgres.pool().await?;
    loop {
        let done: bool = sqlx::query_scalar("select bool_and(state = 'completed') from study")
            .fetch_one(&pool)
            .await?;
        if done {
            break;
        }
        let from = now();
        let worker_id = city.fleet.kill(dice.next());
        city.note(Kind::WorkerKilled, from, worker_id);
        sleep(how.pace).await;
    }
    pool.close().await;
    let mut tally = Tally::default();
    tally.number(Kind::WorkerKilled.name(), city.strikes()[&Kind::WorkerKilled]);
    finish(&city, &wanted, &pulse, &mut tally).await?;
    Ok(tally)
}
