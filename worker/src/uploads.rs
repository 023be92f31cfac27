//! The states of a training on their way: fetched before it begins, stored while it runs.
//!
//! Neither is needed for the result. A state that cannot be fetched costs the epochs that led to it,
//! one that cannot be stored those that follow it; both are told in the log and in nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use proto::v1;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::checkpoints::{Checkpoint, Checkpoints};
use crate::client::{CallError, Client};
use crate::halt::{Halt, Why};

/// How long a training waits for the state that it could go on from.
const FETCH_PATIENCE: Duration = Duration::from_secs(180);

/// Looks for the coordinator in that time.
const FETCHES_MAX: usize = 20;

/// Fetches the state that a lease names; `None` if it names none or none can be had. It tries no
/// longer once `halt` is raised.
pub async fn fetch(
    client: &Client,
    lease: &v1::Lease,
    halt: &Halt,
    seed: u64,
) -> Option<Checkpoint> {
    let offered = lease.checkpoint.as_ref()?;
    let fetched = timeout(FETCH_PATIENCE, fetch_in_time(client, offered, halt, seed)).await;
    let away = || CallError::Away { reason: "the checkpoint did not come in time".into() };
    match fetched.unwrap_or_else(|_| Err(away())) {
        Ok(checkpoint) => {
            info!(epoch = offered.epoch, bytes = offered.bytes, "a checkpoint is fetched");
            Some(checkpoint)
        }
        Err(error) => {
            warn!(%error, epoch = offered.epoch, "no checkpoint can be had; training starts afresh");
            None
        }
    }
}

async fn fetch_in_time(
    client: &Client,
    offered: &v1::Checkpoint,
    halt: &Halt,
    seed: u64,
) -> Result<Checkpoint, CallError> {
    let mut backoff = Backoff::new(seed);
    let mut tries = 0;
    loop {
        tries += 1;
        match client.get(offered).await {
            Err(CallError::Away { .. }) if tries < FETCHES_MAX && halt.why().is_none() => {
                sleep(backoff.wait()).await;
            }
            answer => return answer,
        }
    }
}

/// Stores states as they become due, each until it is stored or a later one is due, for as long as
/// it is asked. A lease that is lost raises `halt`.
pub async fn pass_on(
    client: &Client,
    lease: &v1::LeaseRef,
    checkpoints: &Checkpoints,
    halt: &Halt,
    seed: u64,
) -> Infallible {
    let mut backoff = Backoff::new(seed);
    loop {
        let checkpoint = Arc::new(checkpoints.take().await);
        let epoch = checkpoint.epoch;
        let mut told = false;
        let is_taken = loop {
            match client.put(lease.clone(), checkpoint.clone()).await {
                Ok(_) => {
                    info!(epoch, bytes = checkpoint.bytes.len(), "a checkpoint is stored");
                    break true;
                }
                Err(CallError::LeaseLost { .. }) => {
                    halt.set(Why::Lost);
                    break false;
                }
                // A later one would be refused likewise: too long, or an old coordinator.
                Err(error @ CallError::Refused { .. }) => {
                    warn!(%error, epoch, "a checkpoint is refused; no further one is sent");
                    break false;
                }
                Err(_) if checkpoints.is_overtaken() => break true,
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        warn!(%error, epoch, "a checkpoint waits for the coordinator to return");
                    }
                    sleep(backoff.wait()).await;
                }
            }
        };
        checkpoints.done();
        backoff.reset();
        if !is_taken {
            break;
        }
    }
    loop {
        drop(checkpoints.take().await);
        checkpoints.done();
    }
}
