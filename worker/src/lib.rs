//! A worker: asks a coordinator for trials, trains them, reports what came of it.
//!
//! A trial is executed at least once and recorded exactly once. The worker's part in that: it
//! stops soon after its lease is gone, it repeats a report until it is answered, and it writes a
//! result down before it first sends it. It may die at any instruction; what it cannot do is
//! change the record, because every call quotes the lease.
//!
//! # Threads
//!
//! | thread | does |
//! |---|---|
//! | main, a tokio runtime | slots, reports, signals; waits, never computes |
//! | `slot-N`, one a trial | evaluates; hands its work to the slot's [`device::Device`] |
//! | `heartbeat`, one a trial | renews the lease and sends metrics, over its own connection |
//!
//! # Where things are
//!
//! | module | holds |
//! |---|---|
//! | [`config`], [`address`] | the command line |
//! | [`slot`] | the loop: ask, evaluate, report |
//! | [`evaluation`] | what a slot knows of the work, and how that can end |
//! | [`trial`], [`datasets`], [`device`] | the work: a Whetstone training |
//! | [`lease`], [`halt`] | keeping a lease; stopping a training that has lost it |
//! | [`progress`], [`metrics`] | what a training tells while it runs |
//! | [`checkpoints`], [`uploads`], [`artifacts`] | its states: where it goes on from, what it leaves |
//! | [`report`], [`outbox`], [`spool`] | how an attempt ends, and how that is heard for certain |
//! | [`client`], [`backoff`], [`jitter`] | calls, and which are worth another try |
//! | [`drain`] | how a worker is told to go |

pub mod address;
pub mod artifacts;
pub mod backoff;
pub mod checkpoints;
pub mod client;
pub mod config;
pub mod datasets;
pub mod device;
pub mod drain;
pub mod evaluation;
pub mod halt;
pub mod jitter;
pub mod lease;
pub mod metrics;
mod one_line;
pub mod outbox;
pub mod progress;
pub mod report;
pub mod slot;
pub mod spool;
pub mod trial;
pub mod uploads;
