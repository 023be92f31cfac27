//! Workers are sent away: by what their machines do, and by people.

use std::time::Duration;

use proto::v1::{
    Directive, DrainWorkersRequest, FailureClass, LeaseResponse, ListWorkersRequest,
    UndrainWorkersRequest, Worker, WorkerState,
};
use tests::{Coordinator, Hand, Town, space};
use tonic::Code;

async fn workers(coordinator: &Coordinator, with_gone: bool) -> Vec<Worker> {
    let request = ListWorkersRequest { with_gone };
    coordinator.studies().list_workers(request).await.unwrap().into_inner().workers
}

async fn drain(coordinator: &Coordinator, worker: &str) -> Result<Vec<Worker>, tonic::Status> {
    let request = DrainWorkersRequest {
        worker: worker.into(),
        reason: "its fans are to be cleaned".into(),
        ..Default::default()
    };
    Ok(coordinator.studies().drain_workers(request).await?.into_inner().workers)
}

async fn asks(hand: &mut Hand) -> LeaseResponse {
    hand.ask(Duration::ZERO).await.unwrap()
}

/// Fails as many trials with each class as it says, and whether the worker may stay.
async fn may_stay_after(failures: &[FailureClass]) -> bool {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("failing", space::eight_switches(), 20)).await;
    let mut hand = coordinator.hand();
    for class in failures {
        let lease = hand.lease().await;
        hand.fail(&lease, *class).await.unwrap();
    }
    let answer = asks(&mut hand).await;
    assert_eq!(answer.lease.is_some(), answer.drain.is_none());
    answer.drain.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_machine_fails_three_times_gets_no_more_and_others_do() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("failing", space::eight_switches(), 20)).await;
    let mut bad = Hand::on(&coordinator.channel, "bad");
    for class in [FailureClass::DeviceLost, FailureClass::Data, FailureClass::DeviceLost] {
        let lease = bad.lease().await;
        assert!(bad.fail(&lease, class).await.unwrap(), "the trial is tried again elsewhere");
    }
    let answer = asks(&mut bad).await;
    assert_eq!(answer.lease, None);
    assert!(answer.retry_after.is_some_and(|wait| wait.seconds > 0), "{answer:?}");
    let order = answer.drain.expect("it is to go");
    assert!(order.is_unfit);
    assert_eq!(
        order.reason,
        "3 trials have failed on its machine within 10 minutes, the last with class device_lost"
    );
    let mut good = Hand::on(&coordinator.channel, "good");
    let lease = good.lease().await;
    good.complete(&lease, 0.5).await.unwrap();

    let seen: Vec<_> = workers(&coordinator, false)
        .await
        .into_iter()
        .map(|worker| (worker.label.clone(), worker.state(), worker.is_unfit))
        .collect();
    assert_eq!(
        seen,
        [
            ("good".to_owned(), WorkerState::Active, false),
            ("bad".to_owned(), WorkerState::Draining, true)
        ]
    );
    let told = "select count(*) from v1.workers
                 where label = 'bad' and state = 'draining' and is_unfit
                   and drained_because like '%device_lost' and drained_at is not null";
    assert_eq!(town.number(told).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_machine_is_to_blame_for_is_not_counted() {
    use FailureClass::{Data, DeviceLost, Nan, Oom, Panic, UserError};
    assert!(may_stay_after(&[Oom, Panic, Oom, Panic, Nan, UserError]).await);
    assert!(may_stay_after(&[Data, DeviceLost, Oom]).await);
    assert!(!may_stay_after(&[Data, Data, Data]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_long_ago_are_forgotten_and_those_before_a_pardon_too() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("failing", space::eight_switches(), 20)).await;
    let mut hand = coordinator.hand();
    for _ in 0..2 {
        let lease = hand.lease().await;
        hand.fail(&lease, FailureClass::DeviceLost).await.unwrap();
    }
    // Time is the database's.
    sqlx::query("update attempt set ended_at = ended_at - interval '11 minutes'")
        .execute(&town.pool)
        .await
        .unwrap();
    for _ in 0..2 {
        let lease = hand.lease().await;
        hand.fail(&lease, FailureClass::DeviceLost).await.unwrap();
    }
    let lease = hand.lease().await;
    hand.fail(&lease, FailureClass::DeviceLost).await.unwrap();
    assert!(asks(&mut hand).await.drain.is_some());

    let worker = hand.worker_id().to_string();
    let pardon = UndrainWorkersRequest { worker, ..Default::default() };
    let pardoned = coordinator.studies().undrain_workers(pardon).await.unwrap().into_inner();
    assert_eq!(pardoned.workers[0].state(), WorkerState::Active);
    let lease = hand.lease().await;
    hand.fail(&lease, FailureClass::DeviceLost).await.unwrap();
    assert!(asks(&mut hand).await.drain.is_none(), "one alone is no reason");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sends_a_host_away_and_its_workers_hear_it_by_the_next_heartbeat() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("drained", space::eight_switches(), 20)).await;
    let mut first = Hand::on(&coordinator.channel, "node-1");
    let mut second = Hand::on(&coordinator.channel, "node-1");
    let mut other = Hand::on(&coordinator.channel, "node-2");
    let lease = first.lease().await;
    let lost = second.lease().await;
    other.lease().await;
    assert_eq!(first.beat(&lease, 0.1).await.unwrap(), i32::from(Directive::Continue));

    let drained = drain(&coordinator, "node-1").await.unwrap();
    assert_eq!(drained.len(), 2);
    assert!(drained.iter().all(|worker| worker.state() == WorkerState::Draining));
    let heard = first.beat_and_hear(&lease, 0.2).await.unwrap();
    assert_eq!(heard.directive(), Directive::Drain);
    let order = heard.drain.unwrap();
    assert_eq!((order.reason.as_str(), order.is_unfit), ("its fans are to be cleaned", false));
    first.release(&lease).await.unwrap();
    assert!(asks(&mut first).await.drain.is_some());

    // The other one has lost the answer with its lease and asks again: nobody has to wait for that lease.
    assert!(asks(&mut second).await.drain.is_some());
    assert_eq!(second.beat(&lost, 0.5).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(town.number("select sum(failures)::bigint from trial").await, 0, "nobody's fault");
    assert_eq!(town.number("select count(*) from lease").await, 1);

    // By the beginning of its id, and back.
    let id: String = other.worker_id().to_string().chars().take(8).collect();
    assert_eq!(drain(&coordinator, &id).await.unwrap()[0].label, "node-2");
    let back = UndrainWorkersRequest { worker: id, ..Default::default() };
    coordinator.studies().undrain_workers(back).await.unwrap();
    assert!(asks(&mut other).await.drain.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_worker_has_is_told_and_those_that_are_gone_are_left_out() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    for name in ["nobody", "12345678", ""] {
        let refusal = drain(&coordinator, name).await.unwrap_err();
        let code = if name.is_empty() { Code::InvalidArgument } else { Code::NotFound };
        assert_eq!(refusal.code(), code, "{refusal}");
    }
    asks(&mut Hand::on(&coordinator.channel, "old")).await;
    assert_eq!(workers(&coordinator, false).await.len(), 1);
    sqlx::query("update worker set seen_at = seen_at - interval '6 minutes'")
        .execute(&town.pool)
        .await
        .unwrap();
    assert_eq!(workers(&coordinator, false).await.len(), 0);
    assert_eq!(workers(&coordinator, true).await[0].state(), WorkerState::Gone);
    assert_eq!(drain(&coordinator, "old").await.unwrap_err().code(), Code::NotFound);
}
