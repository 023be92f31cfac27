//! A trial ends with a value, exactly once.

use serde_json::json;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::lost;
use crate::{
    error::{Doing as _, Error},
    goals::{Constraint, FurtherObjective, Goals, Judged, Missing},
    storage::{self, events, studies},
    study::{Direction, StudyState},
    trial::{LeaseRef, Report},
};

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is the trial's result.
    Now(Ended),
    /// An earlier call had recorded this very report.
    Before,
}

/// A trial that has ended with a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Ended {
    /// The trial.
    pub trial_id: i64,
    /// The study it belongs to.
    pub study_id: i64,
    /// Whose lease was ended with it; `None` if that had lapsed before, or if the worker is to go.
    pub worker_id: Option<Uuid>,
    /// The slot that held it.
    pub slot: Option<i32>,
}

/// Records what an attempt reached, ends its lease and, if it was the last, its study.
///
/// The expiry is not asked: it only says when others may take over. A late report that nobody
/// forestalled finds the trial `queued` under the same attempt, and is accepted. A report that a
/// person's cancel has not reached in time is accepted too: cancel is a request until acknowledged.
///
/// The report is judged by the study's further objectives and bounds, and the study closed with it, in one
/// transaction. If its last trial was planned in the very moment in between, the reaper closes it.
///
/// # Errors
///
/// [`Error::Unmeasured`] if the report lacks what the study weighs or bounds; the lease stands.
/// [`Error::LeaseLost`] if the trial was handed on or has ended otherwise; the report is then kept
/// in `late_report`, unless nobody ever had that lease. [`Error::ResultConflict`] if this attempt has reported something else.
pub async fn complete(pool: &PgPool, fence: &LeaseRef, report: &Report) -> Result<Recorded, Error> {
    let mut tx = storage::begin(pool, "record a result").await?;
    let judged = match asked(&mut tx, fence).await? {
        None => None,
        Some(asked) => match asked.goals.judge(asked.direction, report.value, &report.measurements)
        {
            Ok(judged) => Some(judged),
            Err(missing) => {
                let refusal = unmeasured(&mut tx, fence, asked, report, missing).await?;
                tx.commit().await.doing("refuse a report")?;
                return Err(refusal);
            }
        },
    };
    let ended = match &judged {
        Some(judged) => record(&mut tx, &[(fence, report)], Some(judged)).await?.pop(),
        None => None,
    };
    let Some(ended) = ended else {
        let answer = refuse(&mut tx, fence, report, &report.sha256()).await;
        tx.commit().await.doing("keep a refused report")?;
        return answer;
    };
    studies::close_if_done(&mut tx, ended.study_id).await?;
    tx.commit().await.doing("record a result")?;
    Ok(Recorded::Now(ended))
}

/// Records what several attempts reached, each of a trial of its own, by one statement and one commit, and
/// says which. Left out are those of which more is to be said than their value, that would end their
/// study, whose fence does not hold, or whose trial is being moved at this moment: [`complete`] is for them.
///
/// # Errors
///
/// [`Error::Storage`]; none of them is recorded, unless only the answer was lost.
pub async fn complete_together(
    db: &mut PgConnection,
    reports: &[(&LeaseRef, &Report)],
) -> Result<Vec<Ended>, Error> {
    record(db, reports, None).await
}

/// The statement that records results. A macro and not a constant, because sqlx takes literals only.
macro_rules! record {
    ($name:literal, $only:literal, $or_else:literal) => {
        concat!(
            "-- ",
            $name,
            "
        with report as materialized (
            select trial_id, attempt, lease_id, value, measurements, sha256, is_pruned
              from unnest($1::bigint[], $2::integer[], $3::uuid[], $4::float8[], $5::jsonb[],
                          $6::bytea[], $7::boolean[])
                   as r (trial_id, attempt, lease_id, value, measurements, sha256, is_pruned)),
        old as (
            select r.trial_id, o.was,
                   case when r.is_pruned then 'pruned' else 'completed' end::trial_state as state
              from report r
             cross join lateral (
                   select t.state as was
                     from trial t
                     join attempt a using (trial_id, attempt)
                     join study s using (study_id)
                    where t.trial_id = r.trial_id
                      and t.attempt = r.attempt
                      and t.state in ('running', 'queued')
                      and a.lease_id = r.lease_id
                      and a.outcome in ('running', 'expired')",
            $only,
            "
                      for update of t ",
            $or_else,
            "
                      for no key update of a ",
            $or_else,
            ") o),
        done as (
            update trial t
               set state = old.state, finished_at = clock_timestamp()
              from old
             where t.trial_id = old.trial_id
            returning t.trial_id, t.study_id, t.attempt, old.was, t.state),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select study_id, trial_id, attempt,
                   case state when 'pruned' then 'prune' else 'complete' end, was, state
              from done),
        freed as (
            delete from lease l using done
             where l.trial_id = done.trial_id and l.attempt = done.attempt
            returning l.trial_id, l.worker_id, l.slot),
        closed as (
            update attempt a
               set outcome = done.state::text::attempt_outcome, ended_at = clock_timestamp(),
                   failure_class = null
              from done
             where a.trial_id = done.trial_id
               and a.attempt = done.attempt
               and a.outcome in ('running', 'expired')),
        counted as (
            update study s set next_obs = s.next_obs + d.results
              from (select study_id, count(*)::integer as results
                      from done
                     group by study_id
                    having (select count(*) from freed) >= 0
                     order by study_id) d
             where s.study_id = d.study_id
            returning s.study_id, s.direction, s.next_obs - d.results as first_obs),
        kept as (
            insert into result (trial_id, study_id, attempt, obs_seq, value, measurements,
                                payload_sha256, feasible, objectives, is_pruned)
            select d.trial_id, d.study_id, d.attempt,
                   c.first_obs
                   + row_number() over (partition by d.study_id order by d.trial_id) - 1,
                   r.value, r.measurements, r.sha256,
                   -- What an unfinished training would have come to, nobody knows.
                   coalesce($8, true) and not r.is_pruned,
                   coalesce($9, array[case c.direction when 'maximize' then r.value
                                                       else -r.value end]),
                   r.is_pruned
              from done d
              join counted c using (study_id)
              join report r using (trial_id)
            returning trial_id, study_id)
        select k.trial_id, k.study_id, w.worker_id, case when w.worker_id is not null then f.slot end as slot
          from kept k
          left join freed f using (trial_id)
          left join worker w on w.worker_id = f.worker_id and w.drained_because is null"
        )
    };
}

/// Moves trials to their end state, ends their leases and attempts, and keeps their results, where the fence
/// still holds and, for those that are not judged, nothing is to be judged or closed.
///
/// An attempt is locked after its trial, so that its outcome is read as of the end of the wait: a
/// failure or a release of the same attempt that was on its way is then seen.
///
/// The counter of observations is raised under the study's row lock until commit, so that committed
/// observations form a dense prefix in every snapshot. It waits for the leases to be gone, because
/// everybody wants that lock and it is taken last; of several studies in one order. By the update itself: to lock the
/// row before, in the same statement, deadlocks with whoever waits for the version that the update begins at.
async fn record(
    db: &mut PgConnection,
    reports: &[(&LeaseRef, &Report)],
    judged: Option<&Judged>,
) -> Result<Vec<Ended>, Error> {
    let statement = match judged {
        Some(_) => sqlx::query_as(record!("leases::complete, one", "", "")),
        None => sqlx::query_as(record!(
            "leases::complete, many",
            "
                      and s.also = '[]' and s.constraints = '[]'
                      and s.next_number < s.max_trials and not s.exhausted and not s.converged",
            "skip locked"
        )),
    };
    statement
        .bind(reports.iter().map(|(fence, _)| fence.trial_id).collect::<Vec<_>>())
        .bind(reports.iter().map(|(fence, _)| fence.attempt).collect::<Vec<_>>())
        .bind(reports.iter().map(|(fence, _)| fence.lease_id).collect::<Vec<_>>())
        .bind(reports.iter().map(|(_, report)| report.value).collect::<Vec<_>>())
        .bind(reports.iter().map(|(_, report)| Json(&report.measurements)).collect::<Vec<_>>())
        .bind(reports.iter().map(|(_, report)| report.sha256()).collect::<Vec<_>>())
        .bind(reports.iter().map(|(_, report)| report.is_pruned).collect::<Vec<_>>())
        .bind(judged.map(Judged::is_feasible))
        .bind(judged.map(|judged| judged.objectives.clone()))
        .fetch_all(db)
        .await
        .doing("record a result")
}

/// What the study of an attempt asks of a report.
struct Asked {
    study_id: i64,
    study: String,
    direction: Direction,
    goals: Goals,
    /// Whether it has no result yet.
    is_first: bool,
}

/// What is asked of the attempt's report; `None` if the fence matches no attempt that may report.
/// None of it changes, so that no lock is needed; what has changed by the end shows there.
async fn asked(db: &mut PgConnection, fence: &LeaseRef) -> Result<Option<Asked>, Error> {
    type Row = (i64, String, String, Json<Vec<FurtherObjective>>, Json<Vec<Constraint>>, bool);
    let row: Option<Row> = sqlx::query_as(
        "-- leases::asked
        select s.study_id, s.name, s.direction, s.also, s.constraints, s.next_obs = 0
          from attempt a
          join trial t using (trial_id, attempt)
          join study s using (study_id)
         where a.trial_id = $1 and a.attempt = $2 and a.lease_id = $3
           and a.outcome in ('running', 'expired')",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .fetch_optional(db)
    .await
    .doing("read what a study asks for")?;
    Ok(row.map(|(study_id, study, direction, also, constraints, is_first)| Asked {
        study_id,
        study,
        direction: Direction::of(&direction),
        goals: Goals { also: also.0, constraints: constraints.0, reference: None },
        is_first,
    }))
}

/// Puts a refused report on record. If the study has no result yet, the name it asks for is wrong
/// more likely than not, and every further training would be in vain: it is paused.
async fn unmeasured(
    db: &mut PgConnection,
    fence: &LeaseRef,
    asked: Asked,
    report: &Report,
    missing: Missing,
) -> Result<Error, Error> {
    let Asked { study_id, study, is_first, .. } = asked;
    let (active, paused) = ([StudyState::Active], StudyState::Paused);
    let paused = is_first && studies::set_state(db, study_id, &active, paused).await?;
    let measurement = missing.measurement;
    let detail =
        json!({ "measurement": measurement, "value": report.value, "attempt": fence.attempt });
    events::note(db, study_id, Some(fence.trial_id), "unmeasured", detail).await?;
    if paused {
        let detail = json!({ "from": "active", "to": "paused" });
        events::note(db, study_id, None, "steer", detail).await?;
    }
    let known = report.measurements.keys().map(String::as_str);
    let closest = recipe::closest(&measurement, known).map(str::to_owned);
    Ok(Error::Unmeasured { study, measurement, closest, paused })
}

/// Tells a repeated report from a contradicting one and from one that came too late.
async fn refuse(
    db: &mut PgConnection,
    fence: &LeaseRef,
    report: &Report,
    sha256: &[u8],
) -> Result<Recorded, Error> {
    let earlier: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "-- leases::complete, an earlier report
        select r.study_id, r.payload_sha256
          from result r
          join attempt a using (trial_id, attempt)
         where r.trial_id = $1 and r.attempt = $2 and a.lease_id = $3",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .fetch_optional(&mut *db)
    .await
    .doing("look for an earlier report")?;
    match earlier {
        Some((_, earlier)) if earlier == sha256 => Ok(Recorded::Before),
        Some((study_id, _)) => {
            let detail = json!({ "value": report.value, "attempt": fence.attempt });
            events::note(db, study_id, Some(fence.trial_id), "result_conflict", detail).await?;
            Err(Error::ResultConflict { trial_id: fence.trial_id, attempt: fence.attempt })
        }
        None => {
            sqlx::query(
                "-- leases::complete, a late report
                insert into late_report (trial_id, attempt, lease_id, value, reason)
                select $1, $2, $3, $4, 'superseded or ended'
                 -- Nobody fills a table with leases that never were.
                 where exists (select from attempt where lease_id = $3)",
            )
            .bind(fence.trial_id)
            .bind(fence.attempt)
            .bind(fence.lease_id)
            .bind(report.value)
            .execute(db)
            .await
            .doing("keep a late report")?;
            Err(lost(fence))
        }
    }
}
