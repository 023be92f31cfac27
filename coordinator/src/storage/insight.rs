//! What posteriors say to people: which studies are due, and the rows behind the views.

use sqlx::{PgConnection, PgPool, types::Json};
use tuner::{
    Value,
    insight::{Dependence, Importance, RESULTS_MIN},
};

use crate::{
    error::{Doing as _, Error},
    insight::{Calibration, Insight},
    storage,
};

/// Most studies brought up to date in one pass.
const STUDIES_AT_ONCE_MAX: i64 = 16;

/// A study that goes on is due again after so many more results, and a quarter of those known.
const MORE_RESULTS_MIN: i32 = 5;

/// And at most so often, in seconds.
const EVERY_SECONDS_MIN: f64 = 60.0;

/// A study that is due.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Due {
    /// Its key.
    pub study_id: i64,
    /// Results that its posterior knows, or that it has if no posterior is stored.
    pub known: i32,
}

/// Studies of which more is known than was told: those that have ended, and of the others those that
/// have grown enough since.
pub async fn due(db: &mut PgConnection) -> Result<Vec<Due>, Error> {
    sqlx::query_as(
        "-- insight::due
        select s.study_id, k.known
          from study s
          left join posterior p using (study_id)
          left join insight i using (study_id)
         cross join lateral (select coalesce(p.horizon, s.next_obs) as known,
                                    coalesce(i.horizon, 0) as told) k
         where k.known >= $1
           and k.known > k.told
           and (s.state in ('completed', 'cancelled')
                or (k.known >= k.told + greatest($2, k.told / 4)
                    and coalesce(i.computed_at, s.created_at)
                        < clock_timestamp() - make_interval(secs => $3)))
         order by s.study_id
         limit $4",
    )
    .bind(RESULTS_MIN.cast_signed())
    .bind(MORE_RESULTS_MIN)
    .bind(EVERY_SECONDS_MIN)
    .bind(STUDIES_AT_ONCE_MAX)
    .fetch_all(db)
    .await
    .doing("look for studies without insight")
}

/// Replaces what is stored about a study, unless that is from more results.
pub async fn store(pool: &PgPool, study_id: i64, insight: &Insight) -> Result<(), Error> {
    let mut tx = storage::begin(pool, "store an insight").await?;
    sqlx::query(
        "-- insight::store, delete
        delete from insight where study_id = $1 and horizon <= $2",
    )
    .bind(study_id)
    .bind(insight.horizon)
    .execute(&mut *tx)
    .await
    .doing("replace an insight")?;
    // The study may have been deleted meanwhile, and another replica may have been first.
    let stored = sqlx::query(
        "-- insight::store
        insert into insight (study_id, horizon, spread)
        select study_id, $2, $3 from study where study_id = $1
            on conflict (study_id) do nothing",
    )
    .bind(study_id)
    .bind(insight.horizon)
    .bind(insight.importance.spread)
    .execute(&mut *tx)
    .await
    .doing("store an insight")?;
    if stored.rows_affected() == 1 {
        insert_importance(&mut tx, study_id, &insight.importance).await?;
        if let Some(calibration) = &insight.calibration {
            insert_calibration(&mut tx, study_id, calibration).await?;
        }
        for dependence in &insight.dependences {
            insert_dependence(&mut tx, study_id, dependence).await?;
        }
    }
    tx.commit().await.doing("store an insight")
}

async fn insert_importance(
    db: &mut PgConnection,
    study_id: i64,
    importance: &Importance,
) -> Result<(), Error> {
    let first = || importance.effects.iter().map(|effect| effect.first);
    let total = || importance.effects.iter().map(|effect| effect.total);
    sqlx::query(
        "-- insight::insert_importance
        insert into importance (study_id, position, first, first_estimator, first_surrogate,
                                total, total_estimator, total_surrogate)
        select $1, place - 1, first, first_estimator, first_surrogate,
               total, total_estimator, total_surrogate
          from unnest($2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
                      $7::float8[])
               with ordinality as u (first, first_estimator, first_surrogate,
                                     total, total_estimator, total_surrogate, place)",
    )
    .bind(study_id)
    .bind(first().map(|share| share.value).collect::<Vec<_>>())
    .bind(first().map(|share| share.estimator).collect::<Vec<_>>())
    .bind(first().map(|share| share.surrogate).collect::<Vec<_>>())
    .bind(total().map(|share| share.value).collect::<Vec<_>>())
    .bind(total().map(|share| share.estimator).collect::<Vec<_>>())
    .bind(total().map(|share| share.surrogate).collect::<Vec<_>>())
    .execute(db)
    .await
    .doing("store an importance")?;
    Ok(())
}

async fn insert_calibration(
    db: &mut PgConnection,
    study_id: i64,
    calibration: &Calibration,
) -> Result<(), Error> {
    let Calibration { judged, numbers, cross_validation } = calibration;
    let count = |count: usize| i32::try_from(count).expect("a fit knows fewer than 2^31 results");
    let [half, most, nearly_all] = judged.coverage.map(|coverage| coverage.share);
    sqlx::query(
        "-- insight::insert_calibration
        insert into calibration (study_id, z_mean, z_rms, coverage_50, coverage_80, coverage_95,
                                 log_density, log_density_constant,
                                 folds, predicted, r2, rmse, rmse_constant)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(study_id)
    .bind(judged.z_mean)
    .bind(judged.z_rms)
    .bind(half)
    .bind(most)
    .bind(nearly_all)
    .bind(judged.log_density)
    .bind(judged.log_density_constant)
    .bind(cross_validation.map(|folds| count(folds.folds)))
    .bind(cross_validation.map(|folds| count(folds.predicted)))
    .bind(cross_validation.map(|folds| folds.r2))
    .bind(cross_validation.map(|folds| folds.rmse))
    .bind(cross_validation.map(|folds| folds.rmse_constant))
    .execute(&mut *db)
    .await
    .doing("store a calibration")?;
    let left_out = &judged.left_out;
    sqlx::query(
        "-- insight::insert_calibration, left out
        insert into left_out (study_id, number, value, is_raised, mean, deviation, z_score)
        select $1, *
          from unnest($2::integer[], $3::float8[], $4::boolean[], $5::float8[], $6::float8[],
                      $7::float8[])",
    )
    .bind(study_id)
    .bind(numbers)
    .bind(left_out.iter().map(|one| one.value).collect::<Vec<_>>())
    .bind(left_out.iter().map(|one| one.is_raised).collect::<Vec<_>>())
    .bind(left_out.iter().map(|one| one.mean).collect::<Vec<_>>())
    .bind(left_out.iter().map(|one| one.deviation).collect::<Vec<_>>())
    .bind(left_out.iter().map(|one| one.z).collect::<Vec<_>>())
    .execute(db)
    .await
    .doing("store what was left out")?;
    Ok(())
}

async fn insert_dependence(
    db: &mut PgConnection,
    study_id: i64,
    dependence: &Dependence,
) -> Result<(), Error> {
    let places = &dependence.places;
    let position = i32::try_from(dependence.parameter).expect("a space has at most 64 parameters");
    let values: Vec<Json<&Value>> = places.iter().map(|place| Json(&place.value)).collect();
    sqlx::query(
        "-- insight::insert_dependence
        insert into partial_dependence (study_id, position, place, value, mean, deviation, results)
        select $1, $2, place - 1, value, mean, deviation, results
          from unnest($3::jsonb[], $4::float8[], $5::float8[], $6::integer[])
               with ordinality as u (value, mean, deviation, results, place)",
    )
    .bind(study_id)
    .bind(position)
    .bind(values)
    .bind(places.iter().map(|place| place.mean).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.deviation).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.results.cast_signed()).collect::<Vec<_>>())
    .execute(db)
    .await
    .doing("store a dependence")?;
    Ok(())
}
