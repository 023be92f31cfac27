//! Holds studies, leases trials to workers, learns from their reports.
//!
//! # Who owns what
//!
//! All truth lives in Postgres. A coordinator keeps nothing that it could not read again: it may be
//! killed at any instruction and started again, or run beside others on the same database.
//!
//! - A *trial* is executed at least once and recorded exactly once. Its right to be reported is a
//!   *lease*, fenced by (trial, attempt, lease id) in the `where` of every statement that ends it
//!   ([`storage::leases`], the only file that moves a trial's state).
//! - A *plan* reads a study at one version of its posterior, computes outside any transaction, and
//!   is published only if the version still stands ([`storage::posterior::publish`]). Losing that
//!   race is an ordinary outcome. A plan is a pure function of what it read, so the same study seed
//!   and the same order of reports give the same suggestions, whoever plans ([`scheduler::plan`]).
//! - What follows from this for the rows is written down as SQL ([`storage::invariants`]), and can be checked on
//!   any database at any time ([`doctor`]).
//! - The only clock that decides is the database's, read inside the deciding statement.
//!
//! # Layers
//!
//! [`api`] speaks the wire and nothing else does; [`scheduler`] decides who gets what when;
//! [`storage`] is all of the SQL; [`study`], [`trial`], [`worker`], [`insight`] and [`artifact`] are the nouns, without
//! wire or SQL.

pub mod api;
pub mod artifact;
pub mod config;
pub mod database;
pub mod doctor;
pub mod error;
pub mod front;
pub mod goals;
pub mod insight;
pub mod limits;
pub mod scheduler;
pub mod scram;
pub mod serve;
pub mod storage;
pub mod study;
pub mod telemetry;
pub mod trial;
pub mod worker;

pub use error::Error;
