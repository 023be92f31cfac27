//! A program that is kept running.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::exit::Failure;

/// The first wait before a program that died is started again; doubled from death to death.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// The longest.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// A program that lived so long is forgiven its earlier deaths.
const STEADY: Duration = Duration::from_secs(60);
/// What our programs end with if their configuration is wrong: starting again cannot help.
const MISCONFIGURED: i32 = 2;

/// Finds a program of ours: beside this executable, else along `PATH`.
pub fn find(program: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().context("could not find out where strop itself lies")?;
    let beside = own.parent().unwrap_or(Path::new("/")).to_path_buf();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(beside.clone())
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Failure::ProgramMissing { program: program.to_owned(), beside })
}

/// What to run, and where what it says is kept.
#[derive(Clone, Debug)]
pub struct Program {
    /// What messages call it.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where its output is added.
    pub log: PathBuf,
}

/// A program that is started again when it dies.
#[derive(Debug)]
pub struct Kept {
    pub program: Program,
    child: Option<Child>,
    started: Instant,
    /// Length of the log when it was last started.
    log_from: u64,
    wait: Duration,
    due: Option<Instant>,
}

/// What became of a kept program since the last look.
#[derive(Debug)]
pub enum Change {
    /// Nothing.
    None,
    /// It died and is started again after this long.
    Died(ExitStatus, Duration),
    /// It was started again.
    Started,
    /// It ended in good order.
    Ended,
}

impl Kept {
    /// Starts a program.
    pub fn start(program: Program) -> Result<Self, Failure> {
        let mut kept = Self {
            program,
            child: None,
            started: Instant::now(),
            log_from: 0,
            wait: WAIT_FIRST,
            due: None,
        };
        kept.spawn()?;
        Ok(kept)
    }

    /// Looks after it, and starts it again when it is time.
    ///
    /// # Errors
    ///
    /// [`Failure::ProgramEnded`] if it says that its configuration is wrong.
    pub fn look(&mut self) -> Result<Change, Failure> {
        let Some(child) = &mut self.child else {
            return Ok(match self.due {
                Some(due) if due <= Instant::now() => {
                    self.spawn()?;
                    Change::Started
                }
                _ => Change::None,
            });
        };
        let waited = child.try_wait();
        let Some(status) = waited.with_context(|| format!("lost {}", self.program.name))? else {
            if self.started.elapsed() > STEADY {
                self.wait = WAIT_FIRST;
            }
            return Ok(Change::None);
        };
        self.child = None;
        if status.success() {
            return Ok(Change::Ended);
        }
        if status.code() == Some(MISCONFIGURED) {
            return Err(self.ended(status));
        }
        let wait = self.wait;
        self.wait = (2 * wait).min(WAIT_MAX);
        self.due = Some(Instant::now() + wait);
        Ok(Change::Died(status, wait))
    }

    /// Whether it runs at this moment.
    pub fn is_running(&mut self) -> bool {
        let running = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        self.child.as_mut().is_some_and(running)
    }

    /// Asks it to end, and does not start it again.
    pub fn end(&mut self, signal: Signal) {
        self.due = None;
        if let Some(child) = self.child.as_ref()
            && let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
        {
            // It may have ended by itself just now, which is what was asked for.
            let _ = kill_process(pid, signal);
        }
    }

    /// That it ended when it should not have, with its last words.
    pub fn ended(&self, status: ExitStatus) -> Failure {
        Failure::ProgramEnded {
            program: self.program.name.clone(),
            status: described(status),
            said: self.last_words(),
            log: self.program.log.clone(),
        }
    }

    fn spawn(&mut self) -> Result<(), Failure> {
        let Program { name, path, arguments, log } = &self.program;
        let file = OpenOptions::new().append(true).create(true).open(log);
        let file = file.with_context(|| format!("could not open the log `{}`", log.display()))?;
        self.log_from = file.metadata().map_or(0, |meta| meta.len());
        let twin = file.try_clone().context("could not open the log twice")?;
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::null()).stdout(file).stderr(twin);
        // What is written to a file is read in an editor.
        command.env("NO_COLOR", "1");
        // A group of its own, so that a Ctrl-C reaches only us and the end has an order.
        command.process_group(0);
        // SAFETY: between fork and exec only this one system call is made; nothing is allocated
        // and no lock is taken.
        unsafe {
            // If we are killed and cannot end it, the kernel asks it to end.
            command.pre_exec(|| {
                rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
                Ok(())
            });
        }
        let child = command.spawn();
        self.child = Some(child.with_context(|| format!("could not run {name}"))?);
        self.started = Instant::now();
        self.due = None;
        Ok(())
    }

    /// The error it ended with, else the last line of its log.
    fn last_words(&self) -> String {
        let bytes = fs::read(&self.program.log).unwrap_or_default();
        let from = usize::try_from(self.log_from).unwrap_or(0).min(bytes.len());
        let said = String::from_utf8_lossy(&bytes[from..]).into_owned();
        let mut lines = said.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        let last = lines.clone().next().unwrap_or("(it said nothing)");
        let error = lines.find_map(|line| line.strip_prefix("error: "));
        error.unwrap_or(last).to_owned()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.is_running() {
            self.end(Signal::TERM);
        }
    }
}

/// `exit status 1`, `signal 9`.
pub fn described(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: &Path) -> Kept {
        Kept::start(Program {
            name: "sh".to_owned(),
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            log: log.to_path_buf(),
        })
        .unwrap()
    }

    /// The first change that is not none.
    fn change(kept: &mut Kept) -> Result<Change, Failure> {
        loop {
            match kept.look() {
                Ok(Change::None) => std::thread::sleep(Duration::from_millis(10)),
                other => return other,
            }
        }
    }

    #[test]
    fn a_program_that_dies_is_started_again_after_a_wait_that_grows() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = shell("exit 1", &folder.path().join("log"));
        let Ok(Change::Died(_, first)) = change(&mut kept) else { panic!() };
        assert_eq!(first, WAIT_FIRST);
        assert!(matches!(change(&mut kept), Ok(Change::Started)));
        let Ok(Change::Died(status, second)) = change(&mut kept) else { panic!() };
        assert_eq!(second, 2 * WAIT_FIRST);
        assert_eq!(described(status), "exit status 1");
    }

    #[test]
    fn a_program_with_a_wrong_configuration_is_given_up_with_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs::write(&log, "error: of yesterday\n").unwrap();
        let mut kept = shell("echo 'error: no such port'; echo bye; exit 2", &log);
        let text = change(&mut kept).unwrap_err().to_string();
        assert!(text.contains("sh ended at once (exit status 2): no such port; its log"), "{text}");
    }

    #[test]
    fn a_program_that_is_asked_to_end_stays_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept =
            shell("trap 'exit 0' TERM; while :; do sleep 0.01; done", &folder.path().join("log"));
        std::thread::sleep(Duration::from_millis(200));
        assert!(kept.is_running());
        kept.end(Signal::TERM);
        assert!(matches!(change(&mut kept), Ok(Change::Ended)));
        assert!(matches!(kept.look(), Ok(Change::None)));
        assert!(!kept.is_running());
    }
}
