//! [`Folder`]: where a training leaves what it has.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Failure;

/// The state after the last whole epoch.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The network at the end.
pub const NETWORK: &str = "network.safetensors";
/// Every number of every epoch.
pub const EPOCHS: &str = "epochs.csv";
/// The same as a picture.
pub const CURVES: &str = "curves.svg";
const ALL: [&str; 4] = [CHECKPOINT, NETWORK, EPOCHS, CURVES];

/// What to do about files of an earlier training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Leave them alone: begin only where there are none.
    Keep,
    /// Replace them.
    Replace,
    /// Go on from them.
    Resume,
}

/// A folder for the files of one training. It is made with the first of them.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Whether files of an earlier training must go first.
    is_stale: bool,
}

impl Folder {
    /// The folder at `path`, which need not be there yet.
    ///
    /// # Errors
    ///
    /// [`Failure::Conflict`] if it holds anything that is to be kept.
    pub fn open(path: &Path, earlier: Earlier) -> Result<Folder, Failure> {
        let conflict = |text: String| Err(Failure::Conflict(text));
        let shown = path.display();
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return conflict(format!("`{shown}` is a file: name a folder with --out"));
            }
            Err(error) => Err(error),
        };
        let entries = entries.with_context(|| format!("could not look into `{shown}`"))?;
        if earlier == Earlier::Keep && !entries.is_empty() {
            let is_ours = ALL.iter().any(|name| path.join(name).exists());
            return conflict(match is_ours {
                true => format!(
                    "`{shown}` holds a training already: go on with --resume, replace it with \
                     --force, or name another folder with --out"
                ),
                false => format!(
                    "`{shown}` is not empty: name another folder with --out, or put the files \
                     beside what is there with --force"
                ),
            });
        }
        Ok(Folder { path: path.to_owned(), is_stale: earlier == Earlier::Replace })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of this name, if it is there.
    pub fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("could not read `{}`", path.display()))
            }
        }
    }

    /// Puts a file there, whole or not at all: under a name of its own first, then renamed.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path.join(name);
        self.write_to(&path, bytes).with_context(|| format!("could not write `{}`", path.display()))
    }

    fn write_to(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.is_stale {
            for stale in ALL {
                match fs::remove_file(self.path.join(stale)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            self.is_stale = false;
        }
        fs::create_dir_all(&self.path)?;
        let partial = path.with_added_extension("partial");
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        // Or a power cut could leave the name with nothing behind it.
        file.sync_data()?;
        fs::rename(partial, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_before_the_first_file_and_nothing_else_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b");
        let mut folder = Folder::open(&path, Earlier::Keep).unwrap();
        assert!(!path.exists());
        assert_eq!(folder.read(EPOCHS).unwrap(), None);
        folder.write(EPOCHS, b"one").unwrap();
        folder.write(EPOCHS, b"two").unwrap();
        assert_eq!(folder.read(EPOCHS).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_is_kept_unless_told_otherwise() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        fs::write(path.join("thesis.tex"), "").unwrap();
        let said = Folder::open(path, Earlier::Keep).unwrap_err().to_string();
        assert!(said.contains("not empty"), "{said}");
        fs::write(path.join(NETWORK), "old").unwrap();
        let said = Folder::open(path, Earlier::Keep).unwrap_err().to_string();
        assert!(said.contains("--resume") && said.contains("--force"), "{said}");

        let mut folder = Folder::open(path, Earlier::Replace).unwrap();
        assert!(path.join(NETWORK).exists(), "until there is something to replace it");
        folder.write(EPOCHS, b"new").unwrap();
        assert!(!path.join(NETWORK).exists());
        folder.write(CHECKPOINT, b"new").unwrap();
        assert!(path.join(EPOCHS).exists() && path.join("thesis.tex").exists());

        let said = Folder::open(&path.join("thesis.tex"), Earlier::Resume).unwrap_err().to_string();
        assert!(said.contains("is a file"), "{said}");
    }
}
