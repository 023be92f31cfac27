//! Everything that may break, wired together: a database, coordinators between proxies, workers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{
    fault::Kind,
    fleet::{Fleet, Manner},
    postgres::Postgres,
    replica::Replica,
    trainer::Trainer,
};

/// How often the dead are replaced.
const LOOK: Duration = Duration::from_millis(150);

/// What a city is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of everything random.
    pub seed: u64,
    /// Coordinators.
    pub replicas: usize,
    /// Light workers.
    pub workers: usize,
    /// How those are.
    pub manner: Manner,
    /// Whether there is a real worker too.
    pub trainer: bool,
}

/// Something was broken, from when to when, in seconds since 1970 by the machine's clock, which is
/// the database's as well.
#[derive(Clone, Copy, Debug)]
pub struct Struck {
    /// What it was.
    pub kind: Kind,
    /// Since when.
    pub from: f64,
    /// Until when.
    pub until: f64,
    /// The light worker that it hit.
    pub worker_id: Option<Uuid>,
}

/// The processes of a run. All of them end when it is dropped.
pub struct City {
    /// What it is made of.
    pub plan: Plan,
    /// The database.
    pub postgres: Arc<Postgres>,
    /// The coordinators.
    pub replicas: Vec<Replica>,
    /// The light workers.
    pub fleet: Fleet,
    /// The real worker.
    pub trainer: Option<Trainer>,
    struck: Mutex<Vec<Struck>>,
    /// No light worker is replaced any more.
    at_rest: AtomicBool,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl City {
    /// Starts everything in a folder.
    pub async fn start(folder: &Path, plan: Plan) -> anyhow::Result<Arc<Self>> {
        let postgres = Postgres::start(folder).await?;
        let mut replicas = Vec::new();
        for number in 0..plan.replicas {
            let place: PathBuf = folder.join(format!("coordinator-{number}"));
            replicas.push(Replica::start(place, postgres.upstream(), plan.seed, number).await?);
        }
        let urls: Vec<String> = replicas.iter().map(Replica::url).collect();
        let Plan { seed, workers, manner, .. } = plan.clone();
        let fleet = Fleet::start(folder.join("workers"), &urls, seed, workers, manner)?;
        let trainer = match plan.trainer {
            true => Some(Trainer::start(folder.join("trainer"), urls[0].clone())?),
            false => None,
        };
        let city = Arc::new(Self {
            plan,
            postgres,
            replicas,
            fleet,
            trainer,
            struck: Mutex::default(),
            at_rest: AtomicBool::new(false),
            tasks: Mutex::default(),
        });
        let looking = tokio::spawn(look_after(Arc::downgrade(&city)));
        let database = tokio::spawn(Arc::clone(&city.postgres).look_after());
        city.tasks.lock().expect("nobody panics with it").extend([looking, database]);
        Ok(city)
    }

    /// Where workers and people find the coordinators.
    pub fn urls(&self) -> Vec<String> {
        self.replicas.iter().map(Replica::url).collect()
    }

    /// One of the coordinators.
    pub fn replica(&self, which: u64) -> &Replica {
        let count = u64::try_from(self.replicas.len()).expect("fits");
        &self.replicas[usize::try_from(which % count).expect("fits")]
    }

    /// Notes that something was broken from `from` until now.
    pub fn note(&self, kind: Kind, from: f64, worker_id: Option<Uuid>) {
        let struck = Struck { kind, from, until: now(), worker_id };
        self.struck.lock().expect("nobody panics with it").push(struck);
    }

    /// Everything that was broken so far.
    pub fn struck(&self) -> Vec<Struck> {
        self.struck.lock().expect("nobody panics with it").clone()
    }

    /// How often each kind of fault struck.
    pub fn strikes(&self) -> BTreeMap<Kind, u64> {
        let mut counts = BTreeMap::new();
        for struck in self.struck() {
            *counts.entry(struck.kind).or_default() += 1;
        }
        counts
    }

    /// The light workers die for good from now on; the others are looked after.
    pub fn rest(&self) {
        self.at_rest.store(true, Ordering::Relaxed);
        self.fleet.kill_all();
    }
}

impl Drop for City {
    fn drop(&mut self) {
        for task in self.tasks.lock().expect("nobody panics with it").drain(..) {
            task.abort();
        }
    }
}

async fn look_after(city: std::sync::Weak<City>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(city) = city.upgrade() else { return };
        for replica in &city.replicas {
            replica.look_after();
        }
        if !city.at_rest.load(Ordering::Relaxed) {
            city.fleet.look_after();
        }
        if let Some(trainer) = &city.trainer {
            trainer.look_after();
        }
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
