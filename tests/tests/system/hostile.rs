//! What strangers send: bytes that are no message, messages that are too much, text that is no text.
//!
//! `STROP_HOSTILE=100000` sends so many malformed messages; without it, fewer are sent.

#[path = "hostile/bodies.rs"]
mod bodies;
#[path = "hostile/calls.rs"]
mod calls;
#[path = "hostile/text.rs"]
mod text;

use std::{env, fs, time::Duration};

use tests::{process, raw};
use tokio::task::JoinSet;
use tonic::{Code, Status, transport::Channel};

use bodies::Bodies;

/// Malformed messages that are sent unless told otherwise: some seconds' worth.
const MESSAGES: usize = 6_000;

/// Calls under way at once.
const AT_ONCE: usize = 64;

/// Calls over one connection; a connection may make only so many in a row.
const A_CONNECTION: usize = 1_500;

/// What a process may have grown by, in KiB, from a tenth of the way to the end: allocators keep some of
/// what they had, and a leak of a kibibyte a message would show.
const GROWTH_KIB_MAX: u64 = 48 << 10;

async fn connect(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}

/// Resident memory of a process, in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Whether a coordinator may answer a malformed message so. INTERNAL would be a fault of its own.
fn is_fit(code: Code) -> bool {
    matches!(
        code,
        Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::Unavailable
    )
}

/// The real program, in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_to_every_call_break_nothing_and_leave_no_memory_behind() {
    let wanted = env::var("STROP_HOSTILE").ok();
    let wanted: usize = wanted.map_or(MESSAGES, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let coordinator = process::coordinator(folder.path(), "127.0.0.1:0", "coordinator.log");
    let url = process::url(folder.path());
    let calls = calls::all(&connect(&url).await).await;
    let mut bodies = Bodies::new(7);
    let (mut sent, mut settled) = (0, 0);
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    let begun = std::time::Instant::now();
    while sent < wanted {
        let channel = connect(&url).await;
        let mut under_way = JoinSet::new();
        for _ in 0..A_CONNECTION.min(wanted - sent) {
            let call = &calls[sent % calls.len()];
            let (path, is_stream) = (call.path, call.is_stream);
            let body = bodies.next(&call.message, &calls);
            let channel = channel.clone();
            under_way.spawn(async move {
                let answer = raw::call(&channel, path, body.clone(), is_stream);
                // One that was let wait for a trial has been understood.
                let answer = tokio::time::timeout(Duration::from_secs(2), answer).await;
                (path, body, answer.unwrap_or(Ok(Vec::new())))
            });
            if under_way.len() >= AT_ONCE {
                count(&mut counts, under_way.join_next().await.unwrap().unwrap());
            }
            sent += 1;
            if sent == wanted / 10 {
                settled = resident_kib(coordinator.id());
            }
        }
        while let Some(answered) = under_way.join_next().await {
            count(&mut counts, answered.unwrap());
        }
    }
    let last = resident_kib(coordinator.id());
    println!("{sent} messages in {:?}: {counts:?}", begun.elapsed());
    println!("resident: {settled} KiB after a tenth, {last} KiB at the end");
    assert!(counts["InvalidArgument"] > sent / 4, "most of them mean nothing: {counts:?}");
    assert!(counts["Ok"] > 0, "and some are in order: {counts:?}");
    assert!(last < settled + GROWTH_KIB_MAX, "{settled} KiB grew to {last} KiB");

    // It serves, and nothing broke in it.
    let channel = connect(&url).await;
    raw::call(&channel, "/strop.v1.StudyService/ListStudies", vec![], false).await.unwrap();
    assert!(coordinator.terminate().success());
    let log = fs::read_to_string(folder.path().join("coordinator.log")).unwrap();
    for word in ["panicked", "a request broke", "planning failed"] {
        let line = log.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "the log says so");
    }
}

fn count(
    counts: &mut std::collections::BTreeMap<String, usize>,
    (path, body, answer): (&str, Vec<u8>, Result<Vec<u8>, Status>),
) {
    let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
    if let Err(status) = &answer {
        let shown = &body[..body.len().min(200)];
        assert!(is_fit(code), "{path} says {status} to {} bytes {shown:x?}", body.len());
        assert!(status.message().len() <= 4_096, "{path} says too much: {status}");
    }
    *counts.entry(format!("{code:?}")).or_default() += 1;
}

/// The best of some tries, since the machine may be busy.
async fn refused(channel: &Channel, path: &'static str, body: &[u8]) -> (Status, Duration) {
    let mut best = Duration::MAX;
    let mut said = None;
    for _ in 0..5 {
        let begun = std::time::Instant::now();
        said = raw::call(channel, path, body.to_vec(), false).await.err();
        best = best.min(begun.elapsed());
    }
    (said.expect("is refused"), best)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_too_much_are_refused_fast_and_the_connection_lives() {
    let town = tests::Town::new().await;
    let coordinator = town.coordinator().await;
    let channel = &coordinator.channel;
    let [create, report] =
        ["/strop.v1.StudyService/CreateStudy", "/strop.v1.WorkerService/ReportMetrics"];
    let cases = [
        (create, vec![0x0a; 5 << 20], Code::OutOfRange, "1048576 bytes"),
        (create, bodies::parameters(100_000), Code::InvalidArgument, "at most 64 parameters"),
        (report, bodies::metrics(1_000_000), Code::OutOfRange, "1048576 bytes"),
        (report, bodies::metrics(40_000), Code::InvalidArgument, "send 1000 at most"),
        (create, bodies::nested(100_000), Code::InvalidArgument, "the message is none"),
        (create, bodies::groups(100_000), Code::InvalidArgument, "the message is none"),
    ];
    for (path, body, code, said) in cases {
        let (status, took) = refused(channel, path, &body).await;
        println!("{} bytes to {path}: {:?} after {took:?}", body.len(), status.code());
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(said), "{status}");
        assert!(took < Duration::from_millis(500), "{took:?} for {} bytes", body.len());
    }
    coordinator.create(tests::space::external("fine", tests::space::eight_switches(), 1)).await;
    assert_eq!(town.number("select count(*) from study").await, 1);
}
