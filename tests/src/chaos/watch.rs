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

/// Spans of time in seconds since 1970.
#[derive(Default)]
struct Seen {
    /// Nobody served.
    outages: Vec<(f64, f64)>,
    /// Not all served.
    shortages: Vec<(f64, f64)>,
}

/// Looks at all coordinators of a city all the time.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to look.
    pub fn start(city: &Arc<City>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(look(Arc::downgrade(city), Arc::clone(&seen)));
        Self { seen, task }
    }

    /// When not all served, from and until, in seconds since 1970.
    pub fn shortages(&self) -> Vec<(f64, f64)> {
        self.seen.lock().expect("nobody panics with it").shortages.clone()
    }

    /// The longest time in which nobody served.
    pub fn longest_outage(&self) -> Duration {
        let seen = self.seen.lock().expect("nobody panics with it");
        let lengths = seen.outages.iter().map(|(from, until)| until - from);
        Duration::from_secs_f64(lengths.fold(0.0, f64::max))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Notes the time from the first look that is not well to the next that is.
fn until(is_well: bool, since: &mut Option<f64>, spans: &mut Vec<(f64, f64)>) {
    match (is_well, *since) {
        (false, None) => *since = Some(now()),
        (true, Some(from)) => {
            spans.push((from, now()));
            *since = None;
        }
        _ => {}
    }
}

async fn look(city: Weak<City>, seen: Arc<Mutex<Seen>>) {
    let (mut down_since, mut short_since) = (None, None);
    loop {
        tokio::time::sleep(TICK).await;
        let Some(city) = city.upgrade() else { return };
        let mut serving = 0;
        for replica in &city.replicas {
            serving += usize::from(health(replica).await == Health::Serving);
        }
        let mut seen = seen.lock().expect("nobody panics with it");
        until(serving > 0, &mut down_since, &mut seen.outages);
        until(serving == city.replicas.len(), &mut short_since, &mut seen.shortages);
    }
}
