//! How much each parameter moves the objective: Sobol indices of the posterior mean.
//!
//! Every active parameter is uniform over its domain: equal chances for the options of a discrete
//! one, for equal shares of a range, by ratios where its scale is. A conditional parameter counts
//! where it is active and varies nothing elsewhere, so its index is small if that is rare.
//!
//! Two things make an index uncertain, and both are told. The points at which the mean is looked at
//! are a sample: `estimator`. The mean is not the objective: `surrogate` is how far the indices of
//! functions drawn from the posterior lie from those of the mean, as a root mean square. Few results
//! leave many functions possible, whose indices differ; the mean alone would hide that, and it is
//! smoother than any of them. Draws and mean are compared at the same points, so that most of the
//! sampling cancels from the difference.
//!
//! Reference: A. Marrel et al., "Calculations of Sobol indices for the Gaussian process metamodel",
//! Reliability Engineering & System Safety 94(3), 2009 (the mean against the whole process); L. Le
//! Gratiet, C. Cannamela & B. Iooss, "A Bayesian approach for global sensitivity analysis of
//! (multifidelity) computer codes", SIAM/ASA J. Uncertainty Quantification 2(1), 2014, section 3
//! (draws from the process, and the two errors apart).

use super::sensitivity::{Estimate, Moments, moments, pooled, scramble};
use crate::gp::Posterior;
use crate::space::{Space, UnitPoint};
use crate::stream::{Purpose, Stream};

/// Scrambles, each with a function drawn for itself: the root mean square of so many has a relative
/// error of 18 %.
const SCRAMBLES: u32 = 16;
/// Points under each; 16 · 128 leave an error near 0.01 in indices of smooth functions.
const POINTS: u32 = 128;

/// A share of the variance, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// From 0 to 1.
    pub value: f64,
    /// Standard error of the sampling.
    pub estimator: f64,
    /// Deviation that the surrogate's own uncertainty leaves.
    pub surrogate: f64,
}

impl Share {
    /// Deviation from both causes.
    pub fn deviation(&self) -> f64 {
        self.estimator.hypot(self.surrogate)
    }
}

/// What one parameter does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// First-order index: what it does by itself.
    pub first: Share,
    /// Total index: what it does by itself and together with others.
    pub total: Share,
}

/// What all parameters do.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// Deviation of the posterior mean over the space, objective units; 0 if it is flat, and then
    /// every share is 0.
    pub spread: f64,
    /// One for each parameter, in the order of the space.
    pub effects: Vec<Effect>,
}

/// The importance of every parameter. A function of its arguments, bit for bit.
///
/// # Panics
///
/// If the posterior belongs to a space of other dimensions.
pub fn importance(space: &Space, posterior: &Posterior, seed: u64) -> Importance {
    let dimensions = space.parameters().len();
    let canonical = |uniforms: &[Vec<f64>]| -> Vec<UnitPoint> {
        uniforms.iter().map(|uniforms| space.spread(uniforms)).collect()
    };
    let of_mean: Vec<Moments> = (0..SCRAMBLES)
        .map(|number| {
            let mean = |uniforms: &[Vec<f64>]| posterior.means(&canonical(uniforms));
            moments(dimensions, POINTS, scramble(seed, number), mean)
        })
        .collect();
    let of_draws: Vec<Moments> = (0..SCRAMBLES)
        .map(|number| {
            let mut stream = Stream::new(seed, u64::from(number), Purpose::Path);
            let path = posterior.path(space, &mut stream);
            let drawn = |uniforms: &[Vec<f64>]| path.at(space, &canonical(uniforms));
            moments(dimensions, POINTS, scramble(seed, number), drawn)
        })
        .collect();
    let indices = pooled(&of_mean);
    let effects = (0..dimensions).map(|dimension| {
        let (mut first, mut total) = (0.0, 0.0);
        for (mean, draw) in of_mean.iter().zip(&of_draws) {
            let (mean, draw) = (mean.indices(dimension), draw.indices(dimension));
            first += (draw.0 - mean.0).powi(2);
            total += (draw.1 - mean.1).powi(2);
        }
        let share = |estimate: Estimate, squares: f64| Share {
            value: estimate.value.clamp(0.0, 1.0),
            estimator: estimate.error,
            surrogate: (squares / f64::from(SCRAMBLES)).sqrt(),
        };
        Effect {
            first: share(indices.first[dimension], first),
            total: share(indices.total[dimension], total),
        }
    });
    Importance {
        spread: posterior.difference_in_units(indices.variance.sqrt()),
        effects: effects.collect(),
    }
}
