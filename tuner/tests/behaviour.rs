//! What the crate promises, seen from outside.

#[path = "behaviour/estimator.rs"]
mod estimator;
#[path = "behaviour/insight.rs"]
mod insight;
#[path = "behaviour/posterior.rs"]
mod posterior;
#[path = "behaviour/space.rs"]
mod space;
#[path = "behaviour/spaces.rs"]
mod spaces;
#[path = "behaviour/suggest.rs"]
mod suggest;
