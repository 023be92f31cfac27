//! Real servers in temporary folders. They need PostgreSQL's server binaries.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use embedded_postgres::{Error, Server};

/// A folder that everybody may pass through, so that nothing has to move elsewhere.
fn open_folder() -> tempfile::TempDir {
    folder(0o755)
}

fn folder(mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    folder
}

fn query(server: &Server, sql: &str) -> Result<String, String> {
    let psql = server.psql().expect("psql is installed beside the server");
    let output = Command::new(psql).args([&server.url(), "-XtAc", sql]).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn postmaster(data: &Path) -> Option<String> {
    let text = fs::read_to_string(data.join("postgres/postmaster.pid")).ok()?;
    text.lines().next().map(str::to_owned)
}

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
}

/// Another process that holds a server until it is killed.
fn another_process(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hold-postgres"));
    command.arg(data);
    command
}

#[test]
fn a_new_data_directory_gets_a_server_that_ends_with_its_only_user_and_keeps_its_data() {
    let folder = open_folder();
    let data = folder.path().join("new/data");
    let server = Server::open(&data).unwrap();
    assert_eq!(query(&server, "select current_database()").unwrap(), "strop");
    query(&server, "create table kept as select 7 as n").unwrap();
    let socket = server.socket_folder().join(".s.PGSQL.5432");
    assert!(socket.exists());
    server.close().unwrap();
    assert!(!socket.exists());
    assert_eq!(postmaster(&data), None);

    let server = Server::open(&data).unwrap();
    assert_eq!(query(&server, "select n from kept").unwrap(), "7");
    assert!(!server.ensure_running().unwrap(), "nothing to restart while it lives");
}

#[test]
fn the_last_of_several_users_stops_the_server() {
    let folder = open_folder();
    let data = folder.path().join("data");
    let first = Server::open(&data).unwrap();
    let second = Server::open(&data).unwrap();
    assert_eq!(first.url(), second.url());
    let pid = postmaster(&data);
    drop(first);
    assert_eq!(postmaster(&data), pid);
    assert_eq!(query(&second, "select 1").unwrap(), "1");
    second.close().unwrap();
    assert_eq!(postmaster(&data), None);
}

#[test]
fn users_that_come_at_once_share_one_server() {
    let folder = open_folder();
    let data = folder.path().join("data");
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..4).map(|_| scope.spawn(|| Server::open(&data))).collect();
        opening.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    for server in &servers {
        assert_eq!(query(server, "select 1").unwrap(), "1");
    }
}

#[test]
fn a_killed_server_is_restarted_with_everything_that_was_committed() {
    let folder = open_folder();
    let data = folder.path().join("data");
    let server = Server::open(&data).unwrap();
    query(&server, "create table kept as select 7 as n").unwrap();
    // A session that outlives its postmaster for a moment.
    let sleeper = Command::new(server.psql().unwrap())
        .args([&server.url(), "-XtAc", "select pg_sleep(60)"])
        .stderr(Stdio::null())
        .spawn();
    let before = postmaster(&data).unwrap();
    kill(&before);
    // The kernel takes a moment to carry it out.
    let restarted = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        server.ensure_running().unwrap()
    });
    assert!(restarted);
    assert_ne!(postmaster(&data).unwrap(), before);
    assert_eq!(query(&server, "select n from kept").unwrap(), "7");
    assert!(!server.ensure_running().unwrap());
    let mut sleeper = sleeper.unwrap();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn a_server_left_by_a_dead_user_is_adopted_and_then_stopped() {
    let folder = open_folder();
    let data = folder.path().join("data");
    // Another process, which dies without a word.
    let mut other = another_process(&data).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(other.stdout.take().unwrap()).lines().map(Result::unwrap);
    let url = { lines }.find(|line| line.starts_with("postgres://")).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();

    let orphan = postmaster(&data).unwrap();
    let server = Server::open(&data).unwrap();
    assert_eq!(postmaster(&data).unwrap(), orphan);
    assert_eq!(server.url(), url);
    server.close().unwrap();
    assert_eq!(postmaster(&data), None);
}

#[test]
fn a_dropped_database_is_created_again() {
    let folder = open_folder();
    let data = folder.path().join("data");
    let server = Server::open(&data).unwrap();
    let elsewhere = server.url().replace("/strop?", "/postgres?");
    let dropped = Command::new(server.psql().unwrap())
        .args([&elsewhere, "-Xqc", "drop database strop"])
        .status();
    assert!(dropped.unwrap().success());
    let second = Server::open(&data).unwrap();
    assert_eq!(query(&second, "select 1").unwrap(), "1");
}

#[test]
fn a_pid_file_that_names_some_other_process_does_not_keep_the_server_down() {
    let folder = open_folder();
    let data = folder.path().join("data");
    Server::open(&data).unwrap().close().unwrap();
    let cluster = data.join("postgres");
    // As after a crash, when the number went to someone else: to this very process.
    let stale = format!("{}\n{}\n1\n5432\n\n\n\nready\n", std::process::id(), cluster.display());
    fs::write(cluster.join("postmaster.pid"), stale).unwrap();
    let server = Server::open(&data).unwrap();
    assert_eq!(query(&server, "select 1").unwrap(), "1");
}

#[test]
fn a_data_directory_with_a_long_path_still_gets_a_socket() {
    let folder = open_folder();
    let data = folder.path().join("long".repeat(30)).join("data");
    let server = Server::open(&data).unwrap();
    assert!(server.socket_folder().as_os_str().len() + 15 <= 107);
    assert_eq!(query(&server, "select 1").unwrap(), "1");
    let socket_folder = server.socket_folder().to_path_buf();
    assert_eq!(fs::metadata(&socket_folder).unwrap().permissions().mode() & 0o777, 0o700);
    server.close().unwrap();
    fs::remove_dir_all(socket_folder).unwrap();
}

#[test]
fn a_foreign_folder_is_left_alone() {
    let folder = open_folder();
    fs::create_dir(folder.path().join("postgres")).unwrap();
    fs::write(folder.path().join("postgres/PG_VERSION"), "15\n").unwrap();
    let error = Server::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Foreign { path } if path.ends_with("postgres")), "{error}");
    let inside = Server::open(&folder.path().join("postgres")).unwrap_err();
    assert!(matches!(inside, Error::Foreign { .. }), "{inside}");
}

#[test]
fn a_folder_of_other_things_is_left_as_it_was() {
    let folder = open_folder();
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let error = Server::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Foreign { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_in_place_of_the_data_directory_is_named() {
    let folder = open_folder();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Server::open(&path).unwrap_err();
    assert!(matches!(&error, Error::NotADirectory { path: named } if *named == path), "{error}");
}

#[test]
fn a_cluster_of_another_version_is_refused_by_both_names() {
    let folder = open_folder();
    let data = folder.path().join("data");
    Server::open(&data).unwrap().close().unwrap();
    let version = data.join("postgres/PG_VERSION");
    let ours = fs::read_to_string(&version).unwrap();
    fs::write(&version, "8.4\n").unwrap();
    let error = Server::open(&data).unwrap_err();
    let Error::VersionMismatch { cluster, found, .. } = &error else { panic!("{error}") };
    assert_eq!((cluster.as_str(), found.as_str()), ("8.4", ours.trim()));
}

#[test]
fn missing_binaries_are_missed_where_pg_bin_points_and_the_way_out_is_said() {
    let folder = open_folder();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    // In another process, since the environment is shared by all tests of this one.
    let data = folder.path().join("data");
    let output = another_process(&data).env("PG_BIN", &empty).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for part in [empty.to_str().unwrap(), "apt-get install postgresql", "PG_BIN", "DATABASE_URL"] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[test]
fn a_data_directory_below_a_closed_folder_of_root_has_its_cluster_elsewhere() {
    if !rustix::process::geteuid().is_root() {
        return; // Everybody else runs the server as themselves and reaches what they own.
    }
    let closed = folder(0o700);
    let data = closed.path().join("data");
    let server = Server::open(&data).unwrap();
    assert_eq!(query(&server, "select 1").unwrap(), "1");
    let cluster: PathBuf = fs::read_link(data.join("postgres")).unwrap();
    assert!(cluster.starts_with("/var/lib/strop"), "{}", cluster.display());
    server.close().unwrap();

    let again = Server::open(&data).unwrap();
    assert_eq!(query(&again, "select 1").unwrap(), "1");
    again.close().unwrap();
    fs::remove_dir_all(cluster.parent().unwrap()).unwrap();
    let error = Server::open(&data).unwrap_err();
    assert!(matches!(error, Error::ClusterLost { .. }), "{error}");
}

#[test]
fn a_closed_data_directory_of_root_is_opened_to_the_servers_group_and_no_further() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let data = folder(0o700);
    let server = Server::open(data.path()).unwrap();
    assert_eq!(query(&server, "select 1").unwrap(), "1");
    assert_eq!(fs::metadata(data.path()).unwrap().permissions().mode() & 0o777, 0o710);
    assert!(fs::symlink_metadata(data.path().join("postgres")).unwrap().is_dir());
}
