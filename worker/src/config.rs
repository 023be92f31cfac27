//! [`Config`]: the command line of a worker.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use whetstone::device::Choice;

use crate::address::Address;

/// Asks a Strop coordinator for trials, trains them, and reports what came of it.
///
/// SIGTERM or SIGINT ends it after the current batch, and its trials are given back; a second one
/// ends it at once.
#[derive(Debug, Parser)]
#[command(name = "strop-worker", version)]
pub struct Config {
    /// Where the coordinator is.
    #[arg(
        long,
        value_name = "URL",
        env = "STROP_COORDINATOR",
        default_value = "http://127.0.0.1:50051"
    )]
    pub coordinator: Address,

    /// How many trials to train at once, each in a place of its own. On a GPU leave it at one: more train fewer
    /// epochs.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=SLOTS_MAX))]
    pub slots: u32,

    /// How many threads each of them computes with.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=THREADS_MAX))]
    pub threads: u32,

    /// What computes: `cpu`, `cuda` for the first NVIDIA GPU, `cuda:1` for the second. All slots
    /// share it.
    #[arg(long, value_name = "DEVICE", env = "STROP_DEVICE", default_value = "cpu")]
    pub device: Choice,

    /// On a GPU, let matrix products round their factors to 10 bits after the point: faster, and
    /// another result.
    #[arg(long)]
    pub tf32: bool,

    /// Folder with the files of the data sets. `digits` needs none.
    #[arg(long, value_name = "DIR", env = "STROP_DATA_FOLDER")]
    pub data_folder: Option<PathBuf>,

    /// Folder in which results wait until the coordinator has them. Made if missing; keep it over
    /// restarts. Default: a folder of yours below the system's folder for temporary files.
    #[arg(long, value_name = "DIR", env = "STROP_SPOOL")]
    pub spool: Option<PathBuf>,

    /// End once every study that this worker serves has ended.
    #[arg(long)]
    pub until_idle: bool,

    /// Kinds of objectives to ask for.
    #[arg(
        long,
        value_name = "KIND",
        value_enum,
        value_delimiter = ',',
        default_value = "whetstone"
    )]
    pub objectives: Vec<ObjectiveKind>,

    /// Serve only these studies. Default: all.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub studies: Vec<String>,

    /// How log lines are written to stderr; RUST_LOG says which.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// Most places of one worker; the protocol's limit.
const SLOTS_MAX: i64 = 1_024;

/// More threads than any machine has cores; beyond it somebody mistyped.
const THREADS_MAX: i64 = 1_024;

/// What this worker can evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ObjectiveKind {
    /// Whetstone trainings.
    Whetstone,
}

impl ObjectiveKind {
    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            ObjectiveKind::Whetstone => "whetstone",
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The folder of the spool: as given, or the user's own below the system's temporary one.
    pub fn spool_folder(&self) -> PathBuf {
        self.spool.clone().unwrap_or_else(|| {
            let user = rustix::process::geteuid().as_raw();
            std::env::temp_dir().join(format!("strop-worker-{user}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn studies_may_be_listed_with_spaces_or_commas() {
        let config =
            Config::try_parse_from(["strop-worker", "--studies", "a", "b,c", "--until-idle"]);
        assert_eq!(config.unwrap().studies, ["a", "b", "c"]);
    }

    #[test]
    fn a_worker_computes_on_the_processor_unless_told_otherwise() {
        let device = |arguments: &[&str]| {
            let all = ["strop-worker"].iter().chain(arguments);
            Config::try_parse_from(all).unwrap().device
        };
        assert_eq!(device(&[]), Choice::Cpu);
        assert_eq!(device(&["--device", "cuda:1"]), Choice::Cuda(1));
    }

    #[test]
    fn nonsense_is_refused_before_anything_starts() {
        for wrong in [
            ["--slots", "0"],
            ["--slots", "1025"],
            ["--threads", "0"],
            ["--coordinator", "https://secure"],
            ["--objectives", "chess"],
            ["--device", "gpu"],
        ] {
            let config = Config::try_parse_from(["strop-worker"].into_iter().chain(wrong));
            assert!(config.is_err(), "{wrong:?}");
        }
    }
}
