//! The whole system as real processes, and everything around them broken on purpose.
//!
//! | module | holds |
//! |---|---|
//! | [`dice`], [`schedule`], [`fault`] | what is broken when, from a seed |
//! | [`proxy`] | a TCP connection that delays, tears, swallows and forgets |
//! | [`postgres`], [`replica`], [`fleet`], [`trainer`] | the processes |
//! | [`light`], [`evaluation`], [`caller`], [`ledger`] | a light worker, in a process of its own |
//! | [`people`], [`order`], [`wanted`] | what people ask for, under fire or in peace |
//! | [`city`] | all of that, wired together |
//! | [`strike`], [`storm`], [`tormentor`] | the deeds of the faults |
//! | [`watch`], [`pulse`] | whether anybody serves, and whether the machine itself keeps up |
//! | [`run`], [`outage`], [`dying`] | what `chaos` does |
//! | [`drain`], [`invariants`], [`verdict`], [`tally`] | whether it held, and the numbers |

pub mod caller;
pub mod city;
pub mod dice;
pub mod drain;
pub mod dying;
pub mod evaluation;
pub mod fault;
pub mod fleet;
pub mod invariants;
pub mod ledger;
pub mod light;
pub mod order;
pub mod outage;
pub mod people;
pub mod postgres;
pub mod proxy;
pub mod pulse;
pub mod replica;
pub mod run;
pub mod schedule;
pub mod storm;
pub mod strike;
pub mod tally;
pub mod tormentor;
pub mod trainer;
pub mod verdict;
pub mod wanted;
pub mod watch;

use std::time::Duration;

/// A lease without a heartbeat; short, so that a run sees many lapse.
pub const LEASE: Duration = Duration::from_secs(2);

/// Mean time between two looks of a replica for lapsed leases.
pub const REAPER: Duration = Duration::from_secs(1);
