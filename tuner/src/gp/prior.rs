//! What is believed of the hyper-parameters before any result, and the box they are kept in.
//!
//! θ holds the logarithms: `log ℓ₁ … log ℓ_d`, `log noise`, `log signal`. All are normal there.
//!
//! | hyper-parameter | log is | box | source |
//! |-----------------|--------|-----|--------|
//! | length scale ℓ, a space with options | N(log reach, 0.7²); reach is 1 for floats, more for options | ℓ in [0.02, 200] | measured (decision 0018) |
//! | length scale ℓ, a space of two options each | N(log reach, 1) | the same | measured (decision 0023) |
//! | length scale ℓ, a space of `d` numbers | N(½ log d − 1.59 + log reach, 1) | the same | mean from Hvarfner et al. 2024, deviation measured (decision 0021) |
//! | noise variance  | N(−6, 3²) | [1e-6, 1] | measured (decision 0023); the floor keeps the factor well conditioned |
//! | signal variance | N(0, 0.5²) | log in [−2, 2] | the objective is standardised, so it is near 1 |
//!
//! −1.59 is √2 − 3: Hvarfner et al. believe in a log-normal ℓ of log mean √2 + ½ log d and log variance 3, whose
//! density is highest there. The more dimensions, the farther apart points lie, and the longer the scales must be
//! for anything to be learned.
//!
//! Reference: C. Hvarfner, E. Hellsten & L. Nardi, "Vanilla Bayesian Optimization Performs Great in High
//! Dimensions", ICML 2024.

use super::kind::Kind;

/// Mean and deviation of a normal belief on a logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Belief {
    pub(crate) mean: f64,
    deviation: f64,
}

/// Of the length scale of a float beside options.
const BESIDE_OPTIONS: Belief = Belief { mean: 0.0, deviation: 0.7 };
/// Of the length scale of the float of a space of one dimension.
const ALONE: Belief = Belief { mean: -1.59, deviation: 1.0 };
/// Of the length scale of a parameter of two options among others of two.
const OF_TWO: Belief = Belief { mean: 0.0, deviation: 1.0 };
/// Next to nothing: some trainings repeat themselves to the last digit, others differ by a fifth of what results
/// spread by.
const NOISE: Belief = Belief { mean: -6.0, deviation: 3.0 };
const SIGNAL: Belief = Belief { mean: 0.0, deviation: 0.5 };

/// Smallest noise variance, standardised units squared.
const NOISE_FLOOR: f64 = 1e-6;
/// Largest noise variance: all there is.
const NOISE_CEILING: f64 = 1.0;
const LENGTH_BOX: (f64, f64) = (0.02, 200.0);
const LOG_SIGNAL_BOX: (f64, f64) = (-2.0, 2.0);
/// `log √(2π)`.
const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// Of a length scale that is expected to be `reach` times as long as a float's, in a space of so many dimensions.
pub(crate) fn length(reach: f64, dimensions: usize, kind: Kind) -> Belief {
    let (float, shift) = match kind {
        Kind::Numbers => (ALONE, 0.5 * (dimensions as f64).ln()),
        Kind::TwoOptions => (OF_TWO, 0.0),
        Kind::Options => (BESIDE_OPTIONS, 0.0),
    };
    Belief { mean: float.mean + shift + reach.ln(), ..float }
}

/// The most credible θ before any result.
pub(crate) fn mode(lengths: &[Belief]) -> Vec<f64> {
    let beliefs = lengths.iter().chain(&[NOISE, SIGNAL]);
    beliefs.map(|belief| belief.mean).collect()
}

/// Lower and upper bounds of θ.
pub(crate) fn bounds(dimensions: usize) -> (Vec<f64>, Vec<f64>) {
    let mut low = vec![LENGTH_BOX.0.ln(); dimensions];
    let mut high = vec![LENGTH_BOX.1.ln(); dimensions];
    low.extend([NOISE_FLOOR.ln(), LOG_SIGNAL_BOX.0]);
    high.extend([NOISE_CEILING.ln(), LOG_SIGNAL_BOX.1]);
    (low, high)
}

/// The log density at θ; adds its gradient to `gradient`. The cut-off tails are not renormalised.
pub(crate) fn log_density(lengths: &[Belief], theta: &[f64], gradient: &mut [f64]) -> f64 {
    let beliefs = lengths.iter().chain(&[NOISE, SIGNAL]);
    let mut log_density = 0.0;
    for ((belief, &log), slope) in beliefs.zip(theta).zip(gradient) {
        let z = (log - belief.mean) / belief.deviation;
        log_density -= 0.5 * z * z + belief.deviation.ln() + LOG_SQRT_TAU;
        *slope -= z / belief.deviation;
    }
    log_density
}
