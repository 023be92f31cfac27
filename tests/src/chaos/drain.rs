//! After the faults: everything that is open comes to its end.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::time::sleep;

use super::city::City;

/// How long that may take. The longest back-off is cut short, so it is a matter of seconds.
const PATIENCE: Duration = Duration::from_secs(150);

/// How long the harness waits for its own database.
const REACH: Duration = Duration::from_secs(60);

/// Waits until no study is active and no trial open; says how long that took.
///
/// Back-off grows to minutes with the failures of a trial. Time is the database's, so the back-off is
/// moved and not the clock.
///
/// # Errors
///
/// What is still open when patience ends.
pub async fn drain(city: &City) -> anyhow::Result<(PgPool, Duration)> {
    let begun = Instant::now();
    let pool = loop {
        match city.postgres.pool().await {
            Ok(pool) => break pool,
            Err(error) if begun.elapsed() > REACH => return Err(error),
            Err(_) => sleep(Duration::from_millis(500)).await,
        }
    };
    loop {
        // The last fault may still break a session; the next look is by another.
        let left = open(&pool).await;
        match left {
            Ok(left) if left.is_empty() && spooled(city) == 0 => {
                return Ok((pool, begun.elapsed()));
            }
            left if begun.elapsed() > PATIENCE => {
                let spooled = spooled(city);
                anyhow::bail!(
                    "after {PATIENCE:?} there is still open: {left:?}, {spooled} spooled"
                );
            }
            _ => sleep(Duration::from_millis(300)).await,
        }
    }
}

fn spooled(city: &City) -> usize {
    city.trainer.as_ref().map_or(0, |trainer| trainer.spooled())
}

async fn open(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query("update trial set not_before = '-infinity' where state = 'queued' and not_before > clock_timestamp()")
        .execute(pool)
        .await?;
    sqlx::query_scalar(
        "select s.name || ' ' || s.state || ', trial ' || coalesce(t.number::text || ' ' || t.state, 'none')
           from study s
           left join trial t on t.study_id = s.study_id and t.state in ('queued', 'running')
          where s.state in ('active', 'paused') or t.trial_id is not null
          order by s.study_id, t.number",
    )
    .fetch_all(pool)
    .await
}
