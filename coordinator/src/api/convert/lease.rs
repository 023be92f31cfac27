//! What workers say and are told.

use std::{collections::BTreeMap, time::Duration};

use proto::v1 as wire;
use tuner::Point;
use uuid::Uuid;

use super::{
    invalid,
    objective::objective_to_wire,
    space::{point, point_to_wire},
    text,
};
use crate::{
    Error,
    artifact::Checkpoint,
    limits::{
        KINDS_MAX, MEASUREMENTS_MAX, METRICS_AT_ONCE_MAX, SLOTS_MAX, STUDIES_SERVED_MAX, WAIT_MAX,
        WORD_BYTES_MAX,
    },
    storage::metrics::Metric,
    trial::{Asker, Directive, FailureClass, Lease, LeaseRef, Report},
};

pub fn asker(request: &wire::LeaseRequest) -> Result<Asker, Error> {
    let worker_id = uuid("worker_id", &request.worker_id)?;
    if request.slot >= SLOTS_MAX {
        return Err(invalid(format!("slot is {}; it must be below {SLOTS_MAX}", request.slot)));
    }
    let can = request.capabilities.clone().unwrap_or_default();
    text("the worker's label", &can.label)?;
    text("the worker's device", &can.device)?;
    few("kinds of objective", can.objectives.len(), KINDS_MAX)?;
    few("studies", can.studies.len(), STUDIES_SERVED_MAX)?;
    for name in can.objectives.iter().chain(&can.studies) {
        text("a capability", name)?;
    }
    let objectives =
        if can.objectives.is_empty() { vec!["whetstone".to_owned()] } else { can.objectives };
    Ok(Asker {
        worker_id,
        slot: request.slot.cast_signed(),
        objectives,
        studies: can.studies,
        label: can.label,
        device: can.device,
    })
}

fn few(what: &str, count: usize, limit: usize) -> Result<(), Error> {
    if count <= limit {
        return Ok(());
    }
    Err(invalid(format!(
        "the worker names {count} {what}; name {limit} at most, or none, which means all"
    )))
}

/// How long the call may be held: at most and by default [`WAIT_MAX`].
pub fn wait(request: &wire::LeaseRequest) -> Result<Duration, Error> {
    match request.wait {
        None => Ok(WAIT_MAX),
        Some(wait) => Duration::try_from(wait)
            .map(|wait| wait.min(WAIT_MAX))
            .map_err(|_| invalid("wait is negative; leave it out for the longest")),
    }
}

pub fn fence(fence: Option<wire::LeaseRef>) -> Result<LeaseRef, Error> {
    let fence = fence.ok_or_else(|| invalid("the call quotes no lease; fill in `ref`"))?;
    Ok(LeaseRef {
        trial_id: fence.trial_id,
        attempt: i32::try_from(fence.attempt)
            .map_err(|_| invalid(format!("there is no attempt {}", fence.attempt)))?,
        lease_id: uuid("lease_id", &fence.lease_id)?,
    })
}

fn uuid(what: &str, text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        invalid(format!("{what} {shown:?} is not a uuid"))
    })
}

pub fn granted(lease: &Lease) -> wire::Lease {
    wire::Lease {
        r#ref: Some(wire::LeaseRef {
            trial_id: lease.fence.trial_id,
            attempt: lease.fence.attempt.unsigned_abs(),
            lease_id: lease.fence.lease_id.to_string(),
        }),
        ttl: Some(span(lease.ttl)),
        study: lease.study.clone(),
        number: lease.number.unsigned_abs(),
        point: Some(point_to_wire(&lease.point)),
        objective: Some(objective_to_wire(&lease.objective)),
        seed: lease.seed,
        checkpoint: lease.checkpoint.as_ref().map(checkpoint_to_wire),
        checkpoint_epochs: lease.checkpoint_epochs.unsigned_abs(),
        best_value: lease.best_value,
    }
}

fn checkpoint_to_wire(checkpoint: &Checkpoint) -> wire::Checkpoint {
    wire::Checkpoint {
        epoch: checkpoint.epoch.unsigned_abs(),
        sha256: checkpoint.sha256.clone(),
        bytes: checkpoint.bytes.unsigned_abs(),
    }
}

/// The epoch that an attempt went on from, if it says one.
pub fn resumed(request: &wire::ReportMetricsRequest) -> Result<Option<i32>, Error> {
    match request.resumed_from_epoch {
        0 => Ok(None),
        epoch => i32::try_from(epoch)
            .map(Some)
            .map_err(|_| invalid(format!("there is no epoch {epoch} to go on from"))),
    }
}

pub fn directive_to_wire(directive: Directive) -> i32 {
    match directive {
        Directive::Continue => wire::Directive::Continue.into(),
        Directive::Cancel => wire::Directive::Cancel.into(),
        Directive::Prune => wire::Directive::Prune.into(),
        Directive::Drain => wire::Directive::Drain.into(),
    }
}

/// A span of ours, minutes at most.
pub fn span(span: Duration) -> prost_types::Duration {
    span.try_into().expect("minutes are far below the protocol's limit")
}

/// A share; anything else is the worker's slip and not worth losing a lease over.
pub fn progress(progress: f64) -> f64 {
    if progress.is_finite() { progress.clamp(0.0, 1.0) } else { 0.0 }
}

pub fn metrics(metrics: Vec<wire::Metric>) -> Result<Vec<Metric>, Error> {
    if metrics.len() > METRICS_AT_ONCE_MAX {
        let count = metrics.len();
        return Err(invalid(format!(
            "{count} metrics in one call; send {METRICS_AT_ONCE_MAX} at most, and the rest by another"
        )));
    }
    metrics
        .into_iter()
        .map(|metric| {
            word("a metric", &metric.name)?;
            finite(&format!("metric `{}`", metric.name), metric.value)?;
            let step = i32::try_from(metric.step)
                .map_err(|_| invalid(format!("there is no step {}", metric.step)))?;
            Ok(Metric { step, name: metric.name, value: metric.value })
        })
        .collect()
}

pub fn report(request: &wire::CompleteRequest) -> Result<Report, Error> {
    finite("the value", request.value)?;
    let measurements = measurements(&request.measurements)?;
    Ok(Report { value: request.value, measurements, is_pruned: request.pruned })
}

/// A result from elsewhere; `what` says which.
pub fn imported(
    what: &str,
    trial: wire::ImportedTrial,
) -> Result<(Point, f64, BTreeMap<String, f64>), Error> {
    let at = trial.point.ok_or_else(|| invalid(format!("{what} has no point")))?;
    if !trial.value.is_finite() {
        return Err(invalid(format!("the value of {what} is {}; it must be finite", trial.value)));
    }
    Ok((point(at)?, trial.value, measurements(&trial.measurements)?))
}

fn measurements(measured: &BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>, Error> {
    if measured.len() > MEASUREMENTS_MAX {
        let count = measured.len();
        return Err(invalid(format!(
            "{count} measurements; at most {MEASUREMENTS_MAX} fit: report the others as metrics"
        )));
    }
    for (name, value) in measured {
        word("a measurement", name)?;
        finite(&format!("measurement `{name}`"), *value)?;
    }
    Ok(measured.clone())
}

fn finite(what: &str, value: f64) -> Result<(), Error> {
    if value.is_finite() {
        return Ok(());
    }
    Err(invalid(format!(
        "{what} is {value}; it must be finite: report a training that broke with Fail and class nan"
    )))
}

pub fn word(what: &str, name: &str) -> Result<(), Error> {
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if starts_well && name.len() <= WORD_BYTES_MAX && name.bytes().all(plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(invalid(format!(
        "{shown:?} cannot name {what}; use lower-case letters, digits and `_`, a letter first, \
         at most {WORD_BYTES_MAX}"
    )))
}

pub fn failure_class(class: i32) -> Result<FailureClass, Error> {
    match wire::FailureClass::try_from(class) {
        Ok(wire::FailureClass::UserError) => Ok(FailureClass::UserError),
        Ok(wire::FailureClass::Nan) => Ok(FailureClass::Nan),
        Ok(wire::FailureClass::Oom) => Ok(FailureClass::Oom),
        Ok(wire::FailureClass::Data) => Ok(FailureClass::Data),
        Ok(wire::FailureClass::DeviceLost) => Ok(FailureClass::DeviceLost),
        Ok(wire::FailureClass::Unspecified | wire::FailureClass::Panic) => Ok(FailureClass::Panic),
        Err(_) => Err(invalid(format!("unknown failure class {class}"))),
    }
}
