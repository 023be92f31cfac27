//! The real programs, as processes that may be killed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a coordinator may take to start, its database included.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A program of this workspace, as built beside the test that runs.
///
/// # Panics
///
/// If it was not built; `make test` builds all of them.
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/…/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing; run `make test`", path.display());
    path
}

/// A process of ours. Dropping it kills it: no test leaves one behind.
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a program with its output in a file.
    pub fn start(name: &str, arguments: &[&str], folder: &Path, log: &str) -> Self {
        let log = std::fs::File::create(folder.join(log)).expect("creates a log file");
        let child = Command::new(program(name))
            .args(arguments)
            .current_dir(folder)
            .env_remove("DATABASE_URL")
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one file, two handles"))
            .stderr(log)
            .spawn()
            .expect("starts");
        Self { child, name: name.to_owned() }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("is gone");
    }

    /// SIGTERM, and the exit status once it has drained; at most 30 s.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        signal(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("waits") {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not stop on SIGTERM", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process by its number.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    kill_process(pid, signal).expect("sends a signal");
}

/// Waits until `ready` gives something, for at most `patience`.
pub fn wait_for<T>(what: &str, patience: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(thing) = ready() {
            return thing;
        }
        assert!(Instant::now() < deadline, "no {what} after {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A coordinator with a private database in `folder`, leases of three seconds.
pub fn coordinator(folder: &Path, listen: &str, log: &str) -> Process {
    let arguments = [
        "serve",
        "--data-dir",
        "data",
        "--listen",
        listen,
        "--lease-seconds",
        "3",
        "--reaper-seconds",
        "1",
    ];
    Process::start("strop-coordinator", &arguments, folder, log)
}

/// A worker of one slot, its spool beside its log.
pub fn worker(folder: &Path, url: &str, log: &str) -> Process {
    Process::start(
        "strop-worker",
        &["--coordinator", url, "--spool", log.trim_end_matches(".log")],
        folder,
        log,
    )
}

/// Where the coordinator of `folder` listens, once it does.
pub fn url(folder: &Path) -> String {
    wait_for("coordinator.url", START_PATIENCE, || {
        let text = fs::read_to_string(folder.join("data/coordinator.url")).ok()?;
        Some(text.trim().to_owned()).filter(|url| !url.is_empty())
    })
}
