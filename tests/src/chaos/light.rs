//! A light worker: it keeps every rule of a worker and trains nothing.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::Args;
use coordinator::trial::Report;
use proto::v1::{
    Capabilities, CompleteRequest, FailRequest, FailureClass, Lease, LeaseRef, LeaseRequest,
    ReleaseRequest,
};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    LEASE,
    caller::{Caller, DEADLINE, within},
    dice::Dice,
    evaluation::{End, Held, evaluate},
    ledger::{Entry, Ledger},
};

/// How long a call for a trial may be held open.
const WAIT: Duration = Duration::from_secs(2);

/// What a light worker is told.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where the coordinators are; the next is tried when one does not answer.
    #[arg(long, value_delimiter = ',', required = true)]
    pub coordinators: Vec<String>,
    /// The worker's uuid.
    #[arg(long)]
    pub worker_id: Uuid,
    /// Of everything random.
    #[arg(long)]
    pub seed: u64,
    /// Where it writes down what it was answered.
    #[arg(long)]
    pub ledger: PathBuf,
    /// Shortest evaluation, in milliseconds.
    #[arg(long, default_value_t = 20)]
    pub work_ms_min: u64,
    /// Longest ordinary evaluation, in milliseconds.
    #[arg(long, default_value_t = 120)]
    pub work_ms_max: u64,
    /// Never fails, releases, lies or works for longer than told.
    #[arg(long)]
    pub plain: bool,
}

/// A process that is nothing but a light worker.
///
/// # Errors
///
/// As of [`work`], or if the system gives no runtime.
pub fn work_alone(options: Options) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(options))
}

/// Works until it is killed.
///
/// # Errors
///
/// If the ledger cannot be written, or an address is none.
pub async fn work(options: Options) -> anyhow::Result<()> {
    let mut dice = Dice::new(options.seed, &options.worker_id.to_string());
    let mut worker = Worker {
        caller: Caller::new(&options.coordinators, dice.below(options.coordinators.len()))?,
        ledger: Ledger::open(&options.ledger)?,
        dice,
        options,
    };
    loop {
        let asked_at = Instant::now();
        match worker.ask().await {
            Some(lease) => worker.serve(&lease, asked_at).await?,
            None => sleep(worker.dice.between(WAIT / 40, WAIT / 10)).await,
        }
    }
}

struct Worker {
    options: Options,
    caller: Caller,
    ledger: Ledger,
    dice: Dice,
}

impl Worker {
    async fn ask(&mut self) -> Option<Lease> {
        let request = LeaseRequest {
            worker_id: self.options.worker_id.to_string(),
            slot: 0,
            capabilities: Some(Capabilities {
                objectives: vec!["external".into()],
                label: "light".into(),
                device: "cpu".into(),
                ..Default::default()
            }),
            wait: Some(WAIT.try_into().expect("a short wait")),
        };
        match self.caller.workers().lease(within(WAIT + DEADLINE, request)).await {
            Ok(answer) => answer.into_inner().lease,
            Err(_) => {
                self.caller.turn();
                None
            }
        }
    }

    /// Evaluates and reports, for better or worse.
    async fn serve(&mut self, lease: &Lease, asked_at: Instant) -> anyhow::Result<()> {
        let mut held = Held::new(lease, asked_at);
        let length = self.length();
        let steps = if self.dice.chance(0.3) { 4 } else { 0 };
        let end = evaluate(&mut self.caller, &mut held, length, steps, &mut self.dice).await;
        let reference = held.reference.clone();
        match end {
            End::Lost => Ok(self.ledger.note(&Entry::Dropped)?),
            // A value reached after the lease may have lapsed counts until somebody else holds the
            // trial; half of the time there is none yet.
            End::Lapsed if self.options.plain || self.dice.chance(0.5) => {
                Ok(self.ledger.note(&Entry::Dropped)?)
            }
            End::Lapsed => {
                sleep(self.dice.between(Duration::ZERO, LEASE * 2)).await;
                self.complete(reference, false, true).await
            }
            End::Cancelled => self.release(reference, "cancelled").await,
            End::Done if !self.options.plain && self.dice.chance(0.02) => {
                self.fail(reference).await
            }
            End::Done if !self.options.plain && self.dice.chance(0.02) => {
                self.release(reference, "preempted").await
            }
            End::Done => self.complete(reference, false, false).await,
            End::Pruned => self.complete(reference, true, false).await,
        }
    }

    /// Tens of milliseconds; now and then more than a lease, so that heartbeats matter.
    fn length(&mut self) -> Duration {
        let low = Duration::from_millis(self.options.work_ms_min);
        let high = Duration::from_millis(self.options.work_ms_max.max(self.options.work_ms_min));
        match !self.options.plain && self.dice.chance(0.05) {
            true => self.dice.between(LEASE / 2, LEASE * 2),
            false => self.dice.between(low, high),
        }
    }

    async fn complete(&mut self, held: LeaseRef, pruned: bool, late: bool) -> anyhow::Result<()> {
        if !self.options.plain && self.dice.chance(0.01) {
            self.forge(&held).await?;
        }
        // Another attempt at the same trial measures something else, so that the record tells
        // which of them it holds.
        let value = self.dice.uniform();
        let measurements = BTreeMap::from([("attempt".to_owned(), f64::from(held.attempt))]);
        let request = CompleteRequest {
            r#ref: Some(held.clone()),
            value,
            measurements: measurements.clone().into_iter().collect(),
            pruned,
        };
        let sha256 = Report { value, measurements, is_pruned: pruned }.sha256();
        let sha256: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let entry = match self.send(request.clone()).await {
            Ok(duplicate) => Entry::Recorded {
                trial_id: held.trial_id,
                attempt: held.attempt.cast_signed(),
                sha256,
                duplicate,
                late,
            },
            Err(status) if status.code() == Code::Aborted => Entry::Refused { late },
            Err(status) => wrong("Complete", &status),
        };
        self.ledger.note(&entry)?;
        if matches!(entry, Entry::Recorded { .. }) {
            self.repeat(request, &entry).await?;
        }
        Ok(())
    }

    /// Now and then sends a recorded report again, or another in its place.
    async fn repeat(&mut self, mut request: CompleteRequest, was: &Entry) -> anyhow::Result<()> {
        if !self.options.plain && self.dice.chance(0.05) {
            let entry = match self.send(request.clone()).await {
                Ok(true) => match was.clone() {
                    Entry::Recorded { trial_id, attempt, sha256, late, .. } => {
                        Entry::Recorded { trial_id, attempt, sha256, late, duplicate: true }
                    }
                    other => other,
                },
                Ok(false) => Entry::Wrong { what: "a repeated Complete was recorded anew".into() },
                Err(status) => wrong("a repeated Complete", &status),
            };
            self.ledger.note(&entry)?;
        }
        if !self.options.plain && self.dice.chance(0.02) {
            request.value = -1.0;
            let entry = match self.send(request).await {
                Err(status) if status.code() == Code::AlreadyExists => Entry::Contradicted,
                Err(status) => wrong("a contradicting Complete", &status),
                Ok(_) => Entry::Wrong { what: "a contradicting Complete was recorded".into() },
            };
            self.ledger.note(&entry)?;
        }
        Ok(())
    }

    /// Reports for a lease that nobody was given.
    async fn forge(&mut self, held: &LeaseRef) -> anyhow::Result<()> {
        let forged = LeaseRef { lease_id: Uuid::new_v4().to_string(), ..held.clone() };
        let request = CompleteRequest { r#ref: Some(forged), value: -2.0, ..Default::default() };
        let entry = match self.send(request).await {
            Err(status) if status.code() == Code::Aborted => Entry::Forged,
            Err(status) => wrong("a forged Complete", &status),
            Ok(_) => Entry::Wrong { what: "a forged Complete was recorded".into() },
        };
        Ok(self.ledger.note(&entry)?)
    }

    /// Sends a result until it is answered; `true` if it had been recorded before.
    async fn send(&mut self, request: CompleteRequest) -> Result<bool, Status> {
        let call = |caller: &Caller| {
            let (mut client, request) = (caller.workers(), within(DEADLINE, request.clone()));
            async move { client.complete(request).await }
        };
        Ok(self.caller.until_answered(call).await?.duplicate)
    }

    async fn fail(&mut self, held: LeaseRef) -> anyhow::Result<()> {
        let request = FailRequest {
            r#ref: Some(held),
            failure_class: FailureClass::Oom.into(),
            detail: "as its dice fell".into(),
        };
        let call = |caller: &Caller| {
            let (mut client, request) = (caller.workers(), within(DEADLINE, request.clone()));
            async move { client.fail(request).await }
        };
        let entry = match self.caller.until_answered(call).await {
            Ok(_) => Entry::Failed,
            Err(status) if status.code() == Code::Aborted => Entry::Dropped,
            Err(status) => wrong("Fail", &status),
        };
        Ok(self.ledger.note(&entry)?)
    }

    async fn release(&mut self, held: LeaseRef, reason: &str) -> anyhow::Result<()> {
        let request = ReleaseRequest { r#ref: Some(held), reason: reason.to_owned() };
        let call = |caller: &Caller| {
            let (mut client, request) = (caller.workers(), within(DEADLINE, request.clone()));
            async move { client.release(request).await }
        };
        let entry = match self.caller.until_answered(call).await {
            Ok(_) => Entry::Released,
            Err(status) if status.code() == Code::Aborted => Entry::Dropped,
            Err(status) => wrong("Release", &status),
        };
        Ok(self.ledger.note(&entry)?)
    }
}

fn wrong(call: &str, status: &Status) -> Entry {
    Entry::Wrong { what: format!("{call}: {:?}: {}", status.code(), status.message()) }
}
