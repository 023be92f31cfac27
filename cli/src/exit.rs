//! How `strop` ends: what went wrong, in one line, and the exit code that scripts may rely on.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::{plain, study_file};

/// The exit codes, as `--help` prints them.
pub const CODES: &str = "\
Exit codes:
  0    done; for a watched study: completed
  1    failed for another reason than these
  2    wrong usage, or a study or training that is not in order
  3    the study ended without completing: it was cancelled
  4    no coordinator answers
  5    there is no such study or trial
  6    refused as things stand: the name or folder is taken, the study has ended, or it has too few
       results
  130  interrupted
`sql` ends as psql does. `doctor` ends with 1 if something is not as it must be, with 2 if it could not look.";

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An argument that clap could not see to be wrong.
    #[error("{0}")]
    Usage(String),

    /// The study or training file is not in order.
    #[error(transparent)]
    StudyFile(#[from] study_file::Error),

    /// The coordinator finds the request not in order, for the reason it gives.
    #[error("{0}")]
    Invalid(String),

    /// A watched study was cancelled.
    #[error("the study `{0}` was cancelled")]
    Cancelled(String),

    /// Nobody answers, or nobody does any more.
    #[error(
        "no coordinator answers at {url} ({why}): start one with `strop up`, or name another with \
         --coordinator or STROP_COORDINATOR"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the attempt said.
        why: String,
    },

    /// No study or trial of that name.
    #[error("{0}")]
    NotFound(String),

    /// The request is in order but cannot be done now.
    #[error("{0}")]
    Conflict(String),

    /// A person or the system asked for the end before it was reached.
    #[error("interrupted")]
    Interrupted,

    /// A program that `strop` runs is not installed.
    #[error("there is no `{program}` beside `{beside}` or along PATH: build or install it there")]
    ProgramMissing {
        /// The program's file name.
        program: String,
        /// The folder of this executable.
        beside: PathBuf,
    },

    /// A program that `strop` runs does not stay up.
    #[error("{program} ended at once ({status}): {said}; its log is `{log}`")]
    ProgramEnded {
        /// The program's name in messages.
        program: String,
        /// How it ended.
        status: String,
        /// The end of its log.
        said: String,
        /// The log.
        log: PathBuf,
    },

    /// The embedded server cannot be had.
    #[error(transparent)]
    Postgres(#[from] embedded_postgres::Error),

    /// `psql` ended with this status, having said why.
    #[error("psql ended with status {0}")]
    Psql(u8),

    /// The check of the database ended with this status, having said why.
    #[error("strop-coordinator doctor ended with status {0}")]
    Doctor(u8),

    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Failure {
    /// The code of [`CODES`]; psql's own for psql, and the check's for the check.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::StudyFile(_) | Failure::Invalid(_) => 2,
            Failure::Cancelled(_) => 3,
            Failure::Unreachable { .. } => 4,
            Failure::NotFound(_) => 5,
            Failure::Conflict(_) => 6,
            Failure::Interrupted => 130,
            Failure::Psql(status) | Failure::Doctor(status) => *status,
            Failure::ProgramMissing { .. }
            | Failure::ProgramEnded { .. }
            | Failure::Postgres(_)
            | Failure::Other(_) => 1,
        }
    }

    /// Says it on standard error in one line, causes included, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        // Of psql everybody has heard from psql itself, and of the check likewise.
        if !matches!(self, Failure::Psql(_) | Failure::Doctor(_)) {
            eprintln!("error: {}", self.line());
        }
        ExitCode::from(self.code())
    }

    fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // A transparent variant has its own text as its first cause's.
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        plain::line(&line)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_is_one_line_with_all_its_causes() {
        let cause = std::io::Error::other("disk on\nfire");
        let failure = Failure::from(Err::<(), _>(cause).context("could not write").unwrap_err());
        assert_eq!(failure.line(), "could not write: disk on fire");
    }

    #[test]
    fn every_code_is_in_the_help() {
        let unreachable = Failure::Unreachable { url: String::new(), why: String::new() };
        let failures = [
            Failure::Usage(String::new()),
            Failure::Cancelled(String::new()),
            unreachable,
            Failure::NotFound(String::new()),
            Failure::Conflict(String::new()),
            Failure::Interrupted,
            Failure::Other(anyhow::anyhow!("")),
        ];
        let listed: Vec<u8> = CODES
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .filter(|code| *code != 0)
            .collect();
        let mut codes: Vec<u8> = failures.iter().map(Failure::code).collect();
        codes.sort_unstable();
        assert_eq!(codes, listed);
    }
}
