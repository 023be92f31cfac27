//! The real worker: `strop-worker` with its spool, training small networks on digits.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::process::{Process, program, signal};

/// A worker that is started again, on the same spool, whenever it has died.
pub struct Trainer {
    folder: PathBuf,
    coordinator: String,
    process: Mutex<Option<Process>>,
    restarts: AtomicU64,
    gave_up: AtomicU64,
}

impl Trainer {
    /// Starts it for the coordinator at a URL.
    pub fn start(folder: PathBuf, coordinator: String) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        let trainer = Self {
            folder,
            coordinator,
            process: Mutex::new(None),
            restarts: AtomicU64::new(0),
            gave_up: AtomicU64::new(0),
        };
        trainer.launch();
        Ok(trainer)
    }

    /// How often it had to be started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// How often it ended without being killed.
    pub fn gave_up(&self) -> u64 {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// Results that are still on their way.
    pub fn spooled(&self) -> usize {
        let Ok(files) = fs::read_dir(self.folder.join("spool")) else { return 0 };
        let is_result = |path: PathBuf| path.extension().is_some_and(|ending| ending == "spool");
        files.flatten().filter(|file| is_result(file.path())).count()
    }

    /// What it has logged.
    pub fn log(&self) -> PathBuf {
        self.folder.join("trainer.log")
    }

    /// SIGKILL.
    pub fn kill(&self) {
        let process = self.process.lock().expect("nobody panics with it").take();
        if let Some(process) = process {
            process.kill();
        }
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&self, what: Signal) {
        self.with_pid(|pid| signal(pid, what));
    }

    /// Its disk is full: nothing can be written to a file, the spool above all.
    ///
    /// # Errors
    ///
    /// If the limit cannot be set.
    pub fn starve(&self) -> anyhow::Result<()> {
        self.limit_files(Some(0))
    }

    /// There is space again.
    ///
    /// # Errors
    ///
    /// As of [`Trainer::starve`].
    pub fn feed(&self) -> anyhow::Result<()> {
        self.limit_files(None)
    }

    fn limit_files(&self, bytes: Option<u64>) -> anyhow::Result<()> {
        let set = self.with_pid(|pid| {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None })
        });
        match set {
            // It is about to be started again.
            None => Ok(()),
            Some(set) => set.map(drop).context("the trainer's files cannot be limited"),
        }
    }

    fn with_pid<T>(&self, deed: impl FnOnce(u32) -> T) -> Option<T> {
        let mut process = self.process.lock().expect("nobody panics with it");
        let process = process.as_mut()?;
        if process.ended().is_some() {
            return None;
        };
        Some(deed(process.id()))
    }

    /// Starts it again if it is gone. Called again and again.
    pub fn look_after(&self) {
        let gone = {
            let mut process = self.process.lock().expect("nobody panics with it");
            match process.as_mut().map(Process::ended) {
                None => true,
                Some(None) => false,
                Some(Some(_)) => {
                    self.gave_up.fetch_add(1, Ordering::Relaxed);
                    true
                }
            }
        };
        if gone {
            self.restarts.fetch_add(1, Ordering::Relaxed);
            self.launch();
        }
    }

    fn launch(&self) {
        // A limit on file sizes comes with a signal that would end the worker. A full disk does not,
        // so the shell has it ignored.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(program("strop-worker"));
        command.args(["--coordinator", &self.coordinator, "--spool", "spool"]);
        let process = Process::run(command, "strop-worker", &self.folder, "trainer.log");
        *self.process.lock().expect("nobody panics with it") = Some(process);
    }
}
