//! The light workers: a process each, killed, stopped and replaced.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::process::Signal;
use uuid::Uuid;

use crate::process::{Process, signal};

/// How the workers of a fleet are.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Shortest ordinary evaluation, in milliseconds.
    pub work_ms_min: u64,
    /// Longest ordinary evaluation, in milliseconds.
    pub work_ms_max: u64,
    /// Never fail, release, lie or work for longer than told.
    pub plain: bool,
}

/// Light workers, always as many.
pub struct Fleet {
    folder: PathBuf,
    coordinators: String,
    seed: u64,
    manner: Manner,
    members: Mutex<Vec<Member>>,
    born: AtomicU64,
    gave_up: AtomicU64,
}

struct Member {
    worker_id: Uuid,
    /// `None` between its death and its successor's birth.
    process: Option<Process>,
}

impl Fleet {
    /// Starts `size` workers for coordinators at `urls`; their ledgers lie in `ledgers` of `folder`.
    pub fn start(
        folder: PathBuf,
        urls: &[String],
        seed: u64,
        size: usize,
        manner: Manner,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join("ledgers"))?;
        let fleet = Self {
            folder,
            coordinators: urls.join(","),
            seed,
            manner,
            members: Mutex::default(),
            born: AtomicU64::new(0),
            gave_up: AtomicU64::new(0),
        };
        let members = (0..size).map(|_| fleet.new_member()).collect();
        *fleet.members() = members;
        Ok(fleet)
    }

    /// Where the ledgers lie.
    pub fn ledgers(&self) -> PathBuf {
        self.folder.join("ledgers")
    }

    /// Workers started so far.
    pub fn born(&self) -> u64 {
        self.born.load(Ordering::Relaxed)
    }

    /// Workers that ended without being killed.
    pub fn gave_up(&self) -> u64 {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// SIGKILL to one of them; says which it was.
    pub fn kill(&self, which: u64) -> Option<Uuid> {
        let (worker_id, process) = {
            let mut members = self.members();
            let member = one_of(&mut members, which)?;
            (member.worker_id, member.process.take()?)
        };
        process.kill();
        Some(worker_id)
    }

    /// SIGSTOP or SIGCONT to one of them; says which it was.
    pub fn signal(&self, which: u64, what: Signal) -> Option<Uuid> {
        let mut members = self.members();
        let member = one_of(&mut members, which)?;
        let process = member.process.as_mut()?;
        if process.ended().is_none() {
            signal(process.id(), what);
        }
        Some(member.worker_id)
    }

    /// SIGKILL to all of them, for good if nobody looks after them any more.
    pub fn kill_all(&self) {
        for member in self.members().iter_mut() {
            // Dropping the process kills it.
            member.process = None;
        }
    }

    /// Replaces those that are gone. Called again and again.
    pub fn look_after(&self) {
        for member in self.members().iter_mut() {
            if member.process.as_mut().is_some_and(|process| process.ended().is_some()) {
                self.gave_up.fetch_add(1, Ordering::Relaxed);
                member.process = None;
            }
            if member.process.is_none() {
                *member = self.new_member();
            }
        }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().expect("nobody panics with it")
    }

    fn new_member(&self) -> Member {
        let born = self.born.fetch_add(1, Ordering::Relaxed);
        let worker_id = Uuid::new_v4();
        let ledger = self.ledgers().join(format!("{born}.jsonl"));
        let Manner { work_ms_min, work_ms_max, plain } = self.manner.clone();
        let (worker, ledger) = (worker_id.to_string(), ledger.display().to_string());
        let seed = self.seed.wrapping_add(born).to_string();
        let (low, high) = (work_ms_min.to_string(), work_ms_max.to_string());
        let mut arguments = vec![
            "work",
            "--coordinators",
            &self.coordinators,
            "--worker-id",
            &worker,
            "--seed",
            &seed,
            "--ledger",
            &ledger,
            "--work-ms-min",
            &low,
            "--work-ms-max",
            &high,
        ];
        if plain {
            arguments.push("--plain");
        }
        let process = Process::start("chaos", &arguments, &self.folder, "workers.log");
        Member { worker_id, process: Some(process) }
    }
}

fn one_of(members: &mut [Member], which: u64) -> Option<&mut Member> {
    let size = u64::try_from(members.len()).expect("fits");
    let index = which.checked_rem(size)?;
    members.get_mut(usize::try_from(index).expect("fits"))
}
