//! Results from elsewhere.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::{PgConnection, types::Json};
use tuner::Point;

use super::{events, posterior::Imported};
use crate::{
    error::{Doing as _, Error},
    limits::IMPORTED_MAX,
    study::Study,
    trial::NewPoint,
};

/// A result to be imported.
#[derive(Clone, Debug)]
pub struct Import {
    /// Where, in the study's space.
    pub at: NewPoint,
    /// What was measured, in the objective's unit.
    pub value: f64,
    /// Everything else measured, by name.
    pub measurements: BTreeMap<String, f64>,
    /// The trial of this database that gave it.
    pub source_trial_id: Option<i64>,
}

/// A completed trial of another study.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Finished {
    /// Its key.
    pub trial_id: i64,
    /// Its number there.
    pub number: i32,
    /// The point there.
    pub params: Json<Point>,
    /// What it reached.
    pub value: f64,
    /// Everything else measured, by name.
    pub measurements: Json<BTreeMap<String, f64>>,
    /// Whether the study that asks has it already.
    pub is_known: bool,
}

/// The completed trials of a study that another would learn from, in the order of their results; at most
/// one more than may be imported.
pub async fn finished(
    db: &mut PgConnection,
    study_id: i64,
    for_study_id: i64,
) -> Result<Vec<Finished>, Error> {
    sqlx::query_as(
        "-- imported::finished
        select t.trial_id, t.number, t.params, r.value, r.measurements,
               exists (select from imported i
                        where i.study_id = $2 and i.source_trial_id = t.trial_id) as is_known
          from trial t
          join result r using (trial_id)
         where t.study_id = $1 and not r.is_pruned
         order by r.obs_seq
         limit $3",
    )
    .bind(study_id)
    .bind(for_study_id)
    .bind(IMPORTED_MAX + 1)
    .fetch_all(db)
    .await
    .doing("read the results of another study")
}

/// Results from elsewhere as planning sees them.
pub async fn known(db: &mut PgConnection, study_id: i64) -> Result<Vec<Imported>, Error> {
    sqlx::query_as(
        "-- imported::known
        select obs_seq, unit_point, value, measurements
          from imported where study_id = $1 order by obs_seq",
    )
    .bind(study_id)
    .fetch_all(db)
    .await
    .doing("read imported results")
}

/// How many results from elsewhere a study has.
pub async fn count(db: &mut PgConnection, study_id: i64) -> Result<i64, Error> {
    sqlx::query_scalar("-- imported::count\n select count(*) from imported where study_id = $1")
        .bind(study_id)
        .fetch_one(db)
        .await
        .doing("count imported results")
}

/// Adds results to a study that has not ended, as its next observations; `false` if it has.
///
/// The counter is raised under the study's row lock, as for results of its own, so that observations stay
/// dense in every snapshot.
pub async fn insert(
    db: &mut PgConnection,
    study: &Study,
    source: &str,
    imports: &[Import],
) -> Result<bool, Error> {
    let count = i32::try_from(imports.len()).expect("imports are limited far below 2^31");
    let first: Option<i32> = sqlx::query_scalar(
        "-- imported::insert, numbers
        update study set next_obs = next_obs + $2
         where study_id = $1 and state in ('active', 'paused')
        returning next_obs - $2",
    )
    .bind(study.study_id)
    .bind(count)
    .fetch_optional(&mut *db)
    .await
    .doing("number imported results")?;
    let Some(first) = first else { return Ok(false) };
    let points: Vec<_> = imports.iter().map(|import| Json(&import.at.point)).collect();
    let units: Vec<f64> =
        imports.iter().flat_map(|import| import.at.unit_point.0.iter().copied()).collect();
    let values: Vec<f64> = imports.iter().map(|import| import.value).collect();
    let measurements: Vec<_> = imports.iter().map(|import| Json(&import.measurements)).collect();
    let trials: Vec<Option<i64>> = imports.iter().map(|import| import.source_trial_id).collect();
    let dimensions = i32::try_from(study.spec.space.parameters().len()).expect("64 at most");
    sqlx::query(
        "-- imported::insert
        insert into imported (study_id, obs_seq, params, unit_point, value, measurements, source,
                              source_trial_id)
        select $1, $2 + r.place::int - 1, r.params,
               ($4::float8[])[(r.place - 1) * $5 + 1 : r.place * $5], r.value, r.measurements, $6,
               r.trial_id
          from unnest($3::jsonb[], $7::float8[], $8::bigint[], $9::jsonb[])
               with ordinality as r (params, value, trial_id, measurements, place)",
    )
    .bind(study.study_id)
    .bind(first)
    .bind(points)
    .bind(units)
    .bind(dimensions)
    .bind(source)
    .bind(values)
    .bind(trials)
    .bind(measurements)
    .execute(&mut *db)
    .await
    .doing("import results")?;
    let detail = json!({ "source": source, "first": first, "count": count });
    events::note(db, study.study_id, None, "import", detail).await?;
    Ok(true)
}
