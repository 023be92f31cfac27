//! People withdraw single trials.

use proto::v1::{
    CancelTrialRequest, Directive, EnqueueTrialsRequest, StudyState, Trial, TrialState,
};
use tests::{Coordinator, Town, space};
use tonic::Code;

async fn cancel(coordinator: &Coordinator, number: u32) -> Result<Trial, tonic::Status> {
    let request = CancelTrialRequest { study: "s".into(), number, ..Default::default() };
    let answer = coordinator.studies().cancel_trial(request).await?.into_inner();
    Ok(answer.trial.expect("answers with the trial"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_trial_is_withdrawn_at_once_and_the_study_goes_on_without_it() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("s", space::eight_switches(), 3)).await;
    let mut hand = coordinator.hand();
    let first = hand.lease().await;
    let point = first.point.clone().unwrap();
    let request =
        EnqueueTrialsRequest { study: "s".into(), points: vec![point], ..Default::default() };
    coordinator.studies().enqueue_trials(request).await.unwrap();
    assert_eq!(cancel(&coordinator, 1).await.unwrap().state(), TrialState::Cancelled);
    assert_eq!(cancel(&coordinator, 1).await.unwrap().state(), TrialState::Cancelled, "no mistake");

    hand.complete(&first, 0.5).await.unwrap();
    let last = hand.lease().await;
    assert_eq!(last.number, 2, "nobody gets the one that was withdrawn");
    hand.complete(&last, 0.5).await.unwrap();
    let study = coordinator.study("s").await;
    assert_eq!(study.state(), StudyState::Completed);
    assert_eq!(study.counts.unwrap().cancelled, 1);

    let refusal = cancel(&coordinator, 2).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(refusal.message(), "trial 2 of study `s` is completed and cannot be cancelled");
    assert_eq!(cancel(&coordinator, 3).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_open_trial_that_is_withdrawn_ends_the_study() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("s", space::eight_switches(), 1)).await;
    let mut hand = coordinator.hand();
    let lease = hand.lease().await;
    hand.release(&lease).await.unwrap();
    cancel(&coordinator, 0).await.unwrap();
    assert_eq!(coordinator.study("s").await.state(), StudyState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_trial_is_told_by_its_heartbeat_and_a_value_that_comes_first_counts() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("s", space::eight_switches(), 3)).await;
    let (mut listens, mut is_faster) = (coordinator.hand(), coordinator.hand());
    let (told, done) = (listens.lease().await, is_faster.lease().await);
    for lease in [&told, &done] {
        assert_eq!(cancel(&coordinator, lease.number).await.unwrap().state(), TrialState::Running);
    }
    assert_eq!(listens.beat(&told, 0.5).await.unwrap(), i32::from(Directive::Cancel));
    listens.release(&told).await.unwrap();
    is_faster.complete(&done, 0.75).await.unwrap();
    let states: Vec<_> = coordinator.trials("s").await.iter().map(|trial| trial.state()).collect();
    assert_eq!(states, [TrialState::Cancelled, TrialState::Completed]);
    assert_eq!(coordinator.study("s").await.state(), StudyState::Active);
}

/// Leases of a second, a worker that beats and does not listen.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_listen_is_cut_off_after_two_leases() {
    let town = Town::new().await;
    let coordinator = town.coordinator_with(1).await;
    coordinator.create(space::external("s", space::eight_switches(), 2)).await;
    let mut deaf = coordinator.hand();
    let lease = deaf.lease().await;
    cancel(&coordinator, 0).await.unwrap();
    let asked = std::time::Instant::now();
    while deaf.beat(&lease, 0.5).await.is_ok() {
        assert!(asked.elapsed().as_secs() < 30, "it beats for ever");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(asked.elapsed().as_millis() >= 1_900, "it had two leases: {:?}", asked.elapsed());
    let trial = &coordinator.trials("s").await[0];
    assert_eq!(trial.state(), TrialState::Cancelled);
    assert!(trial.failure.contains("told to stop"), "{:?}", trial.failure);
}
