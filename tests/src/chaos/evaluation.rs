//! What a light worker does with a lease: it waits, beats, and stops when it has to.

use std::time::Duration;

use proto::v1::{Directive, HeartbeatRequest, Lease, LeaseRef, Metric, ReportMetricsRequest};
use tokio::time::{Instant, sleep_until};
use tonic::Code;

use super::{
    caller::{Caller, DEADLINE, passes, within},
    dice::Dice,
};

/// Heartbeats in the life of a lease.
const BEATS: u32 = 4;

/// Share of a lease after which, unrenewed, it counts as lapsed.
const LAPSED_AT: f64 = 0.8;

/// How an evaluation ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// It came to its value.
    Done,
    /// It was told to end with what it has.
    Pruned,
    /// A person withdrew the trial.
    Cancelled,
    /// The lease may have lapsed.
    Lapsed,
    /// The lease is lost.
    Lost,
}

/// A lease as its holder sees it.
pub struct Held {
    /// What every call about it quotes.
    pub reference: LeaseRef,
    asked_at: Instant,
    ttl: Duration,
    lapses: Instant,
}

impl Held {
    /// The lease of an answer to a call that was sent at `asked_at`.
    pub fn new(lease: &Lease, asked_at: Instant) -> Self {
        let ttl = lease.ttl.and_then(|ttl| ttl.try_into().ok()).unwrap_or(super::LEASE);
        // A call that was held open for long was answered just now: there is time for a heartbeat.
        let lapses = (asked_at + ttl.mul_f64(LAPSED_AT)).max(Instant::now() + ttl / BEATS);
        Self { reference: lease.r#ref.clone().unwrap_or_default(), asked_at, ttl, lapses }
    }
}

/// Works for `length`, beating meanwhile; reports `steps` metrics on the way.
pub async fn evaluate(
    caller: &mut Caller,
    held: &mut Held,
    length: Duration,
    steps: u32,
    dice: &mut Dice,
) -> End {
    let begun = Instant::now();
    // At once, if the call was held open for long.
    let mut beat_at = held.asked_at + held.ttl / BEATS;
    let mut step = 0;
    let done_at = begun + length;
    loop {
        let step_at = if step < steps { begun + length * step / steps } else { done_at };
        sleep_until(step_at.min(beat_at).min(held.lapses).min(done_at)).await;
        let now = Instant::now();
        if now >= held.lapses {
            return End::Lapsed;
        }
        if now >= done_at {
            return End::Done;
        }
        let told = if now >= beat_at {
            beat_at = now + held.ttl / BEATS;
            beat(caller, held, now.duration_since(begun).div_duration_f64(length)).await
        } else if now >= step_at && step < steps {
            step += 1;
            report(caller, held, step - 1, dice.uniform()).await
        } else {
            continue;
        };
        match told {
            Ok(Directive::Cancel) => return End::Cancelled,
            // A worker that cannot measure before its end may go on.
            Ok(Directive::Prune) if dice.chance(0.8) => return End::Pruned,
            Ok(_) => {}
            Err(end) => return end,
        }
    }
}

async fn beat(caller: &mut Caller, held: &mut Held, progress: f64) -> Result<Directive, End> {
    let sent_at = Instant::now();
    let left = held.lapses.duration_since(sent_at).min(held.ttl / BEATS);
    let r#ref = Some(held.reference.clone());
    let request = within(left, HeartbeatRequest { r#ref, progress });
    match caller.workers().heartbeat(request).await {
        Ok(answer) => {
            held.lapses = sent_at + held.ttl.mul_f64(LAPSED_AT);
            Ok(answer.into_inner().directive())
        }
        Err(status) => told(caller, &status),
    }
}

async fn report(caller: &mut Caller, held: &Held, step: u32, value: f64) -> Result<Directive, End> {
    let metrics = vec![Metric { step, name: "score".into(), value }];
    let r#ref = Some(held.reference.clone());
    let request = ReportMetricsRequest { r#ref, metrics, ..Default::default() };
    let left = held.lapses.duration_since(Instant::now()).min(DEADLINE).min(held.ttl / BEATS);
    match caller.workers().report_metrics(within(left, request)).await {
        Ok(answer) => Ok(answer.into_inner().directive()),
        Err(status) => told(caller, &status),
    }
}

fn told(caller: &mut Caller, status: &tonic::Status) -> Result<Directive, End> {
    if status.code() == Code::Aborted {
        return Err(End::Lost);
    }
    if passes(status) {
        caller.turn();
    }
    Ok(Directive::Continue)
}
