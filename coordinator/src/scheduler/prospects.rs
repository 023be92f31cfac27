//! What further trials of a study may gain: worked out after results, off the way of those who ask.

use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tuner::UnitPoint;

use super::plan::{self, Fit};
use crate::{
    error::{Doing as _, Error},
    goals::Goals,
    storage::{
        self,
        posterior::{self, Snapshot},
        prospects,
    },
    study::{Prospect, Study},
};

/// Further trials that are thought through.
pub const TRIALS: u32 = 20;

/// A study that does not end by it has its prospects worked out after every so many results …
const EVERY: i32 = 5;
/// … or, of many, after every tenth part of them: it costs about as much as a suggestion.
const EVERY_SHARE: i32 = 10;

/// A study's prospects beside its keeper: on a task of their own, at most one at a time, so that who asks
/// for a trial never waits for them.
pub struct Ahead {
    pool: PgPool,
    study_id: i64,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// The horizon that was looked from last.
    looked_from: Option<i32>,
    under_way: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Nothing looked at yet.
    pub fn new(pool: PgPool, study_id: i64, stop: &CancellationToken, tasks: &TaskTracker) -> Self {
        let (stop, tasks) = (stop.clone(), tasks.clone());
        Self { pool, study_id, stop, tasks, looked_from: None, under_way: None }
    }

    /// Begins to work prospects out, if the fit knows more results than the last time and nothing is under
    /// way. Call again after [`Ahead::finished`].
    pub fn look(&mut self, fit: Option<&Fit>) {
        let Some(fit) = fit.filter(|fit| Some(fit.horizon) != self.looked_from) else { return };
        if self.under_way.is_some() {
            return;
        }
        self.looked_from = Some(fit.horizon);
        let (pool, study_id, fit) = (self.pool.clone(), self.study_id, fit.clone());
        let work = self.stop.clone().run_until_cancelled_owned(async move {
            if let Err(error) = look(&pool, study_id, fit).await {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(error = cause, study_id, "prospects not worked out");
            }
        });
        self.under_way = Some(self.tasks.spawn(async {
            let _stopped_or_done = work.await;
        }));
    }

    /// Ready when what is under way has come to its end; never if nothing is. Nothing is lost if it is
    /// dropped before.
    pub async fn finished(&mut self) {
        match &mut self.under_way {
            // A panic was logged where it happened.
            Some(work) => drop(work.await),
            None => std::future::pending().await,
        }
        self.under_way = None;
    }
}

/// Works a study's prospects out if they are due, keeps them, and ends the study if they are too low.
async fn look(pool: &PgPool, study_id: i64, fit: Fit) -> Result<(), Error> {
    let snapshot = storage::in_time(posterior::snapshot(pool, study_id));
    let Some(snapshot) = snapshot.await? else { return Ok(()) };
    let last = storage::in_time(async {
        let mut connection = pool.acquire().await.doing("reach the database")?;
        prospects::last(&mut connection, study_id).await
    });
    let last = last.await?.map_or(0, |last| last.horizon);
    if !are_due(&snapshot.study, last, fit.horizon) {
        return Ok(());
    }
    let name = snapshot.study.spec.name.clone();
    let found = tokio::task::spawn_blocking(move || prospect(&snapshot, &fit))
        .await
        .map_err(|panic| Error::Plan(panic.to_string()))?;
    let Some(found) = found else { return Ok(()) };
    if storage::in_time(keep(pool, study_id, &found)).await? {
        let (horizon, gain) = (found.horizon, found.gain);
        tracing::info!(study = name, horizon, gain, "further trials would gain too little");
    }
    Ok(())
}

/// Whether a study's prospects should be worked out again, now that `horizon` results are known and no longer
/// just the `last` that they were worked out from.
fn are_due(study: &Study, last: i32, horizon: i32) -> bool {
    let every = match study.spec.gain_min {
        _ if study.state.is_final() => 1,
        Some(_) => 1,
        None => EVERY.max(horizon / EVERY_SHARE),
    };
    horizon - last >= every
}

/// A study's prospects under a fit: a function of the results up to its horizon, of the trials that had
/// failed and of those that had been planned. `None` for a study with further goals, and if the numbers are
/// beyond counting.
pub fn prospect(snapshot: &Snapshot, fit: &Fit) -> Option<Prospect> {
    let spec = &snapshot.study.spec;
    // With more than one thing to make good, or bounds to keep, the value alone says little.
    if spec.goals != Goals::default() {
        return None;
    }
    let observed = plan::results(snapshot, fit.horizon);
    let observed: Vec<_> = observed.into_iter().map(|result| result.observation).collect();
    let taken: Vec<UnitPoint> = snapshot.tried.iter().map(|trial| trial.point()).collect();
    let found =
        tuner::prospect(&spec.space, fit.models.value(), &observed, &taken, TRIALS, spec.seed)?;
    // A range beyond the doubles has infinite prospects; the table has no place for them.
    (found.gain.is_finite() && found.regret_bound.is_finite()).then(|| Prospect {
        horizon: fit.horizon,
        failed: fit.failed.clone(),
        taken: snapshot.study.next_number,
        trials: i32::try_from(found.trials).expect("twenty at most"),
        gain: found.gain,
        regret_bound: found.regret_bound,
    })
}

/// Keeps prospects, and ends a study that has none; says whether it does.
async fn keep(pool: &PgPool, study_id: i64, prospect: &Prospect) -> Result<bool, Error> {
    let mut tx = storage::begin(pool, "keep a study's prospects").await?;
    prospects::record(&mut tx, study_id, prospect).await?;
    let ends = prospects::stop_if_low(&mut tx, study_id).await?;
    tx.commit().await.doing("keep a study's prospects")?;
    Ok(ends)
}
