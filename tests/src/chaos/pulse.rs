//! Whether the machine itself keeps up. A commit that takes as long as a heartbeat has time, with
//! nothing broken, is nobody's fault; what lapses then proves nothing.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::PgPool;
use tokio::{task::JoinHandle, time::Instant};

use super::city::{City, now};

/// How often it is felt.
const TICK: Duration = Duration::from_millis(100);

/// A beat that takes longer is a hiccup: heartbeats have a quarter of the lease.
const SLOW: Duration = Duration::from_millis(400);

/// Feels it all the time.
pub struct Pulse {
    hiccups: Arc<Mutex<Vec<(f64, f64)>>>,
    task: JoinHandle<()>,
}

impl Pulse {
    /// Begins.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached.
    pub async fn start(city: &City) -> anyhow::Result<Self> {
        let pool = city.postgres.pool().await?;
        let hiccups = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(feel(pool, Arc::clone(&hiccups)));
        Ok(Self { hiccups, task })
    }

    /// When it was slow, from and until, in seconds since 1970.
    pub fn hiccups(&self) -> Vec<(f64, f64)> {
        self.hiccups.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn feel(pool: PgPool, hiccups: Arc<Mutex<Vec<(f64, f64)>>>) {
    loop {
        let (begun, from) = (Instant::now(), now());
        tokio::time::sleep(TICK).await;
        // A commit that waits for the disk and touches no table. Whether it succeeds is not asked:
        // the database may be broken on purpose.
        let _broken =
            sqlx::query("select pg_logical_emit_message(true, 'pulse', '')").execute(&pool).await;
        if begun.elapsed() > TICK + SLOW {
            hiccups.lock().expect("nobody panics with it").push((from, now()));
        }
    }
}
