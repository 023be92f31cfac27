//! What workers store: all of it or nothing, by whoever holds the trial, for as long as it is needed.

use proto::v1::{Lease, PutRequest, put_request::Part};
use sha2::{Digest as _, Sha256};
use tests::{Coordinator, Hand, Town, hand::in_messages, space};
use tokio::{sync::mpsc, task::JoinHandle};
use tonic::{Code, Status};

/// A state of so many bytes, different for each seed.
fn state(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 7 + i / 256) as u8 ^ seed).collect()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// More than two parts, and a rest.
const BYTES: usize = 600_000;

const ARTIFACTS: &str = "select count(*) from artifact";
const CHUNKS: &str = "select count(*) from artifact_chunk";

async fn at_work(coordinator: &Coordinator, trials: u32) -> (Hand, Lease) {
    let mut spec = space::external("told", space::eight_switches(), trials);
    spec.checkpoint_epochs = 2;
    coordinator.create(spec).await;
    let mut ada = coordinator.hand();
    let lease = ada.lease().await;
    assert_eq!((lease.checkpoint.clone(), lease.checkpoint_epochs), (None, 2));
    (ada, lease)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_attempt_is_handed_the_newest_checkpoint_by_any_coordinator() {
    let town = Town::new().await;
    let (here, there) = (town.coordinator().await, town.coordinator().await);
    let (mut ada, lease) = at_work(&here, 2).await;
    assert!(ada.put(&lease, 2, &state(2, BYTES)).await.unwrap());
    assert!(ada.put(&lease, 4, &state(4, BYTES)).await.unwrap());
    assert_eq!(town.number(ARTIFACTS).await, 1, "only the newest is kept");
    assert_eq!(town.number(CHUNKS).await, 3);
    let bytes = "select checkpoint_bytes from v1.trials where checkpoint_epoch = 4";
    assert_eq!(town.number(bytes).await, BYTES as i64);
    ada.release(&lease).await.unwrap();

    let mut ben = there.hand();
    let lease = ben.lease().await;
    let offered = lease.checkpoint.clone().unwrap();
    assert_eq!((offered.epoch, offered.bytes), (4, BYTES as u64));
    assert_eq!(ben.get(&offered.sha256).await.unwrap(), state(4, BYTES));
    assert_eq!(ben.lease().await.checkpoint, lease.checkpoint, "a lost answer is given again");
    ben.report(&lease, 4, "loss", 0.5).await.unwrap();
    ben.report(&lease, 5, "loss", 0.4).await.unwrap();
    let resumed = "select resumed_from_epoch::bigint from v1.attempts where attempt = 2";
    assert_eq!(town.number(resumed).await, 4);
    assert_eq!(there.trials("told").await[0].resumed_from_epoch, 4);
    assert_eq!(
        town.number(
            "select count(*) from v1.attempts where attempt = 1 and resumed_from_epoch is null"
        )
        .await,
        1
    );

    // The trial ends, and with it the need.
    ben.complete(&lease, 0.5).await.unwrap();
    town.until("select count(*) from checkpoint", 0).await;
    town.until(ARTIFACTS, 0).await;
    assert_eq!(town.number(CHUNKS).await, 0);
    assert_eq!(ben.get(&offered.sha256).await.unwrap_err().code(), Code::NotFound);
    let next = ben.lease().await;
    assert_eq!((next.checkpoint, next.best_value), (None, Some(0.5)));
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_is_harmless_and_an_earlier_epoch_does_not_come_back() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let (mut ada, lease) = at_work(&coordinator, 1).await;
    let (old, new) = (state(1, BYTES), state(2, BYTES));
    assert!(ada.put(&lease, 2, &old).await.unwrap());
    for _ in 0..2 {
        assert!(ada.put(&lease, 4, &new).await.unwrap());
        assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (1, 3));
    }
    // A first sending of the earlier one arrives late.
    assert!(!ada.put(&lease, 2, &old).await.unwrap());
    assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (1, 3));
    assert_eq!(ada.get(&sha256(&new)).await.unwrap(), new);
    assert_eq!(ada.get(&sha256(&old)).await.unwrap_err().code(), Code::NotFound);

    // Two sendings at once: one waits for the other.
    let mut twin = ada.clone();
    let third = state(3, BYTES);
    let (first, second) = tokio::join!(ada.put(&lease, 6, &third), twin.put(&lease, 6, &third));
    assert!(first.unwrap() && second.unwrap());
    assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (1, 3));
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_two_trials_have_is_stored_once_and_stays_for_the_second() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let (mut ada, first) = at_work(&coordinator, 2).await;
    let mut ben = coordinator.hand();
    let second = ben.lease().await;
    let same = state(9, BYTES);
    ada.put(&first, 2, &same).await.unwrap();
    ben.put(&second, 2, &same).await.unwrap();
    assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (1, 3));
    ada.put(&first, 4, &state(10, 10)).await.unwrap();
    assert_eq!(ben.get(&sha256(&same)).await.unwrap(), same);
    ben.put(&second, 4, &state(11, 10)).await.unwrap();
    assert_eq!(ben.get(&sha256(&same)).await.unwrap_err().code(), Code::NotFound);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_trial_was_handed_on_stores_nothing() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let (mut ada, old) = at_work(&coordinator, 1).await;
    ada.put(&old, 2, &state(2, BYTES)).await.unwrap();
    town.let_every_lease_lapse().await;
    town.until("select count(*) from trial where state = 'queued'", 1).await;
    let refused = ada.put(&old, 4, &state(4, BYTES)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");

    let mut ben = coordinator.hand();
    let new = ben.lease().await;
    assert_eq!(new.checkpoint.as_ref().unwrap().epoch, 2, "what came in time counts");
    let refused = ada.put(&old, 6, &state(6, BYTES)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    let mut forged = new.clone();
    forged.r#ref.as_mut().unwrap().lease_id = old.r#ref.unwrap().lease_id;
    let refused = ben.put(&forged, 6, &state(6, BYTES)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (1, 3));
    assert_eq!(town.number("select epoch::bigint from checkpoint").await, 2);

    // The second attempt could not use what it found and began afresh: its own state is the newer.
    assert!(ben.put(&new, 1, &state(1, BYTES)).await.unwrap());
    assert_eq!(town.number("select epoch::bigint from checkpoint").await, 1);
    ben.complete(&new, 0.5).await.unwrap();
    let refused = ben.put(&new, 2, &state(2, BYTES)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    town.is_sound().await;
}

/// An upload whose last chunk is held back.
struct HeldBack {
    upload: JoinHandle<Result<bool, Status>>,
    last: mpsc::Sender<PutRequest>,
    chunk: PutRequest,
}

const OPEN: &str = "select count(*) from pg_stat_activity
                     where datname = current_database() and state = 'idle in transaction'
                       and query like '%artifacts::append%'";

impl HeldBack {
    /// Everything but the last chunk is with the coordinator then.
    async fn begin(town: &Town, hand: &Hand, lease: &Lease) -> Self {
        let mut messages = in_messages(lease, 2, &state(2, BYTES));
        let chunk = messages.pop().unwrap();
        let (last, receiver) = mpsc::channel(messages.len());
        for message in messages {
            last.send(message).await.unwrap();
        }
        let mut hand = hand.clone();
        let upload = tokio::spawn(async move { hand.send_as_they_come(receiver).await });
        town.until(OPEN, 1).await;
        Self { upload, last, chunk }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_worker_dies_or_falls_silent_leaves_nothing() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let (mut ada, lease) = at_work(&coordinator, 1).await;
    let dying = HeldBack::begin(&town, &ada, &lease).await;
    dying.upload.abort();
    town.until(OPEN, 0).await;
    assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (0, 0));

    let silent = HeldBack::begin(&town, &ada, &lease).await;
    let refused = silent.upload.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused:?}");
    assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (0, 0));
    assert!(ada.put(&lease, 2, &state(2, BYTES)).await.unwrap(), "and another try succeeds");
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_lost_during_the_upload_stores_nothing() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let (mut ada, lease) = at_work(&coordinator, 1).await;
    let held_back = HeldBack::begin(&town, &ada, &lease).await;
    ada.release(&lease).await.unwrap();
    held_back.last.send(held_back.chunk).await.unwrap();
    drop(held_back.last);
    let refused = held_back.upload.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (0, 0));
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_is_not_what_its_header_says_is_refused_and_leaves_nothing() {
    let town = Town::new().await;
    let coordinator = town.coordinator_that_takes(BYTES as u64).await;
    let (mut ada, lease) = at_work(&coordinator, 1).await;
    let whole = in_messages(&lease, 2, &state(2, BYTES));
    let with_header = |change: &dyn Fn(&mut proto::v1::PutHeader)| {
        let mut messages = whole.clone();
        let Some(Part::Header(header)) = &mut messages[0].part else { panic!("no header") };
        change(header);
        messages
    };
    let chunk = |bytes: usize| PutRequest { part: Some(Part::Chunk(vec![0; bytes])) };
    let mut longer = whole.clone();
    longer.push(chunk(1));
    let mut damaged = whole.clone();
    let Some(Part::Chunk(bytes)) = &mut damaged[3].part else { panic!("no chunk") };
    bytes[17] ^= 1;
    let too_long = in_messages(&lease, 2, &state(2, BYTES + 1));
    let cases = [
        (whole[..whole.len() - 1].to_vec(), "ends after 500015 of 600000 bytes"),
        (longer, "goes on after the 600000 bytes"),
        (damaged, "SHA-256 is not that of its header"),
        (with_header(&|header| header.sha256[0] ^= 1), "SHA-256 is not that of its header"),
        (with_header(&|header| header.bytes -= 1), "goes on after the 599999 bytes"),
        (too_long, "600001 bytes and 600000 are taken; start the coordinator with a larger"),
        (with_header(&|header| header.sha256.truncate(31)), "a SHA-256 has 32 bytes, not 31"),
        (with_header(&|header| header.epoch = 0), "at least one epoch behind it, not 0"),
        (with_header(&|header| header.kind = 0), "no artifact of kind 0"),
        (with_header(&|header| header.kind = 77), "no artifact of kind 77"),
        (with_header(&|header| header.bytes = 0), "at least one byte"),
        (with_header(&|header| header.r#ref = None), "quotes no lease"),
        (whole[1..].to_vec(), "the first message must be the header"),
        (Vec::new(), "the first message must be the header"),
        (vec![whole[0].clone(), whole[0].clone()], "a second header"),
        (vec![whole[0].clone(), PutRequest { part: None }], "neither header nor chunk"),
        (vec![whole[0].clone(), chunk(0)], "a chunk of 0 bytes"),
        (vec![whole[0].clone(), chunk(262_145)], "a chunk of 262145 bytes"),
    ];
    for (messages, expected) in cases {
        let refused = ada.send(messages).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{expected}: {refused:?}");
        assert!(refused.message().contains(expected), "{expected}: {refused:?}");
        assert_eq!((town.number(ARTIFACTS).await, town.number(CHUNKS).await), (0, 0), "{expected}");
    }
    assert!(ada.send(whole).await.unwrap(), "and the right one is taken");
    let wrong = ada.get(&[1; 31]).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    let unknown = ada.get(&[1; 32]).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_study_stored_goes_with_it() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let (mut ada, lease) = at_work(&coordinator, 1).await;
    ada.put(&lease, 2, &state(2, BYTES)).await.unwrap();
    sqlx::query("delete from study").execute(&town.pool).await.unwrap();
    town.until(ARTIFACTS, 0).await;
    town.is_sound().await;
}
