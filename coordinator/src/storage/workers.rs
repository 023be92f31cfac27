//! Worker processes that have called.

use sqlx::PgConnection;

use crate::{
    error::{Doing as _, Error},
    trial::Asker,
};

/// Enters a worker at its first call; later calls change nothing.
pub async fn register(db: &mut PgConnection, asker: &Asker) -> Result<(), Error> {
    sqlx::query(
        "-- workers::register
        insert into worker (worker_id, label, device) values ($1, $2, $3)
            on conflict (worker_id) do nothing",
    )
    .bind(asker.worker_id)
    .bind(&asker.label)
    .bind(&asker.device)
    .execute(db)
    .await
    .doing("register a worker")?;
    Ok(())
}
