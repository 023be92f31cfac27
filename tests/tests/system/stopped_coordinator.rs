//! A coordinator stands still in the middle of a transaction.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use proto::v1::Lease;
use rustix::process::Signal;
use tests::{
    Hand,
    chaos::{
        city::{City, Plan},
        fleet::Manner,
        order::order,
        wanted::Wanted,
    },
    space::{eight_switches, external},
};
use tokio::time::{Instant, sleep};
use tonic::transport::Endpoint;

/// A session may sit idle in its transaction for ten seconds; the rest is for a busy machine.
const FREE_WITHIN: Duration = Duration::from_secs(25);

async fn until_recorded(hand: &mut Hand, lease: &Lease) {
    let begun = Instant::now();
    while let Err(status) = hand.complete(lease, 0.5).await {
        let taken = begun.elapsed();
        assert!(taken < FREE_WITHIN, "not recorded after {taken:?}: {status}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_stands_still_in_mid_transaction_loses_its_locks_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let manner = Manner { work_ms_min: 1, work_ms_max: 1, plain: true };
    let plan = Plan { seed: 1, replicas: 2, workers: 0, manner, trainer: false };
    let city = City::start(folder.path(), plan).await.unwrap();
    let wanted = Wanted::default();
    order(&city, &wanted, external("still", eight_switches(), 2)).await.unwrap();
    let hand = |which: usize| {
        let url = city.urls()[which].clone();
        Hand::new(&Endpoint::from_shared(url).unwrap().connect_lazy())
    };
    let (mut ada, mut ben) = (hand(0), hand(1));
    let (adas, bens) = (ada.lease().await, ben.lease().await);

    // Ada's report has locked her trial and waits for the study's row when its coordinator stops.
    let pool = city.postgres.pool().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("select from study for update").execute(&mut *tx).await.unwrap();
    let report = {
        let (mut ada, adas) = (ada.clone(), adas.clone());
        tokio::spawn(async move { ada.complete(&adas, 0.5).await })
    };
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(10);
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "the report does not wait for the study");
        sleep(Duration::from_millis(5)).await;
    }
    city.replicas[0].signal(Signal::STOP);
    tx.rollback().await.unwrap();

    // It has the row now and does not let go of it. Ben's report gets it all the same.
    until_recorded(&mut ben, &bens).await;
    city.replicas[0].signal(Signal::CONT);
    // Recorded or broken off: Ada asks again.
    let _either = report.await.unwrap();
    until_recorded(&mut ada, &adas).await;
    let results: i64 =
        sqlx::query_scalar("select count(*) from result").fetch_one(&pool).await.unwrap();
    assert_eq!(results, 2);
    pool.close().await;
    city.rest();
}
