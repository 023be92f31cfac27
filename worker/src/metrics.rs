//! [`Metrics`]: numbers on their way from a training to the coordinator, and the room they have.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use proto::v1;
use tokio::sync::watch;

/// Most metrics in one call; the protocol's limit.
pub const BATCH_MAX: usize = 1_000;

/// Most metrics that wait while the coordinator is away: about three hundred epochs of a network
/// with five layers. Beyond that the oldest go, because the newest say how the training stands.
pub const WAITING_MAX: usize = 10_000;

/// A queue with one sender. Putting in never waits for the network.
#[derive(Debug)]
pub struct Metrics {
    waiting: Mutex<VecDeque<v1::Metric>>,
    /// Those that wait and those that are on the wire.
    undelivered: watch::Sender<usize>,
}

impl Metrics {
    /// An empty queue.
    pub fn new() -> Metrics {
        Metrics { waiting: Mutex::default(), undelivered: watch::Sender::new(0) }
    }

    /// Puts metrics in, and says how many old ones had to go for them.
    ///
    /// Values that are not finite are left out: the coordinator would refuse the whole call, and a
    /// training that diverges says so when it ends.
    pub fn put(&self, metrics: impl IntoIterator<Item = v1::Metric>) -> usize {
        let mut waiting = self.waiting();
        let before = waiting.len();
        waiting.extend(metrics.into_iter().filter(|metric| metric.value.is_finite()));
        let added = waiting.len() - before;
        let dropped = waiting.len().saturating_sub(WAITING_MAX);
        waiting.drain(..dropped);
        self.undelivered.send_modify(|n| *n = *n + added - dropped);
        dropped
    }

    /// The oldest metrics, at least one and at most [`BATCH_MAX`]; waits for the first.
    ///
    /// Whoever takes a batch calls [`Metrics::delivered`] with its length before taking another.
    pub async fn take(&self) -> Vec<v1::Metric> {
        self.until(|undelivered| undelivered > 0).await;
        let mut waiting = self.waiting();
        let count = waiting.len().min(BATCH_MAX);
        waiting.drain(..count).collect()
    }

    /// Notes that a batch of `count` metrics needs no further care.
    pub fn delivered(&self, count: usize) {
        self.undelivered.send_modify(|n| *n -= count);
    }

    /// Ready when nothing waits and nothing is on the wire.
    pub async fn drained(&self) {
        self.until(|undelivered| undelivered == 0).await;
    }

    async fn until(&self, mut reached: impl FnMut(usize) -> bool) {
        let mut undelivered = self.undelivered.subscribe();
        undelivered
            .wait_for(|n| reached(*n))
            .await
            .expect("a count, because `self` holds the sender");
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<v1::Metric>> {
        self.waiting.lock().expect("no poison, because nothing panics under this lock")
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(step: usize, value: f64) -> v1::Metric {
        v1::Metric { step: step as u32, name: "loss".into(), value }
    }

    #[tokio::test]
    async fn the_oldest_go_when_the_room_is_full() {
        let metrics = Metrics::new();
        assert_eq!(metrics.put((0..WAITING_MAX).map(|step| metric(step, 1.0))), 0);
        assert_eq!(metrics.put((0..7).map(|step| metric(WAITING_MAX + step, 1.0))), 7);
        let batch = metrics.take().await;
        assert_eq!((batch.len(), batch[0].step), (BATCH_MAX, 7));
    }

    #[tokio::test]
    async fn a_batch_on_the_wire_is_not_yet_delivered() {
        let metrics = Metrics::new();
        metrics.put([metric(0, 1.0), metric(0, f64::NAN), metric(1, 2.0)]);
        let batch = metrics.take().await;
        assert_eq!(batch, [metric(0, 1.0), metric(1, 2.0)]);
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, metrics.drained()).await.is_err());
        metrics.delivered(batch.len());
        metrics.drained().await;
    }
}
