//! The lease protocol simulated: what may happen is drawn at random ([`operation`]), done to two
//! coordinators on a real Postgres ([`world`]) and to a [`model`] of the protocol. Every answer and
//! every row must be the model's, and at the end the [`invariants`] must hold. What only two deeds at
//! once could do wrong is told apart in [`crossing`].

pub mod crossing;
pub mod invariants;
pub mod model;
pub mod operation;
mod replica;
mod rows;
pub mod world;

use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner};
use tokio::runtime::Handle;

use operation::Case;
use world::{Fault, World};

/// How many cases, from which seed, and how much work a counter-example is worth.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Cases.
    pub cases: u32,
    /// Seed of all cases.
    pub seed: u64,
    /// Cases tried to make a counter-example smaller.
    pub shrink: u32,
}

/// What came of a simulation.
#[derive(Debug)]
pub struct Outcome {
    /// Cases in which the machine was too slow to tell.
    pub undecided: u32,
    /// The first case that went wrong, made smaller, and what went wrong in it.
    pub wrong: Option<(Case, String)>,
    /// Cases that went well before it.
    pub went_well: u32,
}

/// Runs cases until one goes wrong. Blocks: call it where that is allowed.
pub fn run(world: &mut World, runtime: &Handle, effort: Effort) -> Outcome {
    let config = Config {
        cases: effort.cases,
        max_shrink_iters: effort.shrink,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(effort.seed),
        ..Config::default()
    };
    let world = std::cell::RefCell::new(world);
    let (undecided, went_well) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let outcome = TestRunner::new(config).run(&operation::case(), |case| {
        let mut world = world.borrow_mut();
        match runtime.block_on(world.live_through(&case)) {
            Ok(()) => {
                went_well.set(went_well.get() + 1);
                Ok(())
            }
            Err(Fault::Slow) => {
                undecided.set(undecided.get() + 1);
                Ok(())
            }
            Err(Fault::Wrong(what)) => Err(TestCaseError::fail(what)),
        }
    });
    let wrong = match outcome {
        Ok(()) => None,
        Err(TestError::Fail(reason, case)) => Some((case, reason.message().to_owned())),
        Err(TestError::Abort(reason)) => panic!("no cases could be drawn: {reason}"),
    };
    Outcome { undecided: undecided.get(), wrong, went_well: went_well.get() }
}
