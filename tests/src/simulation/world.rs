//! The real thing: two coordinators in this process and their database, taken through a case beside the
//! model.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use super::{
    invariants,
    model::{Answer, Fence, Grant, Model, lines::Line},
    operation::{Call, Case, Deed, Delivery, Operation, WORKERS},
    replica::Replica,
    rows::{self, Row},
};

mod calls;

/// Seconds that may pass between two settings of the clock. Moments lie five seconds or more ahead or
/// behind when it is set.
const SLOW: Duration = Duration::from_secs(4);

/// After so long the clock is set again before anything else happens.
const STALE: Duration = Duration::from_millis(500);

/// Before any case began, in seconds: trials that never failed wait for no moment.
const LONG_AGO: i64 = -1_000_000;

/// Why a case did not go well.
#[derive(Debug)]
pub enum Fault {
    /// The coordinators did something else than the model.
    Wrong(String),
    /// The machine was so slow that its own time may have decided something.
    Slow,
}

/// Two coordinators and their database.
pub struct World {
    /// Connections that no mutant touches.
    pool: PgPool,
    replicas: [Replica; 2],
    /// The next case's number: studies have names of their own.
    case: u64,
    names: Vec<String>,
    workers: [Uuid; WORKERS],
    trials: HashMap<(usize, usize), i64>,
    leases: HashMap<Grant, String>,
    /// Calls made in this case.
    calls: usize,
    /// When the database's moments were last set to those of the model.
    clock_set: Instant,
}

impl World {
    /// A database, and coordinators that reach it in their own way. From here on it need not survive
    /// the end of the machine, and answers the sooner.
    pub async fn new(database: &PgConnectOptions, coordinators: &PgConnectOptions) -> Self {
        // Statements are planned once for each session: planning takes longer than what is planned.
        let settings = sqlx::raw_sql(
            "do $$ begin
                execute format('alter database %I set synchronous_commit = off', current_database());
                execute format('alter database %I set plan_cache_mode = force_generic_plan',
                               current_database());
            end $$",
        );
        let mut session = PgConnection::connect_with(database).await.expect("connects");
        settings.execute(&mut session).await.expect("sets the database");
        session.close().await.expect("closes");
        let pool = PgPoolOptions::new().max_connections(1).connect_with(database.clone()).await;
        let pool = pool.expect("connects");
        Self {
            pool,
            replicas: [(); 2].map(|()| Replica::new(coordinators.clone())),
            case: 0,
            names: Vec::new(),
            workers: [Uuid::nil(); WORKERS],
            trials: HashMap::new(),
            leases: HashMap::new(),
            calls: 0,
            clock_set: Instant::now(),
        }
    }

    /// Ends both coordinators.
    pub async fn stop(self) {
        for replica in &self.replicas {
            replica.stop().await;
        }
        self.pool.close().await;
    }

    /// Takes coordinators and model through a case and compares them after every step.
    ///
    /// # Errors
    ///
    /// What was wrong, and after which operation.
    pub async fn live_through(&mut self, case: &Case) -> Result<(), Fault> {
        self.begin(case).await?;
        let mut model = Model::new(&case.rules);
        for (at, operation) in case.operations.iter().enumerate() {
            let outcome = self.step(&mut model, operation).await;
            if let Err(Fault::Wrong(what)) = outcome {
                let violated = invariants::violated(&self.pool).await;
                let what = format!("operation {at}, {operation:?}: {what}\nviolated: {violated:?}");
                return Err(Fault::Wrong(what));
            }
            outcome?;
        }
        match invariants::violated(&self.pool).await {
            violated if violated.is_empty() => Ok(()),
            violated => Err(Fault::Wrong(format!("violated at the end: {violated:?}"))),
        }
    }

    /// An empty database with the case's studies.
    async fn begin(&mut self, case: &Case) -> Result<(), Fault> {
        sqlx::raw_sql(
            "delete from study; delete from late_report; delete from idempotency; delete from worker",
        )
        .execute(&self.pool)
        .await
        .expect("empties the database");
        self.case += 1;
        self.names = (0..case.rules.len()).map(|i| format!("case-{}-{i}", self.case)).collect();
        self.workers = [(); WORKERS].map(|()| Uuid::new_v4());
        self.trials.clear();
        self.leases.clear();
        self.calls = 0;
        self.clock_set = Instant::now();
        for (name, rules) in self.names.iter().zip(&case.rules) {
            self.replicas[0].create(name, rules).await.map_err(|status| {
                Fault::Wrong(format!("a study could not be created: {status}"))
            })?;
        }
        Ok(())
    }

    async fn step(&mut self, model: &mut Model, operation: &Operation) -> Result<(), Fault> {
        if self.clock_set.elapsed() > STALE {
            self.set_clock(model).await;
        }
        match operation {
            Operation::Wait(tens) => {
                model.wait(*tens);
                self.set_clock(model).await;
                return Ok(());
            }
            Operation::Call(_, Delivery::RequestLost) => {}
            Operation::Call(call, Delivery::Well) => self.alone(model, call).await?,
            Operation::Call(call, Delivery::AnswerLost) => {
                self.alone(model, call).await?;
                self.alone(model, call).await?;
            }
            Operation::Together(one, other) => return self.together(model, one, other).await,
        }
        let rows = rows::rows(&self.pool, &self.names).await;
        self.settle(model, rows).await
    }

    /// One call, and the answer that it should have.
    async fn alone(&mut self, model: &mut Model, call: &Call) -> Result<(), Fault> {
        let fence = model.fence(call);
        let budget = budget(model, call);
        let should = model.call(call);
        if should == Answer::Unsaid {
            return Ok(());
        }
        self.calls += 1;
        let replica = self.replicas[self.calls % 2].clone();
        let is = self.call(replica, call, fence, budget).await?;
        let is = self.learn(is);
        if is == should {
            return Ok(());
        }
        self.blame(format!("{call:?} is answered {is:?} and should be {should:?}"))
    }

    /// Two calls at once. Answers and rows must be those of one after the other, in either order.
    async fn together(&mut self, model: &mut Model, one: &Call, other: &Call) -> Result<(), Fault> {
        let fences = [model.fence(one), model.fence(other)];
        let budgets = [budget(model, one), budget(model, other)];
        if is_about_nothing(one, fences[0]) || is_about_nothing(other, fences[1]) {
            return Ok(());
        }
        let [first, second] = self.replicas.clone();
        let (is_one, is_other) = tokio::join!(
            self.call(first, one, fences[0], budgets[0]),
            self.call(second, other, fences[1], budgets[1]),
        );
        let is = (self.learn(is_one?), self.learn(is_other?));
        let rows = rows::rows(&self.pool, &self.names).await;
        let mut said = String::new();
        for (then, should) in one_after_the_other(model, [one, other], budgets) {
            let differences = differences(&then.lines(), &rows);
            if differences.is_none() && is == should {
                *model = then;
                return self.settle(model, rows).await;
            }
            let rows = differences.unwrap_or_else(|| "the rows are right".to_owned());
            said += &format!("\nor {should:?}, and {rows}");
        }
        self.blame(format!("both at once are answered {is:?}; should be{said}"))
    }

    /// Compares all rows, and puts moments where no drawn jitter and no time of the machine's matter.
    async fn settle(&mut self, model: &mut Model, rows: Vec<Row>) -> Result<(), Fault> {
        if let Some(differences) = differences(&model.lines(), &rows) {
            return self.blame(differences);
        }
        for row in rows {
            if let (Some(study), Some(number), Some(id)) = (row.study, row.number, row.trial_id) {
                let at = (study.unsigned_abs() as usize, number.unsigned_abs() as usize);
                self.trials.insert(at, id);
            }
        }
        if model.settle() {
            self.set_clock(model).await;
        }
        Ok(())
    }

    /// Something is wrong, unless the machine's own time may be to blame.
    fn blame(&self, what: String) -> Result<(), Fault> {
        match self.clock_set.elapsed() > SLOW {
            true => Err(Fault::Slow),
            false => Err(Fault::Wrong(what)),
        }
    }

    /// Notes the key of a lease that was granted.
    fn learn(&mut self, (answer, lease_id): (Answer, Option<String>)) -> Answer {
        if let (Answer::Granted { grant, .. }, Some(lease_id)) = (&answer, lease_id) {
            self.leases.insert(*grant, lease_id);
        }
        answer
    }

    /// Time is the database's: moves every moment in it to where the model has it.
    async fn set_clock(&mut self, model: &Model) {
        let (mut trials, mut expires, mut deadlines) = (Vec::new(), Vec::new(), Vec::new());
        for (at, until_expiry, until_deadline) in model.leases() {
            trials.push(self.trials[&at]);
            expires.push(until_expiry as f64);
            deadlines.push(until_deadline as f64);
        }
        let (waiting, ready): (Vec<i64>, Vec<f64>) = model
            .waiting()
            .filter(|&(_, seconds)| seconds > LONG_AGO)
            .map(|(at, seconds)| (self.trials[&at], seconds as f64))
            .unzip();
        let begun = Instant::now();
        if trials.is_empty() && waiting.is_empty() {
            self.clock_set = begun;
            return;
        }
        sqlx::query(
            "with leases as (
                update lease l
                   set expires_at = clock_timestamp() + make_interval(secs => m.expires),
                       deadline_at = clock_timestamp() + make_interval(secs => m.deadline)
                  from unnest($1::bigint[], $2::float8[], $3::float8[])
                           as m (trial_id, expires, deadline)
                 where l.trial_id = m.trial_id)
            update trial t
               set not_before = clock_timestamp() + make_interval(secs => m.ready)
              from unnest($4::bigint[], $5::float8[]) as m (trial_id, ready)
             where t.trial_id = m.trial_id",
        )
        .bind(trials)
        .bind(expires)
        .bind(deadlines)
        .bind(waiting)
        .bind(ready)
        .execute(&self.pool)
        .await
        .expect("moves the moments");
        self.clock_set = begun;
    }
}

fn is_about_nothing(call: &Call, fence: Option<Fence>) -> bool {
    matches!(call, Call::Speak { .. }) && fence.is_none()
}

fn budget(model: &Model, call: &Call) -> i32 {
    match *call {
        Call::Steer { study, deed: Deed::Extend(by) } => model.budget(study, by),
        _ => 0,
    }
}

/// All that two calls at once may lead to: one and then the other, or, because a cancel has two halves,
/// one within the other. Extensions ask for what they saw when both set out.
fn one_after_the_other(
    model: &Model,
    [one, other]: [&Call; 2],
    budgets: [i32; 2],
) -> Vec<(Model, (Answer, Answer))> {
    let mut outcomes = Vec::new();
    let mut then = model.clone();
    let should = (then.call_with(one, budgets[0]), then.call_with(other, budgets[1]));
    outcomes.push((then, should));
    let mut then = model.clone();
    let should_other = then.call_with(other, budgets[1]);
    let should = (then.call_with(one, budgets[0]), should_other);
    outcomes.push((then, should));
    if let Call::Steer { study, deed: Deed::Cancel } = *one {
        let mut then = model.clone();
        let should = (then.begin_cancel(study), then.call_with(other, budgets[1]));
        then.finish_cancel(study);
        outcomes.push((then, should));
    }
    if let Call::Steer { study, deed: Deed::Cancel } = *other {
        let mut then = model.clone();
        let should_other = then.begin_cancel(study);
        let should = (then.call_with(one, budgets[0]), should_other);
        then.finish_cancel(study);
        outcomes.push((then, should));
    }
    outcomes
}

/// What rows there are and should not be, and the other way; `None` if they are the same.
fn differences(should: &[Line], is: &[Row]) -> Option<String> {
    let (mut missing, mut left): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < should.len() || j < is.len() {
        let order = match (should.get(i), is.get(j)) {
            (Some(line), Some(row)) => line.text.as_str().cmp(row.text.as_str()),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        if order.is_le() {
            i += 1;
        }
        if order.is_ge() {
            j += 1;
        }
        match order {
            std::cmp::Ordering::Less => missing.push(&should[i - 1].text),
            std::cmp::Ordering::Greater => left.push(&is[j - 1].text),
            std::cmp::Ordering::Equal => {}
        }
    }
    if !missing.is_empty() || !left.is_empty() {
        return Some(format!("rows should be {missing:#?}\nand are {left:#?}"));
    }
    let slow = SLOW.as_secs_f64();
    should.iter().zip(is).find_map(|(line, row)| {
        let moments = line.moments.iter().zip(&row.moments);
        // What lies far behind is as good as any moment that does.
        let mut late = moments.filter(|&(&(from, to), &is)| {
            let is_past = to <= 0.0 && is <= 0.5;
            !is_past && (is < from - slow || is > to + 0.5)
        });
        let (should, is) = late.next()?;
        Some(format!("`{}` has a moment in {is} s, which should be in {should:?} s", line.text))
    })
}
