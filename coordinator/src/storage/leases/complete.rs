//! A trial ends with a value, exactly once.

use serde_json::json;
use sqlx::{Connection as _, PgConnection, PgPool, types::Json};

use super::lost;
use crate::{
    error::{Doing as _, Error},
    goals::{Constraint, FurtherObjective, Goals, Judged, Missing},
    storage::{events, studies},
    study::{Direction, StudyState},
    trial::{LeaseRef, Report},
};

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is the trial's result, of this study.
    Now {
        /// The study it belongs to.
        study_id: i64,
    },
    /// An earlier call had recorded this very report.
    Before,
}

/// Records what an attempt reached, ends its lease and, if it was the last, its study.
///
/// The expiry is not asked: it only says when others may take over. A late report that nobody
/// forestalled finds the trial `queued` under the same attempt, and is accepted. A report that a
/// person's cancel has not reached in time is accepted too: cancel is a request until acknowledged.
///
/// One statement and one commit where nothing but the value counts and the study goes on. Otherwise the
/// report is judged by the further objectives and bounds, and the study closed with it, in a transaction.
/// If its last trial was planned in the very moment in between, the reaper closes it.
///
/// # Errors
///
/// [`Error::Unmeasured`] if the report lacks what the study weighs or bounds; the lease stands.
/// [`Error::LeaseLost`] if the trial was handed on or has ended otherwise; the report is then kept
/// in `late_report`. [`Error::ResultConflict`] if this attempt has reported something else.
pub async fn complete(pool: &PgPool, fence: &LeaseRef, report: &Report) -> Result<Recorded, Error> {
    let sha256 = report.sha256();
    let mut db = pool.acquire().await.doing("record a result")?;
    if let Some(study_id) = record(&mut db, fence, report, &sha256, None).await? {
        return Ok(Recorded::Now { study_id });
    }
    let mut tx = db.begin().await.doing("record a result")?;
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
    let recorded = match &judged {
        Some(judged) => record(&mut tx, fence, report, &sha256, Some(judged)).await?,
        None => None,
    };
    let Some(study_id) = recorded else {
        let answer = refuse(&mut tx, fence, report, &sha256).await;
        tx.commit().await.doing("keep a refused report")?;
        return answer;
    };
    studies::close_if_done(&mut tx, study_id).await?;
    tx.commit().await.doing("record a result")?;
    Ok(Recorded::Now { study_id })
}

/// Moves the trial to its end state, ends its lease and its attempt, and keeps the result, if the fence
/// still holds, and, if it is not judged, nothing is to be judged or closed. Says which study it was.
///
/// The attempt is locked after the trial, so that its outcome is read as of the end of the wait: a
/// failure or a release of the same attempt that was on its way is then seen.
///
/// The counter of observations is raised under the study's row lock until commit, so that committed
/// observations form a dense prefix in every snapshot. It waits for the lease to be gone, because
/// everybody wants that lock and it is taken last.
async fn record(
    db: &mut PgConnection,
    fence: &LeaseRef,
    report: &Report,
    sha256: &[u8],
    judged: Option<&Judged>,
) -> Result<Option<i64>, Error> {
    sqlx::query_scalar(
        "-- leases::complete
        with old as (
            select t.trial_id, t.state
              from trial t
              join attempt a using (trial_id, attempt)
              join study s using (study_id)
             where t.trial_id = $1
               and t.attempt = $2
               and t.state in ('running', 'queued')
               and a.lease_id = $3
               and a.outcome in ('running', 'expired')
               and ($4 or s.also = '[]' and s.constraints = '[]'
                          and s.next_number < s.max_trials and not s.exhausted and not s.converged)
               for update of t
               for no key update of a),
        done as (
            update trial t
               set state = $5, finished_at = clock_timestamp()
              from old
             where t.trial_id = old.trial_id
            returning t.trial_id, t.study_id, t.attempt, old.state as was),
        noted as (
            insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
            select study_id, trial_id, attempt,
                   case $5 when 'pruned' then 'prune' else 'complete' end, was, $5
              from done),
        freed as (
            delete from lease l using done
             where l.trial_id = done.trial_id and l.attempt = done.attempt
            returning l.trial_id),
        closed as (
            update attempt a
               set outcome = $5::text::attempt_outcome, ended_at = clock_timestamp(),
                   failure_class = null
              from done
             where a.trial_id = done.trial_id
               and a.attempt = done.attempt
               and a.outcome in ('running', 'expired')),
        counted as (
            update study s set next_obs = s.next_obs + 1
              from (select study_id, (select count(*) from freed) as freed from done) d
             where s.study_id = d.study_id
            returning s.study_id, s.direction, s.next_obs - 1 as obs_seq)
        insert into result (trial_id, study_id, attempt, obs_seq, value, measurements, payload_sha256,
                            feasible, objectives, is_pruned)
        select $1, study_id, $2, obs_seq, $6, $7, $8, $9,
               coalesce($10, array[case direction when 'maximize' then $6 else -$6 end]), $11
          from counted
        returning study_id",
    )
    .bind(fence.trial_id)
    .bind(fence.attempt)
    .bind(fence.lease_id)
    .bind(judged.is_some())
    .bind(report.state())
    .bind(report.value)
    .bind(Json(&report.measurements))
    .bind(sha256)
    // What an unfinished training would have come to, nobody knows: it never counts as the best.
    .bind(!report.is_pruned && judged.is_none_or(Judged::is_feasible))
    .bind(judged.map(|judged| judged.objectives.clone()))
    .bind(report.is_pruned)
    .fetch_optional(db)
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
                values ($1, $2, $3, $4, 'superseded or ended')",
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
