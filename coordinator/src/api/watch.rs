//! A study as it changes.

use std::{pin::Pin, time::Duration};

use proto::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::Status;

use super::{convert, studies::overview};
use crate::{
    Error,
    error::Doing as _,
    limits::TRIALS_WATCHED_MAX,
    scheduler::Scheduler,
    storage::{self, events, studies, trials},
};

/// How often running trials are looked at: metrics come without an event.
const LOOK: Duration = Duration::from_millis(500);

/// Messages that may wait for a slow reader; beyond it the watch waits too.
const WAITING_MAX: usize = 4;

pub type Changes = Pin<Box<dyn Stream<Item = Result<wire::WatchStudyResponse, Status>> + Send>>;

/// The whole study first, then what changed, until it ends, the reader leaves or the coordinator
/// stops. The place is free again after that.
pub async fn watch(
    scheduler: Scheduler,
    name: String,
    place: OwnedSemaphorePermit,
) -> Result<Changes, Error> {
    // Fails before the stream begins, so that a wrong name is an ordinary error.
    let found = storage::in_time(async {
        let mut connection = scheduler.pool().acquire().await.doing("reach the database")?;
        studies::by_name(&mut connection, &name).await
    });
    found.await?;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let followed = scheduler.clone();
    scheduler.tasks().spawn(async move {
        let _place = place;
        follow(followed, name, sender).await;
    });
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

async fn follow(
    scheduler: Scheduler,
    name: String,
    sender: mpsc::Sender<Result<wire::WatchStudyResponse, Status>>,
) {
    let mut changes = scheduler.changes();
    let mut seen = None;
    let mut last_sent = None;
    loop {
        changes.borrow_and_update();
        match storage::in_time(look(&scheduler, &name, &mut seen)).await {
            Ok((message, ended)) => {
                if last_sent.as_ref() != Some(&message) {
                    if sender.send(Ok(message.clone())).await.is_err() {
                        return;
                    }
                    last_sent = Some(message);
                }
                if ended {
                    return;
                }
            }
            // The database is away for a moment; the reader need not know.
            Err(error) if error.is_passing() => {}
            Err(error) => {
                let _ = sender.send(Err(error.into())).await;
                return;
            }
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = sender.closed() => return,
            () = scheduler.stop().cancelled() => {
                let _ = sender.send(Err(Error::Stopping.into())).await;
                return;
            }
        }
    }
}

/// One look; `seen` is the last event that an earlier look has covered.
async fn look(
    scheduler: &Scheduler,
    name: &str,
    seen: &mut Option<i64>,
) -> Result<(wire::WatchStudyResponse, bool), Error> {
    let mut connection = storage::read(scheduler.pool(), "watch a study").await?;
    let study = studies::by_name(&mut connection, name).await?;
    let ended = study.state.is_final();
    let now = events::last(&mut connection, study.study_id).await?;
    let changed = match *seen {
        None => trials::page(&mut connection, &study, 0, TRIALS_WATCHED_MAX).await?,
        Some(seen) => trials::changed_since(&mut connection, &study, seen).await?,
    };
    *seen = Some(now);
    let overview = overview(&mut connection, study).await?;
    let message = wire::WatchStudyResponse {
        study: Some(convert::overview_to_wire(&overview)),
        trials: changed.iter().map(convert::trial_to_wire).collect(),
    };
    Ok((message, ended))
}
