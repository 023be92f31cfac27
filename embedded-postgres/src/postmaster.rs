//! The server process: whether it lives, how it is started, how it ends.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::cluster::last_words;
use crate::error::{Error, Folder as _};
use crate::layout::{Layout, socket_in};
use crate::wire::{Greeting, greet};

/// How long a server may take to answer at all. The orphans of a killed one hold its shared memory
/// until each has noticed, which is rarely more than a second.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// How long it may answer "not now" while it replays its log after a crash.
const RECOVERS_WITHIN: Duration = Duration::from_secs(600);
/// How long a fast shutdown may take: it writes a checkpoint.
const STOPS_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take when told to drop everything.
const DROPS_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks; a server that starts is ready after some 100 ms.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a server says if it stumbles over what a killed one left; time mends it.
const PASSING: [&str; 3] =
    ["pre-existing shared memory block", "lock file \"postmaster.pid\"", "Is another postmaster"];

/// Whether the server process of a cluster lives. A few system calls.
pub(crate) fn is_alive(cluster: &Path) -> bool {
    pid(cluster).is_some()
}

/// Starts the server unless it answers already, and waits until it does; true if it was started.
///
/// The caller holds the start lock.
pub(crate) fn start(
    layout: &Layout,
    account: &Account,
    binaries: &Binaries,
    run: &Path,
) -> Result<bool, Error> {
    let cluster = layout.cluster();
    let begun = Instant::now();
    let mut child: Option<Pid> = None;
    let mut log_from = log_length(layout);
    loop {
        let patience = match greet(&socket_in(run), "strop") {
            Ok(Greeting::Ready(_) | Greeting::NoDatabase) => return Ok(child.is_some()),
            // It lives; that it has no room for one more does not concern us.
            Ok(Greeting::Refused(_)) => return Ok(child.is_some()),
            Ok(Greeting::NotNow) => RECOVERS_WITHIN,
            Err(_) => ANSWERS_WITHIN,
        };
        if begun.elapsed() > patience {
            return Err(did_not_start(layout, log_from));
        }
        match child {
            Some(pid) if has_ended(pid) => {
                let said = log_since(layout, log_from);
                if !PASSING.iter().any(|passing| said.contains(passing)) {
                    return Err(did_not_start(layout, log_from));
                }
                sleep(10 * LOOK_EVERY);
                child = None;
            }
            None if !is_alive(&cluster) => {
                clear_stale(&cluster, run);
                log_from = log_length(layout);
                child = Some(spawn(layout, account, binaries, run)?);
            }
            _ => {}
        }
        sleep(LOOK_EVERY);
    }
}

/// Ends the server if it lives, and waits until it has: politely, then firmly, then by force.
///
/// The caller holds the start lock.
pub(crate) fn stop(cluster: &Path) -> Result<(), Error> {
    let rungs = [
        (Signal::INT, STOPS_WITHIN),
        // Immediate shutdown: the next start replays the log, nothing committed is lost.
        (Signal::QUIT, DROPS_WITHIN),
        (Signal::KILL, DROPS_WITHIN),
    ];
    for (signal, patience) in rungs {
        let Some(pid) = pid(cluster) else { return Ok(()) };
        match kill_process(pid, signal) {
            // It ended between the look and the signal.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(source) => Err(source.into()).folder("stop the server of", cluster)?,
        }
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if !is_alive(cluster) {
                return Ok(());
            }
            sleep(LOOK_EVERY);
        }
        tracing::warn!(cluster = %cluster.display(), ?signal, "the server does not stop");
    }
    match pid(cluster) {
        None => Ok(()),
        Some(pid) => Err(Error::Stop {
            path: cluster.to_path_buf(),
            pid: pid.as_raw_nonzero().get().unsigned_abs(),
        }),
    }
}

fn spawn(
    layout: &Layout,
    account: &Account,
    binaries: &Binaries,
    run: &Path,
) -> Result<Pid, Error> {
    let path = layout.log();
    let log = OpenOptions::new().append(true).create(true).open(&path).folder("open", &path)?;
    account.give(&path)?;
    let twin = log.try_clone().folder("open", &path)?;
    let program = binaries.postgres();
    let child = account
        .command(&program)
        .arg("-D")
        .arg(layout.cluster())
        .arg("-k")
        .arg(run)
        .args(["-p", "5432", "-c", "listen_addresses="])
        .stdout(log)
        .stderr(twin)
        // Of its own, so that a Ctrl-C meant for us does not reach it before we are done.
        .process_group(0)
        .spawn()
        .map_err(|source| Error::Run { program, source })?;
    let id = i32::try_from(child.id()).expect("fits because process ids are positive i32");
    tracing::debug!(pid = id, "started the postmaster");
    Ok(Pid::from_raw(id).expect("is not 0 because a child has a process id"))
}

/// The process id of the living postmaster of a cluster.
fn pid(cluster: &Path) -> Option<Pid> {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let number: i32 = text.lines().next()?.trim().parse().ok()?;
    // Negative for a single-user backend, which occupies the cluster just the same.
    let pid = Pid::from_raw(number.checked_abs()?)?;
    works_in(pid, cluster).then_some(pid)
}

/// Whether a process lives and works in a cluster. Its number alone proves nothing, since numbers
/// are used again; but a postmaster's working directory is its cluster.
fn works_in(pid: Pid, cluster: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    if !Path::new("/proc/self/stat").exists() {
        return rustix::process::test_kill_process(pid).is_ok();
    }
    let Ok(stat) = fs::read_to_string(proc.join("stat")) else { return false };
    let Some((name, state)) = name_and_state(&stat) else { return false };
    let is_postgres = name == "postgres" || name == "postmaster";
    if matches!(state, 'Z' | 'X') {
        if is_postgres {
            // If it was our child, it stays until we ask after it.
            has_ended(pid);
        }
        return false;
    }
    match fs::read_link(proc.join("cwd")) {
        Ok(folder) => folder == cluster,
        // Hidden from us, as some hardened systems do.
        Err(_) => is_postgres,
    }
}

/// Name and state in `/proc/<pid>/stat`: `17 (a name, with (anything)) S 1 …`, see proc(5).
fn name_and_state(stat: &str) -> Option<(&str, char)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    Some((name, tail.trim_start().chars().next()?))
}

/// Whether a child of ours has ended. Also if it never was our child, or somebody asked before.
fn has_ended(child: Pid) -> bool {
    !matches!(waitpid(Some(child), WaitOptions::NOHANG), Ok(None))
}

/// Removes what a killed server left, which would keep a new one from starting if its process
/// number is in use again. Only called when no server lives; if orphans of it do, the new server
/// sees their shared memory and refuses by itself.
fn clear_stale(cluster: &Path, run: &Path) {
    let socket = socket_in(run);
    let mut lock = socket.clone().into_os_string();
    lock.push(".lock");
    for left in [cluster.join("postmaster.pid"), socket, lock.into()] {
        // Mostly there is nothing; and what cannot be removed, the server will complain of.
        let _ = fs::remove_file(left);
    }
}

fn did_not_start(layout: &Layout, log_from: u64) -> Error {
    Error::Start {
        path: layout.cluster(),
        log: layout.log(),
        said: last_words(&log_since(layout, log_from)),
    }
}

fn log_length(layout: &Layout) -> u64 {
    fs::metadata(layout.log()).map_or(0, |meta| meta.len())
}

/// What was written to the log since it had a length; nothing if it cannot be read.
fn log_since(layout: &Layout, from: u64) -> String {
    let bytes = fs::read(layout.log()).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_process_is_found_behind_any_name() {
        assert_eq!(name_and_state("17 (postgres) Z 1 17 0"), Some(("postgres", 'Z')));
        assert_eq!(name_and_state("17 (a) b (c)) S 1"), Some(("a) b (c)", 'S')));
        assert_eq!(name_and_state(""), None);
    }

    #[test]
    fn a_living_process_that_works_elsewhere_is_no_postmaster_of_this_cluster() {
        let cluster = tempfile::tempdir().unwrap();
        let pid_file = cluster.path().join("postmaster.pid");
        fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
        assert!(!is_alive(cluster.path()));
        let own = std::env::current_dir().unwrap();
        assert!(works_in(Pid::from_raw(std::process::id() as i32).unwrap(), &own));
    }
}
