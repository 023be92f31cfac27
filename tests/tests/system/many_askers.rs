//! Many workers ask at once.

use std::{collections::BTreeSet, time::Duration};

use proto::v1::{Algorithm, StudyState, TrialState};
use tests::{Town, space};

async fn thirty_two_workers_try_each_of_256_points_once_then_the_study_ends(algorithm: Algorithm) {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    // A budget beyond the space: it ends because nothing is left to try.
    let mut spec = space::external("all", space::eight_switches(), 300);
    spec.algorithm = algorithm.into();
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
    assert!(trials.iter().all(|trial| trial.state() == TrialState::Completed));
    assert_eq!(coordinator.study("all").await.state(), StudyState::Completed);
    assert_eq!(town.number("select count(distinct params) from trial").await, 256);
    town.is_at_rest().await;
}

macro_rules! each {
    ($($name:ident: $algorithm:ident),+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let algorithm = Algorithm::$algorithm;
            thirty_two_workers_try_each_of_256_points_once_then_the_study_ends(algorithm).await;
        })+
    };
}

each!(
    thirty_two_workers_exhaust_the_space_with_a_gaussian_process: GaussianProcess,
    thirty_two_workers_exhaust_the_space_at_random: Random,
    thirty_two_workers_exhaust_the_space_by_a_grid: Grid,
    thirty_two_workers_exhaust_the_space_by_a_sobol_sequence: Sobol,
    thirty_two_workers_exhaust_the_space_with_a_parzen_estimator: Tpe,
    thirty_two_workers_exhaust_the_space_by_evolution: Evolution
);

/// Workers that vanish with their trials, lapsed leases, two coordinators and restarts of both.
#[tokio::test(flavor = "multi_thread")]
async fn a_grid_has_every_point_once_whatever_dies() {
    let town = Town::new().await;
    let mut spec = space::external("grid", space::eight_switches(), 256);
    spec.algorithm = Algorithm::Grid.into();
    spec.max_failures = 100;
    let first = town.coordinator().await;
    first.create(spec).await;
    first.stop().await;
    let mut done = 0;
    for round in 0..4 {
        let (north, south) = (town.coordinator().await, town.coordinator().await);
        let mut workers = Vec::new();
        for i in 0..10 {
            let mut hand = if i % 2 == 0 { north.hand() } else { south.hand() };
            workers.push(tokio::spawn(async move {
                let mut done = 0;
                // The last round works until nothing is left.
                for turn in 0.. {
                    let Some(lease) = hand.ask(Duration::from_secs(5)).await.unwrap().lease else {
                        break;
                    };
                    // Two of ten vanish with their third trial, the others stop after the sixth.
                    if round < 3 && i < 2 && turn == 2 {
                        break;
                    }
                    hand.complete(&lease, space::cliff(lease.point.as_ref().unwrap()))
                        .await
                        .unwrap();
                    done += 1;
                    if round < 3 && turn == 5 {
                        break;
                    }
                }
                done
            }));
        }
        for worker in workers {
            done += worker.await.unwrap();
        }
        town.let_every_lease_lapse().await;
        north.stop().await;
        south.stop().await;
    }
    assert_eq!(done, 256);
    let coordinator = town.coordinator().await;
    assert_eq!(coordinator.study("grid").await.state(), StudyState::Completed);
    assert!(town.number("select count(*) from attempt where outcome = 'expired'").await >= 6);
    let whole = "select count(*) from trial t join result r using (trial_id)
                  where t.state = 'completed' and t.number between 0 and 255";
    assert_eq!(town.number(whole).await, 256);
    assert_eq!(town.number("select count(distinct params) from trial").await, 256);
    // In lexicographic order: a switch that is off comes first, and the last one turns fastest.
    let trials = coordinator.trials("grid").await;
    let ranks = trials.iter().map(|trial| {
        let point = trial.point.as_ref().unwrap();
        (1..=8)
            .fold(0, |rank, i| 2 * rank + tests::hand::number(point, &format!("switch_{i}")) as u32)
    });
    assert_eq!(ranks.collect::<Vec<_>>(), (0..256).collect::<Vec<_>>());
    town.is_sound().await;
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
    town.is_sound().await;
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
    town.is_sound().await;
}
