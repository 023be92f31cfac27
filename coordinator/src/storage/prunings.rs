//! Curves that stopping rules compare, and what they decided.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use tuner::stopping::{Compared, Curve, Report};

use crate::{
    error::{Doing as _, Error},
    study::{Direction, EarlyStopping},
    trial::LeaseRef,
};

/// Most other trials that one is compared with: the newest.
const PEERS_MAX: i64 = 256;

/// Most reports that are read for one comparison; those of the oldest trials go first.
const REPORTS_MAX: i64 = 200_000;

/// What the curves of a study say when a trial reports.
#[derive(Clone, Debug)]
pub struct Curves {
    /// The trial's own.
    pub own: Curve,
    /// Those of others that have ended with a result or are running.
    pub peers: Vec<Curve>,
}

/// One report of a trial.
#[derive(sqlx::FromRow)]
struct Row {
    trial_id: i64,
    has_ended: bool,
    layers: i64,
    step: i32,
    value: f64,
    sharpness: Option<f64>,
}

/// The curves of a study's trials by one metric, turned so that larger is better.
///
/// A curve has the reports of a trial's last attempt and, if that went on from a checkpoint, those of
/// earlier attempts before it: they are of the same training. What a superseded attempt did beyond is
/// not of it.
pub async fn curves(
    db: &mut PgConnection,
    study_id: i64,
    trial_id: i64,
    metric: &str,
    direction: Direction,
) -> Result<Curves, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "-- prunings::curves
        with chosen as (
            (select trial_id, attempt, false as has_ended
               from trial where trial_id = $2)
            union all
            (select trial_id, attempt, state in ('completed', 'pruned') as has_ended
               from trial
              where study_id = $1 and trial_id <> $2
                and state in ('running', 'completed', 'pruned')
              order by trial_id desc
              limit $4))
        select c.trial_id, c.has_ended, coalesce(l.layers, 0) as layers, m.step, m.value,
               s.value as sharpness
          from chosen c
          join attempt a on (a.trial_id, a.attempt) = (c.trial_id, c.attempt)
         cross join lateral (
               select distinct on (m.step) m.step, m.attempt, m.value
                 from metric m
                where m.trial_id = c.trial_id
                  and m.name = $3
                  and (m.attempt = c.attempt
                       or m.attempt < c.attempt and m.step < a.resumed_from_epoch)
                order by m.step, m.attempt desc) m
          left join metric s
                 on (s.trial_id, s.attempt, s.step, s.name)
                    = (c.trial_id, m.attempt, m.step, 'sharpness_mean')
          left join lateral (
               select count(*) as layers
                 from metric n
                where (n.trial_id, n.attempt, n.step) = (c.trial_id, m.attempt, m.step)
                  and n.name ~ '^sharpness_[0-9]+$') l on true
         order by c.trial_id = $2 desc, c.trial_id desc, m.step
         limit $5",
    )
    .bind(study_id)
    .bind(trial_id)
    .bind(metric)
    .bind(PEERS_MAX)
    .bind(REPORTS_MAX)
    .fetch_all(db)
    .await
    .doing("read learning curves")?;
    let mut by_trial: BTreeMap<i64, (u32, bool, Vec<Report>)> = BTreeMap::new();
    for row in rows {
        let curve = by_trial.entry(row.trial_id).or_insert((0, row.has_ended, Vec::new()));
        curve.0 = curve.0.max(u32::try_from(row.layers).unwrap_or(0));
        curve.2.push(Report {
            step: row.step.unsigned_abs(),
            sharpness: row.sharpness,
            value: direction.orient(row.value),
        });
    }
    let mut own = Curve::new(0, false, Vec::new());
    let mut peers = Vec::new();
    for (of, (layers, has_ended, reports)) in by_trial {
        let curve = Curve::new(layers, has_ended, reports);
        match of == trial_id {
            true => own = curve,
            false => peers.push(curve),
        }
    }
    Ok(Curves { own, peers })
}

/// Tells an attempt to end its trial early, and records why; the first time counts.
///
/// # Errors
///
/// [`Error::LeaseLost`] if the attempt no longer holds its lease.
pub async fn record(
    db: &mut PgConnection,
    fence: &LeaseRef,
    by: &EarlyStopping,
    direction: Direction,
    compared: &Compared,
) -> Result<(), Error> {
    let number = |x: u32| i32::try_from(x).unwrap_or(i32::MAX);
    let told: Option<i64> = sqlx::query_scalar(
        "-- prunings::record
        with told as (
            update lease set prune = true
             where trial_id = $1 and attempt = $2 and lease_id = $3
            returning trial_id, attempt),
        kept as (
            insert into pruning (trial_id, attempt, rule, metric, step, stage, place, value,
                                 threshold, peers)
            select trial_id, attempt, $4, $5, $6, $7, $8, $9, $10, $11 from told
                on conflict do nothing)
        select trial_id from told",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(by.rule.as_str())
    .bind(&by.metric)
    .bind(number(compared.step))
    .bind(number(compared.stage))
    .bind(number(compared.place))
    .bind(direction.orient(compared.value))
    .bind(direction.orient(compared.threshold))
    .bind(number(compared.peers))
    .fetch_optional(db)
    .await
    .doing("tell a trial to end early")?;
    match told {
        Some(_) => Ok(()),
        None => Err(Error::LeaseLost {
            trial_id: fence.trial_id,
            attempt: fence.attempt,
            lease_id: fence.lease_id,
        }),
    }
}
