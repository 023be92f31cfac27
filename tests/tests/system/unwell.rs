//! A coordinator starts while its database is unwell.

use std::time::Duration;

use tests::{
    Town,
    chaos::{
        dice::Dice,
        proxy::{Proxy, Trouble},
    },
};
use tokio::time::{sleep, timeout};

/// How long a coordinator waits for its database, and a while.
const STARTS_WITHIN: Duration = Duration::from_secs(80);

async fn starts_despite(trouble: Trouble) {
    let town = Town::new().await;
    for seed in 0..3 {
        let proxy = Proxy::start(town.upstream(), Dice::new(seed, "back")).await.unwrap();
        proxy.suffer(trouble);
        let (coordinator, ()) =
            tokio::join!(timeout(STARTS_WITHIN, town.coordinator_behind(&proxy)), async {
                sleep(Duration::from_secs(3)).await;
                proxy.heal();
            });
        coordinator.expect("it waits for its database to be well").stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_starts_though_the_connections_to_its_database_break() {
    starts_despite(Trouble { lost_answers: 0.2, ..Trouble::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_starts_though_its_database_says_nothing_at_first() {
    starts_despite(Trouble { swallowed: true, ..Trouble::default() }).await;
}
