//! The whole system on a real Postgres, driven over the wire.
//!
//! A [`Town`] is a database of its own and any number of coordinators on it, in this process. A
//! [`Hand`] is a worker's slot that does just what the test says. [`process`] runs the real programs,
//! for tests that kill them.

pub mod hand;
pub mod process;
pub mod raw;
pub mod space;
pub mod town;

pub use hand::Hand;
pub use town::{Coordinator, Town};
