//! What can go wrong between a data directory and a running server.

use std::io;
use std::path::PathBuf;

/// Why there is no server. Each text names the thing at fault and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL is not installed, or not where `PG_BIN` says.
    #[error(
        "found no PostgreSQL server binaries (postgres, initdb) in {searched}: install them \
         (Debian, Ubuntu: `apt-get install postgresql`), or set PG_BIN to their folder, or set \
         DATABASE_URL to a server of your own"
    )]
    BinariesMissing {
        /// Where they were looked for, for people.
        searched: String,
    },

    /// The path of the data directory is taken by something else.
    #[error("`{path}` is not a directory: remove it, or choose another data directory")]
    NotADirectory {
        /// The path in question.
        path: PathBuf,
    },

    /// Something in the data directory could not be made or read. `doing` completes the sentence.
    #[error("could not {doing} `{path}`: check who owns it and whether the disk is full")]
    Folder {
        /// The deed, as in "could not create".
        doing: &'static str,
        /// The file or folder it was done to.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// There is something where the cluster should be, and this crate did not make it.
    #[error(
        "`{path}` holds something that strop did not create (it has no strop.marker): choose \
         another data directory, or move it away"
    )]
    Foreign {
        /// The foreign folder.
        path: PathBuf,
    },

    /// The data directory links to a cluster that no longer exists.
    #[error(
        "the cluster that `{link}` points to, `{target}`, is gone: restore it, or remove the link \
         to begin with an empty database"
    )]
    ClusterLost {
        /// The link in the data directory.
        link: PathBuf,
        /// Where the cluster used to be.
        target: PathBuf,
    },

    /// The cluster was written by another major version, and no binaries of that one are here.
    #[error(
        "the cluster `{path}` belongs to PostgreSQL {cluster}, but the binaries in `{binaries}` \
         are version {found}: install PostgreSQL {cluster}, or choose another data directory"
    )]
    VersionMismatch {
        /// The cluster.
        path: PathBuf,
        /// What its `PG_VERSION` says.
        cluster: String,
        /// The folder of the binaries.
        binaries: PathBuf,
        /// Their major version.
        found: String,
    },

    /// The cluster or socket folder belongs to someone who is not the user of this process.
    #[error(
        "`{path}` belongs to user {owner}, not to {wanted}: run as that user, or choose another \
         data directory"
    )]
    OtherOwner {
        /// The folder in question.
        path: PathBuf,
        /// Name or number of its owner.
        owner: String,
        /// Name or number of the user it should belong to.
        wanted: String,
    },

    /// The server's user may not pass a folder on the way to the cluster.
    #[error(
        "user {user}, as whom PostgreSQL must run, cannot enter `{path}`: open it with \
         `chmod o+x`, or choose another data directory"
    )]
    Unreachable {
        /// The folder that is closed.
        path: PathBuf,
        /// The server's user.
        user: String,
    },

    /// This process is root, and there is no user to run the server as.
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` in \
         /etc/passwd: create one, or run as another user, or set DATABASE_URL"
    )]
    NoAccount,

    /// A program could not be run at all.
    #[error("could not run `{program}`: check that it is executable for this user")]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// `initdb` ran and failed.
    #[error("initdb could not create the cluster `{path}`: {said}")]
    Initdb {
        /// The cluster to be.
        path: PathBuf,
        /// Its last words.
        said: String,
    },

    /// The server did not come up.
    #[error("PostgreSQL did not start on `{path}`; the end of `{log}` says: {said}")]
    Start {
        /// The cluster.
        path: PathBuf,
        /// The log to read.
        log: PathBuf,
        /// Its last lines.
        said: String,
    },

    /// The server did not end, even when told to drop everything.
    #[error("PostgreSQL on `{path}` (process {pid}) does not stop: end that process by hand")]
    Stop {
        /// The cluster.
        path: PathBuf,
        /// The postmaster's process id.
        pid: u32,
    },

    /// The server answered, but refused to create the database.
    #[error("PostgreSQL on `{path}` refused to create the database: {said}")]
    Database {
        /// The cluster.
        path: PathBuf,
        /// The server's message.
        said: String,
    },
}

/// Names the deed and its object where it fails: `.folder("create", path)?`.
pub(crate) trait Folder<T> {
    fn folder(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, Error>;
}

impl<T> Folder<T> for io::Result<T> {
    fn folder(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, Error> {
        self.map_err(|source| Error::Folder { doing, path: path.into(), source })
    }
}
