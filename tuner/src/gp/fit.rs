//! Hyper-parameters by maximum a posteriori.

use faer::Mat;

use super::cholesky::Factor;
use super::kernel::{self, Columns, Distances, HyperParameters};
use super::metric::Metric;
use super::minimise::minimise;
use super::prior;
use crate::stream::Stream;

/// Steps of one climb. Fits of 30 results in 22 dimensions stop by themselves after about 30.
const STEPS_MAX: u64 = 60;
/// Log noise variance at which the second climb begins. With little noise a process follows every result, and from
/// there no slope may lead to where it takes some of them for chance.
const NOISY: f64 = -3.0;
/// Cost of a θ whose covariance cannot be factored: worse than any that can.
const IMPOSSIBLE: f64 = 1e10;
/// `log √(2π)`.
const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// The most credible hyper-parameters that were found, and their log posterior density.
pub(crate) struct Fitted {
    pub(crate) hyper: HyperParameters,
    pub(crate) log_posterior: f64,
}

/// Climbs from the prior's mode and from a draw around it with more noise, and keeps the better end.
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
    let mode = prior::mode(metric.lengths());
    let mut drawn = mode.clone();
    for (log, (low, high)) in drawn.iter_mut().zip(low.iter().zip(&high)).take(dimensions) {
        *log = (*log + stream.normal()).clamp(*low, *high);
    }
    drawn[dimensions] = NOISY;
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
    let mut distances = Distances::default();
    for i in 0..n {
        distances.measure(metric, &weights, points, i, &points.point(i));
        for (j, covariance) in distances.covariances(hyper).enumerate() {
            matrix[(i, j)] = covariance;
        }
        matrix[(i, i)] = metric.variance(hyper.signal_variance) + hyper.noise_variance;
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

    // Column j of the lower triangle below the diagonal: covariances without what is given, and their slopes.
    let mut signals = Mat::zeros(n, n);
    let mut matrix = Mat::zeros(n, n);
    let mut slopes = Mat::zeros(n, n);
    let mut distances = Distances::default();
    for i in 0..n {
        distances.measure(metric, &weights, points, i, &points.point(i));
        for (j, (correlation, slope)) in distances.correlations_and_slopes().enumerate() {
            signals[(i, j)] = hyper.signal_variance * correlation;
            matrix[(i, j)] = distances.given()[j] + signals[(i, j)];
            slopes[(j, i)] = hyper.signal_variance * slope;
        }
        matrix[(i, i)] = metric.variance(hyper.signal_variance) + hyper.noise_variance;
    }
    let factor = Factor::new(&matrix).ok()?;
    let alpha = factor.solve(targets);
    let inverse = factor.inverse();

    let fit: f64 = alpha.iter().zip(targets).map(|(a, y)| a * y).sum();
    let mut value = -0.5 * fit - factor.half_log_determinant() - n as f64 * LOG_SQRT_TAU;

    // ½ tr(T ∂A) is the sum over the lower triangle, off-diagonal terms once and diagonal halved.
    let mut gradient = vec![0.0; theta.len()];
    let (mut of_numbers, mut of_switches) = (vec![0.0; n], vec![0.0; n]);
    let (mut signal, mut trace) = (0.0, 0.0);
    for i in 0..n {
        let (of_numbers, of_switches) = (&mut of_numbers[..i], &mut of_switches[..i]);
        let slopes = &slopes.col_as_slice(i)[..i];
        for j in 0..i {
            let t = alpha[i] * alpha[j] - inverse[(i, j)];
            signal += t * signals[(i, j)];
            of_numbers[j] = t * slopes[j];
            of_switches[j] = 2.0 * t * signals[(i, j)];
        }
        for (dimension, slope) in gradient.iter_mut().take(dimensions).enumerate() {
            let at = points.column(dimension)[i];
            let row = if metric.is_switch(dimension) { &*of_switches } else { &*of_numbers };
            *slope += kernel::weighted_spread(metric, dimension, points, at, row);
        }
        trace += alpha[i] * alpha[i] - inverse[(i, i)];
    }
    for (slope, weight) in gradient.iter_mut().zip(&weights) {
        *slope *= weight;
    }
    gradient[dimensions] = 0.5 * trace * hyper.noise_variance;
    gradient[dimensions + 1] = signal + 0.5 * trace * hyper.signal_variance;
    value += prior::log_density(metric.lengths(), theta, &mut gradient);
    value.is_finite().then_some((value, gradient))
}

#[cfg(test)]
mod tests {
    use super::super::standardise::{Tail, standardise};
    use super::*;
    use crate::space::{Domain, Scale, Space, UnitPoint};
    use crate::stream::Purpose;

    /// Points with two numbers, a category of three and a switch, and a function of all but the second.
    fn data(n: usize) -> (Metric, Columns, Vec<f64>) {
        let mut stream = Stream::new(5, 0, Purpose::Uniform);
        let points: Vec<UnitPoint> = (0..n)
            .map(|_| {
                let category = stream.below(3) as f64 / 2.0;
                let switch = stream.below(2) as f64;
                UnitPoint(vec![stream.uniform(), stream.uniform(), category, switch])
            })
            .collect();
        let values: Vec<f64> = points
            .iter()
            .map(|p| (5.0 * p.0[0]).sin() + 0.7 * f64::from(p.0[2] == 0.5) - 0.3 * p.0[3])
            .collect();
        let targets = standardise(&values, Tail::Raised).0;
        let float = || Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear };
        let choices = ["a", "b", "c"].map(str::to_owned).to_vec();
        let switch = Domain::Ordinal { values: vec![8.0, 16.0] };
        let metric = metric([float(), float(), Domain::Categorical { choices }, switch]);
        (metric, Columns::of(&points, 4), targets)
    }

    fn metric(domains: impl IntoIterator<Item = Domain>) -> Metric {
        Metric::of(&Space::of_domains(domains))
    }

    #[test]
    fn the_gradient_of_the_log_posterior_agrees_with_central_differences() {
        let (metric, points, targets) = data(17);
        for theta in [[0.0, 0.0, 0.0, 0.0, -4.0, 0.0], [-1.1, 0.7, 0.4, 0.9, -2.0, 0.6]] {
            let (_, gradient) = log_posterior(&metric, &points, &targets, &theta).unwrap();
            for (k, slope) in gradient.iter().enumerate() {
                let value = |step: f64| {
                    let mut moved = theta;
                    moved[k] += step;
                    log_posterior(&metric, &points, &targets, &moved).unwrap().0
                };
                let h = 1e-5;
                let difference = (value(h) - value(-h)) / (2.0 * h);
                let error = (slope - difference).abs() / difference.abs().max(1.0);
                assert!(error < 1e-7, "slope {k} is {slope}, not {difference}");
            }
        }
    }

    #[test]
    fn the_log_posterior_is_the_normal_density_of_the_results_times_the_prior() {
        // Two points, so that the density can be written out.
        let points = Columns::of(&[UnitPoint(vec![0.2]), UnitPoint(vec![0.7])], 1);
        let (y, theta) = ([0.8, -0.3], [-0.4, -3.0, 0.2]);
        let (s, noise) = (0.2f64.exp(), (-3.0f64).exp());
        let scale = (-0.4f64).exp();
        let r = 5.0f64.sqrt() * 0.5 / scale;
        let of_numbers = s * (1.0 + r + r * r / 3.0) * (-r).exp();
        let of_switches = s * (-1.0 / (scale * scale)).exp();
        let tau = std::f64::consts::TAU;
        // Of what is given at alike points and at these two, and the covariance of the rest.
        let evidence = |c: f64, alike: f64, apart: f64| {
            let (a, c) = (s + alike + noise, c + apart);
            let determinant = a * a - c * c;
            let square = (a * y[0] * y[0] - 2.0 * c * y[0] * y[1] + a * y[1] * y[1]) / determinant;
            -0.5 * square - 0.5 * determinant.ln() - tau.ln()
        };
        let normal =
            |x: f64, mean: f64, sd: f64| -0.5 * ((x - mean) / sd).powi(2) - (sd * tau.sqrt()).ln();
        let rest = normal(-3.0, -6.0, 3.0) + normal(0.2, 0.0, 0.5);
        // Three options are expected to have twice the length scale of a float beside them, two three times. A
        // float alone has no options beside it, and two options alone none with more.
        let float = Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear };
        let options = |values: &[f64]| Domain::Ordinal { values: values.to_vec() };
        let two = evidence(of_switches, 1.0, 1.0) + normal(-0.4, 3.0f64.ln(), 1.0);
        let cases = [
            (float, evidence(of_numbers, 10.0, 10.0) + normal(-0.4, -1.59, 1.0)),
            (
                options(&[1.0, 2.0, 4.0]),
                evidence(of_numbers, 1.0, 1.0) + normal(-0.4, 2.0f64.ln(), 0.7),
            ),
            (options(&[1.0, 2.0]), two),
            (Domain::Bool, two),
        ];
        // A category of three, whose options' effects are together zero.
        let category = evidence(of_switches, 2.0, 0.5) + normal(-0.4, 2.0f64.ln(), 0.7);
        let choices = ["a", "b", "c"].map(str::to_owned).to_vec();
        let cases = cases.into_iter().chain([(Domain::Categorical { choices }, category)]);
        for (domain, expected) in cases {
            let expected = expected + rest;
            let found = log_posterior(&metric([domain]), &points, &y, &theta).unwrap().0;
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }

    #[test]
    fn a_fit_ends_where_no_slope_is_left_and_no_lower_than_the_prior_s_mode() {
        let (metric, points, targets) = data(40);
        let mut stream = Stream::new(1, 40, Purpose::Fit);
        let fitted = fit(&metric, &points, &targets, &mut stream);
        let hyper = &fitted.hyper;
        let mut theta: Vec<f64> = hyper.length_scales.iter().map(|l| l.ln()).collect();
        theta.extend([hyper.noise_variance.ln(), hyper.signal_variance.ln()]);
        let (value, gradient) = log_posterior(&metric, &points, &targets, &theta).unwrap();
        assert!((value - fitted.log_posterior).abs() < 1e-9);
        let mode = prior::mode(metric.lengths());
        let mode = log_posterior(&metric, &points, &targets, &mode).unwrap().0;
        assert!(value > mode + 1.0);
        let (low, high) = prior::bounds(4);
        for (k, slope) in gradient.iter().enumerate() {
            let walled = theta[k] < low[k] + 1e-6 || theta[k] > high[k] - 1e-6;
            assert!(walled || slope.abs() < 0.05, "slope {k} is {slope} at {theta:?}");
        }
    }

    #[test]
    fn what_does_nothing_or_only_adds_is_given_a_long_scale() {
        let (metric, points, targets) = data(40);
        let mut stream = Stream::new(1, 40, Purpose::Fit);
        let scales = fit(&metric, &points, &targets, &mut stream).hyper.length_scales;
        assert!(scales[1] > 2.0 * scales[0], "{scales:?}");
        // What the category and the switch do adds up. The category has a main effect for that; an order of two has not.
        assert!(scales[2] > scales[3] && scales[3] > 2.0 * scales[0], "{scales:?}");
    }

    #[test]
    fn of_results_that_are_mostly_chance_one_climb_begins_where_that_is_seen() {
        // From little noise both climbs end at next to none for some of these; as chance they are more credible.
        for seed in [8, 26, 27, 44] {
            let (metric, points, mut targets) = data(25);
            let mut chance = Stream::new(seed, 1, Purpose::Uniform);
            targets.iter_mut().for_each(|target| *target += chance.normal());
            let targets = standardise(&targets, Tail::Raised).0;
            let fitted = fit(&metric, &points, &targets, &mut Stream::new(1, 25, Purpose::Fit));
            let noise = fitted.hyper.noise_variance;
            assert!((0.2..0.6).contains(&noise), "{noise} with seed {seed}");
        }
    }
}
