//! [`Progress`]: what a running evaluation tells, for the thread that passes it on.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use proto::v1;

use crate::metrics::Metrics;

/// How far one attempt has come. Telling never waits for the network.
#[derive(Debug, Default)]
pub struct Progress {
    /// The bits of a share from 0 to 1.
    done: AtomicU64,
    /// Epochs trained by an earlier attempt.
    resumed_from: AtomicU32,
    metrics: Metrics,
}

impl Progress {
    /// Nothing done, nothing told.
    pub fn new() -> Progress {
        Progress::default()
    }

    /// Tells the end of a step (for a training: an epoch, from 0), the share of the attempt that
    /// is done then, from 0 to 1, and what was measured in it, by name.
    pub fn step<'a>(
        &self,
        step: u32,
        done: f64,
        measured: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        self.done.store(done.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
        let metrics = measured.into_iter().map(|(name, value)| v1::Metric {
            step,
            name: name.to_owned(),
            value,
        });
        let dropped = self.metrics.put(metrics);
        if dropped > 0 {
            tracing::warn!(dropped, "the coordinator is away for so long that metrics are lost");
        }
    }

    /// Tells that the evaluation goes on after so many steps of an earlier attempt, 0 for none, and
    /// the share that is done by them.
    pub fn resume(&self, from: u32, done: f64) {
        self.resumed_from.store(from, Ordering::Relaxed);
        self.done.store(done.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    /// Steps of an earlier attempt; 0 for none.
    pub fn resumed_from(&self) -> u32 {
        self.resumed_from.load(Ordering::Relaxed)
    }

    /// The share that is done, from 0 to 1.
    pub fn done(&self) -> f64 {
        f64::from_bits(self.done.load(Ordering::Relaxed))
    }

    /// What waits to be sent.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
