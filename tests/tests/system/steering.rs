//! People steer and watch a study.

use std::{collections::BTreeMap, time::Duration};

use coordinator::{storage::leases, trial::LeaseRef};
use proto::v1::{
    CancelStudyRequest, CreateStudyRequest, Directive, EnqueueTrialsRequest, PauseStudyRequest,
    Point, ResumeStudyRequest, Space, StudyState, TrialState, Value, WatchStudyRequest,
    value::Kind,
};
use tests::{Town, space};
use tokio_stream::StreamExt as _;
use tonic::Code;
use uuid::Uuid;

fn rate(rate: f64) -> Point {
    let value = Value { kind: Some(Kind::Number(rate)) };
    Point { values: BTreeMap::from([("rate".to_owned(), value)]) }
}

fn one_rate(name: &str, max_trials: u32) -> proto::v1::StudySpec {
    let parameters = vec![space::float("rate", 0.0, 1.0)];
    space::external(name, Space { parameters }, max_trials)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_study_hands_out_nothing_and_takes_reports() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(one_rate("steered", 3)).await;
    let mut hand = coordinator.hand();
    let lease = hand.lease().await;
    let name = || "steered".to_owned();
    coordinator
        .studies()
        .pause_study(PauseStudyRequest { name: name(), ..Default::default() })
        .await
        .unwrap();
    coordinator.hand().finds_nothing().await;
    hand.complete(&lease, 0.5).await.unwrap();
    hand.finds_nothing().await;
    coordinator
        .studies()
        .resume_study(ResumeStudyRequest { name: name(), ..Default::default() })
        .await
        .unwrap();
    let lease = hand.lease().await;
    hand.complete(&lease, 0.5).await.unwrap();
    let lease = hand.lease().await;
    hand.complete(&lease, 0.5).await.unwrap();
    let ended = coordinator
        .studies()
        .pause_study(PauseStudyRequest { name: name(), ..Default::default() })
        .await;
    let refusal = ended.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(refusal.message(), "study `steered` is completed and cannot be paused");
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_withdraws_what_waits_and_tells_what_runs() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(one_rate("withdrawn", 10)).await;
    let request = EnqueueTrialsRequest {
        study: "withdrawn".into(),
        points: vec![rate(0.25), rate(0.5)],
        request_id: String::new(),
    };
    coordinator.studies().enqueue_trials(request).await.unwrap();
    let mut hand = coordinator.hand();
    let lease = hand.lease().await;
    let cancel = CancelStudyRequest { name: "withdrawn".into(), ..Default::default() };
    coordinator.studies().cancel_study(cancel).await.unwrap();
    assert_eq!(hand.beat(&lease, 0.1).await.unwrap(), i32::from(Directive::Cancel));
    hand.release(&lease).await.unwrap();
    let states: Vec<_> =
        coordinator.trials("withdrawn").await.iter().map(|trial| trial.state()).collect();
    assert_eq!(states, [TrialState::Cancelled, TrialState::Cancelled]);
    let study = coordinator.study("withdrawn").await;
    assert_eq!(study.state(), StudyState::Cancelled);
    assert!(hand.ask(Duration::ZERO).await.unwrap().idle);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enqueued_points_come_first_and_count_against_the_budget() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(one_rate("chosen", 3)).await;
    let enqueue =
        |points| EnqueueTrialsRequest { study: "chosen".into(), points, request_id: String::new() };
    coordinator.studies().enqueue_trials(enqueue(vec![rate(0.25), rate(0.75)])).await.unwrap();
    let mut hand = coordinator.hand();
    let first = hand.lease().await;
    assert_eq!(tests::hand::number(first.point.as_ref().unwrap(), "rate"), 0.25);
    let more = coordinator.studies().enqueue_trials(enqueue(vec![rate(0.1), rate(0.2)])).await;
    let refusal = more.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(
        refusal.message(),
        "study `chosen` has room for 1 more trials of its budget of 3, not 2"
    );
    let outside = coordinator.studies().enqueue_trials(enqueue(vec![rate(1.5)])).await;
    assert_eq!(outside.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(coordinator.trials("chosen").await.len(), 2, "nothing of a refused call is left");
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_done_once() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let request_id = Uuid::new_v4().to_string();
    let create = |max_trials| CreateStudyRequest {
        spec: Some(one_rate("once", max_trials)),
        request_id: request_id.clone(),
    };
    let first = coordinator.studies().create_study(create(5)).await.unwrap().into_inner();
    let again = coordinator.studies().create_study(create(5)).await.unwrap().into_inner();
    assert_eq!(first.study.unwrap().created_at, again.study.unwrap().created_at);
    let other = coordinator.studies().create_study(create(6)).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);

    let enqueue = EnqueueTrialsRequest {
        study: "once".into(),
        points: vec![rate(0.25)],
        request_id: Uuid::new_v4().to_string(),
    };
    for _ in 0..2 {
        let reply = coordinator.studies().enqueue_trials(enqueue.clone()).await.unwrap();
        assert_eq!(reply.into_inner().trials[0].number, 0);
    }
    assert_eq!(coordinator.trials("once").await.len(), 1);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_every_trial_end_and_ends_with_the_study() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(one_rate("watched", 4)).await;
    let request = WatchStudyRequest { name: "watched".into() };
    let mut watch = coordinator.studies().watch_study(request).await.unwrap().into_inner();
    let mut hand = coordinator.hand();
    let worker =
        tokio::spawn(async move { hand.work(|point| tests::hand::number(point, "rate")).await });
    let mut ended = std::collections::BTreeSet::new();
    let mut last = StudyState::Unspecified;
    while let Some(message) = watch.next().await {
        let message = message.unwrap();
        last = message.study.unwrap().state();
        let done = message.trials.iter().filter(|trial| trial.state() == TrialState::Completed);
        ended.extend(done.map(|trial| trial.number));
    }
    assert_eq!(last, StudyState::Completed);
    assert_eq!(ended.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(worker.await.unwrap(), 4);
    let unknown = WatchStudyRequest { name: "nobody".into() };
    let refusal = coordinator.studies().watch_study(unknown).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_is_shown_as_of_one_instant() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    for round in 0..8 {
        let name = format!("instant-{round}");
        let mut spec = one_rate(&name, 6);
        spec.algorithm = proto::v1::Algorithm::Random.into();
        coordinator.create(spec).await;
        let mut hand = coordinator.hand();
        let worker = tokio::spawn(async move { hand.work(|_| 0.5).await });
        loop {
            let study = coordinator.study(&name).await;
            let counts = study.counts.unwrap();
            let ended = study.state() == StudyState::Completed;
            assert_eq!(ended, counts.completed == 6, "{:?} with {counts:?}", study.state());
            if ended {
                break;
            }
        }
        assert_eq!(worker.await.unwrap(), 6);
    }
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_given_back_as_its_study_is_cancelled_does_not_wait_for_ever() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(one_rate("withdrawn", 3)).await;
    let lease = coordinator.hand().lease().await;
    let fence = lease.r#ref.unwrap();
    let fence = LeaseRef {
        trial_id: fence.trial_id,
        attempt: i32::try_from(fence.attempt).unwrap(),
        lease_id: fence.lease_id.parse().unwrap(),
    };
    let study_id = town.number("select study_id from study").await;

    // Both want the trial, which is held until both wait for it: the worker's call was first.
    let mut holding = town.pool.begin().await.unwrap();
    sqlx::query("select from trial for update").execute(&mut *holding).await.unwrap();
    let waiting = "select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'";
    let pool = town.pool.clone();
    let giving_back =
        tokio::spawn(async move { leases::release(&pool, &fence, "drain").await.unwrap() });
    town.until(waiting, 1).await;
    let pool = town.pool.clone();
    let withdrawing = tokio::spawn(async move {
        let mut tx = pool.begin().await.unwrap();
        leases::cancel_open(&mut tx, study_id, Duration::from_secs(120)).await.unwrap();
        tx.commit().await.unwrap();
    });
    town.until(waiting, 2).await;
    holding.rollback().await.unwrap();
    giving_back.await.unwrap();
    withdrawing.await.unwrap();
    assert_eq!(coordinator.trials("withdrawn").await[0].state(), TrialState::Cancelled);
    town.is_sound().await;
}
