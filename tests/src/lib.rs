//! The whole system on a real Postgres, driven over the wire.
//!
//! A [`Town`] is a database of its own and any number of coordinators on it, in this process, which log in
//! as the role that may do no more than they must. A [`Hand`] is a worker's slot that does just what the test
//! says. [`process`] runs the real programs, for tests that kill them; [`chaos`] breaks everything around them
//! on purpose. [`simulation`] takes coordinators
//! through cases drawn at random beside a model of the lease protocol; [`sql_proxy`] changes their SQL on its
//! way, to see whether that is noticed.

pub mod chaos;
pub mod hand;
pub mod lived;
pub mod process;
pub mod raw;
pub mod simulation;
pub mod space;
pub mod sql_proxy;
pub mod town;

pub use hand::Hand;
pub use town::{Coordinator, Town};
