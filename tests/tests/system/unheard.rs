//! Logs that cannot be written.

use std::{
    fs::OpenOptions,
    process::{Child, Command},
    time::Duration,
};

use tests::process::program;

/// Long enough to have said something: where it listens, or that nobody answers.
const SPEAKS_WITHIN: Duration = Duration::from_secs(4);

/// A program whose every word is lost for want of space.
fn unheard(name: &str, arguments: &[&str], folder: &std::path::Path) -> Child {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has a full device");
    let mut command = Command::new(program(name));
    command.args(arguments).current_dir(folder).env("RUST_LOG", "info").env_remove("DATABASE_URL");
    command.stderr(full.try_clone().unwrap()).stdout(full).spawn().expect("starts")
}

#[test]
fn a_full_disk_of_logs_ends_nobody() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens at port 1, of which the worker complains.
    let worker = ["--coordinator", "http://127.0.0.1:1", "--spool", "spool"];
    let serve = ["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"];
    let mut unheard = [
        unheard("strop-worker", &worker, folder.path()),
        unheard("strop-coordinator", &serve, folder.path()),
    ];
    std::thread::sleep(SPEAKS_WITHIN);
    let ended: Vec<_> = unheard.iter_mut().map(|child| child.try_wait().unwrap()).collect();
    for child in &mut unheard {
        // Politely, so that the database of the coordinator ends with it.
        tests::process::signal(child.id(), rustix::process::Signal::TERM);
        child.wait().unwrap();
    }
    assert_eq!(ended, [None, None], "an exit status is of one that ended");
}
