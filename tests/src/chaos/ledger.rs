//! What a light worker was answered, written down before it goes on: a line of JSON each, on the
//! disk when [`Ledger::note`] returns.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::Path,
};

use serde::{Deserialize, Serialize};

/// What a light worker was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Entry {
    /// A result was acknowledged.
    Recorded {
        /// The trial.
        trial_id: i64,
        /// Which attempt at it.
        attempt: i32,
        /// SHA-256 of the payload, in hexadecimal.
        sha256: String,
        /// The answer said that it had been recorded before.
        duplicate: bool,
        /// It was sent after the lease may have lapsed.
        late: bool,
    },
    /// A result was refused as stale.
    Refused {
        /// It was sent after the lease may have lapsed.
        late: bool,
    },
    /// A report that contradicts a recorded one was refused, as it must be.
    Contradicted,
    /// A report with a made-up lease was refused, as it must be.
    Forged,
    /// A failure was acknowledged.
    Failed,
    /// A trial was given back.
    Released,
    /// The work was dropped because the lease was lost or may have lapsed.
    Dropped,
    /// An answer that the protocol does not allow.
    Wrong {
        /// The call and its answer.
        what: String,
    },
}

/// A file of entries.
pub struct Ledger(File);

impl Ledger {
    /// Opens or makes it.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path).map(Self)
    }

    /// Writes an entry; it is on the disk when this returns.
    pub fn note(&mut self, entry: &Entry) -> std::io::Result<()> {
        let mut line = serde_json::to_string(entry).expect("an entry is JSON");
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        self.0.sync_data()
    }
}

/// All entries of all ledgers in a folder. The last line of a killed worker may be torn: what it had
/// not finished writing it had not built upon.
pub fn read_all(folder: &Path) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in fs::read_dir(folder)? {
        let text = fs::read_to_string(file?.path())?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            entries.push(serde_json::from_str(line)?);
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_written_and_a_torn_last_line_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ledger");
        let entry = Entry::Recorded {
            trial_id: 7,
            attempt: 2,
            sha256: "ab".into(),
            duplicate: true,
            late: false,
        };
        Ledger::open(&path).unwrap().note(&entry).unwrap();
        Ledger::open(&path).unwrap().0.write_all(b"{\"kind\":\"refu").unwrap();
        assert_eq!(read_all(folder.path()).unwrap(), [entry]);
    }
}
