//! People's calls that are made again while the first is still under way, and cancels that were
//! broken off half-way.

use std::time::Duration;

use proto::v1::{CreateStudyRequest, Directive, EnqueueTrialsRequest, Point, TrialState};
use tests::{
    Town,
    space::{eight_switches, external},
};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn equal_calls_at_once_are_answered_as_one() {
    let town = Town::new().await;
    let (ada, ben) = (town.coordinator().await, town.coordinator().await);
    for round in 0..8 {
        let name = format!("at-once-{round}");
        let spec = Some(external(&name, eight_switches(), 20));
        let request = CreateStudyRequest { spec, request_id: Uuid::new_v4().to_string() };
        let (mut here, mut there) = (ada.studies(), ben.studies());
        let (once, again) =
            tokio::join!(here.create_study(request.clone()), there.create_study(request));
        let of = |study: proto::v1::CreateStudyResponse| study.study.unwrap().created_at;
        let (once, again) = (once.unwrap().into_inner(), again.unwrap().into_inner());
        assert_eq!(of(once), of(again));

        let values = (1..=8).map(|i| {
            let kind = Some(proto::v1::value::Kind::Boolean(true));
            (format!("switch_{i}"), proto::v1::Value { kind })
        });
        let points = vec![Point { values: values.collect() }];
        let request_id = Uuid::new_v4().to_string();
        let request = EnqueueTrialsRequest { study: name.clone(), points, request_id };
        let (once, again) =
            tokio::join!(here.enqueue_trials(request.clone()), there.enqueue_trials(request));
        let numbers = |answer: proto::v1::EnqueueTrialsResponse| answer.trials[0].number;
        let (once, again) = (once.unwrap().into_inner(), again.unwrap().into_inner());
        assert_eq!(numbers(once), numbers(again));
        assert_eq!(ada.trials(&name).await.len(), 1);
    }
    ada.stop().await;
    ben.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_was_broken_off_half_way_is_carried_on() {
    let town = Town::new().await;
    let coordinator = town.coordinator_with(60).await;
    coordinator.create(external("half", eight_switches(), 9)).await;
    let mut ada = coordinator.hand();
    let held = ada.lease().await;
    let mut ben = coordinator.hand();
    let given_back = ben.lease().await;
    ben.release(&given_back).await.unwrap();

    // What the first of a cancel's two transactions leaves, if nobody carries out the second.
    sqlx::query(
        "update study set state = 'cancelled', finished_at = clock_timestamp(), ended_because = 'cancelled'",
    )
    .execute(&town.pool)
    .await
    .unwrap();
    town.until("select count(*) from trial where state = 'queued'", 0).await;
    for _ in 0..100 {
        if ada.beat(&held, 0.1).await.unwrap() == i32::from(Directive::Cancel) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ada.release(&held).await.unwrap();
    let states: Vec<_> =
        coordinator.trials("half").await.iter().map(|trial| trial.state()).collect();
    assert_eq!(states, [TrialState::Cancelled; 2]);
    coordinator.stop().await;
}
