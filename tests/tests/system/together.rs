//! Results that come in at once are recorded by one statement, and each is answered for itself.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use proto::v1::{Algorithm, Lease};
use tests::{
    Hand, Town, space,
    sql_proxy::{Rewrite, SqlProxy},
};
use tonic::{Code, Status};

/// A study that is far from its end.
fn study(name: &str) -> proto::v1::StudySpec {
    let mut spec = space::external(name, space::eight_switches(), 200);
    spec.algorithm = Algorithm::Random.into();
    spec
}

/// Does everything at once.
async fn all<T: Send + 'static>(
    deeds: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = deeds.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

async fn leased(hands: &[Hand]) -> Vec<Lease> {
    all(hands.iter().cloned().map(|mut hand| async move { hand.lease().await })).await
}

/// Completes each with the same value, all at once.
async fn completed(hands: &[Hand], leases: &[Lease]) -> Vec<Result<bool, Status>> {
    let calls = hands.iter().cloned().zip(leases.iter().cloned());
    all(calls.map(|(mut hand, lease)| async move { hand.complete(&lease, 0.5).await })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_at_once_is_recorded_once_each() {
    let town = Town::new().await;
    let (north, south) = (town.coordinator().await, town.coordinator().await);
    for name in ["one", "other"] {
        north.create(study(name)).await;
    }
    let hands: Vec<Hand> = (0..16).map(|_| north.hand()).collect();
    let mut expected = 0;
    for round in 0..5 {
        let leases = leased(&hands).await;
        // Each twice at once, half of the repetitions by way of the other coordinator.
        let calls = hands.iter().zip(&leases).enumerate().flat_map(|(i, (hand, lease))| {
            let value = f64::from(round) + i as f64 / 100.0;
            let again = if i % 2 == 0 { hand.at(&south.channel) } else { hand.clone() };
            [hand.clone(), again].map(|mut hand| {
                let lease = lease.clone();
                async move { hand.complete(&lease, value).await }
            })
        });
        let answers = all(calls).await;
        for pair in answers.chunks(2) {
            let known: Vec<bool> = pair.iter().map(|a| *a.as_ref().expect("is kept")).collect();
            assert!(known.contains(&false) && known.contains(&true), "{known:?}");
        }
        expected += 16;
        assert_eq!(town.number("select count(*) from result").await, expected);
    }
    let counted = "select count(*) from study
                    where next_obs = (select count(*) from result r where r.study_id = study.study_id)";
    assert_eq!(town.number(counted).await, 2);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_answered_for_itself_whatever_the_others_are() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut near = study("near");
    near.max_trials = 1;
    coordinator.create(near).await;
    let mut hands: Vec<Hand> = (0..7).map(|_| coordinator.hand()).collect();
    let last = hands[0].lease().await;
    coordinator.create(study("far")).await;
    let leases = [vec![last], leased(&hands[1..]).await].concat();
    hands[1].release(&leases[1]).await.unwrap();
    hands[2].complete(&leases[2], 0.2).await.unwrap();
    let calls = hands.iter().cloned().zip(leases).enumerate().map(|(i, (mut hand, lease))| {
        let value = if i == 2 { 0.3 } else { 0.2 };
        async move {
            if i == 3 {
                hand.prune(&lease, value).await
            } else {
                hand.complete(&lease, value).await
            }
        }
    });
    let answers = all(calls).await;
    for (i, answer) in answers.iter().enumerate() {
        match i {
            1 => assert_eq!(answer.as_ref().unwrap_err().code(), Code::Aborted, "given back"),
            2 => assert_eq!(answer.as_ref().unwrap_err().code(), Code::AlreadyExists, "another"),
            _ => assert!(!answer.as_ref().unwrap(), "{i}"),
        }
    }
    assert_eq!(town.number("select count(*) from result").await, 6);
    assert_eq!(
        town.number("select count(*) from result where is_pruned and not feasible").await,
        1
    );
    let ended = "select count(*) from study where state = 'completed' and name = 'near'";
    assert_eq!(town.number(ended).await, 1, "a study's last result ends it");
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_somebody_holds_delays_no_other() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(study("held")).await;
    let mut hands: Vec<Hand> = (0..8).map(|_| coordinator.hand()).collect();
    let leases = leased(&hands).await;
    let mut tx = town.pool.begin().await.unwrap();
    sqlx::query("select from trial where number = $1 for update")
        .bind(i32::try_from(leases[0].number).unwrap())
        .execute(&mut *tx)
        .await
        .unwrap();
    let held = {
        let (mut hand, lease) = (hands[0].clone(), leases[0].clone());
        tokio::spawn(async move { hand.complete(&lease, 0.5).await })
    };
    let begun = Instant::now();
    for answer in completed(&hands[1..], &leases[1..]).await {
        assert!(!answer.unwrap());
    }
    // It waits for two seconds before it is told to come again.
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
    assert_eq!(held.await.unwrap().unwrap_err().code(), Code::Unavailable);
    tx.rollback().await.unwrap();
    assert!(!hands[0].complete(&leases[0], 0.5).await.unwrap());
    town.is_sound().await;
}

/// A statement that Postgres refuses loses nothing of what was to be recorded with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_together_is_recorded_one_by_one() {
    const BROKEN: &[Rewrite] = &[Rewrite {
        statement: "leases::complete, many",
        find: "select k.trial_id, k.study_id,",
        put: "select 1 / (k.trial_id - k.trial_id), k.study_id,",
    }];
    let town = Town::new().await;
    let proxy = SqlProxy::new(&town.options(), BROKEN);
    let coordinator = town.coordinator_on(proxy.options(&town.options())).await;
    coordinator.create(study("broken")).await;
    let hands: Vec<Hand> = (0..8).map(|_| coordinator.hand()).collect();
    let leases = leased(&hands).await;
    for answer in completed(&hands, &leases).await {
        assert!(!answer.unwrap());
    }
    assert!(proxy.counts()[0] > 0, "the statement was not sent");
    assert_eq!(town.number("select count(*) from result").await, 8);
    town.is_sound().await;
}
