//! The other process of tests: holds the server of a data directory until it is killed.
//! This crate's tests find it by `CARGO_BIN_EXE`; nothing ships it.

use std::{env, path::Path, time::Duration};

use embedded_postgres::Server;

/// Longer than any test; no test leaves one behind for ever.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let data = env::args_os().nth(1).expect("the test says which data directory");
    match Server::open(Path::new(&data)) {
        Ok(server) => {
            println!("{}", server.url());
            std::thread::sleep(PATIENCE);
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
