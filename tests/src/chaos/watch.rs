//! Whether anybody serves, as the health service of each coordinator says.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tokio::task::JoinHandle;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    city::{City, now},
    replica::Replica,
};

/// How often each is asked.
const TICK: Duration = Duration::from_millis(200);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a coordinator says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Serving,
    /// It answers, and says that it does not.
    NotServing,
    /// It does not answer.
    Silent,
}

/// Asks a coordinator, past its proxy.
pub async fn health(replica: &Replica) -> Health {
    let Some(url) = replica.direct() else { return Health::Silent };
    match tokio::time::timeout(PATIENCE, ask(url)).await {
        Ok(Ok(ServingStatus::Serving)) => Health::Serving,
        Ok(Ok(_)) => Health::NotServing,
        Ok(Err(_)) | Err(_) => Health::Silent,
    }
}

async fn ask(url: String) -> anyhow::Result<ServingStatus> {
    let channel = Endpoint::from_shared(url)?.connect().await?;
    let request = HealthCheckRequest { service: String::new() };
    Ok(HealthClient::new(channel).check(request).await?.into_inner().status())
}

/// Looks at all coordinators of a city all the time.
pub struct Watch {
    outages: Arc<Mutex<Vec<(f64, f64)>>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to look.
    pub fn start(city: &Arc<City>) -> Self {
        let outages = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(look(Arc::downgrade(city), Arc::clone(&outages)));
        Self { outages, task }
    }

    /// When nobody served, from and until, in seconds since 1970.
    pub fn outages(&self) -> Vec<(f64, f64)> {
        self.outages.lock().expect("nobody panics with it").clone()
    }

    /// The longest time in which nobody served.
    pub fn longest_outage(&self) -> Duration {
        let lengths = self.outages().into_iter().map(|(from, until)| until - from);
        Duration::from_secs_f64(lengths.fold(0.0, f64::max))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(city: Weak<City>, outages: Arc<Mutex<Vec<(f64, f64)>>>) {
    let mut down_since = None;
    loop {
        tokio::time::sleep(TICK).await;
        let Some(city) = city.upgrade() else { return };
        let mut serves = false;
        for replica in &city.replicas {
            serves = serves || health(replica).await == Health::Serving;
        }
        match (serves, down_since) {
            (false, None) => down_since = Some(now()),
            (true, Some(since)) => {
                outages.lock().expect("nobody panics with it").push((since, now()));
                down_since = None;
            }
            _ => {}
        }
    }
}
