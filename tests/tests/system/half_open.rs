//! The other end vanishes without a word: bytes disappear, and no connection breaks.

use std::time::Duration;

use tests::{
    Hand, Town,
    chaos::{
        dice::Dice,
        proxy::{Proxy, Trouble},
    },
    space::{eight_switches, external},
};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

/// A statement may take ten seconds and the wait for a connection three; the rest is for a busy
/// machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// More than a coordinator has connections.
const HANDS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_vanishes_is_told_as_unavailable_and_its_connections_are_replaced() {
    let town = Town::new().await;
    let proxy = Proxy::start(town.upstream(), Dice::new(1, "back")).await.unwrap();
    let coordinator = town.coordinator_behind(&proxy).await;
    coordinator.create(external("vanished", eight_switches(), 60)).await;
    let mut leased = Vec::new();
    for _ in 0..HANDS {
        let mut hand = coordinator.hand();
        let lease = hand.lease().await;
        leased.push((hand, lease));
    }

    // Every connection waits for an answer of the database when that vanishes.
    let mut tx = town.pool.begin().await.unwrap();
    sqlx::query("select from trial for update").execute(&mut *tx).await.unwrap();
    let reports = leased.clone().into_iter().map(|(mut hand, lease)| {
        tokio::spawn(async move { timeout(ANSWERED_WITHIN, hand.complete(&lease, 0.5)).await })
    });
    let reports: Vec<_> = reports.collect();
    town.until("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()", 16)
        .await;
    proxy.suffer(Trouble { swallowed: true, ..Trouble::default() });
    tx.rollback().await.unwrap();
    for report in reports {
        let answer = report.await.unwrap().expect("every report is answered in time");
        assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    }
    // So is who comes later.
    let mut late: Hand = coordinator.hand();
    let asked_at = Instant::now();
    assert_eq!(late.ask(Duration::ZERO).await.unwrap_err().code(), Code::Unavailable);
    assert!(asked_at.elapsed() < ANSWERED_WITHIN);

    // New connections find the database again; the old ones stay black holes, and are not missed.
    proxy.heal();
    let deadline = Instant::now() + ANSWERED_WITHIN;
    for (mut hand, lease) in leased {
        while let Err(status) = hand.complete(&lease, 0.5).await {
            assert_eq!(status.code(), Code::Unavailable);
            assert!(Instant::now() < deadline, "the pool has not recovered: {status}");
            sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(town.number("select count(*) from result").await, HANDS as i64);
    let at_once: Vec<_> = (0..HANDS)
        .map(|_| {
            let mut hand = coordinator.hand();
            tokio::spawn(async move { hand.ask(Duration::ZERO).await.map(drop) })
        })
        .collect();
    for asked in at_once {
        asked.await.unwrap().expect("the whole pool is there again");
    }
    coordinator.stop().await;
}
