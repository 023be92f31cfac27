//! Where the parts of a data directory lie, and which of them had to move elsewhere.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink,
};
use std::path::{Path, PathBuf};

use crate::account::{Account, name_of};
use crate::error::{Error, Folder as _};

/// Where clusters go whose data directory the server's user cannot reach.
const ELSEWHERE: &str = "/var/lib/strop";
/// The socket's name; the number is the port, which names nothing else without a network address.
const SOCKET: &str = ".s.PGSQL.5432";
/// `sun_path` of `sockaddr_un` has 108 bytes on Linux, the closing zero included.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The places of one data directory. All paths are absolute and free of links.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    data: PathBuf,
    /// What holds the cluster and the locks: the data directory itself, or a folder elsewhere.
    home: PathBuf,
}

/// What strop's programs put into a data directory, before or after the cluster.
const OURS: [&str; 10] = [
    "coordinator.log",
    "coordinator.url",
    "lost+found", // a volume's own
    "postgres",
    "postgres.log",
    "postgres.new",
    "run",
    "spool",
    "start.lock",
    "users.lock",
];

/// Whether a folder without a cluster holds things that no program of ours makes: a home, a source
/// tree, a mistyped path. One with a cluster may hold whatever was put beside it since.
fn is_somebody_elses(data: &Path) -> Result<bool, Error> {
    if fs::symlink_metadata(data.join("postgres")).is_ok() {
        return Ok(false);
    }
    for entry in fs::read_dir(data).folder("look into", data)? {
        let name = entry.folder("look into", data)?.file_name();
        let name = name.to_string_lossy();
        let is_workers_log = name.starts_with("worker-") && name.ends_with(".log");
        if !OURS.contains(&name.as_ref()) && !is_workers_log {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Layout {
    /// Makes the data directory if there is none, and decides where its cluster lies or will lie.
    pub fn of(data: &Path) -> Result<(Self, Account), Error> {
        match fs::metadata(data) {
            Ok(meta) if !meta.is_dir() => {
                return Err(Error::NotADirectory { path: data.to_path_buf() });
            }
            Ok(_) => {}
            Err(_) => fs::create_dir_all(data).folder("create", data)?,
        }
        let data = fs::canonicalize(data).folder("find", data)?;
        if data.join("PG_VERSION").exists() {
            // Somebody's cluster, not a folder to put one in.
            return Err(Error::Foreign { path: data });
        }
        if is_somebody_elses(&data)? {
            return Err(Error::Foreign { path: data });
        }
        let account = Account::for_cluster(&data.join("postgres"))?;
        let home = home(&data, &account)?;
        Ok((Self { data, home }, account))
    }

    /// The cluster (PGDATA).
    pub fn cluster(&self) -> PathBuf {
        self.home.join("postgres")
    }

    /// Where a cluster is made before it gets its name: a half-made one is never taken for whole.
    pub fn cluster_in_the_making(&self) -> PathBuf {
        self.home.join("postgres.new")
    }

    /// What the server says.
    pub fn log(&self) -> PathBuf {
        self.data.join("postgres.log")
    }

    /// Shared by every user of the server.
    pub fn users_lock(&self) -> PathBuf {
        self.home.join("users.lock")
    }

    /// Held by whoever starts or stops the server.
    pub fn start_lock(&self) -> PathBuf {
        self.home.join("start.lock")
    }

    /// Leaves a link to the cluster in the data directory, if it lies elsewhere.
    pub fn link_cluster(&self) -> Result<(), Error> {
        let link = self.data.join("postgres");
        if self.home != self.data && fs::symlink_metadata(&link).is_err() {
            symlink(self.cluster(), &link).folder("link", &link)?;
            let cluster = self.cluster();
            let cluster = cluster.display();
            tracing::info!(%cluster, "the server's user cannot reach the data directory, so the cluster lies elsewhere");
        }
        Ok(())
    }

    /// The folder of the socket, made anew if need be: private to the server's user.
    pub fn socket_folder(&self, account: &Account) -> Result<PathBuf, Error> {
        let here = self.home.join("run");
        // A link was left by the first who needed one. Everybody follows it, as the environment
        // that chose its target may differ from user to user.
        let folder = match fs::read_link(&here) {
            Ok(target) => target,
            Err(_) if socket_in(&here).as_os_str().len() <= SOCKET_PATH_BYTES_MAX => here,
            Err(_) => {
                let short = short_folder(account).join(format!("strop-{}", self.fingerprint()));
                symlink(&short, &here).folder("link", &here)?;
                short
            }
        };
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => account.give(&folder)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => Err(error).folder("create", &folder)?,
        }
        // Under /tmp anybody could have been first.
        let meta = fs::symlink_metadata(&folder).folder("look at", &folder)?;
        if !meta.is_dir() || meta.uid() != account.uid {
            let (owner, wanted) = (name_of(meta.uid()), account.name());
            return Err(Error::OtherOwner { path: folder, owner, wanted });
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).folder("close", &folder)?;
        Ok(folder)
    }

    fn fingerprint(&self) -> String {
        fingerprint(&self.data)
    }
}

/// The socket in its folder.
pub(crate) fn socket_in(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}

/// What holds the cluster: the data directory, unless a link or a closed folder says otherwise.
fn home(data: &Path, account: &Account) -> Result<PathBuf, Error> {
    let cluster = data.join("postgres");
    if let Ok(target) = fs::read_link(&cluster) {
        return match fs::canonicalize(&cluster) {
            Ok(found) => Ok(found.parent().unwrap_or(Path::new("/")).to_path_buf()),
            Err(_) => Err(Error::ClusterLost { link: cluster, target }),
        };
    }
    lend_passage(data, account)?;
    let barred = account.barred_at(data);
    match barred {
        None => Ok(data.to_path_buf()),
        Some(folder) if cluster.exists() => {
            Err(Error::Unreachable { path: folder.to_path_buf(), user: account.name() })
        }
        Some(_) => {
            let home = Path::new(ELSEWHERE).join(fingerprint(data));
            DirBuilder::new().recursive(true).mode(0o755).create(&home).folder("create", &home)?;
            match account.barred_at(&home) {
                None => Ok(home),
                Some(folder) => {
                    Err(Error::Unreachable { path: folder.to_path_buf(), user: account.name() })
                }
            }
        }
    }
}

/// Lets the server's user pass through a data directory that is closed to everyone but root: by
/// its group, and without letting it list or write anything.
fn lend_passage(data: &Path, account: &Account) -> Result<(), Error> {
    let meta = fs::metadata(data).folder("look at", data)?;
    let closed = meta.mode() & 0o077 == 0;
    if account.steps_down() && meta.uid() == 0 && closed {
        chown(data, None, Some(account.gid)).folder("change the group of", data)?;
        let mode = meta.mode() & 0o7777 | 0o010;
        fs::set_permissions(data, Permissions::from_mode(mode)).folder("open", data)?;
    }
    Ok(())
}

/// A folder with a short path in which to put the socket's.
fn short_folder(account: &Account) -> PathBuf {
    env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir() && account.barred_at(folder).is_none())
        // Ours to write in, which root's folder is not to a lesser user; and short enough.
        .filter(|folder| !account.steps_down() && folder.as_os_str().len() <= 60)
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// 16 hexadecimal digits that stand for a path: FNV-1a with 64 bits.
///
/// Reference: G. Fowler, L. Noll, K.-P. Vo, "The FNV Non-Cryptographic Hash Algorithm",
/// draft-eastlake-fnv, section 5 for the two constants.
fn fingerprint(path: &Path) -> String {
    let hash = path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_fnv_1a() {
        // Vectors of draft-eastlake-fnv, appendix C.
        assert_eq!(fingerprint(Path::new("")), "cbf29ce484222325");
        assert_eq!(fingerprint(Path::new("a")), "af63dc4c8601ec8c");
        assert_eq!(fingerprint(Path::new("foobar")), "85944171f73967e8");
    }
}
