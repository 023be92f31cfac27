//! One coordinator: a process, a proxy in front of it and one behind it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::Signal;

use super::{
    LEASE, REAPER,
    dice::Dice,
    proxy::{Proxy, Upstream},
};
use crate::process::{Process, signal};

/// A coordinator that is started again whenever it has died.
pub struct Replica {
    /// Between the workers and it.
    pub front: Proxy,
    /// Between it and the database.
    pub back: Proxy,
    folder: PathBuf,
    process: Mutex<Option<Process>>,
    /// Where the process listens, once it said so.
    address: Mutex<Option<SocketAddr>>,
    restarts: AtomicU64,
    /// Ended without being killed.
    gave_up: AtomicU64,
}

impl Replica {
    /// Starts one in a folder of its own, on a database.
    pub async fn start(
        folder: PathBuf,
        database: Upstream,
        seed: u64,
        number: usize,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        let front = Dice::new(seed, &format!("front {number}"));
        let back = Dice::new(seed, &format!("back {number}"));
        let replica = Self {
            front: Proxy::start(Upstream::Nowhere, front).await?,
            back: Proxy::start(database, back).await?,
            folder,
            process: Mutex::new(None),
            address: Mutex::new(None),
            restarts: AtomicU64::new(0),
            gave_up: AtomicU64::new(0),
        };
        replica.launch();
        Ok(replica)
    }

    /// Where workers and people find it.
    pub fn url(&self) -> String {
        format!("http://{}", self.front.address)
    }

    /// Where it listens itself; `None` while it starts.
    pub fn direct(&self) -> Option<String> {
        let address = *self.address.lock().expect("nobody panics with it");
        address.map(|address| format!("http://{address}"))
    }

    /// How often it had to be started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// How often it ended by itself, as when it finds no database for a minute.
    pub fn gave_up(&self) -> u64 {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// What it has logged.
    pub fn log(&self) -> PathBuf {
        self.folder.join("coordinator.log")
    }

    /// SIGKILL.
    pub fn kill(&self) {
        let process = self.process.lock().expect("nobody panics with it").take();
        self.forget_address();
        if let Some(process) = process {
            process.kill();
        }
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&self, which: Signal) {
        let mut process = self.process.lock().expect("nobody panics with it");
        if let Some(process) = process.as_mut()
            && process.ended().is_none()
        {
            signal(process.id(), which);
        }
    }

    /// Starts it if it is gone, and leads the front to where it listens. Called again and again.
    pub fn look_after(&self) {
        let gone = {
            let mut process = self.process.lock().expect("nobody panics with it");
            match process.as_mut().map(Process::ended) {
                None => true,
                Some(None) => false,
                Some(Some(_)) => {
                    *process = None;
                    self.gave_up.fetch_add(1, Ordering::Relaxed);
                    true
                }
            }
        };
        if gone {
            self.restarts.fetch_add(1, Ordering::Relaxed);
            self.launch();
        }
        let mut address = self.address.lock().expect("nobody panics with it");
        if address.is_none()
            && let Some(found) = read_address(&self.folder)
        {
            *address = Some(found);
            self.front.lead_to(Upstream::Tcp(found));
        }
    }

    fn forget_address(&self) {
        *self.address.lock().expect("nobody panics with it") = None;
        self.front.lead_to(Upstream::Nowhere);
    }

    fn launch(&self) {
        self.forget_address();
        // There is none before the first start.
        let _absent = fs::remove_file(self.folder.join("coordinator.url"));
        let database = format!("postgres://strop@{}/strop?sslmode=disable", self.back.address);
        let seconds = |span: Duration| span.as_secs().to_string();
        let arguments = [
            "serve",
            "--database-url",
            &database,
            "--data-dir",
            ".",
            "--listen",
            "127.0.0.1:0",
            "--lease-seconds",
            &seconds(LEASE),
            "--reaper-seconds",
            &seconds(REAPER),
        ];
        let process =
            Process::start("strop-coordinator", &arguments, &self.folder, "coordinator.log");
        *self.process.lock().expect("nobody panics with it") = Some(process);
    }
}

fn read_address(folder: &Path) -> Option<SocketAddr> {
    let text = fs::read_to_string(folder.join("coordinator.url")).ok()?;
    text.trim().strip_prefix("http://")?.parse().ok()
}
