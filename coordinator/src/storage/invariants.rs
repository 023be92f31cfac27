//! What must be true of the rows of any database, whoever served it and whatever died meanwhile.
//!
//! Each invariant is a sentence and a query for the rows that break it, named as people name them. All are
//! read in one snapshot, so that they hold of a database at work as of one at rest; the few that hold at rest
//! alone say so. I9, I10 and I12 compare times, and mean something only where the database's clock was never
//! set back.
//!
//! That no more trials run than `study.max_parallel` is not among them. A hand-out counts the leases without
//! a lock, so that hand-outs do not stand in a line, and two at the same instant may both take the last place.
//! It takes points that a person enqueued: of those that the algorithm plans no more are ever open, and that
//! is among them (I19).

mod artifacts;
mod attempts;
mod events;
mod keys;
mod leases;
mod plans;
mod points;
mod results;
mod studies;

use std::fmt;

use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};

pub use results::{Acknowledged, check_acknowledged};

use crate::error::{Doing as _, Error};

/// Most rows that are named for one invariant; the rest is counted.
pub const ROWS_MAX: usize = 20;

/// A sentence about the rows, and how to find those for which it is not true.
#[derive(Debug)]
pub struct Invariant {
    /// What people call it: I1, I2 …
    pub id: &'static str,
    /// What must hold.
    pub claim: &'static str,
    /// When it must.
    pub holds: Holds,
    /// Gives (study, number, attempt, wrong) of what breaks it.
    query: &'static str,
}

/// When an invariant must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// After every transaction.
    Always,
    /// Once nobody works any more: no worker has a trial, no study waits for one.
    AtRest,
}

/// All of them.
pub static INVARIANTS: [&Invariant; 27] = [
    &results::ONE_RESULT,
    &results::OF_THE_LAST_ATTEMPT,
    &leases::ONE_RUNNING_ATTEMPT,
    &leases::ONE_LEASE,
    &attempts::DENSE,
    &studies::NUMBERS_DENSE,
    &results::OBSERVATIONS_DENSE,
    &attempts::FAILURES_IN_BUDGET,
    &attempts::FAILURES_COUNTED,
    &attempts::ONE_AFTER_ANOTHER,
    &attempts::METRICS_IN_TIME,
    &results::NOT_REFUSED,
    &plans::OF_WHAT_WAS_KNOWN,
    &events::REPLAY,
    &events::ENDS_ARE_FINAL,
    &studies::NOTHING_LEFT_OPEN,
    &plans::BIRTHS,
    &studies::BUDGET_KEPT,
    &studies::PLANNED_IN_PARALLEL,
    &points::IN_THE_SPACE,
    &results::JUDGED,
    &artifacts::WHOLE,
    &leases::ORDERS_ON_RECORD,
    &studies::ENDED_FOR_ITS_REASON,
    &plans::CACHES_KNOW_NO_MORE,
    &keys::NOTHING_REFERS_TO_NOTHING,
    &keys::IN_PLACE,
];

/// What was found out about one invariant.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub invariant: &'static Invariant,
    /// Rows that break it; 0 if it holds.
    pub total: i64,
    /// The first [`ROWS_MAX`] of them.
    pub rows: Vec<Row>,
}

/// A row that breaks an invariant, as people name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Row {
    /// The study's name; none if the row belongs to none.
    pub study: Option<String>,
    /// The trial's number in it, if it is about a trial.
    pub number: Option<i32>,
    /// The attempt at it, if it is about one.
    pub attempt: Option<i32>,
    /// What is wrong.
    pub wrong: String,
}

/// What is wrong with a database: the invariants that do not hold, each with its rows. Read in a snapshot of
/// its own, on a connection that has no transaction open; writes nothing.
///
/// # Errors
///
/// [`Error::Storage`] if a query fails, as in a database that has not this program's schema.
pub async fn check(db: &mut PgConnection) -> Result<Vec<Finding>, Error> {
    Ok(broken(examine(db, Holds::Always).await?))
}

/// The same of a database at which nobody works.
pub async fn check_at_rest(db: &mut PgConnection) -> Result<Vec<Finding>, Error> {
    Ok(broken(examine(db, Holds::AtRest).await?))
}

/// A finding for every invariant that must hold `now`, those that do among them.
pub async fn examine(db: &mut PgConnection, now: Holds) -> Result<Vec<Finding>, Error> {
    let mut tx = snapshot(db).await?;
    examine_within(&mut tx, now).await
}

/// The same in the transaction that the connection is in.
pub async fn examine_within(db: &mut PgConnection, now: Holds) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for invariant in that_hold(now) {
        findings.push(look(db, invariant).await?);
    }
    Ok(findings)
}

/// The invariants that must hold `now`.
pub fn that_hold(now: Holds) -> impl Iterator<Item = &'static Invariant> {
    let holds = move |of: &&Invariant| of.holds == Holds::Always || now == Holds::AtRest;
    INVARIANTS.into_iter().filter(holds)
}

fn broken(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| finding.total > 0);
    findings
}

/// A transaction that sees everything as of one instant. Without a time limit: on a large database some
/// queries take minutes.
pub async fn snapshot(db: &mut PgConnection) -> Result<Transaction<'_, Postgres>, Error> {
    let doing = "open a snapshot to check";
    let mut tx = db.begin().await.doing(doing)?;
    for setting in [
        "set transaction isolation level repeatable read, read only",
        "set local statement_timeout = 0",
        // Whoever checks may be used to seeing the views first.
        "set local search_path = public",
    ] {
        sqlx::query(setting).execute(&mut *tx).await.doing(doing)?;
    }
    Ok(tx)
}

/// A row, and how many there are.
#[derive(sqlx::FromRow)]
struct Counted {
    #[sqlx(flatten)]
    row: Row,
    total: i64,
}

/// Looks for what breaks one invariant, in the transaction that the connection is in.
pub async fn look(db: &mut PgConnection, invariant: &'static Invariant) -> Result<Finding, Error> {
    let Invariant { id, query, .. } = invariant;
    let found: Vec<Counted> = sqlx::query_as(AssertSqlSafe(format!(
        "-- invariants::look, {id}
        select study, number, attempt, wrong, count(*) over () as total
          from ({query}) as found
         order by study, number, attempt, wrong
         limit {ROWS_MAX}"
    )))
    .fetch_all(db)
    .await
    .doing("check an invariant")?;
    Ok(Finding::of(invariant, found))
}

impl Finding {
    fn of(invariant: &'static Invariant, found: Vec<Counted>) -> Self {
        let total = found.first().map_or(0, |counted| counted.total);
        Self { invariant, total, rows: found.into_iter().map(|counted| counted.row).collect() }
    }
}

/// For whoever reads a test's last words.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Invariant { id, claim, .. } = self.invariant;
        write!(f, "{id} ({claim}) is broken by {} rows", self.total)?;
        for Row { study, number, attempt, wrong } in &self.rows {
            let study = study.as_deref().unwrap_or("-");
            let or_none = |number: &Option<i32>| number.map_or("-".to_owned(), |n| n.to_string());
            write!(f, "\n  {study} {} {}: {wrong}", or_none(number), or_none(attempt))?;
        }
        Ok(())
    }
}
