//! Why a request failed, and how that is said on the wire.

use uuid::Uuid;

use crate::limits::STATUS_TEXT_BYTES_MAX;

/// Why the coordinator could not do what it was asked.
///
/// One variant for each thing a *caller* would do differently. What only an operator can mend
/// stays whole under [`Error::Storage`], is logged once where it is turned into a status, and
/// reaches the caller as a bare `INTERNAL` or `UNAVAILABLE`.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says what its fields are")]
pub enum Error {
    /// The request contradicts itself, the study or a limit. Mend it and ask again.
    #[error("{0}")]
    Invalid(String),

    /// A report lacks a number that the study weighs or bounds. Mend it, or fail the trial.
    #[error(
        "study `{study}` asks for measurement `{measurement}`, which the report lacks{}; report it, \
         or end the attempt with Fail{}",
        closest.as_ref().map(|name| format!("; the closest that it has is `{name}`"))
            .unwrap_or_default(),
        if *paused {
            ". The study is paused, because no result has it: if its name is wrong, cancel the \
             study and create it anew"
        } else {
            ""
        }
    )]
    Unmeasured { study: String, measurement: String, closest: Option<String>, paused: bool },

    /// The trial was handed on, or is finished. Drop the work and ask for another.
    #[error("attempt {attempt} at trial {trial_id} no longer holds the lease")]
    LeaseLost { trial_id: i64, attempt: i32, lease_id: Uuid },

    /// The attempt has already reported, and something else.
    #[error("attempt {attempt} at trial {trial_id} has already reported another result")]
    ResultConflict { trial_id: i64, attempt: i32 },

    /// Another replica planned first. Read the study again, or leave it to the winner.
    #[error("the posterior of study {study_id} has moved on from version {version}")]
    PosteriorMoved { study_id: i64, version: i64 },

    /// The study's name is wrong, or the study was deleted.
    #[error("there is no study named `{name}`; `strop study list` shows those there are")]
    StudyNotFound { name: String },

    /// The study has no trial of that number.
    #[error("study `{study}` has no trial {number}")]
    TrialNotFound { study: String, number: i32 },

    /// Choose another name, or look at the study that has it.
    #[error("a study named `{name}` exists already; choose another name")]
    StudyExists { name: String },

    /// What was asked cannot be done to a study in its end state.
    #[error("study `{name}` is {state} and cannot be {verb}")]
    StudyEnded { name: String, state: &'static str, verb: &'static str },

    /// The budget does not hold what was asked.
    #[error(
        "study `{name}` has room for {left} more trials of its budget of {budget}, not {asked}"
    )]
    BudgetSpent { name: String, left: i32, budget: i32, asked: usize },

    /// Wait for more results.
    #[error("study `{name}` has {results} results; its posterior says nothing before {needed}")]
    TooFewResults { name: String, results: i32, needed: u32 },

    /// Nothing that the study searches has made a difference.
    #[error("all {results} results of study `{name}` are equal; there is nothing to predict")]
    ResultsEqual { name: String, results: usize },

    /// End a study first.
    #[error(
        "{open} studies are active or paused, which is as many as may be; wait until one has ended, or \
         cancel one"
    )]
    TooManyStudies { open: i64 },

    /// The trial's end state is final.
    #[error("trial {number} of study `{study}` is {state} and cannot be cancelled")]
    TrialEnded { study: String, number: i32, state: &'static str },

    /// The worker's label or id is wrong, or it has ended.
    #[error("there is no worker `{name}`; `strop worker list` shows those there are")]
    WorkerNotFound { name: String },

    /// Go on without.
    #[error(
        "attempt {attempt} at trial {trial_id} has reported the {limit} metrics that are taken; report \
         fewer, or none"
    )]
    TooManyMetrics { trial_id: i64, attempt: i32, limit: i32 },

    /// A budget cannot be less than what is planned already.
    #[error(
        "study `{name}` has {planned} trials already: {asked} are too few for its budget; give it at \
         least {least}"
    )]
    BudgetTooSmall { name: String, asked: i32, planned: i32, least: i32 },

    /// A larger budget would find nothing to spend it on.
    #[error("every point of the space of study `{name}` has been tried; a larger budget adds none")]
    SpaceExhausted { name: String },

    /// A request id was used before, for something else. Make a new one.
    #[error("request id {request_id} was used before for another request; make a new one")]
    RequestReused { request_id: Uuid },

    /// The artifact's name is wrong, or nothing refers to it any longer.
    #[error("there is no artifact {sha256}; it may have been replaced by a newer one")]
    ArtifactNotFound { sha256: String },

    /// Too much of this is under way. Ask again in a moment.
    #[error("{0}")]
    Busy(&'static str),

    /// A client began something and then fell silent.
    #[error("{0}")]
    TooSlow(&'static str),

    /// The coordinator is stopping. Ask again; another or the same will answer.
    #[error("the coordinator is stopping; ask again")]
    Stopping,

    /// A plan failed in a way that no input should cause.
    #[error("planning failed: {0}")]
    Plan(String),

    /// Postgres refused or could not be reached. `doing` ends the sentence "failed to …".
    #[error("failed to {doing}")]
    Storage {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
}

impl Error {
    /// Whether the same call may succeed in a moment without anybody mending anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Stopping | Error::PosteriorMoved { .. } | Error::Busy(_) => true,
            Error::Storage { source, .. } => is_passing(source),
            _ => false,
        }
    }
}

/// Connections break when Postgres restarts; serialisation failures and lock time-outs pass.
pub(crate) fn is_passing(source: &sqlx::Error) -> bool {
    match source {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| {
            // 08…: connection; 57P0…: shutting down or starting; 53…: out of something;
            // 40…: serialisation, deadlock; 55P03, 57014: lock or statement timed out.
            code.starts_with("08")
                || code.starts_with("57P0")
                || code.starts_with("53")
                || code.starts_with("40")
                || code == "55P03"
                || code == "57014"
        }),
        _ => false,
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        let text = plain(&error.to_string());
        match &error {
            Error::Invalid(_) | Error::Unmeasured { .. } => Self::invalid_argument(text),
            Error::LeaseLost { .. } | Error::PosteriorMoved { .. } => Self::aborted(text),
            Error::StudyNotFound { .. }
            | Error::TrialNotFound { .. }
            | Error::WorkerNotFound { .. }
            | Error::ArtifactNotFound { .. } => Self::not_found(text),
            Error::Busy(_) => Self::resource_exhausted(text),
            Error::TooSlow(_) => Self::deadline_exceeded(text),
            Error::StudyExists { .. }
            | Error::ResultConflict { .. }
            | Error::RequestReused { .. } => Self::already_exists(text),
            Error::StudyEnded { .. }
            | Error::BudgetSpent { .. }
            | Error::TooFewResults { .. }
            | Error::ResultsEqual { .. }
            | Error::BudgetTooSmall { .. }
            | Error::TooManyStudies { .. }
            | Error::TrialEnded { .. }
            | Error::TooManyMetrics { .. }
            | Error::SpaceExhausted { .. } => Self::failed_precondition(text),
            Error::Stopping => Self::unavailable(text),
            Error::Plan(_) => {
                tracing::error!("{text}");
                Self::internal(text)
            }
            Error::Storage { doing, source } => {
                let cause: &dyn std::error::Error = source;
                if error.is_passing() {
                    tracing::warn!(error = cause, "failed to {doing}");
                    Self::unavailable(format!("{text}; the database is away or busy, ask again"))
                } else {
                    tracing::error!(error = cause, "failed to {doing}");
                    Self::internal(text)
                }
            }
        }
    }
}

/// A sentence as it may travel in a header and stand on a terminal: not too long, and without characters
/// that would move the cursor, ring the bell or turn the line around.
fn plain(text: &str) -> String {
    let moves = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut plain = String::new();
    for c in text.chars() {
        match moves(c) {
            true => plain.extend(c.escape_unicode()),
            false => plain.push(c),
        }
        if plain.len() > STATUS_TEXT_BYTES_MAX {
            plain.truncate(plain.floor_char_boundary(STATUS_TEXT_BYTES_MAX));
            plain.push('…');
            break;
        }
    }
    plain
}

/// Names the deed at the place it fails: `.doing("grant a lease")?`.
pub trait Doing<T> {
    /// Wraps the error; `doing` ends the sentence "failed to …".
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Storage { doing, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_with_somebodys_text_in_it_is_short_and_moves_no_cursor() {
        let name = format!("\u{1b}[2J\u{202e}\0ä{}", "x".repeat(1 << 20));
        let status = tonic::Status::from(Error::StudyNotFound { name });
        let text = status.message();
        assert!(text.starts_with(r"there is no study named `\u{1b}[2J\u{202e}\u{0}äxx"), "{text}");
        assert!(text.len() <= STATUS_TEXT_BYTES_MAX + "…".len() && text.ends_with('…'));
    }
}
