//! [`Drain`]: how a worker is told to go, and how long it may take.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proto::v1;
use tokio::sync::watch;

/// How long a drained worker tries to hand in its last report. A container is killed some time
/// after its first signal, 10 s by default, and a result waits in the spool anyway.
pub const REPORT_PATIENCE: Duration = Duration::from_secs(8);

/// The same after the second word: once, if the coordinator is near.
const LAST_TRY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Working,
    Draining,
    Leaving,
}

/// Told once: no new trials, end the running ones. Told twice: leave now.
#[derive(Clone, Debug)]
pub struct Drain {
    phase: watch::Sender<Phase>,
    /// What the coordinator said, if it was that one.
    ordered: Arc<OnceLock<v1::Drain>>,
}

impl Drain {
    /// A worker that stays.
    pub fn new() -> Drain {
        Drain { phase: watch::Sender::new(Phase::Working), ordered: Arc::default() }
    }

    /// Goes one step further, as each SIGTERM or SIGINT does.
    pub fn advance(&self) {
        self.phase.send_modify(|phase| {
            *phase = match phase {
                Phase::Working => Phase::Draining,
                Phase::Draining | Phase::Leaving => Phase::Leaving,
            }
        });
    }

    /// Tells it to go, if nobody has yet.
    pub fn begin(&self) {
        self.phase.send_modify(|phase| *phase = (*phase).max(Phase::Draining));
    }

    /// Tells it to go because the coordinator says so.
    pub fn order(&self, order: v1::Drain) {
        // The first reason stays: every slot hears it.
        let _first = self.ordered.set(order);
        self.begin();
    }

    /// What the coordinator said, if it is why the worker goes.
    pub fn ordered(&self) -> Option<&v1::Drain> {
        self.ordered.get()
    }

    /// Whether the worker was told to go.
    pub fn has_begun(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Ready once the worker was told to go.
    pub async fn begun(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Ready once the worker was told twice.
    pub async fn urgent(&self) {
        self.reached(Phase::Leaving).await;
    }

    /// Ready when a drained worker should no longer wait for a coordinator that is away:
    /// [`REPORT_PATIENCE`] after the first word, or a second after the second one, both counted
    /// from this call at the earliest.
    pub async fn spent(&self) {
        self.begun().await;
        tokio::select! {
            () = tokio::time::sleep(REPORT_PATIENCE) => {}
            () = async { self.urgent().await; tokio::time::sleep(LAST_TRY).await } => {}
        }
    }

    async fn reached(&self, phase: Phase) {
        self.phase
            .subscribe()
            .wait_for(|now| *now >= phase)
            .await
            .expect("a phase, because `self` holds the sender");
    }
}

impl Default for Drain {
    fn default() -> Drain {
        Drain::new()
    }
}
