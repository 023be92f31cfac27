//! The database is away for a while, and comes back.

use std::{path::Path, sync::Arc, time::Duration};

use proto::v1::Algorithm;
use tokio::time::{Instant, sleep};

use super::{
    city::{City, Plan, now},
    drain::drain,
    fault::Kind,
    fleet::Manner,
    order::order,
    proxy::Trouble,
    pulse::Pulse,
    tally::Tally,
    verdict,
    wanted::Wanted,
    watch::{Health, health},
};
use crate::space::{eight_switches, external, small_networks};

/// Trials of the study under load.
const TRIALS: u32 = 240;

/// Results that are in when the database goes.
const BEFORE: i64 = 30;

/// How soon a coordinator has to say that it does not serve. It asks the database every two seconds
/// and gives it three to answer.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// How soon it has to say that it serves again: the database replays its log first.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// Kills the database and keeps it away, under load; half of the time nothing can even connect.
///
/// # Errors
///
/// If the harness itself cannot go on.
pub async fn outage(
    folder: &Path,
    seed: u64,
    away: Duration,
    workers: usize,
) -> anyhow::Result<Tally> {
    let manner = Manner { work_ms_min: 50, work_ms_max: 300, plain: true };
    let plan = Plan { seed, replicas: 2, workers, manner, trainer: true };
    let city = City::start(folder, plan).await?;
    let wanted = Wanted::default();
    let mut spec = external("under-load", eight_switches(), TRIALS);
    spec.algorithm = Algorithm::Random.into();
    order(&city, &wanted, spec).await?;
    order(&city, &wanted, small_networks("networks", 4)).await?;
    let pulse = Pulse::start(&city).await?;
    until_results(&city, BEFORE).await?;

    let mut tally = Tally::default();
    let from = now();
    let begun = Instant::now();
    city.postgres.hold_down();
    let told = until_all(&city, Health::NotServing, TOLD_WITHIN).await;
    tally
        .must(told, || format!("not every coordinator said within {TOLD_WITHIN:?} that it is out"));
    tally.seconds("seconds until every coordinator said that it does not serve", begun.elapsed());
    sleep((away / 2).saturating_sub(begun.elapsed())).await;
    for replica in &city.replicas {
        replica.back.suffer(Trouble { closed: true, ..Trouble::default() });
    }
    sleep(away.saturating_sub(begun.elapsed())).await;
    let out = until_all(&city, Health::NotServing, Duration::from_secs(4)).await;
    tally.must(out, || "a coordinator said that it serves without a database".into());

    let back = Instant::now();
    city.postgres.release();
    for replica in &city.replicas {
        replica.back.heal();
    }
    let serves = until_all(&city, Health::Serving, BACK_WITHIN).await;
    tally.must(serves, || format!("not every coordinator serves again within {BACK_WITHIN:?}"));
    tally.seconds("seconds until every coordinator served again", back.elapsed());
    city.note(Kind::PostgresKilled, from, None);
    tally.seconds("seconds without a database", begun.elapsed());

    finish(&city, &wanted, &pulse, &mut tally).await?;
    Ok(tally)
}

/// Waits until all is done, and judges.
pub(super) async fn finish(
    city: &Arc<City>,
    wanted: &Wanted,
    pulse: &Pulse,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let pool = match drain(city).await {
        Ok((pool, _)) => pool,
        Err(left) => {
            tally.violations.push(format!("{left:#}"));
            city.postgres.pool().await?
        }
    };
    city.rest();
    tally.number("hiccups of the machine itself", pulse.hiccups().len());
    verdict::judge(city, &pool, wanted, &pulse.hiccups(), tally).await?;
    pool.close().await;
    Ok(())
}

/// Waits until there are so many results.
pub(super) async fn until_results(city: &City, wanted: i64) -> anyhow::Result<()> {
    let pool = city.postgres.pool().await?;
    loop {
        let results: i64 =
            sqlx::query_scalar("select count(*) from result").fetch_one(&pool).await?;
        if results >= wanted {
            pool.close().await;
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Whether every coordinator comes to say this of itself in time.
async fn until_all(city: &City, wanted: Health, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let mut all = true;
        for replica in &city.replicas {
            all = all && health(replica).await == wanted;
        }
        if all || Instant::now() > deadline {
            return all;
        }
        sleep(Duration::from_millis(100)).await;
    }
}
