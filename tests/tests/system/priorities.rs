//! Which of several studies is served first.

use std::collections::BTreeMap;

use proto::v1::{CancelStudyRequest, PrioritizeStudyRequest, StudySpec};
use tests::{Coordinator, Hand, Town, space};
use tonic::Code;

fn study(name: &str, priority: i32) -> StudySpec {
    StudySpec { priority, ..space::external(name, space::eight_switches(), 40) }
}

async fn prioritize(
    coordinator: &Coordinator,
    name: &str,
    priority: i32,
) -> Result<i32, tonic::Status> {
    let request = PrioritizeStudyRequest { name: name.into(), priority, ..Default::default() };
    let answer = coordinator.studies().prioritize_study(request).await?.into_inner();
    Ok(answer.study.unwrap().spec.unwrap().priority)
}

/// Whose trials so many workers get that ask one after another.
async fn served(hands: &mut Vec<Hand>, coordinator: &Coordinator, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let mut hand = coordinator.hand();
        names.push(hand.lease().await.study);
        hands.push(hand);
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_study_is_served_when_the_high_one_has_no_room() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(study("low", -5)).await;
    coordinator.create(StudySpec { max_parallel: 3, ..study("high", 7) }).await;
    let mut hands = Vec::new();
    let names = served(&mut hands, &coordinator, 5).await;
    assert_eq!(names, ["high", "high", "high", "low", "low"]);

    assert_eq!(prioritize(&coordinator, "low", 8).await.unwrap(), 8);
    assert_eq!(town.number("select priority::bigint from v1.studies where study = 'low'").await, 8);
    let mut first = hands.remove(0);
    let held = first.lease().await;
    assert_eq!(held.study, "high", "the one that it has");
    first.complete(&held, 0.5).await.unwrap();
    assert_eq!(first.lease().await.study, "low", "though there is room in the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_studies_share_evenly_whatever_is_below_them() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    for (name, priority) in [("a", 3), ("b", 3), ("c", 3), ("idle", 2)] {
        coordinator.create(study(name, priority)).await;
    }
    let mut counts = BTreeMap::new();
    for name in served(&mut Vec::new(), &coordinator, 12).await {
        *counts.entry(name).or_insert(0) += 1;
    }
    let expected = [("a", 4), ("b", 4), ("c", 4)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(counts, BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_priority_outside_of_its_range_is_refused_and_so_is_one_for_an_ended_study() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(study("s", 100)).await;
    for priority in [-101, 101, i32::MIN, i32::MAX] {
        let refusal = prioritize(&coordinator, "s", priority).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
        assert!(refusal.message().contains("from -100 to 100"), "{refusal}");
    }
    let cancel = CancelStudyRequest { name: "s".into(), ..Default::default() };
    coordinator.studies().cancel_study(cancel).await.unwrap();
    let refusal = prioritize(&coordinator, "s", 1).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(refusal.message(), "study `s` is cancelled and cannot be given another priority");
}
