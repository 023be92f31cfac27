//! One user's hold on the server of a data directory.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::cluster;
use crate::error::{Error, Folder as _};
use crate::layout::{Layout, socket_in};
use crate::lock::LockFile;
use crate::postmaster;
use crate::wire::{Greeting, greet};

/// A running server, and the right to have it run until this is closed or dropped.
///
/// Everything here blocks: on an async runtime, call it where blocking is allowed.
#[derive(Debug)]
pub struct Server {
    layout: Layout,
    account: Account,
    binaries: Binaries,
    socket_folder: PathBuf,
    users: LockFile,
    /// In a mutex, because threads that share one open file do not exclude each other by its lock.
    start: Mutex<LockFile>,
    closed: bool,
}

impl Server {
    /// Gives a running server with a database `strop`: makes the cluster if the data directory is
    /// new, adopts the server if one lives, starts it otherwise.
    ///
    /// A new cluster takes one or two seconds, a start some 100 ms, and a start after a crash as
    /// long as the log takes to replay.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] but [`Error::Stop`].
    pub fn open(data: &Path) -> Result<Self, Error> {
        let (layout, account) = Layout::of(data)?;
        let start = LockFile::open(&layout.start_lock(), &account)?;
        let users = LockFile::open(&layout.users_lock(), &account)?;
        let held = start.exclusive().folder("lock", layout.start_lock())?;
        let binaries = cluster::ensure(&layout, &account)?;
        layout.link_cluster()?;
        let socket_folder = layout.socket_folder(&account)?;
        users.share().folder("lock", layout.users_lock())?;
        let started = postmaster::start(&layout, &account, &binaries, &socket_folder)
            .and_then(|started| create_database(&layout, &socket_folder).map(|()| started));
        drop(held);
        // Whole from here on, so that a failure also stops what was started.
        let start = Mutex::new(start);
        let server = Self { layout, account, binaries, socket_folder, users, start, closed: false };
        let started = started?;
        tracing::debug!(started, socket = %server.socket_folder.display(), "the server is ready");
        Ok(server)
    }

    /// Where to connect: `postgres://strop@localhost:5432/strop?host=<socket folder>&…`, for sqlx
    /// and libpq alike. Stays the same over restarts.
    pub fn url(&self) -> String {
        // The port and the mode are said, lest PGPORT or PGSSLMODE of the environment fill them in.
        let folder = percent_encoded(&self.socket_folder);
        format!("postgres://strop@localhost:5432/strop?host={folder}&sslmode=disable")
    }

    /// The folder of the socket, as `psql -h` takes it.
    pub fn socket_folder(&self) -> &Path {
        &self.socket_folder
    }

    /// The program `psql`, if it is installed.
    pub fn psql(&self) -> Option<PathBuf> {
        self.binaries.psql()
    }

    /// Starts the server again if its process is gone; true if it had to.
    ///
    /// Costs a few system calls while the server lives, so a supervisor may ask every second.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] if it does not come up, [`Error::Folder`] if the data directory is gone.
    pub fn ensure_running(&self) -> Result<bool, Error> {
        if postmaster::is_alive(&self.layout.cluster()) {
            return Ok(false);
        }
        self.under_start_lock(|| {
            // The folder too may be gone: /tmp is swept now and then.
            self.layout.socket_folder(&self.account)?;
            postmaster::start(&self.layout, &self.account, &self.binaries, &self.socket_folder)
        })
    }

    /// Lets go of the server. The last user stops it and waits until it has ended; earlier ones
    /// leave it running.
    ///
    /// # Errors
    ///
    /// [`Error::Stop`] if it cannot be stopped.
    pub fn close(mut self) -> Result<(), Error> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        let done = self.under_start_lock(|| {
            if self.users.alone().folder("lock", self.layout.users_lock())? {
                postmaster::stop(&self.layout.cluster())?;
            }
            Ok(())
        });
        self.users.release();
        done
    }

    fn under_start_lock<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        // A thread that panicked in here left nothing half-done that the next would not look at.
        let start = self.start.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _held = start.exclusive().folder("lock", self.layout.start_lock())?;
        work()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.let_go() {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not close the server");
        }
    }
}

/// Creates the database if the server has none of its name.
fn create_database(layout: &Layout, socket_folder: &Path) -> Result<(), Error> {
    let socket = socket_in(socket_folder);
    let refused = |said| Error::Database { path: layout.cluster(), said };
    match greet(&socket, "strop").folder("connect to", &socket)? {
        Greeting::NoDatabase => {}
        _ => return Ok(()),
    }
    match greet(&socket, "postgres").folder("connect to", &socket)? {
        Greeting::Ready(mut connection) => connection
            // Not template1, which another session might be using or have changed.
            .execute("create database strop template template0")
            .folder("connect to", &socket)?
            .map_err(refused),
        Greeting::Refused(said) => Err(refused(said)),
        Greeting::NotNow => Err(refused("it is stopping".to_owned())),
        Greeting::NoDatabase => Err(refused("there is no database `postgres`".to_owned())),
    }
}

/// As the value of a query parameter: RFC 3986, everything but the unreserved characters.
fn percent_encoded(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte));
            }
            _ => write!(text, "%{byte:02X}").expect("succeeds because the target is a String"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_folder_survives_its_way_through_a_url() {
        assert_eq!(percent_encoded(Path::new("/a b/ü+&~")), "%2Fa%20b%2F%C3%BC%2B%26~");
    }
}
