//! [`Keeper`]: keeps one lease alive while its trial is trained, and says when it is gone.
//!
//! It has an OS thread, a runtime and a connection of its own, so that neither a training that
//! takes every core nor a report that is stuck in a full connection can starve the heartbeat. It
//! decides when a training has to stop; stopping it is [`Halt`]'s, and reporting is the slot's.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use proto::v1;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::address::Address;
use crate::backoff::Backoff;
use crate::client::{CALL_DEADLINE, CallError, Client};
use crate::drain::Drain;
use crate::halt::{Halt, Why};
use crate::jitter::Jitter;
use crate::progress::Progress;

/// Heartbeats in the life of a lease: three may be lost without harm.
const BEATS: u32 = 4;

/// Each interval is longer or shorter by up to this share, so that workers that began together
/// do not beat together.
const BEAT_JITTER: f64 = 0.1;

/// Share of a lease after which, unrenewed, it counts as lapsed. The rest is for a training to
/// reach the end of its batch before anybody else may begin.
const LAPSED_AT: f64 = 0.8;

/// What is assumed of a lease whose length is missing; the coordinator's default.
const TTL_DEFAULT: Duration = Duration::from_secs(60);

/// A lease as its holder sees it.
#[derive(Clone, Debug)]
pub struct Held {
    /// What every call about it quotes.
    pub reference: v1::LeaseRef,
    /// How long it lasts from `asked_at` on.
    pub ttl: Duration,
    /// When the call that was answered with it was *sent*: the coordinator counts from a later
    /// moment, so this worker always believes in an earlier end.
    pub asked_at: Instant,
}

impl Held {
    /// The lease of an answer to a call that was sent at `asked_at`.
    pub fn new(lease: &v1::Lease, asked_at: Instant) -> Held {
        let reference = lease.r#ref.clone().unwrap_or_default();
        Held { reference, ttl: ttl(lease.ttl.as_ref()).unwrap_or(TTL_DEFAULT), asked_at }
    }

    /// When, unrenewed, it counts as lapsed.
    fn lapses(&self) -> Instant {
        self.asked_at + self.ttl.mul_f64(LAPSED_AT)
    }
}

/// A duration of the wire; `None` if it is missing, negative or zero.
fn ttl(duration: Option<&prost_types::Duration>) -> Option<Duration> {
    Duration::try_from(*duration?).ok().filter(|ttl| !ttl.is_zero())
}

/// The thread that keeps a lease. Ends with [`Keeper::end`], or when it is dropped.
#[derive(Debug)]
pub struct Keeper {
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Begins to keep a lease: renews it, passes `progress` on, raises `halt` once the lease is lost,
    /// may have lapsed, or its trial was withdrawn, and begins `drain` once the coordinator says so.
    ///
    /// # Errors
    ///
    /// If the system has no thread to give.
    pub fn start(
        coordinator: &Address,
        lease: Held,
        progress: Arc<Progress>,
        halt: Halt,
        drain: Drain,
        jitter_seed: u64,
    ) -> io::Result<Keeper> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let endpoint = coordinator.endpoint();
        let (end, mut ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("heartbeat".into()).spawn(move || {
            runtime.block_on(async {
                let client = Client::connect_when_needed(endpoint);
                let keep = async {
                    tokio::join!(
                        beat(&client, lease.clone(), &progress, &halt, &drain, jitter_seed),
                        pass_metrics_on(&client, &lease.reference, &progress, &halt, jitter_seed),
                    )
                };
                tokio::select! {
                    _ = &mut ended => return,
                    _ = keep => {}
                }
                // The lease is gone, which the training has been told; its slot ends this thread.
                let _sender_gone_or_sent = ended.await;
            });
            // A name being resolved at this moment must not hold the thread back.
            runtime.shutdown_background();
        })?;
        Ok(Keeper { end, thread })
    }

    /// Lets go of the lease, without a word to the coordinator, and waits for the thread.
    pub fn end(self) {
        // It is gone already if it panicked, and then the join tells.
        let _gone = self.end.send(());
        if self.thread.join().is_err() {
            tracing::error!("the heartbeat thread of a trial had panicked");
        }
    }
}

/// Renews the lease until it is lost.
async fn beat(
    client: &Client,
    mut lease: Held,
    progress: &Progress,
    halt: &Halt,
    drain: &Drain,
    seed: u64,
) {
    let mut jitter = Jitter::new(seed);
    let mut backoff = Backoff::new(seed);
    let mut next = lease.asked_at + jitter.around(lease.ttl / BEATS, BEAT_JITTER);
    // A call that was held open for longer than the lease lasts was answered a moment ago: there
    // is time for one heartbeat, which will tell.
    let mut lapses = lease.lapses().max(Instant::now() + lease.ttl / BEATS);
    loop {
        // Once it may have lapsed there is nothing left to watch, but it may yet be renewed: a
        // report may be on its way, and until somebody else takes the trial it counts.
        if halt.why().is_none() && lapses <= next {
            tokio::time::sleep_until(lapses).await;
            tracing::warn!("no heartbeat got through in time; the training is stopped");
            halt.set(Why::Lapsed);
        }
        tokio::time::sleep_until(next).await;

        let interval = lease.ttl / BEATS;
        let sent_at = Instant::now();
        // A call that hangs must not carry the training past the moment at which it has to stop.
        let left = match halt.why() {
            None => lapses.duration_since(sent_at),
            Some(_) => interval,
        };
        let request = v1::HeartbeatRequest {
            r#ref: Some(lease.reference.clone()),
            progress: progress.done(),
        };
        let deadline = left.min(interval).min(CALL_DEADLINE);
        next = match client.heartbeat(request, deadline).await {
            Ok(answer) => {
                backoff.reset();
                lease.asked_at = sent_at;
                lease.ttl = ttl(answer.ttl.as_ref()).unwrap_or(lease.ttl);
                lapses = lease.lapses();
                heed(answer.directive(), halt);
                if let Some(order) = answer.drain {
                    drain.order(order);
                }
                sent_at + jitter.around(lease.ttl / BEATS, BEAT_JITTER)
            }
            Err(CallError::LeaseLost { .. }) => return halt.set(Why::Lost),
            Err(error) => {
                tracing::debug!(%error, "a heartbeat did not get through");
                Instant::now() + backoff.wait().min(interval)
            }
        };
    }
}

/// Sends the metrics of the running attempt as they come, until the lease is lost.
async fn pass_metrics_on(
    client: &Client,
    reference: &v1::LeaseRef,
    progress: &Progress,
    halt: &Halt,
    seed: u64,
) {
    let mut backoff = Backoff::new(!seed);
    loop {
        let metrics = progress.metrics().take().await;
        let count = metrics.len();
        let request = v1::ReportMetricsRequest {
            r#ref: Some(reference.clone()),
            metrics,
            progress: progress.done(),
            resumed_from_epoch: progress.resumed_from(),
        };
        loop {
            match client.report_metrics(request.clone()).await {
                Ok(answer) => {
                    heed(answer.directive(), halt);
                    break;
                }
                Err(CallError::LeaseLost { .. }) => return halt.set(Why::Lost),
                // The same metrics would be refused again; the training is still worth its while.
                Err(error @ CallError::Refused { .. }) => {
                    tracing::warn!(%error, count, "metrics are lost");
                    break;
                }
                Err(CallError::Away { .. }) => tokio::time::sleep(backoff.wait()).await,
            }
        }
        backoff.reset();
        progress.metrics().delivered(count);
    }
}

fn heed(directive: v1::Directive, halt: &Halt) {
    match directive {
        v1::Directive::Cancel => halt.set(Why::Cancelled),
        v1::Directive::Prune => halt.set(Why::Pruned),
        // Why this worker is to go stands beside it, and is a matter of all its slots.
        v1::Directive::Drain | v1::Directive::Continue | v1::Directive::Unspecified => {}
    }
}
