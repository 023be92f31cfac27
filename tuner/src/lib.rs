//! From what is known to where to look next.
//!
//! # The theory in one page
//!
//! A study looks for the point `x` of a [`Space`] at which an expensive, noisy function `f` is
//! largest: here, the accuracy that a network trained with the hyper-parameters `x` reaches.
//!
//! **The cube.** Every parameter is carried to [0, 1]: floats and integers linearly or by their
//! logarithm, ordinals by rank, categories by index. A parameter that does not matter at a point
//! stands on a constant there, so points that can only behave alike are equal.
//!
//! **The surrogate.** `f` is believed to be a draw from a Gaussian process: a level that is not known and a main
//! effect of each category, with variance g, and around them a Matérn 5/2 kernel over the numbers with a factor for
//! each switch, a length scale ℓₖ for each of the `d` dimensions and signal variance s. Results are
//! `yᵢ = f(xᵢ) + noise`. With `A = K + noise` over the `n` observed points and `k` the covariances of a new point
//! with them,
//!
//! ```text
//! mean(x) = kᵀ A⁻¹ y        deviation²(x) = g + s − kᵀ A⁻¹ k
//! ```
//!
//! Everything goes through the Cholesky factor `A = L Lᵀ`. Length scales, signal and noise are the
//! most credible ones given the results, under priors that know only that the objective was
//! standardised.
//!
//! **The choice.** The next point maximises the logarithm of the improvement that can be expected
//! over the best mean so far, `log E[max(f(x) − best, 0)]`: high where the mean is high, and where
//! little is known. Points that are out with workers are believed at their mean, which leaves the
//! surrogate's means alone and closes its deviations around them; so each asker is sent elsewhere,
//! and nobody waits.
//!
//! Results are [bent](Posterior) for that: the search sees `−(max y − y + 0.1)^1.5` of the standardised results,
//! in which a cone is round and depths stay apart. What is told of a point is of the results as they are.
//!
//! **Kinds of space.** Where all parameters are numbers, a wider range of length scales is believed in, which grows
//! with the dimensions, next to nothing of the level, and results are not bent. Where every parameter has two options,
//! a wider range of length scales is believed in too.
//!
//! **More than one number.** Further objectives and constraints have a process each. Improvement is
//! then that of the [volume that the feasible front dominates](pareto), and it counts by the
//! probability that every [constraint](acquisition::feasibility) is kept: [`suggest_for`].
//!
//! **The edges.** The first trials are the middle of the space and a Latin hypercube. Collapsed trainings do not
//! set the scale; failed ones count as the worst seen. When results of one height follow each other,
//! at the floor or on a ledge above it, every second point is space-filling again; not where all parameters are numbers.
//!
//! **Other ways.** A Parzen estimator and regularised evolution learn from the order of the results
//! alone; Sobol, random and grid from nothing. All stand behind the same verb.
//!
//! **The record.** Nothing is remembered between two calls. [`Posterior::fit`] is a function of
//! (space, results, seed), [`suggest`] of (space, options, history, posterior, seed, number);
//! chance is counter-based. A stored study can therefore be replayed, suggestion by suggestion, on
//! the kind of processor that made it.
//!
//! # Notation
//!
//! | letter | meaning |
//! |--------|---------|
//! | `n` | observed points |
//! | `m` | candidates |
//! | `d` | parameters, the dimensions of the cube |
//! | ℓ, `s` | length scale, signal variance |
//! | `z` | standardised value, or its distance from the incumbent in deviations |
//!
//! # Example
//!
//! ```
//! use tuner::{Domain, History, Observation, Options, Parameter, Posterior, Scale, Space, suggest};
//!
//! let rate = Domain::Float { low: 1e-4, high: 1.0, scale: Scale::Log };
//! let parameters = [("learning_rate", rate), ("batch_norm", Domain::Bool)];
//! let space = Space::new(
//!     parameters
//!         .map(|(name, domain)| Parameter {
//!             name: name.to_owned(),
//!             domain,
//!             condition: None,
//!             default: None,
//!         })
//!         .to_vec(),
//! )?;
//! let mut history = History::default();
//! for number in 0..10 {
//!     let posterior = Posterior::fit(&space, &history.observed, &history.failed, 7).ok();
//!     let chosen =
//!         suggest(&space, &Options::default(), &history, posterior.as_ref(), 7, number)?;
//!     let value = -(chosen.point.0[0] - 0.6).powi(2);
//!     history.observed.push(Observation { point: chosen.point, value });
//! }
//! let best = history.observed.iter().map(|o| o.value).fold(f64::MIN, f64::max);
//! assert!(best > -1e-3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod acquisition;
mod design;
mod goals;
pub mod gp;
mod history;
pub mod insight;
mod models;
pub mod normal;
pub mod pareto;
mod prospect;
mod space;
pub mod stopping;
mod stream;
mod suggest;
mod taken;

pub use goals::Goals;
pub use gp::estimator::{Gp, GpError, GpParams, GpValidParams};
pub use gp::{FitError, Parts, PartsError, Posterior, Prediction};
pub use history::{History, Observation};
pub use models::Models;
pub use prospect::{Prospect, prospect};
pub use space::{
    Condition, Domain, INT_MAX, OPTIONS_MAX, PARAMETERS_MAX, Parameter, Point, PointError, Scale,
    Space, SpaceError, UnitPoint, Value,
};
pub use suggest::{
    Algorithm, Exhausted, Options, OptionsError, Origin, StartDesign, Suggestion, UnknownName,
    suggest, suggest_for,
};
pub use taken::Taken;
