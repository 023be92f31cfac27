//! A call that is sent again, because its answer was lost, is done once.

use std::future::Future;

use proto::v1::{
    CancelStudyRequest, CancelTrialRequest, CreateStudyRequest, DrainWorkersRequest,
    EnqueueTrialsRequest, ExtendStudyRequest, ImportTrialsRequest, ImportedTrial, ImportedTrials,
    PauseStudyRequest, Point, PrioritizeStudyRequest, ResumeStudyRequest, StudyState,
    UndrainWorkersRequest, import_trials_request::From,
};
use tests::{Hand, Town, space};
use tonic::{Code, Response, Status};
use uuid::Uuid;

/// Sends a request twice and expects one answer; sends another with its id and expects to be told.
async fn once<Q: Clone, A, F>(send: impl Fn(Q) -> F, request: &Q, other: &Q) -> A
where
    A: PartialEq + std::fmt::Debug,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let first = send(request.clone()).await.unwrap().into_inner();
    let again = send(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let refusal = send(other.clone()).await.unwrap_err();
    assert_eq!(refusal.code(), Code::AlreadyExists, "{refusal}");
    assert!(refusal.message().contains("make a new one"), "{refusal}");
    first
}

fn id() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_that_changes_something_is_done_once() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let client = || coordinator.studies();
    let name = || "once".to_owned();

    let request_id = id();
    let create = |max_trials| CreateStudyRequest {
        spec: Some(space::external("once", space::eight_switches(), max_trials)),
        request_id: request_id.clone(),
    };
    let send = |request| async move { client().create_study(request).await };
    once(send, &create(20), &create(21)).await;

    let request_id = id();
    let mut hand = coordinator.hand();
    let lease = hand.lease().await;
    let point = lease.point.clone().unwrap();
    let enqueue = |points: &[Point]| EnqueueTrialsRequest {
        study: name(),
        points: points.to_vec(),
        request_id: request_id.clone(),
    };
    let send = |request| async move { client().enqueue_trials(request).await };
    once(send, &enqueue(std::slice::from_ref(&point)), &enqueue(&[point.clone(), point.clone()]))
        .await;
    assert_eq!(coordinator.trials("once").await.len(), 2);

    let request_id = id();
    let import = |value| ImportTrialsRequest {
        study: name(),
        from: Some(From::Trials(ImportedTrials {
            trials: vec![ImportedTrial { point: Some(point.clone()), value, ..Default::default() }],
            source: "elsewhere".into(),
        })),
        skip_outside: false,
        request_id: request_id.clone(),
    };
    let send = |request| async move { client().import_trials(request).await };
    once(send, &import(0.5), &import(0.25)).await;
    assert_eq!(coordinator.study("once").await.imported, 1);

    let request_id = id();
    let prioritize = |priority| PrioritizeStudyRequest {
        name: name(),
        priority,
        request_id: request_id.clone(),
    };
    let send = |request| async move { client().prioritize_study(request).await };
    once(send, &prioritize(5), &prioritize(6)).await;

    let request_id = id();
    let extend = |max_trials| ExtendStudyRequest {
        name: name(),
        max_trials,
        request_id: request_id.clone(),
    };
    let send = |request| async move { client().extend_study(request).await };
    once(send, &extend(30), &extend(31)).await;

    let request_id = id();
    let cancel =
        |number| CancelTrialRequest { study: name(), number, request_id: request_id.clone() };
    let send = |request| async move { client().cancel_trial(request).await };
    once(send, &cancel(1), &cancel(0)).await;

    let (pauses, request_id) = (id(), id());
    let pause = |request_id: &str, name: &str| PauseStudyRequest {
        name: name.into(),
        request_id: request_id.into(),
    };
    let send = |request| async move { client().pause_study(request).await };
    once(send, &pause(&pauses, "once"), &pause(&pauses, "other")).await;
    let resume =
        |name: &str| ResumeStudyRequest { name: name.into(), request_id: request_id.clone() };
    let send = |request| async move { client().resume_study(request).await };
    once(send, &resume("once"), &resume("other")).await;
    // A late copy of the first call does not pause it again, and its answer says how things stand.
    let late = client().pause_study(pause(&pauses, "once")).await.unwrap().into_inner();
    assert_eq!(late.study.unwrap().state(), StudyState::Active);
    // The same bytes under another verb are another request.
    let refusal = client().pause_study(pause(&request_id, "once")).await.unwrap_err();
    assert_eq!(refusal.code(), Code::AlreadyExists);

    let mut worker = Hand::on(&coordinator.channel, "node");
    worker.lease().await;
    let request_id = id();
    let drain = |reason: &str| DrainWorkersRequest {
        worker: "node".into(),
        reason: reason.into(),
        request_id: request_id.clone(),
    };
    let send = |request| async move { client().drain_workers(request).await };
    once(send, &drain("a"), &drain("b")).await;
    let request_id = id();
    let undrain = |worker: &str| UndrainWorkersRequest {
        worker: worker.into(),
        request_id: request_id.clone(),
    };
    let send = |request| async move { client().undrain_workers(request).await };
    once(send, &undrain("node"), &undrain("nodes")).await;

    let request_id = id();
    let cancel =
        |name: &str| CancelStudyRequest { name: name.into(), request_id: request_id.clone() };
    let send = |request| async move { client().cancel_study(request).await };
    once(send, &cancel("once"), &cancel("other")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_calls_at_the_same_time_are_done_once_and_answered_alike() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("once", space::eight_switches(), 100)).await;
    let lease = coordinator.hand().lease().await;
    let request = EnqueueTrialsRequest {
        study: "once".into(),
        points: vec![lease.point.unwrap()],
        request_id: id(),
    };
    let calls = (0..8).map(|_| {
        let (mut client, request) = (coordinator.studies(), request.clone());
        tokio::spawn(async move { client.enqueue_trials(request).await.unwrap().into_inner() })
    });
    let mut numbers = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        numbers.push(call.await.unwrap().trials[0].number);
    }
    assert_eq!(numbers, [1; 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_ids_are_forgotten_after_a_day() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    for name in ["old", "young"] {
        let spec = Some(space::external(name, space::eight_switches(), 5));
        let request = CreateStudyRequest { spec, request_id: id() };
        coordinator.studies().create_study(request).await.unwrap();
    }
    let age = "update idempotency set at = at - case when response = 'old' then interval '25 hours'
                                                    else interval '23 hours' end";
    sqlx::query(age).execute(&town.pool).await.unwrap();
    town.until("select count(*) from idempotency", 1).await;
    assert_eq!(town.number("select count(*) from idempotency where response = 'young'").await, 1);
}
