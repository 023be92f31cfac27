//! Now and then: computes what the studies' posteriors say and stores it, for whoever has only SQL.
//!
//! A study is due when it has ended, and on the way at most once a minute and after a quarter more
//! results. Measured: 0.13 s of one processor with 8 parameters and 15 results, 1.3 s with 22 and 100, so
//! that a minute's trainings and fits are far more. One study at a time, on a thread of its own; planning
//! never waits for it. Every replica does this.
//! Two may compute the same, one stores it.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{Scheduler, believed::Believed};
use crate::{
    error::{Doing as _, Error},
    insight::Insight,
    storage::{
        in_time,
        insight::{self, Due},
        posterior,
    },
};

/// How often it looks unasked: at what another replica was told, or what was deleted.
const TICK: Duration = Duration::from_secs(10);

/// How long it lets a change settle: the posterior is fitted first, and results come in bursts.
const SETTLE: Duration = Duration::from_secs(1);

/// Slower than this is worth a line in the log.
const SLOW: Duration = Duration::from_secs(5);

/// Runs until the scheduler stops.
pub async fn run(scheduler: Scheduler) {
    let mut changes = scheduler.changes();
    let stop = scheduler.stop().clone();
    // What could not be computed is not tried again before there is more to compute it from.
    let mut broken: HashMap<i64, i32> = HashMap::new();
    loop {
        let look = async {
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            tokio::time::sleep(SETTLE).await;
        };
        if stop.run_until_cancelled(look).await.is_none() {
            return;
        }
        changes.borrow_and_update();
        match stop.run_until_cancelled(pass(&scheduler, &mut broken)).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) if error.is_passing() => {
                tracing::debug!(%error, "insights: database away");
            }
            Some(Err(error)) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "insights: pass failed");
            }
        }
    }
}

async fn pass(scheduler: &Scheduler, broken: &mut HashMap<i64, i32>) -> Result<(), Error> {
    let due = in_time(async {
        let mut connection = scheduler.pool().acquire().await.doing("reach the database")?;
        insight::due(&mut connection).await
    });
    for Due { study_id, known } in due.await? {
        if broken.get(&study_id) == Some(&known) {
            continue;
        }
        match refresh(scheduler, study_id).await {
            Ok(()) => {}
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(error = cause, study_id, "no insight into a study");
                broken.insert(study_id, known);
            }
        }
    }
    Ok(())
}

/// Computes everything about one study and stores it.
async fn refresh(scheduler: &Scheduler, study_id: i64) -> Result<(), Error> {
    let pool = scheduler.pool();
    // The posterior first: what it was fitted to is then in the snapshot.
    let stored = in_time(posterior::load(pool, study_id)).await?;
    let snapshot = in_time(posterior::snapshot(pool, study_id));
    let Some(snapshot) = snapshot.await? else { return Ok(()) };
    let stop = scheduler.stop().clone();
    let begun = Instant::now();
    let name = snapshot.study.spec.name.clone();
    let compute = move || -> Result<Option<Insight>, Error> {
        Believed::of(&snapshot, stored)?.insight(|| !stop.is_cancelled())
    };
    let computed = tokio::task::spawn_blocking(compute).await;
    let computed = computed.map_err(|panic| Error::Plan(panic.to_string()))??;
    let Some(computed) = computed else { return Ok(()) };
    let (horizon, took) = (computed.horizon, begun.elapsed());
    match took > SLOW {
        true => tracing::info!(study = name, horizon, ?took, "insight computed"),
        false => tracing::debug!(study = name, horizon, ?took, "insight computed"),
    }
    in_time(insight::store(pool, study_id, &computed)).await
}
