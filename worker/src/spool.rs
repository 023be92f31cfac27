//! [`Spool`]: results on disk, from before they are first sent until they are answered.
//!
//! A result may have cost a night. It is written down before the first attempt to send it, so that
//! a worker that is killed while the coordinator is away hands it in when it is started again. The
//! file holds the request itself, byte for byte: the coordinator tells a repeated report from a
//! different one by its content.

mod layout;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use proto::v1;

use self::layout::{BYTES_MAX, Unfit, lay_out, name, parse};
use crate::address::Address;

/// Ending of a whole file; one that is being written has another.
const ENDING: &str = "spool";

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made or read.
    #[error("the spool folder {folder} cannot be used; give another with --spool")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder belongs to somebody else, who could forge results.
    #[error("the spool folder {folder} belongs to another user; give another with --spool")]
    Owner {
        /// The folder.
        folder: PathBuf,
    },
    /// A file in it cannot be written, read or removed.
    #[error("the spool file {file} cannot be {done}")]
    File {
        /// The file.
        file: PathBuf,
        /// What was tried: `written`, `read`, `removed`, `set aside`.
        done: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A folder of results that no coordinator has answered yet.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    coordinator: String,
}

/// One result in the spool.
#[derive(Clone, Debug, PartialEq)]
pub struct Spooled {
    /// Where it lies.
    pub file: PathBuf,
    /// The very request to send.
    pub request: v1::CompleteRequest,
}

impl Spool {
    /// Opens a folder, made if it is missing, for the results of one coordinator.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Folder`] and [`SpoolError::Owner`].
    pub fn open(folder: &Path, coordinator: &Address) -> Result<Spool, SpoolError> {
        let unusable = |source| SpoolError::Folder { folder: folder.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        let owner = fs::metadata(folder).map_err(unusable)?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(SpoolError::Owner { folder: folder.to_owned() });
        }
        Ok(Spool { folder: folder.to_owned(), coordinator: coordinator.to_string() })
    }

    /// Writes a result down; it is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`SpoolError::File`], with no file left that a later start would read.
    pub fn keep(&self, request: v1::CompleteRequest) -> Result<Spooled, SpoolError> {
        let file = self.folder.join(format!("{}.{ENDING}", name(&request)));
        let failed = |source| SpoolError::File { file: file.clone(), done: "written", source };
        let bytes = lay_out(&request, &self.coordinator);
        let unfinished = file.with_extension("writing");
        let write = || {
            let mut out = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            out.write_all(&bytes)?;
            out.sync_all()?;
            fs::rename(&unfinished, &file)?;
            // The name is on the disk only when the folder is.
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(failed)?;
        Ok(Spooled { file, request })
    }

    /// Forgets a result that was answered.
    ///
    /// # Errors
    ///
    /// [`SpoolError::File`]. The result would be sent once more by a later start, which is harmless.
    pub fn remove(&self, spooled: &Spooled) -> Result<(), SpoolError> {
        match fs::remove_file(&spooled.file) {
            // A worker that shares the folder has delivered it too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|source| SpoolError::File {
                file: spooled.file.clone(),
                done: "removed",
                source,
            }),
        }
    }

    /// Gives a file another ending, so that no later start reads it: nothing is ever thrown away.
    ///
    /// # Errors
    ///
    /// [`SpoolError::File`].
    pub fn set_aside(&self, file: &Path, ending: &'static str) -> Result<(), SpoolError> {
        fs::rename(file, file.with_extension(ending)).map_err(|source| SpoolError::File {
            file: file.to_owned(),
            done: "set aside",
            source,
        })
    }

    /// The results for this coordinator that an earlier worker left, in the order of their names.
    ///
    /// A damaged file is set aside with a warning; one for another coordinator stays, with a line
    /// that says so.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Folder`] if the folder cannot be listed.
    pub fn left_over(&self) -> Result<Vec<Spooled>, SpoolError> {
        let unusable = |source| SpoolError::Folder { folder: self.folder.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(unusable)? {
            let file = entry.map_err(unusable)?.path();
            if file.extension().is_some_and(|ending| ending == ENDING) {
                files.push(file);
            }
        }
        files.sort();
        Ok(files.into_iter().filter_map(|file| self.read_or_set_aside(file)).collect())
    }

    fn read_or_set_aside(&self, file: PathBuf) -> Option<Spooled> {
        let bytes = match read(&file) {
            Ok(bytes) => bytes,
            // Delivered by a worker that shares the folder, between the listing and now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "a spool file cannot be read");
                return None;
            }
        };
        match parse(&bytes, &self.coordinator) {
            Ok(request) => Some(Spooled { file, request }),
            Err(Unfit::Elsewhere(coordinator)) => {
                tracing::warn!(
                    file = %file.display(),
                    coordinator,
                    "a result waits here for another coordinator; start a worker for it to deliver"
                );
                None
            }
            Err(Unfit::Corrupt(why)) => {
                tracing::warn!(file = %file.display(), why, "a damaged spool file is set aside");
                if let Err(error) = self.set_aside(&file, "corrupt") {
                    tracing::warn!(%error, "it stays where it is");
                }
                None
            }
        }
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(trial_id: i64) -> v1::CompleteRequest {
        let lease = v1::LeaseRef { trial_id, attempt: 2, lease_id: "../../etc".into() };
        let measurements = [("epochs".to_owned(), 12.0), ("loss".to_owned(), 0.1 + 0.2)].into();
        v1::CompleteRequest { r#ref: Some(lease), value: 1.0 / 3.0, measurements, pruned: true }
    }

    fn spool(folder: &Path, coordinator: &str) -> Spool {
        Spool::open(folder, &coordinator.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_result_survives_the_worker_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), "http://here:1");
        let kept = spool.keep(result(7)).unwrap();
        assert!(kept.file.parent() == Some(folder.path()), "{:?}", kept.file);

        let found = spool.left_over().unwrap();
        assert_eq!(found, [Spooled { file: kept.file.clone(), request: result(7) }]);
        spool.remove(&kept).unwrap();
        spool.remove(&kept).unwrap();
        assert_eq!(spool.left_over().unwrap(), []);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), "http://here:1");
        let damaged = spool.keep(result(1)).unwrap().file;
        let whole = spool.keep(result(2)).unwrap();
        let mut bytes = fs::read(&damaged).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&damaged, bytes).unwrap();
        fs::write(folder.path().join("empty.spool"), "").unwrap();
        fs::write(folder.path().join("half.writing"), "strop").unwrap();

        assert_eq!(spool.left_over().unwrap(), [whole]);
        assert!(!damaged.exists() && damaged.with_extension("corrupt").exists());
        assert!(folder.path().join("empty.corrupt").exists());
        assert!(folder.path().join("half.writing").exists());
    }

    #[test]
    fn a_result_for_another_coordinator_stays_and_is_not_sent_here() {
        let folder = tempfile::tempdir().unwrap();
        let there = spool(folder.path(), "http://there:1");
        let kept = there.keep(result(1)).unwrap();
        assert_eq!(spool(folder.path(), "http://here:1").left_over().unwrap(), []);
        assert_eq!(there.left_over().unwrap(), [kept]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error =
            Spool::open(Path::new("/proc/spool"), &"http://h".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("/proc/spool"), "{error}");
    }
}
