//! `strop`: searches the hyperparameters of networks whose activations sharpen into thresholds.
//!
//! Every command is a client of a coordinator, except five that run things themselves: `up` and
//! `demo` start a coordinator and workers beside themselves, `sql` and `doctor` start the database if
//! nobody else has, and `train` trains one network in this process. What a command prints on standard output is its answer; hints and errors go to
//! standard error. How it ends is in [`exit`].

mod bar;
mod client;
mod demo;
mod doctor;
mod exit;
mod import;
mod insight;
mod json;
mod limits;
mod options;
mod pareto;
mod plain;
mod plot;
mod print;
mod signals;
mod sql;
mod study;
mod study_file;
mod table;
mod train;
mod trial;
mod up;
mod value;
mod watch;
mod words;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use options::Options;

/// Searches the hyperparameters of networks whose activations sharpen into thresholds.
#[derive(Debug, Parser)]
#[command(name = "strop", version, after_help = exit::CODES, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    options: Options,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a coordinator and workers here, in the foreground, until Ctrl-C.
    Up(up::Arguments),
    /// Run a small study from start to end on this machine, and show what the search gained.
    Demo(demo::Arguments),
    /// Create, look at and steer studies.
    #[command(subcommand)]
    Study(study::Command),
    /// Look at trials, or add some of your own.
    #[command(subcommand)]
    Trial(trial::Command),
    /// Look at workers, or send them away.
    #[command(subcommand)]
    Worker(worker::Command),
    /// Train one network here, without a coordinator.
    Train(train::Arguments),
    /// Query the database of the studies with psql.
    Sql(sql::Arguments),
    /// Check that everything in the database of the studies is as it must be; changes nothing.
    Doctor(doctor::Arguments),
}

/// On one thread: the programs started from here are told by the kernel when the thread that
/// started them ends, so that must be the one that lives longest.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    let done = match command {
        Command::Up(arguments) => up::run(&options, arguments).await,
        Command::Demo(arguments) => demo::run(&options, arguments).await,
        Command::Study(command) => study::run(&options, command).await,
        Command::Trial(command) => trial::run(&options, command).await,
        Command::Worker(command) => worker::run(&options, command).await,
        Command::Train(arguments) => train::run(&options, arguments).await,
        Command::Sql(arguments) => sql::run(&options, arguments).await,
        Command::Doctor(arguments) => doctor::run(&options, arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
