//! Where the installed PostgreSQL keeps its programs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// Where Debian and its descendants put each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A folder that holds `postgres` and `initdb`, and their major version.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    folder: PathBuf,
    /// As `PG_VERSION` spells it: `15`, or `9.6` in the old days.
    pub major: String,
}

impl Binaries {
    /// The binaries to use: of the major version `wanted`, or the first found if there is no wish.
    ///
    /// Looks at `$PG_BIN` and, if that is set, nowhere else; otherwise at what `pg_config` says, at
    /// the newest of Debian's folders, and along `PATH`.
    ///
    /// # Errors
    ///
    /// `Ok(Err(found))` if there are binaries, but none of the wanted version.
    pub fn find(wanted: Option<&str>) -> Result<Result<Self, Self>, Error> {
        let (folders, searched) = match env::var_os("PG_BIN").filter(|folder| !folder.is_empty()) {
            Some(folder) => {
                let folder = PathBuf::from(folder);
                let searched = format!("`{}` (from PG_BIN)", folder.display());
                (vec![folder], searched)
            }
            None => {
                let mut folders: Vec<PathBuf> = pg_config().into_iter().collect();
                folders.extend(debian(Path::new(DEBIAN)));
                folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
                (folders, format!("pg_config's folder, {DEBIAN}/*/bin or PATH"))
            }
        };
        let mut other = None;
        for binaries in folders.into_iter().filter_map(Self::at) {
            if wanted.is_none_or(|wanted| wanted == binaries.major) {
                return Ok(Ok(binaries));
            }
            other.get_or_insert(binaries);
        }
        other.map(Err).ok_or(Error::BinariesMissing { searched })
    }

    /// The binaries in a folder, if both are there and tell their version.
    fn at(folder: PathBuf) -> Option<Self> {
        if !["postgres", "initdb"].iter().all(|name| folder.join(name).is_file()) {
            return None;
        }
        let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let major = major(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { folder, major })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server.
    pub fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// What makes a cluster.
    pub fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    /// The interactive client, here or along `PATH`; it may be absent from a server installation.
    pub fn psql(&self) -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        std::iter::once(self.folder.clone())
            .chain(env::split_paths(&path))
            .map(|folder| folder.join("psql"))
            .find(|program| program.is_file())
    }
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    (output.status.success()).then(|| PathBuf::from(folder.trim_end()))
}

/// Debian's folders, newest version first.
fn debian(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut versions: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            // Compared as numbers: 9.6 is older than 15.
            let version = name.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
            Some((version, parent.join(name).join("bin")))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// The major version in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, also in `18beta1`.
fn major(version: &str) -> Option<String> {
    let number = version.split_once("(PostgreSQL)")?.1.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
    let mut parts = number[..end].split('.');
    let first: u32 = parts.next()?.parse().ok()?;
    // From 10 on, the first number alone says whether clusters fit.
    match first {
        10.. => Some(first.to_string()),
        _ => Some(format!("{first}.{}", parts.next()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_what_pg_version_says() {
        let says = |text: &str| major(text).unwrap();
        assert_eq!(says("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), "15");
        assert_eq!(says("postgres (PostgreSQL) 18beta1"), "18");
        assert_eq!(says("postgres (PostgreSQL) 9.6.24"), "9.6");
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn newer_versions_come_first_and_other_folders_are_left_out() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "bin", "17", "10"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let versions: Vec<_> = debian(parent.path())
            .iter()
            .map(|folder| {
                let version = folder.parent().unwrap().file_name().unwrap();
                version.to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(versions, ["17", "15", "10", "9.6"]);
    }
}
