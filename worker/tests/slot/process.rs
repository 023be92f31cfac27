//! The program itself: how it ends, and with what exit status.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use proto::v1;
use proto::v1::{objective, value};
use rustix::process::{Pid, Signal, kill_process};
use tonic::Status;

use crate::fake::{Call, Fake, Script, lease};
use crate::{completes, leases, releases, reports};

/// Starts the program with a spool of its own, ended with the test if it does not end itself.
fn start(fake: &Fake, spool: &Path, options: &[&str]) -> Running {
    let child = Command::new(env!("CARGO_BIN_EXE_strop-worker"))
        .args(["--coordinator", &fake.address().to_string()])
        .arg("--spool")
        .arg(spool)
        .args(options)
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Running(Some(child))
}

struct Running(Option<Child>);

impl Running {
    fn tell(&self, signal: Signal) {
        let child = self.0.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Waits for its end without holding up the coordinator in this runtime.
    async fn ended(mut self) -> Output {
        let child = self.0.take().expect("it runs");
        tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended, which is as well.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// A lease on a training of ten thousand epochs.
fn endless(number: u32) -> v1::Lease {
    let fixed: BTreeMap<_, _> = [
        ("epochs", value::Kind::Integer(10_000)),
        ("sharpening_start", value::Kind::Integer(9_000)),
        ("conv1_features", value::Kind::Integer(8)),
        ("conv2_features", value::Kind::Integer(8)),
        ("conv3_features", value::Kind::Integer(8)),
    ]
    .into_iter()
    .map(|(name, kind)| (name.to_owned(), v1::Value { kind: Some(kind) }))
    .collect();
    let objective = v1::WhetstoneObjective {
        dataset: "digits".into(),
        train_images: 64,
        fixed,
        ..Default::default()
    };
    let kind = Some(objective::Kind::Whetstone(objective));
    v1::Lease { objective: Some(v1::Objective { kind }), ..lease(number, 60_000) }
}

#[tokio::test]
async fn a_worker_that_runs_until_idle_ends_well() {
    let (fake, _serving) = Fake::serving(Script { idle: true, ..Script::default() }).await;
    let spool = tempfile::tempdir().unwrap();
    let options = ["--until-idle", "--slots", "3", "--studies", "a", "b"];
    let output = start(&fake, spool.path(), &options).ended().await;
    assert!(output.status.success(), "{output:?}");

    let asked = fake.all(|call| match call {
        Call::Lease(request) => Some(request.clone()),
        _ => None,
    });
    let mut slots: Vec<_> = asked.iter().map(|request| request.slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2]);
    assert!(asked.iter().all(|request| request.worker_id == asked[0].worker_id));
    let able = asked[0].capabilities.clone().unwrap();
    assert_eq!(
        (able.objectives, able.studies),
        (vec!["whetstone".into()], vec!["a".into(), "b".into()])
    );
    assert!(!able.label.is_empty());
}

#[tokio::test]
async fn a_worker_that_is_refused_ends_with_an_error_that_says_why() {
    let status = Status::unauthenticated("the token is unknown");
    let script = Script { lease_refused: Some(status), ..Script::default() };
    let (fake, _serving) = Fake::serving(script).await;
    let spool = tempfile::tempdir().unwrap();
    let output = start(&fake, spool.path(), &[]).ended().await;
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("the token is unknown"), "{log}");
}

#[tokio::test]
async fn a_worker_that_is_sent_away_says_why_and_fails_only_if_its_machine_is_to_blame() {
    for (is_unfit, code) in [(true, 1), (false, 0)] {
        let drain = Some(v1::Drain { reason: "its disk is empty".into(), is_unfit });
        let (fake, _serving) = Fake::serving(Script { drain, ..Script::default() }).await;
        let spool = tempfile::tempdir().unwrap();
        let output = start(&fake, spool.path(), &["--slots", "2"]).ended().await;
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{log}");
        assert!(log.contains("sends") && log.contains("its disk is empty"), "{log}");
        assert!(fake.all(leases).len() <= 2, "each slot asks once");
    }
}

#[tokio::test]
async fn only_a_refusal_for_good_ends_a_worker() {
    use tonic::Code::{InvalidArgument, PermissionDenied, Unimplemented};
    for code in [InvalidArgument, PermissionDenied, Unimplemented] {
        let script =
            Script { lease_refused: Some(Status::new(code, "never")), ..Script::default() };
        let (fake, _serving) = Fake::serving(script).await;
        let spool = tempfile::tempdir().unwrap();
        let output = start(&fake, spool.path(), &[]).ended().await;
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains("no trial can be had") && log.contains("never"), "{log}");
    }
    let shed = Status::resource_exhausted("as many calls as may be are under way");
    let (fake, _serving) =
        Fake::serving(Script { lease_refused: Some(shed), ..Script::default() }).await;
    let spool = tempfile::tempdir().unwrap();
    let running = start(&fake, spool.path(), &["--until-idle"]);
    fake.until(3, leases).await;
    fake.now(|script| (script.lease_refused, script.idle) = (None, true));
    assert!(running.ended().await.status.success(), "it has asked until it was answered");
}

#[tokio::test]
async fn sigterm_ends_a_training_at_its_next_batch_and_gives_the_trial_back() {
    let (fake, _serving) =
        Fake::serving(Script { trials: [endless(0)].into(), ..Script::default() }).await;
    let spool = tempfile::tempdir().unwrap();
    let running = start(&fake, spool.path(), &[]);
    let metrics = |call: &Call| matches!(call, Call::Metrics(_)).then_some(());
    fake.until(1, metrics).await;

    let told = Instant::now();
    running.tell(Signal::TERM);
    let output = running.ended().await;
    assert!(output.status.success(), "{output:?}");
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    assert_eq!(fake.all(releases), ["drain"]);
    assert_eq!((fake.all(reports).len(), fake.all(leases).len()), (1, 1));
}

#[tokio::test]
async fn a_worker_killed_with_a_result_in_hand_delivers_it_when_it_is_started_again() {
    let script = Script {
        trials: [lease(0, 60_000)].into(),
        complete_refused: std::iter::repeat_n(Status::unavailable("away"), 1_000).collect(),
        idle: true,
        ..Script::default()
    };
    let mut trial = endless(0);
    if let Some(objective::Kind::Whetstone(objective)) =
        trial.objective.as_mut().and_then(|objective| objective.kind.as_mut())
    {
        let one = v1::Value { kind: Some(value::Kind::Integer(1)) };
        let fixed = v1::Value { kind: Some(value::Kind::Text("fixed".into())) };
        objective.fixed.insert("epochs".into(), one);
        objective.fixed.insert("epoch_policy".into(), fixed);
    }
    let (fake, _serving) = Fake::serving(Script { trials: [trial].into(), ..script }).await;
    let spool = tempfile::tempdir().unwrap();
    let running = start(&fake, spool.path(), &[]);
    let unheard = fake.until(1, completes).await;
    running.tell(Signal::KILL);
    running.ended().await;

    fake.now(|script| script.complete_refused.clear());
    let asked = fake.all(leases).len();
    let output = start(&fake, spool.path(), &["--until-idle"]).ended().await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fake.all(completes).last(), unheard.first());
    let last = fake
        .heard()
        .into_iter()
        .map(|(_, call)| call)
        .filter(|call| matches!(call, Call::Complete(_) | Call::Lease(_)));
    let order: Vec<_> = last.map(|call| matches!(call, Call::Complete(_))).collect();
    assert!(order[order.len() - 2] && asked > 0, "delivered before it asks for more");
    assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0);
}
