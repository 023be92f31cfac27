//! A slot against a coordinator that does what the test says, over a real connection.

mod checkpoints;
mod fake;
mod leases;
mod process;
mod reports;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fake::{Call, Fake};
use proto::v1;
use tokio::task::JoinHandle;
use worker::checkpoints::Checkpoints;
use worker::client::Client;
use worker::drain::Drain;
use worker::evaluation::{Evaluate, Failure, Measured};
use worker::halt::Halt;
use worker::outbox::Outbox;
use worker::slot::{Ended, Slot, SlotError};
use worker::spool::Spool;

/// A slot at work, and the folder of its spool.
struct AtWork {
    drain: Drain,
    spool: tempfile::TempDir,
    slot: JoinHandle<Result<Ended, SlotError>>,
}

impl AtWork {
    /// How it ended; it must do so soon.
    async fn ended(self) -> Result<Ended, SlotError> {
        tokio::time::timeout(Duration::from_secs(30), self.slot)
            .await
            .expect("an end within half a minute")
            .unwrap()
    }
}

/// A slot that does `evaluate` with what the coordinator gives it.
fn at_work(
    fake: &Fake,
    evaluate: impl Fn(&v1::Lease, &worker::progress::Progress, &Halt) -> Result<Measured, Failure>
    + Send
    + Sync
    + 'static,
) -> AtWork {
    at_work_with(fake, move |lease, progress, _, halt| evaluate(lease, progress, halt))
}

/// A slot that does `evaluate`, which looks at the states of its training too.
fn at_work_with(
    fake: &Fake,
    evaluate: impl Fn(
        &v1::Lease,
        &worker::progress::Progress,
        &Checkpoints,
        &Halt,
    ) -> Result<Measured, Failure>
    + Send
    + Sync
    + 'static,
) -> AtWork {
    let spool = tempfile::tempdir().unwrap();
    let drain = Drain::new();
    let evaluate: Arc<Evaluate> = Arc::new(evaluate);
    let slot = Slot {
        coordinator: fake.address(),
        client: Client::connect_when_needed(fake.address().endpoint()),
        worker_id: "0d2c4b7e-0000-4000-8000-000000000001".into(),
        number: 0,
        capabilities: v1::Capabilities { label: "test".into(), ..Default::default() },
        evaluate,
        outbox: outbox(fake, spool.path(), &drain),
        drain: drain.clone(),
        until_idle: true,
        jitter_seed: 1,
    };
    let slot = tokio::spawn(async move { slot.run().await });
    AtWork { drain, spool, slot }
}

fn outbox(fake: &Fake, spool: &Path, drain: &Drain) -> Outbox {
    Outbox {
        client: Client::connect_when_needed(fake.address().endpoint()),
        spool: Spool::open(spool, &fake.address()).unwrap(),
        drain: drain.clone(),
        jitter_seed: 1,
    }
}

/// Trains until it is told to stop, as a training does that takes all night.
fn all_night(halt: &Halt) -> Result<Measured, Failure> {
    while !halt.stop().is_asked() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Failure::Stopped)
}

fn value(value: f64) -> Result<Measured, Failure> {
    let measurements = [("epochs".to_owned(), 3.0), ("soft_accuracy".to_owned(), 0.1 + 0.2)];
    Ok(Measured { value, measurements: measurements.into(), is_pruned: false })
}

fn leases(call: &Call) -> Option<()> {
    matches!(call, Call::Lease(_)).then_some(())
}

fn heartbeats(call: &Call) -> Option<f64> {
    match call {
        Call::Heartbeat(request) => Some(request.progress),
        _ => None,
    }
}

fn completes(call: &Call) -> Option<v1::CompleteRequest> {
    match call {
        Call::Complete(request) => Some(request.clone()),
        _ => None,
    }
}

fn fails(call: &Call) -> Option<v1::FailRequest> {
    match call {
        Call::Fail(request) => Some(request.clone()),
        _ => None,
    }
}

fn releases(call: &Call) -> Option<String> {
    match call {
        Call::Release(request) => Some(request.reason.clone()),
        _ => None,
    }
}

fn reports(call: &Call) -> Option<Call> {
    matches!(call, Call::Complete(_) | Call::Fail(_) | Call::Release(_)).then(|| call.clone())
}
