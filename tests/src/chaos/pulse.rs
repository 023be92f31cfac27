//! Whether the machine itself keeps up. A commit, or a heartbeat through a coordinator, that takes as
//! long as a heartbeat has time, with nothing broken, is nobody's fault; what lapses then proves
//! nothing.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use proto::v1::{HeartbeatRequest, LeaseRef, worker_service_client::WorkerServiceClient};
use sqlx::PgPool;
use tokio::{task::JoinHandle, time::Instant};

use super::city::{City, now};

/// How often it is felt.
const TICK: Duration = Duration::from_millis(100);

/// A beat that takes longer is a hiccup: heartbeats have a quarter of the lease.
const SLOW: Duration = Duration::from_millis(400);

/// A beat is given up then.
const LOST: Duration = Duration::from_millis(1_500);

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
    pub async fn start(city: &Arc<City>) -> anyhow::Result<Self> {
        let pool = city.postgres.pool().await?;
        let hiccups = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(feel(pool, Arc::downgrade(city), Arc::clone(&hiccups)));
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

/// A heartbeat for a lease that nobody has, which goes the way of all heartbeats.
async fn beat(url: Option<String>) {
    let Some(url) = url else { return };
    if let Ok(mut client) = WorkerServiceClient::connect(url).await {
        let lease_id = uuid::Uuid::nil().to_string();
        let nobodys = LeaseRef { trial_id: 1, attempt: 1, lease_id };
        let request = HeartbeatRequest { r#ref: Some(nobodys), progress: 0.0 };
        let _refused = client.heartbeat(request).await;
    }
}

async fn feel(pool: PgPool, city: Weak<City>, hiccups: Arc<Mutex<Vec<(f64, f64)>>>) {
    loop {
        let (begun, from) = (Instant::now(), now());
        tokio::time::sleep(TICK).await;
        let Some(city) = city.upgrade() else { return };
        // Whether they succeed is not asked: anything may be broken on purpose.
        let beats = async {
            // A commit that waits for the disk and touches no table.
            let commit = sqlx::query("select pg_logical_emit_message(true, 'pulse', '')");
            let _broken = commit.execute(&pool).await;
            for replica in &city.replicas {
                beat(replica.direct()).await;
            }
        };
        let _lost = tokio::time::timeout(LOST, beats).await;
        drop(city);
        if begun.elapsed() > TICK + SLOW {
            hiccups.lock().expect("nobody panics with it").push((from, now()));
        }
    }
}
