//! How many trials a second the coordinator hands out and takes back, and how it bears a crowd.
//!
//!     cargo build --release -p coordinator
//!     cargo bench -p benches --bench leases                              # lease + complete, and the floor
//!     cargo bench -p benches --bench leases -- --herd 10000 --minutes 5  # a crowd of light workers
//!
//! Lease + complete: clients that lease a trial of 22 parameters and complete it at once, through gRPC and
//! Postgres with fsync, against the floor: clients of the same Postgres that do no more than two bare
//! commits for a trial (number it and insert it; end it). Both in turn, several rounds, medians.
//!
//! 2026-11-25, AMD EPYC, 2 idle cores, `--rounds 5 --seconds 6`: floor 1,877 a second, lease + complete 1,594, ratio
//! 0.84 (0.72 to 0.95), with 4.8 ms in the median for both calls and 0.25 ms of the coordinator's processor time.
//! In turn with it, three times: a floor whose clients are Python processes with psycopg2, 1,402 (1,377 to 1,496).
//! After that Optuna 5.0 with 8 processes on a Postgres of the same settings: 26.1 trials a second by its RDB
//! storage, 12.9 by its gRPC proxy.
//!
//! The crowd: all ask at once, then hold their leases by heartbeats; half of them share the trials that
//! there are, the others wait for one. The same day and machine, `--herd 10000 --minutes 5`: first answer after 2.3 s
//! in the median and 5.5 s at the latest; heartbeats 2.5 ms in the median, 16.5 ms at the 99th percentile, 639 ms at
//! worst; no lease lost; the coordinator took a third of a core and 399 MiB at its peak.

mod floor;
mod herd;
mod service;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use benches::median;
use clap::Parser;

use service::Service;

/// How long both run before anything is counted.
const WARM_UP: Duration = Duration::from_secs(3);

#[derive(Debug, Parser)]
struct Options {
    /// Clients at once.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Seconds of a round.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Rounds; the floor and the service take turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A crowd of so many workers instead.
    #[arg(long)]
    herd: Option<usize>,
    /// How long the crowd beats.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The coordinator's program; otherwise the one of the release build.
    #[arg(long)]
    coordinator: Option<PathBuf>,
    /// Cargo says it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.clients > 0 && options.rounds > 0, "there must be some of each");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let service = Service::start(options.coordinator.as_deref())?;
    if let Some(workers) = options.herd {
        let minutes = Duration::from_secs_f64(60.0 * options.minutes);
        return runtime.block_on(herd::run(&service, workers, minutes));
    }
    let length = Duration::from_secs(options.seconds);
    // Not counted: connections are opened, statements planned, files grown.
    runtime.block_on(floor::run(&service, options.clients, WARM_UP))?;
    runtime.block_on(service::run(&service, options.clients, WARM_UP))?;
    println!(
        "| round | floor /s | lease + complete /s | ratio | p50 ms | p99 ms | coordinator CPU ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    let (mut floors, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let floor = runtime.block_on(floor::run(&service, options.clients, length))?;
        let before = service.cpu_seconds()?;
        let done = runtime.block_on(service::run(&service, options.clients, length))?;
        let cpu = 1e3 * (service.cpu_seconds()? - before) / done.trials as f64;
        let (rate, ratio) = (done.rate, done.rate / floor);
        let (p50, p99) = (done.quantile(0.5), done.quantile(0.99));
        println!(
            "| {round} | {floor:.0} | {rate:.0} | {ratio:.2} | {p50:.1} | {p99:.1} | {cpu:.2} |"
        );
        floors.push(floor);
        rates.push(rate);
        ratios.push(ratio);
    }
    let (floor, rate, ratio) = (median(floors), median(rates), median(ratios));
    println!("| median | {floor:.0} | {rate:.0} | {ratio:.2} | | | |");
    Ok(())
}
