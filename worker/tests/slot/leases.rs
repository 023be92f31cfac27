//! How a slot holds a lease, and how it lets go.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use proto::v1;
use tonic::Status;
use worker::evaluation::Measured;
use worker::halt::Why;
use worker::slot::{Ended, SlotError};

use crate::fake::{Call, Fake, Script, lease};
use crate::{all_night, at_work, completes, heartbeats, leases, releases, reports, value};

#[tokio::test]
async fn a_lost_lease_stops_the_training_and_the_slot_asks_again() {
    let script = Script {
        trials: [lease(0, 400)].into(),
        heartbeat_refused: Some(Status::aborted("handed on")),
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, |_, _, halt| {
        let ended = all_night(halt);
        assert_eq!(halt.why(), Some(Why::Lost), "not for want of an answer");
        ended
    });

    fake.until(2, leases).await;
    fake.now(|script| script.idle = true);
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(reports), [], "nobody listens to a superseded attempt");
    assert_eq!(fake.all(heartbeats).len(), 1);
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_stops_the_training_before_it_ends() {
    let ttl = Duration::from_secs(2);
    let script = Script {
        trials: [lease(0, 2_000)].into(),
        heartbeat_refused: Some(Status::unavailable("no database")),
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let (stopped, when) = mpsc::channel();
    let asked = Instant::now();
    let work = at_work(&fake, move |_, _, halt| {
        let ended = all_night(halt);
        stopped.send(Instant::now()).unwrap();
        ended
    });

    fake.until(2, leases).await;
    let held = when.recv().unwrap() - asked;
    assert!(held >= ttl.mul_f64(0.8) && held < ttl, "stopped after {held:?}");
    assert!(fake.all(heartbeats).len() >= 3, "it tried");

    // Nobody took the trial, and the slot, which asks again, has it again.
    fake.now(|script| (script.heartbeat_refused, script.idle) = (Some(Status::aborted("")), true));
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(reports), []);
}

#[tokio::test]
async fn a_heartbeat_that_hangs_does_not_carry_the_training_past_its_lease() {
    let ttl = Duration::from_secs(2);
    let script = Script { trials: [lease(0, 2_000)].into(), ..Script::default() };
    let (fake, serving) = Fake::serving(script).await;
    let (stopped, when) = mpsc::channel();
    let asked = Instant::now();
    let work = at_work(&fake, move |_, _, halt| {
        let ended = all_night(halt);
        stopped.send(Instant::now()).unwrap();
        ended
    });

    // The listener goes away and nothing ever refuses a connection or answers on one.
    fake.until(1, leases).await;
    drop(serving);
    let held = tokio::task::spawn_blocking(move || when.recv().unwrap()).await.unwrap() - asked;
    assert!(held >= ttl.mul_f64(0.8) && held < ttl, "stopped after {held:?}");

    // It goes on asking, and is there when the coordinator is.
    fake.now(|script| (script.held, script.idle) = (None, true));
    let _serving = fake.return_again().await;
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
}

#[tokio::test]
async fn a_lease_that_was_long_in_coming_is_not_taken_for_lapsed() {
    let script = Script {
        trials: [lease(0, 1_000)].into(),
        lease_wait: Duration::from_millis(1_500),
        heartbeat_wait: Duration::from_millis(50),
        idle: true,
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, |_, _, halt| {
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(halt.why(), None);
        value(0.5)
    });
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(completes).len(), 1);
    assert!(!fake.all(heartbeats).is_empty(), "renewed at once");
}

#[tokio::test]
async fn heartbeats_go_on_while_the_training_takes_every_core() {
    let ttl = Duration::from_millis(1_200);
    let script = Script { trials: [lease(0, 1_200)].into(), idle: true, ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, move |_, progress, halt| {
        let end = Instant::now() + ttl * 4;
        progress.step(0, 0.25, []);
        std::thread::scope(|scope| {
            for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
                scope.spawn(|| while Instant::now() < end && !halt.stop().is_asked() {});
            }
        });
        value(0.5)
    });

    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(completes).len(), 1, "the lease held for four times its length");
    assert!(fake.all(heartbeats).iter().all(|progress| *progress == 0.25));
    let at: Vec<_> = fake
        .heard()
        .into_iter()
        .filter(|(_, call)| !matches!(call, Call::Metrics(_)))
        .map(|(at, _)| at)
        .collect();
    let longest = at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest < ttl.mul_f64(0.8), "silent for {longest:?}");
}

#[tokio::test]
async fn a_withdrawn_trial_is_given_back() {
    let script = Script {
        trials: [lease(0, 400)].into(),
        directive: v1::Directive::Cancel,
        idle: true,
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, |_, _, halt| all_night(halt));
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(releases), ["cancelled"]);
}

#[tokio::test]
async fn a_trial_told_to_end_early_reports_its_last_value_or_is_given_back_without_one() {
    for has_value in [true, false] {
        let script = Script {
            trials: [lease(0, 400)].into(),
            directive: v1::Directive::Prune,
            idle: true,
            ..Script::default()
        };
        let (fake, _serving) = Fake::serving(script).await;
        let work = at_work(&fake, move |_, _, halt| {
            let stopped = all_night(halt);
            assert_eq!(halt.why(), Some(Why::Pruned));
            match has_value {
                true => value(0.25).map(|measured| Measured { is_pruned: true, ..measured }),
                false => stopped,
            }
        });
        assert_eq!(work.ended().await.unwrap(), Ended::Idle);
        let values: Vec<_> = fake.all(completes).iter().map(|c| (c.value, c.pruned)).collect();
        match has_value {
            true => assert_eq!(values, [(0.25, true)]),
            false => assert_eq!(fake.all(releases), ["pruned"]),
        }
    }
}

#[tokio::test]
async fn a_drain_gives_the_trial_back_and_asks_for_no_other() {
    let script =
        Script { trials: [lease(0, 60_000), lease(1, 60_000)].into(), ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let (begun, has_begun) = mpsc::channel();
    let work = at_work(&fake, move |_, _, halt| {
        begun.send(()).unwrap();
        all_night(halt)
    });

    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    work.drain.advance();
    assert_eq!(work.ended().await.unwrap(), Ended::Drained);
    assert_eq!(fake.all(releases), ["drain"]);
    assert_eq!((fake.all(reports).len(), fake.all(leases).len()), (1, 1));
}

#[tokio::test]
async fn a_worker_that_the_coordinator_sends_away_gives_its_trial_back_and_asks_for_no_other() {
    let order = v1::Drain { reason: "dust".into(), is_unfit: false };
    let script = Script {
        trials: [lease(0, 400), lease(1, 400)].into(),
        directive: v1::Directive::Drain,
        drain: Some(order.clone()),
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work(&fake, |_, _, halt| {
        let ended = all_night(halt);
        assert_eq!(halt.why(), Some(Why::Drain));
        ended
    });
    let drain = work.drain.clone();
    assert_eq!(work.ended().await.unwrap(), Ended::Drained);
    assert_eq!(drain.ordered(), Some(&order));
    assert_eq!(fake.all(releases), ["drain"]);
    assert_eq!((fake.all(reports).len(), fake.all(leases).len()), (1, 1));
}

#[tokio::test]
async fn a_second_word_ends_a_slot_whose_training_does_not_listen() {
    let script = Script { trials: [lease(0, 60_000)].into(), ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let (begun, has_begun) = mpsc::channel();
    let work = at_work(&fake, move |_, _, _| {
        begun.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(20));
        value(0.5)
    });

    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    let told = Instant::now();
    work.drain.advance();
    work.drain.advance();
    assert_eq!(work.ended().await.unwrap(), Ended::Drained);
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    assert_eq!(fake.all(releases), ["drain"]);
}

#[tokio::test]
async fn a_slot_waits_for_a_coordinator_that_is_not_there_yet() {
    let script = Script { trials: [lease(0, 60_000)].into(), idle: true, ..Script::default() };
    let (fake, serving) = Fake::serving(script).await;
    drop(serving);
    let work = at_work(&fake, |_, _, _| value(0.5));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(fake.heard().is_empty());
    let _serving = fake.return_again().await;
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(completes).len(), 1);
}

#[tokio::test]
async fn a_slot_that_is_refused_ends_and_says_why() {
    let status = Status::permission_denied("the token is revoked");
    let script = Script { lease_refused: Some(status), ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let refused = at_work(&fake, |_, _, _| value(0.5)).ended().await.unwrap_err();
    let SlotError::Refused(cause) = refused else { panic!("{refused:?}") };
    assert!(cause.to_string().contains("the token is revoked"), "{cause}");
}
