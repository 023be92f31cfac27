//! How a slot carries the states of a training, and that nothing waits for them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proto::v1;
use sha2::{Digest as _, Sha256};
use tonic::Status;
use worker::checkpoints::{Checkpoint, Checkpoints};
use worker::evaluation::{Failure, Measured};
use worker::halt::{Halt, Why};
use worker::slot::Ended;

use crate::fake::{Call, Fake, Script, lease};
use crate::{all_night, at_work_with, completes, leases, releases, reports, value};

/// The state after so many epochs, of more than one chunk.
fn after(epoch: u32) -> Checkpoint {
    Checkpoint { epoch, bytes: vec![epoch as u8; 300_000] }
}

/// A lease on a trial that wants a checkpoint after every `every` epochs.
fn every(every: u32) -> v1::Lease {
    v1::Lease { checkpoint_epochs: every, ..lease(0, 60_000) }
}

/// A lease on a trial that an earlier attempt left after four epochs.
fn left_after_four(state: &[u8]) -> v1::Lease {
    let checkpoint = v1::Checkpoint {
        epoch: 4,
        sha256: Sha256::digest(state).to_vec(),
        bytes: state.len() as u64,
    };
    v1::Lease { checkpoint: Some(checkpoint), ..every(2) }
}

fn puts(call: &Call) -> Option<(u32, Vec<u8>)> {
    match call {
        Call::Put(header, bytes) => {
            assert_eq!(header.sha256, Sha256::digest(bytes).to_vec());
            assert_eq!(header.bytes, bytes.len() as u64);
            assert_eq!(header.kind(), v1::ArtifactKind::Checkpoint);
            assert_eq!(header.r#ref, lease(0, 0).r#ref);
            Some((header.epoch, bytes.clone()))
        }
        _ => None,
    }
}

fn epochs(fake: &Fake) -> Vec<u32> {
    fake.all(puts).into_iter().map(|(epoch, _)| epoch).collect()
}

fn gets(call: &Call) -> Option<()> {
    matches!(call, Call::Get(_)).then_some(())
}

/// What an evaluation found, told to the test.
type Found = Arc<Mutex<Option<Option<Checkpoint>>>>;

fn told(found: &Found) -> impl Fn(&Checkpoints) + use<> {
    let found = found.clone();
    move |checkpoints| *found.lock().unwrap() = Some(checkpoints.found().cloned())
}

/// Runs one trial to its end; says what its evaluation found.
async fn found_by(script: Script) -> (Fake, Option<Checkpoint>) {
    let (fake, _serving) = Fake::serving(Script { idle: true, ..script }).await;
    let found = Found::default();
    let tell = told(&found);
    let work = at_work_with(&fake, move |_, _, checkpoints, _| {
        tell(checkpoints);
        value(0.5)
    });
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(completes).len(), 1, "whatever it found");
    let found = found.lock().unwrap().take().expect("it was evaluated");
    (fake, found)
}

#[tokio::test]
async fn a_training_finds_the_state_that_an_earlier_attempt_left() {
    let state = after(4);
    let (_, found) = found_by(Script {
        trials: [left_after_four(&state.bytes)].into(),
        artifact: state.bytes.chunks(1 << 16).map(<[u8]>::to_vec).collect(),
        get_refused: [Status::unavailable("no database")].into(),
        ..Script::default()
    })
    .await;
    assert_eq!(found, Some(state));
}

#[tokio::test]
async fn a_training_begins_afresh_if_its_state_is_gone_or_damaged() {
    let state = after(4);
    let trials = || [left_after_four(&state.bytes)].into();
    let mut damaged = state.bytes.clone();
    damaged[250_000] ^= 1;
    let gone = [Status::not_found("replaced")].into();
    let scripts = [
        Script { trials: trials(), get_refused: gone, ..Script::default() },
        Script { trials: trials(), artifact: vec![damaged], ..Script::default() },
        Script { trials: trials(), artifact: vec![state.bytes[1..].to_vec()], ..Script::default() },
    ];
    for script in scripts {
        let (fake, found) = found_by(script).await;
        assert_eq!(found, None);
        assert_eq!(fake.all(gets).len(), 1, "another look would find the same");
    }
}

#[tokio::test]
async fn states_are_stored_every_so_many_epochs_while_the_training_goes_on() {
    let script = Script { trials: [every(2)].into(), idle: true, ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work_with(&fake, |_, _, checkpoints, _| {
        for epoch in 1..=5 {
            checkpoints.save(after(epoch));
            std::thread::sleep(Duration::from_millis(100));
        }
        value(0.5)
    });
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(puts), [(2, after(2).bytes), (4, after(4).bytes)]);
}

#[tokio::test]
async fn a_slow_coordinator_holds_no_training_up_and_is_sent_the_newest_next() {
    let put_wait = Duration::from_millis(600);
    let script = Script { trials: [every(1)].into(), put_wait, ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let (saved, all_saved) = std::sync::mpsc::channel();
    let work = at_work_with(&fake, move |_, _, checkpoints, halt| {
        checkpoints.save(after(1));
        std::thread::sleep(Duration::from_millis(200));
        let begun = Instant::now();
        (2..=9).for_each(|epoch| checkpoints.save(after(epoch)));
        saved.send(begun.elapsed()).unwrap();
        all_night(halt)
    });
    fake.until(2, puts).await;
    assert!(all_saved.recv().unwrap() < put_wait / 2, "the training waited");
    assert_eq!(epochs(&fake), [1, 9], "those between are out of date");
    work.drain.advance();
    assert_eq!(work.ended().await.unwrap(), Ended::Drained);
}

#[tokio::test]
async fn a_drained_slot_stores_the_newest_state_before_it_gives_the_trial_back() {
    let put_wait = Duration::from_millis(300);
    let script = Script { trials: [every(10)].into(), put_wait, ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work_with(&fake, |_, _, checkpoints, halt| {
        (1..=3).for_each(|epoch| checkpoints.save(after(epoch)));
        all_night(halt)
    });
    fake.until(1, leases).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(epochs(&fake).is_empty(), "none is due");
    work.drain.advance();
    assert_eq!(work.ended().await.unwrap(), Ended::Drained);
    let order = fake.all(|call| match call {
        Call::Put(header, _) => Some(header.epoch),
        Call::Release(_) => Some(0),
        _ => None,
    });
    assert_eq!(order, [3, 0]);
    let at = fake.heard().into_iter().filter_map(|(at, call)| match call {
        Call::Put(..) | Call::Release(_) => Some(at),
        _ => None,
    });
    let at: Vec<_> = at.collect();
    assert!(at[1] - at[0] >= put_wait, "given back once it was stored");
}

#[tokio::test]
async fn a_coordinator_that_stores_nothing_does_not_keep_a_drained_slot_for_long() {
    let script = Script {
        trials: [every(10)].into(),
        put_refused: std::iter::repeat_n(Status::unavailable("no database"), 1_000).collect(),
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work_with(&fake, |_, _, checkpoints, halt| {
        checkpoints.save(after(1));
        all_night(halt)
    });
    fake.until(1, leases).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let told = Instant::now();
    work.drain.advance();
    assert_eq!(work.ended().await.unwrap(), Ended::Drained);
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    assert!(epochs(&fake).len() > 1, "it tried");
    assert_eq!(fake.all(releases), ["drain"]);
}

#[tokio::test]
async fn a_refused_state_is_not_sent_again_and_harms_nothing() {
    let script = Script {
        trials: [every(1)].into(),
        put_refused: [Status::invalid_argument("too long")].into(),
        idle: true,
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let work = at_work_with(&fake, |_, _, checkpoints, _| {
        for epoch in 1..=3 {
            checkpoints.save(after(epoch));
            std::thread::sleep(Duration::from_millis(100));
        }
        value(0.5)
    });
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(epochs(&fake), [1]);
    assert_eq!(fake.all(completes).len(), 1);
}

#[tokio::test]
async fn a_state_that_is_superseded_tells_that_the_lease_is_lost() {
    let script = Script {
        trials: [every(1)].into(),
        put_refused: [Status::aborted("handed on")].into(),
        ..Script::default()
    };
    let (fake, _serving) = Fake::serving(script).await;
    let superseded = |_: &v1::Lease, _: &_, checkpoints: &Checkpoints, halt: &Halt| {
        checkpoints.save(after(1));
        let ended: Result<Measured, Failure> = all_night(halt);
        assert_eq!(halt.why(), Some(Why::Lost));
        ended
    };
    let work = at_work_with(&fake, superseded);
    fake.until(2, leases).await;
    fake.now(|script| script.idle = true);
    assert_eq!(work.ended().await.unwrap(), Ended::Idle);
    assert_eq!(fake.all(reports), [], "nobody listens to a superseded attempt");
}
