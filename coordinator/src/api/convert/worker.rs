//! Workers as people see them, and what they are told.

use proto::v1 as wire;

use super::{invalid, study::instant, text};
use crate::{
    Error,
    worker::{DrainOrder, Worker, WorkerState},
};

/// What workers are told of one whom a person sends away without a word.
const REASON: &str = "a person sends it away";

pub fn drain_to_wire(order: &DrainOrder) -> wire::Drain {
    wire::Drain { reason: order.reason.clone(), is_unfit: order.is_unfit }
}

/// Why a person sends a worker away.
pub fn reason(reason: &str) -> Result<String, Error> {
    text("the reason", reason)?;
    Ok(if reason.is_empty() { REASON } else { reason }.to_owned())
}

/// How a person calls a worker: its label, or its id or the beginning of that.
pub fn worker_name(name: &str) -> Result<&str, Error> {
    text("the worker's name", name)?;
    match name {
        "" => Err(invalid("the call names no worker; give its label or its id")),
        name => Ok(name),
    }
}

pub fn worker_to_wire(worker: &Worker) -> wire::Worker {
    let state = match worker.state {
        WorkerState::Active => wire::WorkerState::Active,
        WorkerState::Draining => wire::WorkerState::Draining,
        WorkerState::Gone => wire::WorkerState::Gone,
    };
    let drained = worker.drained.as_ref();
    wire::Worker {
        worker_id: worker.worker_id.to_string(),
        label: worker.label.clone(),
        device: worker.device.clone(),
        state: state.into(),
        running: u32::try_from(worker.running).unwrap_or(u32::MAX),
        drained_because: drained.map(|order| order.reason.clone()).unwrap_or_default(),
        is_unfit: drained.is_some_and(|order| order.is_unfit),
        registered_at: Some(instant(worker.registered_at)),
        seen_at: Some(instant(worker.seen_at)),
    }
}
