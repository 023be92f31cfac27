//! What the crate promises, seen from outside.

#[path = "behaviour/algorithms.rs"]
mod algorithms;
#[path = "behaviour/estimator.rs"]
mod estimator;
#[path = "behaviour/goals.rs"]
mod goals;
#[path = "behaviour/insight.rs"]
mod insight;
#[path = "behaviour/numbers.rs"]
mod numbers;
#[path = "behaviour/pareto.rs"]
mod pareto;
#[path = "behaviour/posterior.rs"]
mod posterior;
#[path = "behaviour/prospect.rs"]
mod prospect;
#[path = "behaviour/space.rs"]
mod space;
#[path = "behaviour/spaces.rs"]
mod spaces;
#[path = "behaviour/suggest.rs"]
mod suggest;
