//! Whether the surrogate is as sure as it should be: every result against what was predicted for it
//! from the others.
//!
//! A surrogate that is well calibrated is off by one of its deviations, as a root mean square, and
//! half of the results lie in its 50 % intervals. Collapsed results count at the height at which
//! they were learned, at the edge of the tail: how deep they fell is not what a surrogate of the
//! healthy ones is asked about.
//!
//! Reference: Rasmussen & Williams 2006, section 5.4.2 (leaving one out); D. Jones, M. Schonlau &
//! W. Welch, "Efficient Global Optimization of Expensive Black-Box Functions", 1998, section 3.3
//! (standardised residuals within ±3); T. Gneiting & A. Raftery, "Strictly proper scoring rules,
//! prediction, and estimation", JASA 102, 2007 (the logarithmic score).

use super::RESULTS_MIN;
use crate::gp::{Posterior, training};
use crate::history::Observation;

/// Levels of the intervals that results are counted in, with their half widths in deviations.
pub const LEVELS: [(f64, f64); 3] =
    [(0.5, 0.674_489_750_196_081_7), (0.8, 1.281_551_565_544_600_4), (0.95, 1.959_963_984_540_054)];

/// Smallest deviation of the constant that the surrogate is compared with, standardised: the root
/// of the least noise that the surrogate itself may believe in.
const CONSTANT_DEVIATION_MIN: f64 = 1e-2;
/// `log √(2π)`.
const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// Why there is no calibration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message beside each variant says what it means")]
pub enum CalibrationError {
    /// Too few to count.
    #[error("there are {results} results; {RESULTS_MIN} are needed to leave one out")]
    TooFew { results: usize },
    /// Every prediction is right, and nothing was predicted.
    #[error("all {results} results are equal; there is nothing to predict")]
    Equal { results: usize },
}

/// One result, and what was predicted for it from the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOut {
    /// Which of the study's results, from 0 in the order of recording.
    pub result: usize,
    /// Its value, objective units; raised to the edge of the tail if `is_raised`.
    pub value: f64,
    /// Whether it lies so far below the others that it was learned at a higher value.
    pub is_raised: bool,
    /// Predicted mean, objective units.
    pub mean: f64,
    /// Deviation of the prediction, noise of a measurement included, objective units.
    pub deviation: f64,
    /// `(value − mean) / deviation`.
    pub z: f64,
}

/// How many results lie within an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// How many should, 0 to 1.
    pub level: f64,
    /// How many do, 0 to 1.
    pub share: f64,
}

/// The surrogate's predictions against the results.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Every result that the posterior was fitted to.
    pub left_out: Vec<LeftOut>,
    /// Mean of z; 0 without bias.
    pub z_mean: f64,
    /// Root mean square of z; 1 if deviations are right, more if they are too small.
    pub z_rms: f64,
    /// One for each of [`LEVELS`].
    pub coverage: [Coverage; 3],
    /// Mean logarithm of the density predicted at the results, natural, of objective units.
    pub log_density: f64,
    /// The same of a normal that knows the mean and the deviation of the other results alone. The
    /// surrogate is worth its trouble if it is above.
    pub log_density_constant: f64,
}

/// Leaves out one result after the other, without a further fit. `observed` are the results that the
/// posterior was fitted to and `failed` the number of points that failed.
///
/// # Errors
///
/// [`CalibrationError`]: fewer than [`RESULTS_MIN`] results, or all equal.
pub fn calibration(
    posterior: &Posterior,
    observed: &[Observation],
    failed: usize,
) -> Result<Calibration, CalibrationError> {
    let (_, values) = posterior.learned();
    let results = values.len();
    if results < RESULTS_MIN as usize {
        return Err(CalibrationError::TooFew { results });
    }
    if values.iter().all(|value| *value == values[0]) {
        return Err(CalibrationError::Equal { results });
    }
    let rows = training::kept_results(observed, failed, posterior.seed());
    let predicted = posterior.leave_one_out();
    let left_out = values.iter().enumerate().map(|(row, &value)| {
        let (result, value) = (rows[row], posterior.in_units(value));
        let (mean, deviation) = (predicted.mean[row], predicted.deviation[row]);
        // Halves, because the difference of two doubles may be no double.
        let z = (value / 2.0 - mean / 2.0) / (deviation / 2.0);
        let measured = observed[result].value;
        // The way there and back rounds; a tail is far from the rest.
        let is_raised = value / 2.0 - measured / 2.0 > deviation * 1e-6;
        LeftOut { result, value, is_raised, mean, deviation, z }
    });
    let left_out: Vec<LeftOut> = left_out.collect();
    let count = results as f64;
    let mean_of = |f: &dyn Fn(&LeftOut) -> f64| left_out.iter().map(f).sum::<f64>() / count;
    let z_mean = mean_of(&|one| one.z);
    let z_rms = mean_of(&|one| one.z * one.z).sqrt();
    let coverage = LEVELS.map(|(level, width)| Coverage {
        level,
        share: mean_of(&|one| f64::from(u8::from(one.z.abs() <= width))),
    });
    let log_density = mean_of(&|one| log_normal(one.z, one.deviation));
    Ok(Calibration {
        z_mean,
        z_rms,
        coverage,
        log_density,
        log_density_constant: constant(&values) - posterior.difference_in_units(1.0).ln(),
        left_out,
    })
}

/// Mean log density of standardised values, each under the normal of the others.
fn constant(values: &[f64]) -> f64 {
    let others = values.len() as f64 - 1.0;
    let (sum, squares): (f64, f64) =
        values.iter().fold((0.0, 0.0), |(sum, squares), v| (sum + v, squares + v * v));
    let densities = values.iter().map(|value| {
        let mean = (sum - value) / others;
        let variance = (squares - value * value - others * mean * mean) / (others - 1.0);
        let deviation = variance.max(0.0).sqrt().max(CONSTANT_DEVIATION_MIN);
        log_normal((value - mean) / deviation, deviation)
    });
    densities.sum::<f64>() / values.len() as f64
}

fn log_normal(z: f64, deviation: f64) -> f64 {
    -0.5 * z * z - deviation.ln() - LOG_SQRT_TAU
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constant_is_the_normal_of_the_others() {
        let values = [0.3, -1.2, 0.9, 1.4, -0.6, -0.8];
        let densities = (0..values.len()).map(|i| {
            let mut others = values.to_vec();
            let value = others.remove(i);
            let mean = others.iter().sum::<f64>() / 5.0;
            let variance = others.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 4.0;
            (-0.5 * (value - mean) * (value - mean) / variance).exp()
                / (std::f64::consts::TAU * variance).sqrt()
        });
        let expected = densities.map(f64::ln).sum::<f64>() / 6.0;
        assert!((constant(&values) - expected).abs() < 1e-12);
    }
}
