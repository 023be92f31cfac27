//! As whom the server runs: this process's user, or a lesser one if that is root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Folder as _};

/// The user that owns the cluster and runs the server.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub uid: u32,
    pub gid: u32,
    /// Whether this process is root and must step down to be that user.
    steps_down: bool,
}

impl Account {
    /// The user for a cluster: its owner if it exists, otherwise one of our choice.
    ///
    /// Root may open anybody's cluster, as that person. Anyone else only their own.
    pub fn for_cluster(cluster: &Path) -> Result<Self, Error> {
        let owner = fs::metadata(cluster).ok().map(|m| (m.uid(), m.gid()));
        let euid = rustix::process::geteuid().as_raw();
        let egid = rustix::process::getegid().as_raw();
        match owner {
            None | Some((0, _)) if euid == 0 => Self::lesser(),
            Some((uid, gid)) if euid == 0 => Ok(Self { uid, gid, steps_down: true }),
            Some((uid, _)) if uid != euid => Err(Error::OtherOwner {
                path: cluster.to_path_buf(),
                owner: name_of(uid),
                wanted: name_of(euid),
            }),
            _ => Ok(Self { uid: euid, gid: egid, steps_down: false }),
        }
    }

    /// The user that root steps down to.
    fn lesser() -> Result<Self, Error> {
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|wanted| passwd().into_iter().find(|user| user.name == wanted))
            .map(|user| Self { uid: user.uid, gid: user.gid, steps_down: true })
            .ok_or(Error::NoAccount)
    }

    /// Name for people; the number if it has none.
    pub fn name(&self) -> String {
        name_of(self.uid)
    }

    /// Whether files that this process makes belong to someone else than the server's user.
    pub fn steps_down(&self) -> bool {
        self.steps_down
    }

    /// Hands a file or folder of ours to the server's user.
    pub fn give(&self, path: &Path) -> Result<(), Error> {
        if self.steps_down {
            chown(path, Some(self.uid), Some(self.gid)).folder("change the owner of", path)?;
        }
        Ok(())
    }

    /// A command that runs as the server's user, untouched by settings meant for other servers.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // A working directory that this user may enter: initdb gives up in one that it may not.
        command.current_dir("/").stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            // PGDATA, PGPORT and their kin redirect; the locale changes the words of messages.
            let bytes = name.as_encoded_bytes();
            if bytes.starts_with(b"PG") || bytes.starts_with(b"LC_") || bytes == b"LANG" {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C");
        if self.steps_down {
            // The standard library drops root's other groups along with the uid.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// The first folder on the way to `path`, itself included, that this user may not enter.
    pub fn barred_at<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        if !self.steps_down {
            return None;
        }
        path.ancestors()
            .filter(|folder| !folder.as_os_str().is_empty())
            .filter(|folder| match fs::metadata(folder) {
                Ok(meta) => !self.may_enter(meta.mode(), meta.uid(), meta.gid()),
                // Not there yet: we shall make it, open to this user.
                Err(_) => false,
            })
            .last()
    }

    fn may_enter(&self, mode: u32, owner: u32, group: u32) -> bool {
        // The kernel takes the first class that fits, even if a later one allows more.
        let bit = match (owner == self.uid, group == self.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        mode & bit != 0
    }
}

struct User {
    name: String,
    uid: u32,
    gid: u32,
}

fn passwd() -> Vec<User> {
    // Unreadable is as good as empty: nobody is found, and that has an error of its own.
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    text.lines().filter_map(user).collect()
}

/// `name:password:uid:gid:…`
fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { name, uid, gid })
}

/// Name of a user for people; the number if it has none.
pub(crate) fn name_of(uid: u32) -> String {
    let found = passwd().into_iter().find(|user| user.uid == uid);
    found.map_or_else(|| uid.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres() -> Account {
        Account { uid: 101, gid: 104, steps_down: true }
    }

    #[test]
    fn a_line_of_passwd_gives_name_uid_and_gid() {
        let found = user("postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash").unwrap();
        assert_eq!((found.name.as_str(), found.uid, found.gid), ("postgres", 101, 104));
        assert!(user("# a comment").is_none());
        assert!(user("a:b:c:d").is_none());
    }

    #[test]
    fn the_first_class_that_fits_decides_who_may_enter() {
        assert!(postgres().may_enter(0o700, 101, 0));
        assert!(!postgres().may_enter(0o077, 101, 104), "an owner without x is barred");
        assert!(postgres().may_enter(0o710, 0, 104));
        assert!(!postgres().may_enter(0o701, 0, 104), "a group without x is barred");
        assert!(postgres().may_enter(0o701, 0, 0));
        assert!(!postgres().may_enter(0o770, 0, 0));
    }

    #[test]
    fn the_outermost_closed_folder_is_the_one_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let (outer, inner) = (root.path().join("outer"), root.path().join("outer/inner"));
        fs::create_dir_all(&inner).unwrap();
        for folder in [root.path(), &outer, &inner] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // A uid that owns nothing here, so that the bits for others decide.
        let stranger = Account { uid: 3_999_999, gid: 3_999_999, steps_down: true };
        assert_eq!(stranger.barred_at(&inner.join("missing")), None);
        for folder in [&inner, &outer] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
        assert_eq!(stranger.barred_at(&inner), Some(outer.as_path()));
    }
}
