//! [`Slot`]: one place of a worker. It asks for a trial, has it evaluated, reports, and asks again.
//!
//! What the coordinator does not answer now is asked again later; nothing that passes ends a slot.
//! A trial is given up only when somebody else may have it, and a result never.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use proto::v1;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, info, warn};

use crate::address::Address;
use crate::backoff::Backoff;
use crate::checkpoints::Checkpoints;
use crate::client::{CallError, Client, LEASE_WAIT};
use crate::drain::Drain;
use crate::evaluation::{Evaluate, Failure, Measured, evaluate};
use crate::halt::{Halt, Why};
use crate::lease::{Held, Keeper};
use crate::outbox::Outbox;
use crate::progress::Progress;
use crate::report::{Answer, Report};
use crate::uploads;

/// How long a drained slot waits for its evaluation to see the halt before it gives the trial
/// back regardless: the next batch is nearer than that, unless the evaluation hangs.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How long a report waits for the last metrics, which are refused after it. They are worth less.
const METRICS_PATIENCE: Duration = Duration::from_secs(2);

/// How long a trial that is given back waits for its newest state to be stored. Without it the next
/// worker trains the epochs since the last one again.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(5);

/// An answer without a trial is not followed by another call at once, whatever it says.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause that a coordinator may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long a call for a trial may still be answered after a drain began. A trial that is granted
/// at that very moment arrives and is given back, instead of lapsing unheard.
const LAST_ANSWER: Duration = Duration::from_millis(500);

/// One place of a worker.
pub struct Slot {
    /// Where the coordinator is; each lease is kept over a connection of its own.
    pub coordinator: Address,
    /// The connection for everything else.
    pub client: Client,
    /// The worker's uuid.
    pub worker_id: String,
    /// Which of the worker's places this is, from 0.
    pub number: u32,
    /// What it can do.
    pub capabilities: v1::Capabilities,
    /// What it does with a lease.
    pub evaluate: Arc<Evaluate>,
    /// The way of reports.
    pub outbox: Outbox,
    /// When to go.
    pub drain: Drain,
    /// Whether to go when every study has ended.
    pub until_idle: bool,
    /// Seed of the jitter in its waits.
    pub jitter_seed: u64,
}

/// Why a slot ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every study that it serves has ended, and it was to go then.
    Idle,
    /// It was told to go.
    Drained,
}

/// Why a slot cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The coordinator will not give this worker a trial, now or later.
    #[error("no trial can be had")]
    Refused(#[source] CallError),
    /// The system has no thread for an evaluation or its heartbeat.
    #[error("no thread can be started for a trial")]
    Thread(#[source] io::Error),
}

impl Slot {
    /// Works until it is told to go or, if so asked, until there is nothing left to do.
    ///
    /// # Errors
    ///
    /// [`SlotError`]. A coordinator that is away is none.
    pub async fn run(&self) -> Result<Ended, SlotError> {
        let mut asking = Backoff::new(self.jitter_seed);
        let mut setback = Backoff::new(!self.jitter_seed);
        let mut away = false;
        while !self.drain.has_begun() {
            let asked_at = Instant::now();
            let Some(answer) = self.ask().await else { break };
            let pause = match answer {
                Ok(v1::LeaseResponse { lease: Some(lease), .. }) => {
                    asking.reset();
                    self.work(lease, asked_at, &mut setback).await?
                }
                Ok(v1::LeaseResponse { drain: Some(order), .. }) => {
                    self.drain.order(order);
                    break;
                }
                Ok(answer) if answer.idle && self.until_idle => return Ok(Ended::Idle),
                Ok(answer) => {
                    asking.reset();
                    let asked = answer.retry_after.and_then(|wait| wait.try_into().ok());
                    asked.unwrap_or(Duration::ZERO).clamp(PAUSE_MIN, PAUSE_MAX)
                }
                // Asking for a trial quotes no lease; what it lost is not ours to know.
                Err(CallError::Away { reason } | CallError::LeaseLost { reason }) => {
                    if !std::mem::replace(&mut away, true) {
                        warn!(slot = self.number, reason, "no trial can be had now; still asking");
                    }
                    self.pause(asking.wait()).await;
                    continue;
                }
                Err(refused @ CallError::Refused { .. }) => {
                    return Err(SlotError::Refused(refused));
                }
            };
            if std::mem::take(&mut away) {
                info!(slot = self.number, "the coordinator answers again");
            }
            self.pause(pause).await;
        }
        Ok(Ended::Drained)
    }

    /// Asks for a trial; `None` if a drain came before the answer.
    async fn ask(&self) -> Option<Result<v1::LeaseResponse, CallError>> {
        let call = self.client.lease(v1::LeaseRequest {
            worker_id: self.worker_id.clone(),
            slot: self.number,
            capabilities: Some(self.capabilities.clone()),
            wait: Some(LEASE_WAIT.try_into().expect("a duration, because it is 20 seconds")),
        });
        tokio::pin!(call);
        tokio::select! {
            answer = &mut call => Some(answer),
            () = self.drain.begun() => tokio::time::timeout(LAST_ANSWER, call).await.ok(),
        }
    }

    /// Waits, unless a drain begins.
    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.drain.begun() => {}
        }
    }

    /// Does what there is to do with one lease; says how long to wait before asking again.
    async fn work(
        &self,
        lease: v1::Lease,
        asked_at: Instant,
        setback: &mut Backoff,
    ) -> Result<Duration, SlotError> {
        let held = Held::new(&lease, asked_at);
        let span = tracing::info_span!(
            "trial",
            study = lease.study,
            number = lease.number,
            attempt = held.reference.attempt,
        );
        let work = async {
            info!("trial begins");
            let seed = self.jitter_seed ^ held.reference.trial_id.unsigned_abs();
            let halt = Halt::new();
            let progress = Arc::new(Progress::new());
            let keeper = Keeper::start(
                &self.coordinator,
                held.clone(),
                progress.clone(),
                halt.clone(),
                self.drain.clone(),
                seed,
            )
            .map_err(SlotError::Thread)?;
            let found = tokio::select! {
                found = uploads::fetch(&self.client, &lease, &halt, seed) => found,
                () = self.drain.begun() => None,
            };
            let checkpoints = Arc::new(Checkpoints::new(lease.checkpoint_epochs, found));
            let passing_on =
                uploads::pass_on(&self.client, &held.reference, &checkpoints, &halt, seed);
            let attempt = Attempt {
                reference: held.reference.clone(),
                progress,
                checkpoints: checkpoints.clone(),
                halt: halt.clone(),
            };
            let ended = tokio::select! {
                ended = self.evaluate_and_report(lease, &attempt) => ended?,
                never = passing_on => match never {},
            };
            keeper.end();
            // A machine that lacks a data set would else fail a whole study in a minute.
            Ok(match &ended {
                Err(failure) if failure.is_local() => setback.wait(),
                Err(_) => Duration::ZERO,
                Ok(_) => {
                    setback.reset();
                    Duration::ZERO
                }
            })
        };
        work.instrument(span).await
    }

    /// Evaluates the point of one lease and reports; says how the evaluation ended.
    async fn evaluate_and_report(
        &self,
        lease: v1::Lease,
        attempt: &Attempt,
    ) -> Result<Result<Measured, Failure>, SlotError> {
        let begun_at = Instant::now();
        let evaluation = self.begin(lease, attempt)?;
        let ended = self.outcome(evaluation, &attempt.halt).await;
        // To the millisecond: it is read by people.
        let seconds = begun_at.elapsed().as_millis() as f64 / 1e3;
        match Report::of(attempt.reference.clone(), &ended, attempt.halt.why()) {
            Some(report) => {
                tokio::join!(self.last_metrics(attempt), self.last_checkpoint(attempt, &report));
                let answer = self.outbox.send(&report).await;
                tell(&report, answer, seconds);
            }
            None => {
                let why = attempt.halt.why().unwrap_or(Why::Lapsed).word();
                info!(why, seconds, "trial dropped");
            }
        }
        Ok(ended)
    }

    /// Starts the evaluation on a thread of its own.
    fn begin(
        &self,
        lease: v1::Lease,
        attempt: &Attempt,
    ) -> Result<oneshot::Receiver<Result<Measured, Failure>>, SlotError> {
        let (ended, evaluation) = oneshot::channel();
        let with = self.evaluate.clone();
        let Attempt { progress, checkpoints, halt, .. } = attempt.clone();
        let span = tracing::Span::current();
        std::thread::Builder::new()
            .name(format!("slot-{}", self.number))
            .spawn(move || {
                let outcome =
                    span.in_scope(|| evaluate(&*with, &lease, &progress, &checkpoints, &halt));
                // Nobody listens once a drained slot has given the trial back.
                let _unheard = ended.send(outcome);
            })
            .map_err(SlotError::Thread)?;
        Ok(evaluation)
    }

    /// Waits for the evaluation, and halts it when a drain begins.
    async fn outcome(
        &self,
        mut evaluation: oneshot::Receiver<Result<Measured, Failure>>,
        halt: &Halt,
    ) -> Result<Measured, Failure> {
        const SENT: &str = "an outcome, because the thread catches panics and always sends one";
        tokio::select! {
            outcome = &mut evaluation => return outcome.expect(SENT),
            () = self.drain.begun() => halt.set(Why::Drain),
        }
        tokio::select! {
            outcome = &mut evaluation => outcome.expect(SENT),
            () = self.drain.urgent() => Err(Failure::Stopped),
            () = sleep(STOP_PATIENCE) => Err(Failure::Stopped),
        }
    }

    async fn last_metrics(&self, attempt: &Attempt) {
        tokio::select! {
            () = attempt.progress.metrics().drained() => {}
            () = sleep(METRICS_PATIENCE) => {}
            () = self.drain.urgent() => {}
        }
    }

    /// Waits until the newest state is stored, if the trial is given back for others to go on with.
    async fn last_checkpoint(&self, attempt: &Attempt, report: &Report) {
        let is_given_back = matches!(report, Report::Release(_));
        if !is_given_back || attempt.halt.why() != Some(Why::Drain) {
            return;
        }
        attempt.checkpoints.hurry();
        tokio::select! {
            () = attempt.checkpoints.drained() => {}
            () = sleep(CHECKPOINT_PATIENCE) => {}
            () = self.drain.urgent() => {}
        }
    }
}

/// What a slot and an evaluation share of one attempt.
#[derive(Clone)]
struct Attempt {
    reference: v1::LeaseRef,
    progress: Arc<Progress>,
    checkpoints: Arc<Checkpoints>,
    halt: Halt,
}

/// The one line that a trial leaves at its end.
fn tell(report: &Report, answer: Option<Result<Answer, CallError>>, seconds: f64) {
    match (report, answer) {
        (Report::Complete(result), Some(Ok(_))) => {
            let measured = |name| result.measurements.get(name).copied();
            info!(
                value = result.value,
                soft_accuracy = measured("soft_accuracy"),
                binary_accuracy = measured("binary_accuracy"),
                seconds,
                "{}",
                if result.pruned { "trial recorded, stopped early" } else { "trial recorded" }
            );
        }
        (Report::Fail(failure), Some(Ok(answer))) => {
            let retried = answer == Answer::Failed { retried: true };
            let class = failure.failure_class().as_str_name();
            warn!(class, detail = failure.detail, retried, seconds, "trial failed");
        }
        (Report::Release(release), Some(Ok(_))) => {
            info!(reason = release.reason, seconds, "trial given back");
        }
        (_, Some(Err(error))) => warn!(%error, seconds, "the report on a trial was not accepted"),
        (Report::Complete(_), None) => warn!(seconds, "a result waits in the spool"),
        (_, None) => warn!(seconds, "the coordinator was not told of a trial's end; it will lapse"),
    }
}
