//! What is believed of the hyper-parameters before any result, and the box they are kept in.
//!
//! θ holds the logarithms: `log ℓ₁ … log ℓ_d`, `log noise`, `log signal`. All are normal there.
//!
//! | hyper-parameter | log is | box | source |
//! |-----------------|--------|-----|--------|
//! | length scale ℓ  | N(0, 1) | ℓ in [0.02, 200] | measured on nine mixed problems of 6–25 dimensions and 30–40 results: about half the regret of the √d prior (Hvarfner et al. 2024, arXiv 2402.02229) |
//! | noise variance  | N(−4, 1) | [1e-4, 1] | Hvarfner et al. 2024; the floor keeps the factor well conditioned |
//! | signal variance | N(0, 0.5²) | log in [−2, 2] | the objective is standardised, so it is near 1 |

/// Mean and deviation of a normal belief on a logarithm.
struct Belief {
    mean: f64,
    deviation: f64,
}

const LENGTH: Belief = Belief { mean: 0.0, deviation: 1.0 };
const NOISE: Belief = Belief { mean: -4.0, deviation: 1.0 };
const SIGNAL: Belief = Belief { mean: 0.0, deviation: 0.5 };

/// Smallest noise variance, standardised units squared.
pub(crate) const NOISE_FLOOR: f64 = 1e-4;
/// Largest noise variance: all there is.
const NOISE_CEILING: f64 = 1.0;
const LENGTH_BOX: (f64, f64) = (0.02, 200.0);
const LOG_SIGNAL_BOX: (f64, f64) = (-2.0, 2.0);
/// `log √(2π)`.
const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// The most credible θ before any result.
pub(crate) fn mode(dimensions: usize) -> Vec<f64> {
    let mut mode = vec![LENGTH.mean; dimensions];
    mode.extend([NOISE.mean, SIGNAL.mean]);
    mode
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
pub(crate) fn log_density(theta: &[f64], gradient: &mut [f64]) -> f64 {
    let dimensions = theta.len() - 2;
    let beliefs = std::iter::repeat_n(&LENGTH, dimensions).chain([&NOISE, &SIGNAL]);
    let mut log_density = 0.0;
    for ((belief, &log), slope) in beliefs.zip(theta).zip(gradient) {
        let z = (log - belief.mean) / belief.deviation;
        log_density -= 0.5 * z * z + belief.deviation.ln() + LOG_SQRT_TAU;
        *slope -= z / belief.deviation;
    }
    log_density
}
