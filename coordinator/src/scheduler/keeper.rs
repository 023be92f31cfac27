//! One task per study and replica: gathers askers, plans for all of them at once, publishes.
//!
//! It may be killed at any instruction and loses nothing: what it knows it can read again. Of
//! several replicas that plan from the same version one is believed; the others look again.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    plan::{self, Fit},
    prospects::Ahead,
};
use crate::{
    error::{Doing as _, Error},
    limits::{ASKERS_AT_ONCE_MAX, INBOX_MAX},
    storage::posterior::{self, Snapshot},
};

/// Lost races after which askers are told to ask again.
const TRIES_MAX: usize = 8;

/// How long a keeper outlives the last thing it was told.
const LINGER: Duration = Duration::from_secs(300);

enum Message {
    /// Somebody wants a trial; answered when it is worth looking into the queue.
    Ask(oneshot::Sender<Result<(), Error>>),
    /// Something changed: a result came in, perhaps.
    Wake,
}

/// The way to a study's keeper. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    inbox: mpsc::Sender<Message>,
}

impl Keeper {
    /// Starts the task of a study's keeper.
    pub fn start(
        pool: PgPool,
        study_id: i64,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let ahead = Ahead::new(pool.clone(), study_id, stop, tasks);
        let task = Task { pool, study_id, fit: None, ahead };
        tasks.spawn(stop.clone().run_until_cancelled_owned(task.run(messages)));
        Self { inbox }
    }

    /// Whether its task is gone.
    pub fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Asks for one more trial and waits until it is queued, or there is none to be had.
    pub async fn ask(&self) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        // A keeper that has just ended is no failure: the caller looks again in a moment.
        if self.inbox.send(Message::Ask(answer)).await.is_err() {
            return Ok(());
        }
        answered.await.unwrap_or(Ok(()))
    }

    /// Says that something changed. A full inbox is as good as a message: it will look anyway.
    pub fn wake(&self) {
        let _ = self.inbox.try_send(Message::Wake);
    }
}

struct Task {
    pool: PgPool,
    study_id: i64,
    /// The last fit, a warm copy of what the same observations would give again.
    fit: Option<Fit>,
    /// What further trials may gain.
    ahead: Ahead,
}

impl Task {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let waited = tokio::select! {
                waited = tokio::time::timeout(LINGER, messages.recv()) => waited,
                () = self.ahead.finished() => {
                    self.ahead.look(self.fit.as_ref());
                    continue;
                }
            };
            let first = match waited {
                Ok(Some(first)) => first,
                Ok(None) => return,
                Err(_) => {
                    // Nobody gets in any more; those who just did are still served.
                    messages.close();
                    continue;
                }
            };
            let mut askers = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Ask(answer) if !answer.is_closed() => askers.push(answer),
                    Message::Ask(_) | Message::Wake => {}
                }
                next =
                    if askers.len() < ASKERS_AT_ONCE_MAX { messages.try_recv().ok() } else { None };
            }
            if askers.is_empty() {
                if let Err(error) = self.refresh().await {
                    let cause: &dyn std::error::Error = &error;
                    tracing::warn!(
                        error = cause,
                        study_id = self.study_id,
                        "posterior not refreshed"
                    );
                }
                self.ahead.look(self.fit.as_ref());
                continue;
            }
            let mut outcome = self.serve(askers.len()).await;
            for asker in askers {
                // One who has gone left its trial in the queue, for the next.
                let _ = asker.send(std::mem::replace(&mut outcome, Ok(())));
            }
            self.ahead.look(self.fit.as_ref());
        }
    }

    /// Plans for `askers` askers and publishes, looking again after each lost race.
    async fn serve(&mut self, askers: usize) -> Result<(), Error> {
        for _ in 0..TRIES_MAX {
            let Some(snapshot) = posterior::snapshot(&self.pool, self.study_id).await? else {
                return Ok(());
            };
            let count = plan::room(&snapshot).min(askers);
            if count == 0 {
                return Ok(());
            }
            let study = snapshot.study.clone();
            let plan = self.compute(snapshot, count).await?;
            let published = posterior::publish(
                &self.pool,
                &study,
                &plan.points,
                plan.fitted.as_ref(),
                plan.exhausted,
            )
            .await;
            match published {
                Ok(()) => {
                    for (number, point) in (study.next_number..).zip(&plan.points) {
                        tracing::debug!(
                            study = study.spec.name,
                            trial.number = number,
                            origin = point.origin,
                            mean = point.mean,
                            deviation = point.deviation,
                            "planned",
                        );
                    }
                    return Ok(());
                }
                Err(Error::PosteriorMoved { version, .. }) => {
                    tracing::debug!(study = study.spec.name, version, "another plan was first");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Computing never sits on an async thread.
    async fn compute(&mut self, snapshot: Snapshot, count: usize) -> Result<plan::Plan, Error> {
        let warm = self.fit.take();
        let (plan, fit) = tokio::task::spawn_blocking(move || plan::make(&snapshot, warm, count))
            .await
            .map_err(|panic| Error::Plan(panic.to_string()))?;
        self.fit = fit;
        Ok(plan)
    }

    /// Fits what has come in since the last fit, and stores it: ahead of the next asker, and for
    /// whoever reads the posterior of a study that has ended.
    async fn refresh(&mut self) -> Result<(), Error> {
        let Some(snapshot) = posterior::snapshot(&self.pool, self.study_id).await? else {
            return Ok(());
        };
        let study = snapshot.study.clone();
        let before = self.fit.as_ref().map(Fit::horizon);
        let plan = self.compute(snapshot, 0).await?;
        if let Some(fitted) = &plan.fitted
            && before != Some(fitted.horizon)
        {
            let mut connection = self.pool.acquire().await.doing("reach the database")?;
            posterior::store(&mut connection, study.study_id, study.posterior_version, fitted)
                .await?;
        }
        Ok(())
    }
}
