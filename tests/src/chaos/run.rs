//! Everything breaks at once, for a while; then everything must be well.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    city::{City, Plan},
    drain::drain,
    fleet::Manner,
    people::People,
    pulse::Pulse,
    schedule,
    tally::Tally,
    tormentor::torment,
    verdict,
    wanted::Wanted,
    watch::Watch,
};

/// How long people and workers have before the first fault, to get going.
const QUIET: Duration = Duration::from_secs(2);

/// Breaks everything for `length` and judges what is left.
///
/// # Errors
///
/// If the harness itself cannot go on. What the system did wrong stands in the tally.
pub async fn run(
    folder: &Path,
    seed: u64,
    length: Duration,
    replicas: usize,
    workers: usize,
) -> anyhow::Result<Tally> {
    let manner = Manner { work_ms_min: 20, work_ms_max: 120, plain: false };
    let city = City::start(folder, Plan { seed, replicas, workers, manner, trainer: true }).await?;
    let watch = Watch::start(&city);
    let pulse = Pulse::start(&city).await?;
    let wanted = Arc::new(Wanted::default());
    let stop = CancellationToken::new();
    let people = tokio::spawn(People::new(&city, &wanted)?.live(stop.clone()));
    tokio::time::sleep(QUIET).await;

    let faults = schedule::draw(seed, length);
    torment(&city, faults, length).await?;
    stop.cancel();
    people.await??;

    let mut tally = Tally::default();
    tally.seconds("seconds of faults", length);
    for (kind, count) in city.strikes() {
        tally.number(kind.name(), count);
    }
    let (pool, drained_in) = match drain(&city).await {
        Ok(drained) => drained,
        Err(left) => {
            tally.violations.push(format!("{left:#}"));
            (city.postgres.pool().await?, Duration::ZERO)
        }
    };
    // Workers may still be repeating their last report.
    tokio::time::sleep(QUIET).await;
    city.rest();
    tally.seconds("seconds until all was done", drained_in);
    tally.seconds("longest time in which no coordinator served", watch.longest_outage());
    tally.number("hiccups of the machine itself", pulse.hiccups().len());
    let unwell = [pulse.hiccups(), watch.shortages()].concat();
    let struck = city.struck().into_iter().map(|struck| format!("{struck:?}\n"));
    std::fs::write(folder.join("struck.txt"), struck.collect::<String>())?;
    verdict::judge(&city, &pool, &wanted, &unwell, &mut tally).await?;
    pool.close().await;
    Ok(tally)
}
