//! Locks that the kernel drops when their holder dies.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::account::Account;
use crate::error::{Error, Folder as _};

/// A file that can be locked. Locks belong to this open file: two of the same path, even in one
/// process, exclude each other. Programs that are started do not inherit it.
#[derive(Debug)]
pub(crate) struct LockFile(File);

impl LockFile {
    /// Opens the file, and makes it if need be.
    pub fn open(path: &Path, account: &Account) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = match file {
            Ok(file) => {
                account.give(path)?;
                file
            }
            // Root may have made it; to lock it, reading is enough.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                File::open(path).folder("open", path)?
            }
            Err(error) => Err(error).folder("open", path)?,
        };
        Ok(Self(file))
    }

    /// Waits until nobody else holds it in any way.
    pub fn exclusive(&self) -> io::Result<Held<'_>> {
        self.wait_for(FlockOperation::LockExclusive)?;
        Ok(Held(self))
    }

    /// Waits until nobody holds it exclusively. Held until [`release`](Self::release) or the end
    /// of this process.
    pub fn share(&self) -> io::Result<()> {
        self.wait_for(FlockOperation::LockShared)
    }

    /// Tries to turn a shared lock into an exclusive one; false if others share it.
    ///
    /// The kernel lets go before it takes anew, and on failure the shared lock may be lost: only
    /// for someone about to let go anyway.
    pub fn alone(&self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets go. Said aloud and not left to the closing of the file, because a child between fork
    /// and exec holds a copy of it for a moment.
    pub fn release(&self) {
        // Unlocking an open file fails only for a descriptor that is none.
        flock(&self.0, FlockOperation::Unlock).expect("unlocks because the file is open");
    }

    fn wait_for(&self, operation: FlockOperation) -> io::Result<()> {
        loop {
            match flock(&self.0, operation) {
                Err(Errno::INTR) => {}
                done => return done.map_err(io::Error::from),
            }
        }
    }
}

/// An exclusive lock, until dropped.
#[derive(Debug)]
pub(crate) struct Held<'f>(&'f LockFile);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}
