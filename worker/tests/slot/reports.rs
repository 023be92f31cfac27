//! How a slot reports, and how a result outlives whatever happens on its way.

use std::time::Duration;

use proto::v1;
use tonic::Status;
use worker::drain::Drain;
use worker::slot::Ended;

use crate::fake::{Call, Fake, Script, lease};
use crate::{at_work, completes, fails, heartbeats, outbox, reports, value};

#[tokio::test]
async fn a_result_is_repeated_unchanged_until_it_is_recorded() {
    let away = || Status::unavailable("no database");
    let script = Script {
        trials: [lease(3, 400)].into(),
        complete_refused: [away(), away(), Status::internal("deadlock"), away()].into(),
        idle: true,
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, |_, _, _| value(1.0 / 3.0));
    let spool = work.spool.path().to_owned();
    fake.until(1, completes).await;
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 1, "written down before it was sent");

    let sent = fake.until(5, completes).await;
    assert!(sent.iter().all(|request| *request == sent[0]), "{sent:#?}");
    assert_eq!(sent[0].r#ref, lease(3, 0).r#ref);
    assert_eq!(sent[0].value, 1.0 / 3.0);
    assert!(fake.all(heartbeats).len() >= 3, "the lease is kept meanwhile");

    work.slot.await.unwrap().unwrap();
    assert_eq!(fake.all(reports).len(), 5, "recorded once, then silence");
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0);
}

#[tokio::test]
async fn a_superseded_result_is_dropped_for_good() {
    let script = Script {
        trials: [lease(0, 60_000)].into(),
        complete_refused: [Status::aborted("attempt 2 runs")].into(),
        idle: true,
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, |_, _, _| value(0.5));
    let spool = work.spool.path().to_owned();
    assert_eq!(work.slot.await.unwrap().unwrap(), Ended::Idle);
    assert_eq!(fake.all(reports).len(), 1);
    assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0);
}

#[tokio::test]
async fn a_result_that_a_worker_died_with_is_delivered_by_the_next_one() {
    let script = Script {
        trials: [lease(0, 60_000)].into(),
        complete_refused: std::iter::repeat_n(Status::unavailable("away"), 100).collect(),
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let first = at_work(&fake, |_, _, _| value(0.7));
    let unheard = fake.until(2, completes).await;
    first.slot.abort();

    fake.now(|script| script.complete_refused.clear());
    outbox(&fake, first.spool.path(), &Drain::new()).send_left_over().await.unwrap();
    let heard = fake.all(completes);
    assert_eq!(heard.len(), unheard.len() + 1, "delivered once");
    assert_eq!(heard.last(), unheard.first());
    assert_eq!(std::fs::read_dir(first.spool.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_drained_worker_leaves_its_result_in_the_spool() {
    let script = Script {
        trials: [lease(0, 60_000)].into(),
        complete_refused: std::iter::repeat_n(Status::unavailable("away"), 100).collect(),
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let mut work = at_work(&fake, |_, _, _| value(0.7));
    fake.until(1, completes).await;
    work.drain.advance();
    work.drain.advance();
    assert_eq!((&mut work.slot).await.unwrap().unwrap(), Ended::Drained);
    assert_eq!(std::fs::read_dir(work.spool.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_result_that_is_refused_fails_the_attempt_and_is_kept_for_a_person() {
    let script = Script {
        trials: [lease(0, 60_000)].into(),
        complete_refused: [Status::invalid_argument("101 measurements")].into(),
        idle: true,
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let mut work = at_work(&fake, |_, _, _| value(0.5));
    assert_eq!((&mut work.slot).await.unwrap().unwrap(), Ended::Idle);
    let failed = fake.all(fails);
    assert!(failed[0].detail.contains("101 measurements"), "{failed:?}");
    let left: Vec<_> = std::fs::read_dir(work.spool.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].as_ref().unwrap().path().extension().is_some_and(|e| e == "refused"));
}

#[tokio::test]
async fn a_panic_fails_the_attempt_with_its_message() {
    let trials = [lease(0, 60_000), lease(1, 60_000)].into();
    let script = Script { trials, idle: true, ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, |lease, _, _| match lease.number {
        0 => panic!("the filter is larger than the image"),
        _ => value(0.5),
    });
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    let failed = fake.all(fails);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].failure_class(), v1::FailureClass::Panic);
    assert!(failed[0].detail.contains("the filter is larger than the image"));
    assert_eq!(fake.all(completes).len(), 1, "and the slot goes on");
}

#[tokio::test]
async fn metrics_arrive_in_order_and_before_the_result() {
    let script = Script { trials: [lease(0, 60_000)].into(), idle: true, ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, |_, progress, _| {
        for epoch in 0..5 {
            progress.step(epoch, f64::from(epoch + 1) / 5.0, [("loss", 1.0), ("nan", f64::NAN)]);
            std::thread::sleep(Duration::from_millis(5));
        }
        value(0.5)
    });
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);

    let steps: Vec<_> = fake
        .all(|call| match call {
            Call::Metrics(request) => Some(request.metrics.clone()),
            _ => None,
        })
        .concat();
    let told: Vec<_> = steps.iter().map(|metric| (metric.step, metric.name.as_str())).collect();
    assert_eq!(told, [(0, "loss"), (1, "loss"), (2, "loss"), (3, "loss"), (4, "loss")]);
    let order: Vec<_> = fake.all(|call| match call {
        Call::Metrics(_) => Some("metrics"),
        Call::Complete(_) => Some("complete"),
        _ => None,
    });
    assert_eq!(order.last(), Some(&"complete"));
}
