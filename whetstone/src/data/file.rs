//! Finding and unpacking one file of a data set.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::error::DataError;

/// The first two bytes of every gzip file (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The unpacked contents of a file, and where they were found.
pub(super) struct Contents {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// Reads `folder/file` or `folder/file.gz`, or gives `None` if neither exists.
///
/// # Errors
///
/// [`DataError::Packed`] if only an `.xz` form of it exists, [`DataError::Unreadable`].
pub(super) fn read_if_present(folder: &Path, file: &str) -> Result<Option<Contents>, DataError> {
    for path in [folder.join(file), folder.join(format!("{file}.gz"))] {
        match fs::read(&path) {
            Ok(bytes) => return unpacked(path, bytes).map(Some),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(DataError::Unreadable { path, source }),
        }
    }
    match unpacking_command(folder, file) {
        Some(command) => Err(DataError::Packed { path: folder.join(file), command }),
        None => Ok(None),
    }
}

/// Reads `folder/file` or `folder/file.gz`; `expected` are all the files that belong there.
///
/// # Errors
///
/// [`DataError::Missing`], [`DataError::Packed`], [`DataError::Unreadable`].
pub(super) fn read(
    folder: &Path,
    file: &str,
    expected: &'static [&'static str],
) -> Result<Contents, DataError> {
    read_if_present(folder, file)?
        .ok_or_else(|| DataError::Missing { path: folder.join(file), expected })
}

/// Unpacks what begins as gzip does, whatever the file is called.
fn unpacked(path: PathBuf, bytes: Vec<u8>) -> Result<Contents, DataError> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(Contents { path, bytes });
    }
    let mut unpacked = Vec::new();
    match MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked) {
        Ok(_) => Ok(Contents { path, bytes: unpacked }),
        Err(source) => Err(DataError::Unreadable { path, source }),
    }
}

/// What would unpack the file, if it lies there packed by xz: in one piece, or in parts.
fn unpacking_command(folder: &Path, file: &str) -> Option<String> {
    let wanted = folder.join(file);
    let whole = folder.join(format!("{file}.xz"));
    if whole.exists() {
        return Some(format!("xz -d {}", whole.display()));
    }
    let prefix = format!("{file}.part");
    let in_parts = fs::read_dir(folder).ok()?.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(&prefix) && name.ends_with(".xz")
    });
    in_parts.then(|| format!("xz -dc {0}.part*.xz > {0}", wanted.display()))
}
