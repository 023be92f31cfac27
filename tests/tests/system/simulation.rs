//! Coordinators beside a model of the lease protocol, through cases drawn at random.

use tests::{
    Town,
    simulation::{self, Effort, world::World},
};
use tokio::runtime::Handle;

/// Cases, unless `STROP_SIMULATION_CASES` says otherwise: some seconds.
pub(super) const CASES: u32 = 200;

/// Their seed, unless `STROP_SIMULATION_SEED` says otherwise.
pub(super) const SEED: u64 = 1;

/// Cases tried to make a counter-example smaller.
const SHRINK: u32 = 400;

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_do_what_the_model_of_the_lease_protocol_does() {
    let town = Town::new().await;
    let cases = from_environment("STROP_SIMULATION_CASES").unwrap_or(CASES);
    let seed = from_environment("STROP_SIMULATION_SEED").unwrap_or(SEED);
    let mut world = World::new(&town.options(), &town.options()).await;
    let effort = Effort { cases, seed, shrink: SHRINK };
    let runtime = Handle::current();
    let task = tokio::task::spawn_blocking(move || {
        let outcome = simulation::run(&mut world, &runtime, effort);
        (world, outcome)
    });
    let (world, outcome) = task.await.expect("runs");
    world.stop().await;
    if let Some((case, what)) = outcome.wrong {
        panic!("seed {seed}, after {} cases: {what}\n{case:#?}", outcome.went_well);
    }
    assert!(outcome.undecided <= cases / 10, "{} cases undecided", outcome.undecided);
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let Ok(number) = text.parse() else { panic!("{name} is {text:?}, which is no number") };
    Some(number)
}
