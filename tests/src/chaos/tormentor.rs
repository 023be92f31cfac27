//! Carries out a schedule.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    city::City,
    schedule::Fault,
    strike::{mend, strike},
};

/// How late a fault may come.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Breaks things as the schedule says, several at a time, and mends them all after `length`.
///
/// # Errors
///
/// The first of those that the harness had in breaking and mending.
pub async fn torment(city: &Arc<City>, faults: Vec<Fault>, length: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut strikes = JoinSet::new();
    for fault in faults {
        sleep_until(begun + fault.at).await;
        // A harness that was stopped itself breaks nothing, and all would seem well.
        let late = begun.elapsed() - fault.at;
        ensure!(late < LATE_MAX, "the harness stood still for {late:.1?}: this run proves nothing");
        strikes.spawn(strike(Arc::clone(city), fault));
    }
    sleep_until(begun + length).await;
    while let Some(struck) = strikes.join_next().await {
        struck.expect("no strike panics")?;
    }
    mend(city)
}
