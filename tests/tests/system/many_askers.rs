//! Many workers ask at once.

use std::collections::BTreeSet;

use proto::v1::StudyState;
use tests::{Town, space};

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_workers_try_each_of_256_points_once_then_the_study_ends() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    // A budget beyond the space: it ends because nothing is left to try.
    let mut spec = space::external("all", space::eight_switches(), 300);
    spec.algorithm = proto::v1::Algorithm::Random.into();
    coordinator.create(spec).await;
    let mut workers = Vec::new();
    for _ in 0..32 {
        let mut hand = coordinator.hand();
        workers.push(tokio::spawn(async move { hand.work(space::cliff).await }));
    }
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    assert_eq!(done, 256);
    let trials = coordinator.trials("all").await;
    let points: BTreeSet<String> =
        trials.iter().map(|trial| format!("{:?}", trial.point)).collect();
    assert_eq!((trials.len(), points.len()), (256, 256));
    assert_eq!(coordinator.study("all").await.state(), StudyState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_coordinators_keep_one_budget_and_dense_numbers() {
    let town = Town::new().await;
    let (north, south) = (town.coordinator().await, town.coordinator().await);
    north.create(space::external("shared", space::eight_switches(), 40)).await;
    let mut workers = Vec::new();
    for i in 0..12 {
        let mut hand = if i % 2 == 0 { north.hand() } else { south.hand() };
        workers.push(tokio::spawn(async move { hand.work(space::cliff).await }));
    }
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    assert_eq!(done, 40);
    let numbers: Vec<u32> = south.trials("shared").await.iter().map(|trial| trial.number).collect();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    let versions = town
        .number("select count(distinct posterior_version) - max(posterior_version) from suggestion")
        .await;
    assert_eq!(versions, 0, "every version has a suggestion");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_trials_run_at_once_than_the_study_allows() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut spec = space::external("narrow", space::eight_switches(), 10);
    spec.max_parallel = 2;
    coordinator.create(spec).await;
    let mut hands: Vec<_> = (0..3).map(|_| coordinator.hand()).collect();
    let first = hands[0].lease().await;
    hands[1].lease().await;
    hands[2].finds_nothing().await;
    hands[0].complete(&first, 0.5).await.unwrap();
    assert_eq!(hands[2].lease().await.number, 2);
}
