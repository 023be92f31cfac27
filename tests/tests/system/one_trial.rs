//! The life of one trial, and what a lost or stale worker cannot do to it.

use proto::v1::{Directive, FailureClass, StudyState, TrialState};
use tests::{Town, space};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_leased_reported_and_recorded_once() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("one", space::eight_switches(), 1)).await;
    let mut ada = coordinator.hand();

    let lease = ada.lease().await;
    assert_eq!((lease.study.as_str(), lease.number), ("one", 0));
    assert_eq!(ada.beat(&lease, 0.5).await.unwrap(), i32::from(Directive::Continue));
    ada.report(&lease, 0, "loss", 0.25).await.unwrap();
    let running = coordinator.trials("one").await.remove(0);
    assert_eq!(running.state(), TrialState::Running);
    assert_eq!((running.progress, running.metrics["loss"]), (0.5, 0.25));

    // The answer is lost, so Ada sends the same report again; then another, which is refused.
    assert!(!ada.complete(&lease, 0.75).await.unwrap());
    assert!(ada.complete(&lease, 0.75).await.unwrap());
    let other = ada.complete(&lease, 0.5).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);

    let study = coordinator.study("one").await;
    assert_eq!(study.state(), StudyState::Completed);
    assert_eq!(study.best.unwrap().value, Some(0.75));
    assert_eq!(town.number("select count(*) from result").await, 1);
    let answer = ada.ask(std::time::Duration::ZERO).await.unwrap();
    assert!(answer.lease.is_none() && answer.idle);
    assert_eq!(answer.retry_after.unwrap().seconds, 2, "an idle worker does not ask in a hurry");
    coordinator.stop().await;
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_gives_the_same_lease_again() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("one", space::eight_switches(), 5)).await;
    let mut ada = coordinator.hand();
    let first = ada.lease().await;
    let again = ada.lease().await;
    assert_eq!(first.r#ref, again.r#ref);
    assert_eq!((first.point, first.seed), (again.point, again.seed));
    assert_eq!(town.number("select count(*) from attempt").await, 1);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_trial_was_handed_on_cannot_touch_it() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("one", space::eight_switches(), 1)).await;
    let (mut ada, mut ben) = (coordinator.hand(), coordinator.hand());

    // Ada takes the trial and falls silent; her lease lapses and Ben takes it over.
    let old = ada.lease().await;
    town.let_every_lease_lapse().await;
    town.until("select count(*) from trial where state = 'queued'", 1).await;
    let new = ben.lease().await;
    let fence = |lease: &proto::v1::Lease| lease.r#ref.clone().unwrap();
    assert_eq!(fence(&new).trial_id, fence(&old).trial_id);
    assert_eq!(fence(&new).attempt, 2);
    assert_eq!(new.seed, old.seed);

    // Ada wakes up. Nothing she says counts, her heartbeat least of all.
    assert_eq!(ada.beat(&old, 0.9).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(ada.report(&old, 1, "loss", 0.1).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(ada.fail(&old, FailureClass::Panic).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(ada.release(&old).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(ada.complete(&old, 0.11).await.unwrap_err().code(), Code::Aborted);
    // Nor does a fence that is right by two thirds.
    let mut forged = new.clone();
    forged.r#ref.as_mut().unwrap().lease_id = fence(&old).lease_id;
    assert_eq!(ben.complete(&forged, 0.12).await.unwrap_err().code(), Code::Aborted);
    let mut forged = new.clone();
    forged.r#ref.as_mut().unwrap().attempt = 1;
    assert_eq!(ben.complete(&forged, 0.13).await.unwrap_err().code(), Code::Aborted);

    assert!(!ben.complete(&new, 0.97).await.unwrap());
    let kept: f64 =
        sqlx::query_scalar("select value from result").fetch_one(&town.pool).await.unwrap();
    assert_eq!(kept, 0.97);
    assert_eq!(town.number("select count(*) from late_report").await, 3);
    assert_eq!(town.number("select count(*) from metric").await, 0);
    town.is_sound().await;
}

/// A coordinator takes a slot for empty that has just reported to it. Meanwhile another one has given it a trial,
/// and the answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_another_coordinator_has_served_is_given_the_same_lease_and_no_other() {
    let town = Town::new().await;
    let (north, south) = (town.coordinator().await, town.coordinator().await);
    north.create(space::external("two", space::eight_switches(), 50)).await;
    let mut ada = north.hand();
    for round in 0..6 {
        let lease = ada.lease().await;
        // Every other time it is a trial that waits, which moves no plan.
        if round % 2 == 1 {
            let mut ben = north.hand();
            let given_back = ben.lease().await;
            ben.release(&given_back).await.unwrap();
        }
        assert!(!ada.complete(&lease, 0.5).await.unwrap());
        let lost = ada.at(&south.channel).lease().await;
        let again = ada.lease().await;
        assert_eq!(again.r#ref, lost.r#ref, "round {round}");
        assert!(!ada.complete(&again, 0.5).await.unwrap());
    }
    assert_eq!(town.number("select count(*) from trial").await, 12);
    assert_eq!(town.number("select count(*) from trial where attempt = 2").await, 3);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_report_that_nobody_forestalled_is_kept() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("one", space::eight_switches(), 1)).await;
    let mut ada = coordinator.hand();
    let lease = ada.lease().await;
    town.let_every_lease_lapse().await;
    town.until("select count(*) from trial where state = 'queued'", 1).await;
    assert!(!ada.complete(&lease, 0.8).await.unwrap());
    assert_eq!(coordinator.study("one").await.state(), StudyState::Completed);
    assert_eq!(town.number("select count(*) from attempt where outcome = 'completed'").await, 1);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_until_spent_and_releases_count_nothing() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut spec = space::external("one", space::eight_switches(), 2);
    spec.max_failures = 2;
    coordinator.create(spec).await;
    let mut ada = coordinator.hand();

    let lease = ada.lease().await;
    ada.release(&lease).await.unwrap();
    ada.release(&lease).await.unwrap();
    let lease = ada.lease().await;
    assert_eq!((lease.number, lease.r#ref.as_ref().unwrap().attempt), (0, 2));
    assert!(ada.fail(&lease, FailureClass::Oom).await.unwrap());
    assert!(ada.fail(&lease, FailureClass::Oom).await.unwrap(), "a repeated call says the same");

    // Trial 0 waits out its back-off; meanwhile the next one is handed out. NaN is final at once.
    let other = ada.lease().await;
    assert_eq!(other.number, 1);
    assert!(!ada.fail(&other, FailureClass::Nan).await.unwrap());
    sqlx::query("update trial set not_before = '-infinity'").execute(&town.pool).await.unwrap();
    let lease = ada.lease().await;
    assert!(!ada.fail(&lease, FailureClass::Oom).await.unwrap());

    let study = coordinator.study("one").await;
    assert_eq!(study.state(), StudyState::Completed);
    assert_eq!(study.counts.unwrap().failed, 2);
    let trials = coordinator.trials("one").await;
    assert_eq!((trials[0].failures, trials[0].attempt), (2, 3));
    assert_eq!(trials[1].failure, "nan: as the test says");
    town.is_sound().await;
}
