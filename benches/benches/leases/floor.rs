//! The least that a trial can cost on this Postgres: two commits.

use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::service::Service;

/// Trials a second of so many clients, each with a connection of its own.
pub async fn run(service: &Service, clients: usize, length: Duration) -> Result<f64> {
    let pool = PgPoolOptions::new()
        .max_connections(u32::try_from(clients)?)
        .test_before_acquire(false)
        .connect(&service.database_url())
        .await?;
    for statement in [
        "create schema if not exists bare",
        "drop table if exists bare.trial, bare.study",
        "create table bare.study (study_id integer primary key, next_number integer not null)",
        "insert into bare.study values (1, 0)",
        "create table bare.trial (trial_id bigint generated always as identity primary key,
                                  study_id integer, number integer, params jsonb, state text,
                                  value float8, unique (study_id, number))",
    ] {
        sqlx::query(statement).execute(&pool).await?;
    }
    let begun = Instant::now();
    let clients: Vec<_> =
        (0..clients).map(|_| tokio::spawn(client(pool.clone(), begun + length))).collect();
    let mut trials = 0;
    for client in clients {
        trials += client.await??;
    }
    let rate = f64::from(trials) / begun.elapsed().as_secs_f64();
    pool.close().await;
    Ok(rate)
}

async fn client(pool: PgPool, end: Instant) -> Result<u32> {
    let mut db = pool.acquire().await?;
    let params: serde_json::Map<String, serde_json::Value> =
        (0..22).map(|i| (format!("parameter_{i}"), 0.123_456.into())).collect();
    let params = serde_json::Value::Object(params);
    let mut trials = 0;
    while Instant::now() < end {
        let mut tx = sqlx::Connection::begin(&mut *db).await?;
        let number: i32 = sqlx::query_scalar(
            "update bare.study set next_number = next_number + 1 where study_id = 1
             returning next_number",
        )
        .fetch_one(&mut *tx)
        .await?;
        let trial_id: i64 = sqlx::query_scalar(
            "insert into bare.trial (study_id, number, params, state)
             values (1, $1, $2, 'running') returning trial_id",
        )
        .bind(number)
        .bind(&params)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        sqlx::query(
            "update bare.trial set state = 'done', value = 0.5
              where trial_id = $1 and state = 'running'",
        )
        .bind(trial_id)
        .execute(&mut *db)
        .await?;
        trials += 1;
    }
    Ok(trials)
}
