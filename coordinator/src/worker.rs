//! What a worker process is: the domain, without SQL and without wire.

use time::OffsetDateTime;
use uuid::Uuid;

/// Why a worker is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainOrder {
    /// A sentence for people.
    pub reason: String,
    /// Because its machine has failed too often; else a person wants it so.
    pub is_unfit: bool,
}

impl DrainOrder {
    /// The order of two columns of `worker`; `None` if it may stay.
    pub fn of(reason: Option<String>, is_unfit: bool) -> Option<DrainOrder> {
        reason.map(|reason| DrainOrder { reason, is_unfit })
    }
}

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// Gets trials.
    Active,
    /// Is to go.
    Draining,
    /// Holds no lease and has not called for a while.
    Gone,
}

impl WorkerState {
    /// The state that a word in `v1.workers` names.
    pub fn of(word: &str) -> WorkerState {
        match word {
            "gone" => WorkerState::Gone,
            "draining" => WorkerState::Draining,
            _ => WorkerState::Active,
        }
    }
}

/// A worker process as people see it.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The uuid that it made when it started.
    pub worker_id: Uuid,
    /// Its host's name.
    pub label: String,
    /// What it computes on.
    pub device: String,
    /// Where it stands.
    pub state: WorkerState,
    /// Leases that it holds.
    pub running: i64,
    /// Why it is to go.
    pub drained: Option<DrainOrder>,
    /// When it first asked for a trial.
    pub registered_at: OffsetDateTime,
    /// When it last did, to two minutes.
    pub seen_at: OffsetDateTime,
}
