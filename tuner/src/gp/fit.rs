//! Hyper-parameters by maximum a posteriori.

use faer::Mat;

use super::cholesky::Factor;
use super::kernel::{self, Columns, HyperParameters, Metric};
use super::minimise::minimise;
use super::prior;
use crate::stream::Stream;

/// Steps of one climb. Fits of 30 results in 22 dimensions stop by themselves after about 30.
const STEPS_MAX: u64 = 60;
/// Cost of a θ whose covariance cannot be factored: worse than any that can.
const IMPOSSIBLE: f64 = 1e10;
/// `log √(2π)`.
const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// The most credible hyper-parameters that were found, and their log posterior density.
pub(crate) struct Fitted {
    pub(crate) hyper: HyperParameters,
    pub(crate) log_posterior: f64,
}

/// Climbs from the prior's mode and from a draw around it, and keeps the better end.
///
/// `targets` are the `n` standardised results at `points`.
pub(crate) fn fit(
    metric: &Metric,
    points: &Columns,
    targets: &[f64],
    stream: &mut Stream,
) -> Fitted {
    let dimensions = metric.dimensions();
    let (low, high) = prior::bounds(dimensions);
    let mode = prior::mode(dimensions);
    let mut drawn = mode.clone();
    for (log, (low, high)) in drawn.iter_mut().zip(low.iter().zip(&high)).take(dimensions) {
        *log = (*log + stream.normal()).clamp(*low, *high);
    }
    let cost = |theta: &[f64]| match log_posterior(metric, points, targets, theta) {
        Some((value, gradient)) => (-value, gradient.iter().map(|slope| -slope).collect()),
        None => (IMPOSSIBLE, vec![0.0; theta.len()]),
    };
    let ends = [mode, drawn].map(|start| minimise(cost, &start, &low, &high, STEPS_MAX));
    let [first, second] = ends;
    // Not `<` on costs alone: a NaN must lose, and the mode wins ties.
    let best = if second.cost < first.cost { second } else { first };
    Fitted { hyper: hyper_parameters(&best.at), log_posterior: -best.cost }
}

/// θ → what it means. See [`prior`] for its layout.
pub(crate) fn hyper_parameters(theta: &[f64]) -> HyperParameters {
    let dimensions = theta.len() - 2;
    HyperParameters {
        length_scales: theta[..dimensions].iter().map(|log| log.exp()).collect(),
        noise_variance: theta[dimensions].exp(),
        signal_variance: theta[dimensions + 1].exp(),
    }
}

/// The covariance of noisy results at `points` with themselves, lower triangle.
pub(crate) fn covariance(metric: &Metric, points: &Columns, hyper: &HyperParameters) -> Mat<f64> {
    let n = points.len();
    let weights = hyper.weights();
    let mut matrix = Mat::zeros(n, n);
    let mut squared = vec![0.0; n];
    for i in 0..n {
        let row = &mut squared[..i];
        kernel::squared_distances(metric, &weights, points, &points.point(i), row);
        for (j, &r2) in row.iter().enumerate() {
            matrix[(i, j)] = hyper.signal_variance * kernel::correlation(r2);
        }
        matrix[(i, i)] = hyper.signal_variance + hyper.noise_variance;
    }
    matrix
}

/// Log posterior density of θ, up to the evidence, and its gradient; `None` if the covariance is
/// not positive definite.
///
/// ```text
/// log p(θ | y) = −½ yᵀ A⁻¹ y − ½ log det A − n/2 log 2π + log p(θ) + const
/// ∂/∂θ         = ½ tr((α αᵀ − A⁻¹) ∂A/∂θ) + ∂ log p(θ)/∂θ,   α = A⁻¹ y
/// ```
///
/// Reference: Rasmussen & Williams 2006, eq. 5.8 and 5.9.
pub(crate) fn log_posterior(
    metric: &Metric,
    points: &Columns,
    targets: &[f64],
    theta: &[f64],
) -> Option<(f64, Vec<f64>)> {
    let (n, dimensions) = (points.len(), metric.dimensions());
    let hyper = hyper_parameters(theta);
    let weights = hyper.weights();

    // Column j of the lower triangle: correlations below the diagonal, and their slopes.
    let mut matrix = Mat::zeros(n, n);
    let mut slopes = Mat::zeros(n, n);
    let mut squared = vec![0.0; n];
    for i in 0..n {
        let row = &mut squared[..i];
        kernel::squared_distances(metric, &weights, points, &points.point(i), row);
        for (j, &r2) in row.iter().enumerate() {
            let (correlation, slope) = kernel::correlation_and_slope(r2);
            matrix[(i, j)] = hyper.signal_variance * correlation;
            slopes[(j, i)] = hyper.signal_variance * slope;
        }
        matrix[(i, i)] = hyper.signal_variance + hyper.noise_variance;
    }
    let factor = Factor::new(&matrix).ok()?;
    let alpha = factor.solve(targets);
    let inverse = factor.inverse();

    let fit: f64 = alpha.iter().zip(targets).map(|(a, y)| a * y).sum();
    let mut value = -0.5 * fit - factor.half_log_determinant() - n as f64 * LOG_SQRT_TAU;

    // ½ tr(T ∂A) is the sum over the lower triangle, off-diagonal terms once and diagonal halved.
    let mut gradient = vec![0.0; theta.len()];
    let mut factors = vec![0.0; n];
    let (mut signal, mut trace) = (0.0, 0.0);
    for i in 0..n {
        let (row, slopes) = (&mut factors[..i], &slopes.col_as_slice(i)[..i]);
        for j in 0..i {
            let t = alpha[i] * alpha[j] - inverse[(i, j)];
            signal += t * matrix[(i, j)];
            row[j] = t * slopes[j];
        }
        for (dimension, slope) in gradient.iter_mut().take(dimensions).enumerate() {
            let at = points.column(dimension)[i];
            *slope += kernel::weighted_spread(metric, dimension, points, at, row);
        }
        trace += alpha[i] * alpha[i] - inverse[(i, i)];
    }
    for (slope, weight) in gradient.iter_mut().zip(&weights) {
        *slope *= weight;
    }
    gradient[dimensions] = 0.5 * trace * hyper.noise_variance;
    gradient[dimensions + 1] = signal + 0.5 * trace * hyper.signal_variance;
    value += prior::log_density(theta, &mut gradient);
    value.is_finite().then_some((value, gradient))
}
