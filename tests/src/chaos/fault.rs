//! The ways in which things break.

use std::time::Duration;

use super::proxy::Trouble;

/// A way in which something breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL to a light worker.
    WorkerKilled,
    /// SIGSTOP to a light worker, SIGCONT later.
    WorkerStopped,
    /// SIGKILL to the real worker.
    TrainerKilled,
    /// SIGSTOP to the real worker, SIGCONT later.
    TrainerStopped,
    /// The real worker's disk is full.
    SpoolFull,
    /// SIGKILL to a coordinator.
    CoordinatorKilled,
    /// SIGSTOP to a coordinator, SIGCONT later.
    CoordinatorStopped,
    /// SIGKILL to the postmaster.
    PostgresKilled,
    /// The database's disk is full.
    DiskFull,
    /// Workers and a coordinator: every piece is late.
    FrontDelayed,
    /// Workers and a coordinator: connections break in mid-piece.
    FrontTorn,
    /// Workers and a coordinator: bytes disappear and no connection breaks.
    FrontHalfOpen,
    /// Workers and a coordinator: answers are lost after their request went through.
    FrontForgetful,
    /// Workers and a coordinator: nobody gets through.
    FrontClosed,
    /// A coordinator and the database: every piece is late.
    BackDelayed,
    /// A coordinator and the database: connections break in mid-piece.
    BackTorn,
    /// A coordinator and the database: bytes disappear and no connection breaks.
    BackHalfOpen,
    /// A coordinator and the database: answers are lost after their statement went through.
    BackForgetful,
    /// A coordinator and the database: nobody gets through.
    BackClosed,
    /// A session holds rows of every table that matters.
    LocksHeld,
    /// `pg_terminate_backend` on half of the coordinators' sessions.
    SessionsEnded,
    /// Hundreds of connections to a coordinator that say nothing or nonsense.
    ConnectionStorm,
    /// Hundreds of workers ask a coordinator at once and hang up.
    AskerStorm,
}

/// What a kind of fault is like: name, mean seconds between two in a long run, shortest and longest
/// time it lasts in milliseconds.
type Row = (Kind, &'static str, u32, [u64; 2]);

/// All of them. The pace is that of the plan for such runs where it names one, else taste.
const ROWS: [Row; 23] = [
    (Kind::WorkerKilled, "worker killed", 3, [0, 0]),
    (Kind::WorkerStopped, "worker stopped", 4, [2_400, 8_000]),
    (Kind::TrainerKilled, "trainer killed", 45, [0, 0]),
    (Kind::TrainerStopped, "trainer stopped", 60, [2_400, 6_000]),
    (Kind::SpoolFull, "spool full", 50, [2_000, 6_000]),
    (Kind::CoordinatorKilled, "coordinator killed", 10, [0, 0]),
    (Kind::CoordinatorStopped, "coordinator stopped", 15, [1_000, 4_000]),
    (Kind::PostgresKilled, "postgres killed", 90, [0, 0]),
    (Kind::DiskFull, "disk full", 120, [1_000, 3_000]),
    (Kind::FrontDelayed, "front delayed", 20, [1_000, 5_000]),
    (Kind::FrontTorn, "front torn", 20, [1_000, 4_000]),
    (Kind::FrontHalfOpen, "front half-open", 20, [1_000, 10_000]),
    (Kind::FrontForgetful, "front forgetful", 15, [2_000, 6_000]),
    (Kind::FrontClosed, "front closed", 20, [1_000, 10_000]),
    (Kind::BackDelayed, "back delayed", 30, [1_000, 4_000]),
    (Kind::BackTorn, "back torn", 30, [1_000, 3_000]),
    (Kind::BackHalfOpen, "back half-open", 30, [1_000, 5_000]),
    (Kind::BackForgetful, "back forgetful", 20, [1_000, 4_000]),
    (Kind::BackClosed, "back closed", 30, [1_000, 5_000]),
    (Kind::LocksHeld, "locks held", 20, [500, 4_000]),
    (Kind::SessionsEnded, "sessions ended", 12, [0, 0]),
    (Kind::ConnectionStorm, "connection storm", 40, [500, 2_000]),
    (Kind::AskerStorm, "asker storm", 40, [500, 2_000]),
];

impl Kind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Kind> {
        ROWS.into_iter().map(|(kind, ..)| kind)
    }

    fn row(self) -> Row {
        *ROWS.iter().find(|row| row.0 == self).expect("every kind has a row")
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Mean time between two of it in a long run.
    pub fn pace(self) -> Duration {
        Duration::from_secs(self.row().2.into())
    }

    /// The shortest and the longest that it lasts; zero if it is over at once.
    pub fn span(self) -> [Duration; 2] {
        self.row().3.map(Duration::from_millis)
    }

    /// Whether it touches one worker alone.
    pub fn is_a_workers_own(self) -> bool {
        use Kind::*;
        matches!(self, WorkerKilled | WorkerStopped | TrainerKilled | TrainerStopped | SpoolFull)
    }

    /// What it does to the connections of a proxy; `None` if it is about something else.
    pub fn trouble(self) -> Option<Trouble> {
        let fine = Trouble::default();
        Some(match self {
            Kind::FrontDelayed => Trouble { delay: Duration::from_millis(300), ..fine },
            // As slow as a database on a bad day: a statement takes 400 ms.
            Kind::BackDelayed => Trouble { delay: Duration::from_millis(200), ..fine },
            Kind::FrontTorn | Kind::BackTorn => Trouble { torn: 0.1, ..fine },
            Kind::FrontHalfOpen | Kind::BackHalfOpen => Trouble { swallowed: true, ..fine },
            Kind::FrontForgetful | Kind::BackForgetful => Trouble { lost_answers: 0.1, ..fine },
            Kind::FrontClosed | Kind::BackClosed => Trouble { closed: true, ..fine },
            _ => return None,
        })
    }
}
