//! One task per study and replica: gathers askers, plans for all of them at once, publishes.
//!
//! It may be killed at any instruction and loses nothing: what it knows it can read again. Of
//! several replicas that plan from the same version one is believed; the others look again.
//!
//! When a result has come in and nobody waits, it plans the next point and keeps it: whoever asks then
//! waits for one transaction. A plan that something has overtaken is thrown away, so that an asker gets
//! the point that planning for it would have given.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    fitting::apart,
    plan::{self, Plan, Warm},
    prospects::Ahead,
    rhythm::Rhythm,
};
use crate::{
    error::{Doing as _, Error},
    limits::{ASKERS_AT_ONCE_MAX, INBOX_MAX},
    storage::{
        in_time,
        leases::{self, Handed},
        posterior::{self, Publication, Snapshot},
    },
    study::Study,
    trial::{Asker, Lease, LeaseRef, trial_seed},
};

/// Lost races after which askers are told to ask again.
const TRIES_MAX: usize = 8;

/// How long a keeper outlives the last thing it was told.
const LINGER: Duration = Duration::from_secs(300);

enum Message {
    /// Somebody wants a trial.
    Ask(Box<Asking>),
    /// Something changed: a result came in, perhaps.
    Wake,
}

/// One who asks, and where it waits for the answer.
struct Asking {
    asker: Asker,
    answer: oneshot::Sender<Result<Option<Lease>, Error>>,
}

/// The way to a study's keeper. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    inbox: mpsc::Sender<Message>,
}

impl Keeper {
    /// Starts the task of a study's keeper, which grants leases of `lease_ttl`.
    pub fn start(
        pool: PgPool,
        study_id: i64,
        lease_ttl: Duration,
        rhythm: Arc<Rhythm>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let ahead = Ahead::new(pool.clone(), study_id, stop, tasks);
        let task = Task {
            pool,
            study_id,
            lease_ttl,
            rhythm,
            seen: None,
            warm: Warm::default(),
            stored: None,
            ready: None,
            ahead,
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(task.run(messages)));
        Self { inbox }
    }

    /// Whether its task is gone.
    pub fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Asks for a new trial. `None` if there is none to be had, or if the asker's slot turned out to hold
    /// a lease already.
    pub async fn ask(&self, asker: &Asker) -> Result<Option<Lease>, Error> {
        let (answer, answered) = oneshot::channel();
        let asking = Box::new(Asking { asker: asker.clone(), answer });
        // A keeper that has just ended is no failure: the caller looks again in a moment.
        if self.inbox.send(Message::Ask(asking)).await.is_err() {
            return Ok(None);
        }
        answered.await.unwrap_or(Ok(None))
    }

    /// Says that something changed. A full inbox is as good as a message: it will look anyway.
    pub fn wake(&self) {
        let _ = self.inbox.try_send(Message::Wake);
    }
}

struct Task {
    pool: PgPool,
    study_id: i64,
    lease_ttl: Duration,
    rhythm: Arc<Rhythm>,
    /// The study as it was last read; what has ended since then need not be read again.
    seen: Option<Snapshot>,
    /// What the last plan left for the next.
    warm: Warm,
    /// The horizon of the posterior that this keeper stored last.
    stored: Option<i32>,
    /// What whoever asks next will get, unless something comes in between.
    ready: Option<Ready>,
    /// What further trials may gain.
    ahead: Ahead,
}

/// A plan that waits for its askers, and the study that it was made for.
struct Ready {
    study: Study,
    plan: Plan,
}

impl Task {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let waited = tokio::select! {
                waited = tokio::time::timeout(LINGER, messages.recv()) => waited,
                () = self.ahead.finished() => {
                    self.ahead.look(self.warm.fit.as_ref());
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
            let is_ask = |message: &Message| matches!(message, Message::Ask(_));
            let told = self.rhythm.asks(first, &mut messages, ASKERS_AT_ONCE_MAX, is_ask);
            let mut asking = Vec::new();
            let mut is_woken = false;
            for message in told.await {
                match message {
                    // One who has hung up is handed nothing.
                    Message::Ask(one) if !one.answer.is_closed() => asking.push(*one),
                    Message::Ask(_) => {}
                    Message::Wake => is_woken = true,
                }
            }
            if is_woken {
                self.ready = None;
            }
            // Whoever is planned for has what came in fitted on the way.
            let is_planned = !asking.is_empty() && self.serve(asking).await;
            if is_woken
                && !is_planned
                && let Err(error) = self.prepare().await
            {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(error = cause, study_id = self.study_id, "nothing planned ahead");
            }
            self.ahead.look(self.warm.fit.as_ref());
        }
    }

    /// Answers all who ask: with what is ready, then with what is planned for the rest of them. Says
    /// whether there was anything.
    async fn serve(&mut self, mut asking: Vec<Asking>) -> bool {
        let asked = asking.len();
        let outcome = self.hand_out(&mut asking).await;
        let (left, mut refusal) = (asking.len(), outcome.err());
        for one in asking {
            // An error has one owner; the others ask again and meet it themselves.
            let _ = one.answer.send(refusal.take().map_or(Ok(None), Err));
        }
        left < asked
    }

    /// Whoever holds a lease, because an answer was lost, is not planned for; a plan that would do so is
    /// refused.
    async fn turn_away_holders(&self, asking: &mut Vec<Asking>) -> Result<(), Error> {
        let askers: Vec<&Asker> = asking.iter().map(|one| &one.asker).collect();
        let holders = in_time(async {
            let mut connection = self.pool.acquire().await.doing("reach the database")?;
            leases::holders(&mut connection, &askers).await
        });
        let holders = holders.await?;
        let holds = |one: &mut Asking| holders.contains(&(one.asker.worker_id, one.asker.slot));
        for one in asking.extract_if(.., holds) {
            let _ = one.answer.send(Ok(None));
        }
        Ok(())
    }

    /// Plans and publishes until everybody has something or there is nothing, looking again after each
    /// lost race. Whoever was answered is gone from the list.
    async fn hand_out(&mut self, asking: &mut Vec<Asking>) -> Result<(), Error> {
        for _ in 0..TRIES_MAX {
            if asking.is_empty() {
                return Ok(());
            }
            let (ready, is_ahead) = match self.ready.take() {
                Some(mut ready) => {
                    ready.plan.points.truncate(asking.len());
                    (ready, true)
                }
                None => match self.plan(asking.len()).await? {
                    Some(ready) => (ready, false),
                    None => return Ok(()),
                },
            };
            let ends_here = ready.plan.points.is_empty() || ready.plan.exhausted;
            match self.publish(&ready, is_ahead, asking).await {
                Ok(()) if ends_here => return Ok(()),
                Ok(()) => {}
                Err(Error::PosteriorMoved { version, .. }) => {
                    tracing::debug!(study = ready.study.spec.name, version, "overtaken");
                    self.turn_away_holders(asking).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Publishes a plan and gives its trials to those who ask, first come, first served. Points beyond
    /// them, and those of askers who turn out to hold a lease, wait in the queue.
    async fn publish(
        &mut self,
        ready: &Ready,
        is_ahead: bool,
        asking: &mut Vec<Asking>,
    ) -> Result<(), Error> {
        let Ready { study, plan } = ready;
        let fitted = plan.fitted.as_ref().filter(|fitted| self.stored != Some(fitted.horizon));
        let publication = Publication {
            read: study,
            basis: &plan.basis,
            plan: &plan.points,
            fitted,
            exhausted: plan.exhausted,
            is_ahead,
        };
        let served = plan.points.len().min(asking.len());
        let askers: Vec<Asker> = asking[..served].iter().map(|one| one.asker.clone()).collect();
        let handed = posterior::publish(&self.pool, &publication, &askers, self.lease_ttl);
        let its_turn = self.rhythm.to_publish().await;
        let handed = in_time(handed).await?;
        self.rhythm.published(handed.len());
        drop(its_turn);
        self.stored = fitted.map(|fitted| fitted.horizon).or(self.stored);
        for (number, point) in (study.next_number..).zip(&plan.points) {
            tracing::debug!(
                study = study.spec.name,
                trial.number = number,
                origin = point.origin,
                mean = point.mean,
                deviation = point.deviation,
                is_ahead,
                "planned",
            );
        }
        let mut leases: Vec<Option<Lease>> = askers.iter().map(|_| None).collect();
        for handed in &handed {
            let place = usize::try_from(handed.place - 1).expect("places count from 1");
            leases[place] = Some(lease(study, plan, place, handed));
        }
        for (one, lease) in asking.drain(..served).zip(leases) {
            // If it has gone, the lease is the slot's: it gets the same one when it asks again.
            let _ = one.answer.send(Ok(lease));
        }
        Ok(())
    }

    /// A plan of at most `count` points from what is known now; `None` if there is no room for any.
    async fn plan(&mut self, count: usize) -> Result<Option<Ready>, Error> {
        let Some(snapshot) = self.look().await? else { return Ok(None) };
        match plan::room(&snapshot).min(count) {
            0 => {
                self.seen = Some(snapshot);
                Ok(None)
            }
            count => self.compute(snapshot, count).await.map(Some),
        }
    }

    async fn look(&mut self) -> Result<Option<Snapshot>, Error> {
        in_time(posterior::snapshot_after(self.seen.take(), &self.pool, self.study_id)).await
    }

    async fn compute(&mut self, snapshot: Snapshot, count: usize) -> Result<Ready, Error> {
        let study = snapshot.study.clone();
        let warm = std::mem::take(&mut self.warm);
        let learns = study.spec.algorithm.learns();
        let make = move || (plan::make(&snapshot, warm, count), snapshot);
        let ((plan, warm), snapshot) = match learns {
            true => apart(make).await?,
            // Over before a thread of its own would have begun.
            false => tokio::task::spawn_blocking(make)
                .await
                .map_err(|panic| Error::Plan(panic.to_string()))?,
        };
        self.warm = warm;
        self.seen = Some(snapshot);
        Ok(Ready { study, plan })
    }

    /// Fits what has come in since the last fit and stores it, for whoever reads the posterior, and plans
    /// for whoever asks next: for one, or, where a point costs next to nothing, for all that are expected.
    async fn prepare(&mut self) -> Result<(), Error> {
        let Some(snapshot) = self.look().await? else { return Ok(()) };
        let expected = match snapshot.study.spec.algorithm.learns() {
            true => 1,
            false => self.rhythm.expected_asks().clamp(1, ASKERS_AT_ONCE_MAX),
        };
        let count = plan::room(&snapshot).min(expected);
        let ready = self.compute(snapshot, count).await?;
        if let Some(fitted) = &ready.plan.fitted
            && self.stored != Some(fitted.horizon)
        {
            let (study_id, version) = (self.study_id, ready.study.posterior_version);
            let stored = async {
                let mut connection = self.pool.acquire().await.doing("reach the database")?;
                posterior::store(&mut connection, study_id, version, fitted).await
            };
            in_time(stored).await?;
            self.stored = Some(fitted.horizon);
        }
        // That a space is exhausted is found out again by whoever asks, who then ends the study.
        if !ready.plan.points.is_empty() && !ready.plan.exhausted {
            self.ready = Some(ready);
        }
        Ok(())
    }
}

/// What an asker is told of the trial that it was handed as the trial was planned.
fn lease(study: &Study, plan: &Plan, place: usize, handed: &Handed) -> Lease {
    let number = study.next_number + i32::try_from(place).expect("a plan is smaller than 2^31");
    Lease {
        fence: LeaseRef { trial_id: handed.trial_id, attempt: 1, lease_id: handed.lease_id },
        ttl: Duration::from_secs_f64(handed.ttl_s.max(0.0)),
        study_id: study.study_id,
        study: study.spec.name.clone(),
        number,
        point: plan.points[place].new.point.clone(),
        objective: study.spec.objective.clone(),
        seed: trial_seed(study.spec.seed, number),
        checkpoint: None,
        checkpoint_epochs: study.spec.checkpoint_epochs,
        best_value: handed.best_value,
    }
}
