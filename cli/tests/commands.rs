//! The command as scripts meet it, where there is no coordinator: exit codes, and errors of one
//! line.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

fn strop(data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strop"))
        .args(arguments)
        .env("STROP_DATA_DIR", data_dir)
        .env_remove("STROP_COORDINATOR")
        .env_remove("DATABASE_URL")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code and error of a command that should fail, in one line and with an empty answer.
fn failed(data_dir: &Path, arguments: &[&str]) -> (i32, String) {
    let output = strop(data_dir, arguments);
    let error = text(&output.stderr);
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(error.starts_with("error: "), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    (output.status.code().unwrap(), error)
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn without_a_coordinator_a_command_ends_with_4_and_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let url = nobody();
    for command in [&["study", "list"][..], &["study", "watch", "x"], &["trial", "show", "x", "0"]]
    {
        let arguments = [&["--coordinator", &url], command].concat();
        let (code, error) = failed(folder.path(), &arguments);
        assert_eq!(code, 4, "{error}");
        for part in [url.as_str(), "strop up", "STROP_COORDINATOR"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let (code, error) = failed(folder.path(), &["--coordinator", "ftp://x", "study", "list"]);
    assert_eq!(code, 2, "{error}");
}

#[test]
fn a_bad_study_file_ends_with_2_and_its_line_before_any_coordinator_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    std::fs::write(&file, "name = \"s\"\nmax_trails = 3\n").unwrap();
    for verb in ["check", "create"] {
        let (code, error) = failed(folder.path(), &["study", verb, file.to_str().unwrap()]);
        assert_eq!(code, 2);
        assert!(error.contains("s.toml:2: unknown field `max_trails`"), "{error}");
    }
    let (code, error) = failed(folder.path(), &["study", "check", "missing.toml"]);
    assert_eq!(code, 2);
    assert!(error.contains("missing.toml: No such file"), "{error}");
}

#[test]
fn the_presets_are_in_order_and_their_size_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies");
    let check = |name: &str, more: &[&str]| {
        let file = studies.join(name);
        let output =
            strop(folder.path(), &[&["study", "check", file.to_str().unwrap()], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let two = check("case-two.toml", &[]);
    assert!(two.contains("22 hyperparameters, 398,131,200 points, 30 of them tried"), "{two}");
    assert!(two.contains("noise_location = after_dense"), "{two}");
    let one = check("case-one.toml", &["--json", "--name", "mine", "--seed", "7"]);
    let json: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!((&json["name"], &json["seed"]), (&"mine".into(), &7.into()));
}

#[test]
fn wrong_usage_ends_with_2_and_help_lists_the_codes() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["study", "lst"][..], &["sql", "--csv"], &["up", "--workers", "0"]] {
        assert_eq!(strop(folder.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
    let help = strop(folder.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("the study ended without completing"));
}

#[test]
fn sql_without_a_database_creates_none() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("none");
    let (code, error) = failed(&data_dir, &["sql", "select 1"]);
    assert_eq!(code, 5);
    assert!(error.contains("there is no database in"), "{error}");
    assert!(!data_dir.exists());
}

#[test]
fn sql_answers_from_the_embedded_database_and_ends_with_psqls_status() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let server = embedded_postgres::Server::open(&data_dir).unwrap();
    let query = |arguments: &[&str]| strop(&data_dir, &[&["sql"], arguments].concat());
    let made = query(&["create schema v1; create table v1.trials as select 7 as n, 'a,b' as t"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    // Nobody else is left, so that these start and stop the server themselves.
    server.close().unwrap();
    assert_eq!(text(&query(&["--csv", "select * from trials"]).stdout), "n,t\n7,\"a,b\"\n");
    let json = text(&query(&["--json", "select * from trials; "]).stdout);
    assert_eq!(json.trim(), r#"[{"n":7,"t":"a,b"}]"#);
    assert_eq!(query(&["select * from nothing"]).status.code(), Some(1));
    assert!(!data_dir.join("postgres/postmaster.pid").exists());
}

#[test]
fn up_without_its_programs_names_them() {
    let folder = tempfile::tempdir().unwrap();
    // A copy alone in a folder, so that nothing lies beside it.
    let alone = folder.path().join("strop");
    std::fs::copy(env!("CARGO_BIN_EXE_strop"), &alone).unwrap();
    let data_dir = folder.path().join("data");
    let output = Command::new(alone)
        .arg("up")
        .env("STROP_DATA_DIR", &data_dir)
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("there is no `strop-coordinator` beside"), "{error}");
    assert!(!data_dir.exists());
}
