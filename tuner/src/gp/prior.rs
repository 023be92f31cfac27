//! What is believed of the hyper-parameters before any result, and the box they are kept in.
//!
//! θ holds the logarithms: `log ℓ₁ … log ℓ_d`, `log noise`, `log signal`. All are normal there.
//!
//! | hyper-parameter | log is | box | source |
//! |-----------------|--------|-----|--------|
//! | length scale ℓ  | N(log reach, 0.7²); reach is 1 for floats, more for options | ℓ in [0.02, 200] | measured (decision 0018) |
//! | noise variance  | N(−4, 1) | [1e-4, 1] | Hvarfner et al. 2024; the floor keeps the factor well conditioned |
//! | signal variance | N(0, 0.5²) | log in [−2, 2] | the objective is standardised, so it is near 1 |

/// Mean and deviation of a normal belief on a logarithm.
#[derive(Clone, Copy)]
struct Belief {
    mean: f64,
    deviation: f64,
}

/// Of a float's length scale.
const LENGTH: Belief = Belief { mean: 0.0, deviation: 0.7 };
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

/// Of a length scale that is expected to be so many times as long as a float's.
fn length(reach: f64) -> Belief {
    Belief { mean: LENGTH.mean + reach.ln(), ..LENGTH }
}

/// The most credible θ before any result, for dimensions that [reach](super::kernel::Metric) so far.
pub(crate) fn mode(reaches: &[f64]) -> Vec<f64> {
    let mut mode: Vec<f64> = reaches.iter().map(|&reach| length(reach).mean).collect();
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
pub(crate) fn log_density(reaches: &[f64], theta: &[f64], gradient: &mut [f64]) -> f64 {
    let lengths = reaches.iter().map(|&reach| length(reach));
    let beliefs = lengths.chain([NOISE, SIGNAL]);
    let mut log_density = 0.0;
    for ((belief, &log), slope) in beliefs.zip(theta).zip(gradient) {
        let z = (log - belief.mean) / belief.deviation;
        log_density -= 0.5 * z * z + belief.deviation.ln() + LOG_SQRT_TAU;
        *slope -= z / belief.deviation;
    }
    log_density
}
