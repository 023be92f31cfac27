//! The cluster: made once, recognised ever after.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::error::{Error, Folder as _};
use crate::layout::Layout;

/// Says that a cluster is ours, and with what it was made.
const MARKER: &str = "strop.marker";

/// Written to the end of `postgresql.conf` once; an operator may change them there.
const SETTINGS: &str = "
# strop: a coordinator's pool, its workers' statements and a few people with psql.
max_connections = 200
# strop: the usual advice is a quarter of the memory of a machine that does nothing else; the
# database of a search is small, and the memory belongs to the training.
shared_buffers = 128MB
# strop: the socket's folder is private already.
unix_socket_permissions = 0700
# strop: one file beside the data directory, written by way of standard error.
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] '
log_checkpoints = off
";

/// Makes the cluster if there is none, and finds the binaries that fit it.
///
/// The caller holds the start lock.
pub(crate) fn ensure(layout: &Layout, account: &Account) -> Result<Binaries, Error> {
    let cluster = layout.cluster();
    if is_absent(&cluster) {
        let binaries = Binaries::find(None)?
            .unwrap_or_else(|_| unreachable!("every version will do because none was wanted"));
        make(layout, account, &binaries)?;
        return Ok(binaries);
    }
    if !cluster.join(MARKER).is_file() {
        return Err(Error::Foreign { path: cluster });
    }
    if let Some(folder) = account.barred_at(&cluster) {
        return Err(Error::Unreachable { path: folder.to_path_buf(), user: account.name() });
    }
    let version = cluster.join("PG_VERSION");
    let version = fs::read_to_string(&version).folder("read", &version)?;
    Binaries::find(Some(version.trim()))?.map_err(|found| Error::VersionMismatch {
        path: cluster,
        cluster: version.trim().to_owned(),
        binaries: found.folder().to_path_buf(),
        found: found.major,
    })
}

/// An empty folder counts as absent: it may be the mount point of a volume.
fn is_absent(cluster: &Path) -> bool {
    match fs::read_dir(cluster) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => fs::symlink_metadata(cluster).is_err(),
    }
}

/// Made under another name and renamed when whole, so that a death in between leaves nothing that
/// looks like a cluster.
fn make(layout: &Layout, account: &Account, binaries: &Binaries) -> Result<(), Error> {
    let (made, cluster) = (layout.cluster_in_the_making(), layout.cluster());
    if made.exists() {
        fs::remove_dir_all(&made).folder("clear away", &made)?;
    }
    DirBuilder::new().mode(0o700).create(&made).folder("create", &made)?;
    account.give(&made)?;

    let initdb = binaries.initdb();
    let output = account
        .command(&initdb)
        .args(["-U", "strop", "--auth-local=trust", "--auth-host=reject"])
        .args(["-E", "UTF8", "--locale=C", "-D"])
        .arg(&made)
        .output()
        .map_err(|source| Error::Run { program: initdb, source })?;
    if !output.status.success() {
        let said = last_words(&String::from_utf8_lossy(&output.stderr));
        return Err(Error::Initdb { path: cluster, said });
    }

    let conf = made.join("postgresql.conf");
    OpenOptions::new()
        .append(true)
        .open(&conf)
        .and_then(|mut file| file.write_all(SETTINGS.as_bytes()))
        .folder("write", &conf)?;
    let marker = made.join(MARKER);
    fs::write(&marker, format!("PostgreSQL {}, made by strop\n", binaries.major))
        .folder("write", &marker)?;
    fs::rename(&made, &cluster).folder("create", &cluster)?;
    tracing::info!(cluster = %cluster.display(), version = binaries.major, "made a cluster");
    Ok(())
}

/// The end of what a program said, on one line.
pub(crate) fn last_words(said: &str) -> String {
    /// Enough for a FATAL with its DETAIL and HINT. Taste.
    const LINES: usize = 4;
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.is_empty() {
        true => "(nothing)".to_owned(),
        false => lines[lines.len().saturating_sub(LINES)..].join(" | "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_the_last_lines_on_one_line() {
        assert_eq!(last_words("a\n\nb\nc\nd\n e\n"), "b | c | d | e");
        assert_eq!(last_words("\n"), "(nothing)");
    }
}
