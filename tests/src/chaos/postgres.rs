//! The database server: killed, starved of disk, kept down, and always started again.

use std::{
    fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use embedded_postgres::Server;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::proxy::Upstream;

/// How often somebody looks whether the server lives.
const LOOK: Duration = Duration::from_millis(200);

/// A private server in a folder, with its settings as they are: `fsync` is on.
pub struct Postgres {
    server: Arc<Server>,
    cluster: PathBuf,
    /// Kept down on purpose: nobody starts it.
    down: AtomicBool,
    restarts: AtomicU64,
}

impl Postgres {
    /// A fresh server with the schema.
    pub async fn start(folder: &Path) -> anyhow::Result<Arc<Self>> {
        let data = folder.join("database");
        let server = {
            let data = data.clone();
            tokio::task::spawn_blocking(move || Server::open(&data)).await??
        };
        let postgres = Self {
            server: Arc::new(server),
            cluster: data.join("postgres"),
            down: AtomicBool::new(false),
            restarts: AtomicU64::new(0),
        };
        let pool = postgres.pool().await?;
        migrations::MIGRATOR.run(&pool).await?;
        pool.close().await;
        Ok(Arc::new(postgres))
    }

    /// Connections that no proxy disturbs.
    pub async fn pool(&self) -> anyhow::Result<PgPool> {
        let options: PgConnectOptions = self.server.url().parse()?;
        let options = options.application_name("chaos");
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options)
            .await;
        pool.context("the harness cannot reach its database")
    }

    /// Where a proxy leads to reach it.
    pub fn upstream(&self) -> Upstream {
        Upstream::Unix(self.server.socket_folder().join(".s.PGSQL.5432"))
    }

    /// Where a person looks at it with psql.
    pub fn socket_folder(&self) -> &Path {
        self.server.socket_folder()
    }

    /// How often it had to be started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// SIGKILL to the postmaster; its children notice and end.
    pub fn kill(&self) {
        if let Some(pid) = self.postmaster() {
            // It may have ended a moment ago.
            let _gone = kill_process(pid, Signal::KILL);
        }
    }

    /// Kills it and has nobody start it again before [`Postgres::release`].
    pub fn hold_down(&self) {
        self.down.store(true, Ordering::Relaxed);
        self.kill();
    }

    /// It may be started again.
    pub fn release(&self) {
        self.down.store(false, Ordering::Relaxed);
    }

    /// The disk is full for every process of the server: a write to a file fails, as with no space
    /// left. It is the limit on file sizes, which needs no privilege and no small disk.
    ///
    /// # Errors
    ///
    /// If the limit cannot be set, on a server that lives.
    pub fn starve(&self) -> anyhow::Result<()> {
        self.limit_files("0")
    }

    /// There is space again.
    ///
    /// # Errors
    ///
    /// As of [`Postgres::starve`].
    pub fn feed(&self) -> anyhow::Result<()> {
        self.limit_files("unlimited")
    }

    fn limit_files(&self, bytes: &str) -> anyhow::Result<()> {
        let Some(postmaster) = self.postmaster() else { return Ok(()) };
        let folder = format!("/proc/{}", postmaster.as_raw_nonzero());
        let Ok(owner) = fs::metadata(&folder) else { return Ok(()) };
        // As the server's own user: root may not do it to others in every container. The postmaster
        // first, so that nobody is born without the limit after the listing.
        let pids = std::iter::once(postmaster).chain(children_of(postmaster));
        let output = Command::new("sh")
            .args(["-c", "for p; do prlimit --fsize=\"$0\": --pid \"$p\"; done", bytes])
            .args(pids.map(|pid| pid.as_raw_nonzero().to_string()))
            .uid(owner.uid())
            .gid(owner.gid())
            .current_dir("/")
            .output()?;
        // Others come and go while this runs; it matters that it is so for the postmaster.
        let Ok(limits) = fs::read_to_string(format!("{folder}/limits")) else { return Ok(()) };
        let line = limits.lines().find(|line| line.starts_with("Max file size"));
        let is_set = line.is_some_and(|line| line.split_whitespace().nth(3) == Some(bytes));
        anyhow::ensure!(
            is_set,
            "PostgreSQL's files cannot be limited to {bytes} bytes: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    fn postmaster(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.cluster.join("postmaster.pid")).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }

    /// Starts it whenever it has died, until dropped.
    pub async fn look_after(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.down.load(Ordering::Relaxed) {
                continue;
            }
            let server = Arc::clone(&self.server);
            // A server that does not come up now, because what it left is still ending, may do so
            // at the next look; that it never does shows in every check.
            if let Ok(Ok(true)) = tokio::task::spawn_blocking(move || server.ensure_running()).await
            {
                self.restarts.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The processes whose parent this is.
fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = numbers.filter_map(Pid::from_raw);
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // `17 (a name) S 1 …`, see proc(5).
    let (_, tail) = stat.rsplit_once(')')?;
    Pid::from_raw(tail.split_whitespace().nth(1)?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_stops_every_commit_and_an_empty_one_none() {
        let folder = tempfile::tempdir().unwrap();
        let postgres = Postgres::start(folder.path()).await.unwrap();
        let looking = tokio::spawn(Arc::clone(&postgres).look_after());
        let commit = async || {
            let pool = postgres.pool().await?;
            sqlx::query("select pg_logical_emit_message(true, '', '')").execute(&pool).await?;
            anyhow::Ok(())
        };
        commit().await.unwrap();
        postgres.starve().unwrap();
        commit().await.unwrap_err();
        postgres.feed().unwrap();
        commit().await.unwrap();
        looking.abort();
    }

    #[test]
    fn a_child_is_found_by_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let own = Pid::from_raw(std::process::id() as i32).unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        assert!(children_of(own).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children_of(own).contains(&pid));
    }
}
