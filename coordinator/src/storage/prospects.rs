//! What further trials were expected to gain, and the end of a study that gains no more.

use serde_json::json;
use sqlx::PgConnection;

use super::{events, studies};
use crate::{
    error::{Doing as _, Error},
    study::Prospect,
};

/// No study ends for want of gain with fewer results: a posterior of a few points that happen to be alike
/// expects nothing anywhere.
const RESULTS_MIN: i32 = 10;

/// Prospects in a row that must be below the limit: one low one may be a surprise that the next corrects.
const LOW_IN_A_ROW: i64 = 3;

/// The newest prospects of a study.
pub async fn last(db: &mut PgConnection, study_id: i64) -> Result<Option<Prospect>, Error> {
    sqlx::query_as(
        "-- prospects::last
        select horizon, failed, taken, trials, gain, regret_bound
          from prospect where study_id = $1 order by horizon desc limit 1",
    )
    .bind(study_id)
    .fetch_optional(db)
    .await
    .doing("read a study's prospects")
}

/// Keeps what was found out, unless another replica did so first.
pub async fn record(
    db: &mut PgConnection,
    study_id: i64,
    prospect: &Prospect,
) -> Result<(), Error> {
    sqlx::query(
        "-- prospects::record
        insert into prospect (study_id, horizon, failed, taken, trials, gain, regret_bound)
        values ($1, $2, $3, $4, $5, $6, $7)
            on conflict do nothing",
    )
    .bind(study_id)
    .bind(prospect.horizon)
    .bind(&prospect.failed)
    .bind(prospect.taken)
    .bind(prospect.trials)
    .bind(prospect.gain)
    .bind(prospect.regret_bound)
    .execute(db)
    .await
    .doing("keep a study's prospects")?;
    Ok(())
}

/// Has a study plan no more, and completes it if nothing is open, once its last prospects were all below
/// its limit; says whether they are. Trials that run or wait go on to their end.
pub async fn stop_if_low(db: &mut PgConnection, study_id: i64) -> Result<bool, Error> {
    let gain: Option<f64> = sqlx::query_scalar(
        "-- prospects::stop_if_low
        with low as (
            select count(*) as count, bool_and(l.gain < s.gain_min) as is_low,
                   max(l.gain) as gain
              from study s
             cross join lateral (
                   select p.gain from prospect p
                    where p.study_id = s.study_id and p.horizon > s.gain_counts_from
                    order by p.horizon desc limit $3) l
             where s.study_id = $1)
        update study s
           set converged = true
          from low
         where s.study_id = $1
           and s.state in ('active', 'paused')
           and not s.converged
           and s.next_obs >= $2
           and low.count = $3
           and low.is_low
        returning low.gain",
    )
    .bind(study_id)
    .bind(RESULTS_MIN)
    .bind(LOW_IN_A_ROW)
    .fetch_optional(&mut *db)
    .await
    .doing("look whether a study still gains")?;
    let Some(gain) = gain else { return Ok(false) };
    events::note(db, study_id, None, "converge", json!({ "gain": gain })).await?;
    studies::close_if_done(db, study_id).await?;
    Ok(true)
}
