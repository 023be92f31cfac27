//! Every limit of a coordinator: its name, its value, its reason, and what whoever exceeds it is told.
//!
//! `docs/LIMITS.md` is written from this file, and a test keeps the two equal. Where a limit is also a
//! check in the schema or a range in `tuner`, that is named beside it.

use std::time::Duration;

/// How much of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many.
    Count(i128),
    /// So long.
    Time(Duration),
}

macro_rules! amounts {
    ($($whole:ty),+) => {
        $(impl From<$whole> for Amount {
            fn from(whole: $whole) -> Self {
                Amount::Count(whole as i128)
            }
        })+
    };
}

amounts!(usize, u64, u32, u16, i64, i32, i16);

impl From<Duration> for Amount {
    fn from(time: Duration) -> Self {
        Amount::Time(time)
    }
}

/// A limit as the page shows it.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The constant's name.
    pub name: &'static str,
    /// Its value.
    pub amount: Amount,
    /// What whoever exceeds it gets.
    pub then: &'static str,
    /// What is limited, in which unit, and why there.
    pub about: &'static [&'static str],
}

/// The limits of one subject.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What they are about.
    pub title: &'static str,
    /// The limits.
    pub limits: Vec<Limit>,
}

macro_rules! limits {
    ($($title:literal {
        $($(#[doc = $about:literal])+ $name:ident: $type:ty = $value:expr, $then:literal;)+
    })+) => {
        $($($(#[doc = $about])+ pub const $name: $type = $value;)+)+

        /// All of them, subject by subject.
        pub fn all() -> Vec<Subject> {
            vec![$(Subject {
                title: $title,
                limits: vec![$(Limit {
                    name: stringify!($name),
                    amount: $name.into(),
                    then: $then,
                    about: &[$($about),+],
                },)+],
            },)+]
        }
    };
}

limits! {
    "Messages and connections" {
        /// Longest message taken, in bytes, of every verb, imports and the chunks of artifacts among
        /// them. A study of 64 parameters with 1,024 choices each is a tenth of it.
        MESSAGE_BYTES_MAX: usize = 1 << 20, "OUT_OF_RANGE";
        /// Longest message sent, in bytes: a page of 1,000 trials with 64 parameters each.
        REPLY_BYTES_MAX: usize = 16 << 20, "OUT_OF_RANGE";
        /// Longest list of headers taken, in bytes.
        HEADER_BYTES_MAX: u32 = 16 << 10, "the call is refused by HTTP/2";
        /// Longest sentence in a status, in bytes: a status travels as a header, and clients take no more
        /// than 8 KiB or 16 KiB of those.
        STATUS_TEXT_BYTES_MAX: usize = 2 << 10, "cut, with …";
        /// Connections open at once. 10,000 workers have two each: one of their own, one for the heartbeat
        /// of the trial that they train.
        CONNECTIONS_MAX: usize = 32_768, "the connection is closed";
        /// Calls that one connection may have open, long polls of packed workers included; hyper and tower
        /// must agree on it.
        STREAMS_MAX: u32 = 1_024, "further calls wait in the client";
        /// Workers' calls that one connection may make in a second, in the long run. A worker with 1,024
        /// slots whose trials take half a second makes 4,096; 10,000 workers have connections of their
        /// own, and behind a proxy that puts 20 on one they make 20 × (4 heartbeats + 12 metrics) a minute,
        /// which is 6.
        CONNECTION_CALLS_PER_S: u32 = 5_000, "RESOURCE_EXHAUSTED, with how long to wait";
        /// Workers' calls that a connection may make at once after a pause.
        CONNECTION_CALLS_AT_ONCE: u32 = 10_000, "RESOURCE_EXHAUSTED, with how long to wait";
        /// People's calls that one connection may make in a second, in the long run: each costs some
        /// ten statements, and no person or script of one needs more.
        PEOPLE_CALLS_PER_S: u32 = 200, "RESOURCE_EXHAUSTED, with how long to wait";
        /// People's calls that a connection may make at once after a pause: a study of 100,000 trials
        /// is read in 100 pages.
        PEOPLE_CALLS_AT_ONCE: u32 = 2_000, "RESOURCE_EXHAUSTED, with how long to wait";
    }
    "Calls under way in one coordinator" {
        /// Calls for a trial open at once, nearly all of them waiting. 10,000 workers of one slot may all
        /// be idle at one replica.
        LONG_POLLS_MAX: usize = 16_384, "RESOURCE_EXHAUSTED, with how long to wait";
        /// Heartbeats and reports at once. Places of their own, so that no storm of other calls costs a
        /// lease. 4,096 of them are worked off in some seconds.
        REPORTS_AT_ONCE_MAX: usize = 4_096, "RESOURCE_EXHAUSTED, with how long to wait";
        /// People's calls at once. More would only queue for the 16 connections to the database.
        QUESTIONS_AT_ONCE_MAX: usize = 256, "RESOURCE_EXHAUSTED, with how long to wait";
        /// Watches open at once; each looks at its study twice a second.
        WATCHES_MAX: usize = 128, "RESOURCE_EXHAUSTED, with how long to wait";
        /// Questions to posteriors computed at once; each keeps a processor busy for seconds if the study
        /// is large.
        POSTERIORS_ASKED_AT_ONCE_MAX: usize = 2, "RESOURCE_EXHAUSTED";
        /// Artifacts being stored at once. Each holds a connection to the database to its end; the other
        /// ten are for everything else.
        UPLOADS_AT_ONCE_MAX: usize = 6, "waits 5 s, then RESOURCE_EXHAUSTED";
        /// Artifacts that wait for one of those places.
        UPLOADS_WAITING_MAX: usize = 256, "RESOURCE_EXHAUSTED, with how long to wait";
        /// Artifacts being read at once.
        DOWNLOADS_AT_ONCE_MAX: usize = 256, "RESOURCE_EXHAUSTED, with how long to wait";
        /// How long a call may take from its first byte to its answer; a call for a trial may wait before
        /// that. Whoever sends a message byte by byte holds a place no longer.
        CALL_PATIENCE: Duration = Duration::from_secs(30), "DEADLINE_EXCEEDED";
        /// The same for questions to posteriors, which are computed for the call.
        COMPUTED_PATIENCE: Duration = Duration::from_secs(300), "DEADLINE_EXCEEDED";
        /// How long a call for a trial may be held while there is none: well below what proxies cut.
        WAIT_MAX: Duration = Duration::from_secs(20), "cut";
        /// Connections to the database. More would only queue inside Postgres.
        DATABASE_CONNECTIONS_MAX: u32 = 16, "waits 3 s, then UNAVAILABLE";
    }
    "Studies" {
        /// Studies active or paused at once: every worker that asks looks at each.
        STUDIES_OPEN_MAX: i64 = 1_000, "FAILED_PRECONDITION";
        /// Studies in a list, the newest.
        STUDIES_LISTED_MAX: i64 = 1_000, "cut";
        /// Longest name of a study, in bytes; `name_is_a_plain_word` in the schema says the same.
        STUDY_NAME_BYTES_MAX: usize = 63, "INVALID_ARGUMENT";
        /// Parameters of a study; the reason is in `tuner/src/space/check.rs`.
        PARAMETERS_MAX: usize = tuner::PARAMETERS_MAX, "INVALID_ARGUMENT";
        /// Options of one ordinal or categorical parameter, and values in one condition.
        OPTIONS_MAX: usize = tuner::OPTIONS_MAX, "INVALID_ARGUMENT";
        /// Longest name of a parameter, metric or measurement, in bytes.
        WORD_BYTES_MAX: usize = 64, "INVALID_ARGUMENT";
        /// Longest other text, in bytes: labels, devices, choices, sources. Nobody needs a name of a
        /// thousand letters.
        TEXT_BYTES_MAX: usize = 200, "INVALID_ARGUMENT";
        /// Labels of an external objective.
        LABELS_MAX: usize = 256, "INVALID_ARGUMENT";
        /// Labels of an external objective, in bytes together. Every lease carries them.
        LABEL_BYTES_MAX: usize = 64 << 10, "INVALID_ARGUMENT";
        /// Fixed hyperparameters of a study; a network has some fifty.
        FIXED_MAX: usize = 256, "INVALID_ARGUMENT";
        /// Further objectives of a study: volumes in more dimensions take too long.
        ALSO_MAX: usize = tuner::pareto::OBJECTIVES_MAX - 1, "INVALID_ARGUMENT";
        /// Constraints of a study: each is a process of its own to fit.
        CONSTRAINTS_MAX: usize = 8, "INVALID_ARGUMENT";
        /// Priority of a study, from minus this.
        PRIORITY_MAX: i16 = 100, "INVALID_ARGUMENT";
        /// Failed or lapsed attempts that end a trial, at most.
        FAILURES_MAX: u32 = 100, "INVALID_ARGUMENT";
        /// Seconds that one attempt may take: a year, longer than any training.
        TRIAL_SECONDS_MAX: u32 = 31_536_000, "INVALID_ARGUMENT";
        /// Epochs between two checkpoints: longer than any training.
        CHECKPOINT_EPOCHS_MAX: u32 = 10_000, "INVALID_ARGUMENT";
        /// Other trials that a stopping rule may wait for.
        STOPPING_TRIALS_MAX: u32 = 10_000, "INVALID_ARGUMENT";
        /// The latest step before which a stopping rule may be told to keep still.
        STOPPING_STEPS_MAX: u32 = 1_000_000, "INVALID_ARGUMENT";
        /// Trials of which one passes a rung of successive halving.
        REDUCTION_MAX: u32 = 100, "INVALID_ARGUMENT";
    }
    "Trials" {
        /// Trials of a study: a plan reads them all.
        TRIALS_MAX: i32 = 100_000, "INVALID_ARGUMENT";
        /// Trials of a study open at once; also what "no limit" means.
        PARALLEL_MAX: i32 = 10_000, "INVALID_ARGUMENT";
        /// Points enqueued or results imported by one call.
        TRIALS_AT_ONCE_MAX: u32 = 1_000, "INVALID_ARGUMENT";
        /// Trials on one page of a list.
        TRIALS_A_PAGE_MAX: u32 = 1_000, "cut; ask for the next page";
        /// Trials in one message of a watch.
        TRIALS_WATCHED_MAX: i64 = 10_000, "cut";
        /// Results from elsewhere that a study may learn from: a plan reads them all.
        IMPORTED_MAX: i64 = 10_000, "INVALID_ARGUMENT";
        /// Trials of a front that are told; also the most points of three or four objectives whose
        /// volume is computed, which takes of the order of the second or third power of their number.
        FRONT_MAX: usize = 1_000, "cut";
        /// Metrics in one call.
        METRICS_AT_ONCE_MAX: usize = 1_000, "INVALID_ARGUMENT";
        /// Metrics of one attempt, those sent twice counted twice. 10,000 epochs of a network of ten
        /// layers give some 500,000.
        METRICS_MAX: i32 = 1_000_000, "FAILED_PRECONDITION";
        /// Measurements of one result.
        MEASUREMENTS_MAX: usize = 100, "INVALID_ARGUMENT";
        /// Longest text about a failure or a release, in bytes; `detail_is_short` in the schema says the
        /// same.
        DETAIL_BYTES_MAX: usize = 8 << 10, "cut";
    }
    "Workers" {
        /// Slots of one worker.
        SLOTS_MAX: u32 = 1_024, "INVALID_ARGUMENT";
        /// Kinds of objective that a worker may name; there are two.
        KINDS_MAX: usize = 16, "INVALID_ARGUMENT";
        /// Studies that a worker may name.
        STUDIES_SERVED_MAX: usize = 1_000, "INVALID_ARGUMENT";
        /// Workers in a list, the newest.
        WORKERS_LISTED_MAX: i64 = 10_000, "cut";
        /// Failures that look like the machine's (classes `data` and `device_lost`) within
        /// `UNFIT_WITHIN` after which a worker is told to go.
        UNFIT_FAILURES: i64 = 3, "DIRECTIVE_DRAIN";
        /// How long such a failure counts.
        UNFIT_WITHIN: Duration = Duration::from_secs(600), "forgotten";
    }
    "What a coordinator does by itself" {
        /// Askers served by one plan; the rest wait for the next.
        ASKERS_AT_ONCE_MAX: usize = 64, "waits";
        /// Results recorded by one statement.
        REPORTS_TOGETHER_MAX: usize = 64, "waits";
        /// Requests that may wait for a study's planner.
        INBOX_MAX: usize = 1_024, "waits";
        /// Lapsed trials put back in one transaction: few enough that whoever reports one of them hardly
        /// waits.
        REAPED_AT_ONCE_MAX: i64 = 500, "goes on with the next";
        /// Such transactions in one look: as many as put back what 100,000 slots can lose at once.
        REAPS_MAX: usize = 200, "waits for the next look";
        /// How long a request id is remembered: longer than anybody repeats a call.
        REQUEST_IDS_KEPT: Duration = Duration::from_secs(86_400), "the same id is a new request";
        /// Request ids forgotten in one look.
        REQUEST_IDS_FORGOTTEN_MAX: i64 = 10_000, "waits for the next look";
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fmt::Write as _, fs, path::Path};

    use super::*;

    const HEAD: &str = "\
# Limits

What a coordinator bears with, and what whoever asks for more is told. Every refusal is a sentence that
names the limit and says what to do; `strop` and the workers print it.

- INVALID_ARGUMENT and OUT_OF_RANGE: the request itself is too much. Repeating it does not help.
- FAILED_PRECONDITION: something else must end first.
- RESOURCE_EXHAUSTED: the coordinator has more to do than it can. Nothing was changed; repeat the call
  after as many milliseconds as the trailer `grpc-retry-pushback-ms` says. Workers ask again by
  themselves, a little later each time.

How they fit together: a connection's own calls are counted first, before a message is read, so that a
client with a bug slows down itself alone. Then a call takes one of the places of its kind, and one that
finds none is refused at once: a storm is shed and not queued. Heartbeats and reports have places of their
own, so that no storm of questions costs a lease.
";

    const FOOT: &str = "
This page is written from `coordinator/src/limits.rs`:
`STROP_WRITE_DOCS=1 cargo test --workspace --lib the_page_of_limits`.
";

    fn shown(amount: Amount) -> String {
        match amount {
            Amount::Count(count) => grouped(count),
            Amount::Time(time) => format!("{} s", grouped(time.as_secs().into())),
        }
    }

    fn grouped(count: i128) -> String {
        let digits = count.to_string();
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }

    #[test]
    fn the_page_of_limits_is_this_file() {
        let mut page = HEAD.to_owned();
        for Subject { title, limits } in all() {
            write!(
                page,
                "\n## {title}\n\n| name | limit | beyond it | what and why |\n|---|---|---|---|\n"
            )
            .unwrap();
            for Limit { name, amount, then, about } in limits {
                let about: Vec<&str> = about.iter().map(|line| line.trim()).collect();
                writeln!(page, "| `{name}` | {} | {then} | {} |", shown(amount), about.join(" "))
                    .unwrap();
            }
        }
        page.push_str(FOOT);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/LIMITS.md");
        if env::var_os("STROP_WRITE_DOCS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, page, "run the command at the end of docs/LIMITS.md");
    }
}
