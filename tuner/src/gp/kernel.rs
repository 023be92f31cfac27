//! The covariance: a level, and Matérn 5/2 with a length scale for each number, times a factor for each switch.
//!
//! A switch is a parameter of whose values no more is known than whether they are alike: categories, and
//! two options. With `dₖ = xₖ − x′ₖ` and `r² = Σ dₖ² / ℓₖ²` over the numbers, and `q = Σ 1[xₖ ≠ x′ₖ] / ℓₖ²` over
//! the switches,
//!
//! ```text
//! k(x, x′) = g + s (1 + √5 r + 5/3 r²) exp(−√5 r) exp(−q),     g = v + Σ eₖ over the categories
//! ∂k/∂ log ℓₖ = s 5/3 (1 + √5 r) exp(−√5 r) exp(−q) dₖ² / ℓₖ²     of a number
//! ∂k/∂ log ℓₖ = 2 (k(x, x′) − g) 1[xₖ ≠ x′ₖ] / ℓₖ²                of a switch
//! ```
//!
//! So what a switch does to a result is alike, to the same degree, wherever the other parameters stand;
//! in a joint distance its share would shrink the farther apart they are (decision 0019). Here v is the variance
//! of a level that all points share (decision 0020): a constant mean that is not known, integrated out (section 2.7
//! of the book). And eₖ is the covariance of a category's [main effect](super::effect::Effect): what it adds wherever
//! the others stand, integrated out too (decision 0022).
//!
//! References: C. Rasmussen & C. Williams, "Gaussian Processes for Machine Learning", 2006, eq. 4.17 with
//! an ARD metric (section 5.1); for the switches F. Hutter, H. Hoos & K. Leyton-Brown, "Sequential
//! Model-Based Optimization for General Algorithm Configuration", LION 2011 (the weighted Hamming distance).

use super::metric::Metric;
use crate::space::UnitPoint;

/// `n` points, stored dimension by dimension, so that inner loops run over points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Columns(Vec<Vec<f64>>);

impl Columns {
    /// Points of `dimensions` numbers each.
    pub(crate) fn of<'a>(
        points: impl IntoIterator<Item = &'a UnitPoint>,
        dimensions: usize,
    ) -> Columns {
        let mut columns = Columns(vec![Vec::new(); dimensions]);
        for point in points {
            columns.push(&point.0);
        }
        columns
    }

    pub(crate) fn len(&self) -> usize {
        self.0[0].len()
    }

    pub(crate) fn push(&mut self, point: &[f64]) {
        assert_eq!(point.len(), self.0.len(), "a point has one number for each dimension");
        for (column, &unit) in self.0.iter_mut().zip(point) {
            column.push(unit);
        }
    }

    pub(crate) fn point(&self, row: usize) -> Vec<f64> {
        self.0.iter().map(|column| column[row]).collect()
    }

    pub(crate) fn column(&self, dimension: usize) -> &[f64] {
        &self.0[dimension]
    }
}

/// The numbers that a fit finds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HyperParameters {
    /// ℓ, one for each dimension, in units of the unit interval (or of "differs" for categories).
    pub(crate) length_scales: Vec<f64>,
    /// s, in standardised units squared.
    pub(crate) signal_variance: f64,
    /// Variance of the noise on a result, in standardised units squared.
    pub(crate) noise_variance: f64,
}

impl HyperParameters {
    /// `1 / ℓₖ²`.
    pub(crate) fn weights(&self) -> Vec<f64> {
        self.length_scales.iter().map(|scale| 1.0 / (scale * scale)).collect()
    }
}

/// How far apart points lie from one that they were measured to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distances {
    /// g, the covariance that no hyper-parameter changes.
    given: Vec<f64>,
    /// r², over the numbers.
    squared: Vec<f64>,
    /// q, over the switches.
    apart: Vec<f64>,
}

impl Distances {
    /// Measures the first `count` of the points.
    pub(crate) fn measure(
        &mut self,
        metric: &Metric,
        weights: &[f64],
        points: &Columns,
        count: usize,
        to: &[f64],
    ) {
        let Distances { given, squared, apart } = self;
        given.clear();
        given.resize(count, metric.level_variance());
        for sums in [&mut *squared, &mut *apart] {
            sums.clear();
            sums.resize(count, 0.0);
        }
        for (dimension, (&is_switch, &weight)) in metric.switches().iter().zip(weights).enumerate()
        {
            let column = &points.column(dimension)[..count];
            let at = to[dimension];
            if let Some(effect) = metric.effect(dimension) {
                for (sum, &unit) in given.iter_mut().zip(column) {
                    *sum += effect.covariance(unit == at);
                }
            }
            if is_switch {
                for (sum, &unit) in apart.iter_mut().zip(column) {
                    *sum += if unit == at { 0.0 } else { weight };
                }
            } else {
                for (sum, &unit) in squared.iter_mut().zip(column) {
                    *sum += weight * (unit - at) * (unit - at);
                }
            }
        }
    }

    /// The covariance with each that no hyper-parameter changes.
    pub(crate) fn given(&self) -> &[f64] {
        &self.given
    }

    /// The covariance with each.
    pub(crate) fn covariances(&self, hyper: &HyperParameters) -> impl Iterator<Item = f64> + '_ {
        let s = hyper.signal_variance;
        self.given.iter().zip(self.correlations()).map(move |(given, k)| given + s * k)
    }

    /// The correlation with each of what hyper-parameters change, in (0, 1].
    pub(crate) fn correlations(&self) -> impl Iterator<Item = f64> + '_ {
        self.squared.iter().zip(&self.apart).map(|(&squared, &apart)| {
            let r = (5.0 * squared).sqrt();
            (1.0 + r + 5.0 / 3.0 * squared) * (-r - apart).exp()
        })
    }

    /// That correlation, and the factor of `dₖ²/ℓₖ²` in its slope along a number.
    pub(crate) fn correlations_and_slopes(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.squared.iter().zip(&self.apart).map(|(&squared, &apart)| {
            let r = (5.0 * squared).sqrt();
            let decay = (-r - apart).exp();
            ((1.0 + r + 5.0 / 3.0 * squared) * decay, 5.0 / 3.0 * (1.0 + r) * decay)
        })
    }
}

/// Sum over the first `factors.len()` points of `factors[i] dₖ²(xᵢ, to)`, for dimension `k`; of a switch, of
/// `factors[i]` where they differ.
pub(crate) fn weighted_spread(
    metric: &Metric,
    dimension: usize,
    points: &Columns,
    to: f64,
    factors: &[f64],
) -> f64 {
    let column = &points.column(dimension)[..factors.len()];
    let is_switch = metric.is_switch(dimension);
    let term = |factor: f64, unit: f64| {
        let difference = unit - to;
        match is_switch {
            true if unit == to => 0.0,
            true => factor,
            false => factor * difference * difference,
        }
    };
    // Four running sums, in a fixed order: a single one would wait for itself at every step.
    let mut sums = [0.0; 4];
    let blocks = factors.chunks_exact(4).zip(column.chunks_exact(4));
    for (factors, units) in blocks {
        for lane in 0..4 {
            sums[lane] += term(factors[lane], units[lane]);
        }
    }
    let done = factors.len() / 4 * 4;
    let rest = factors[done..].iter().zip(&column[done..]).map(|(&f, &u)| term(f, u));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Domain, Scale, Space};

    #[derive(serde::Deserialize)]
    struct Row {
        length_scales: Vec<f64>,
        signal_variance: f64,
        a: UnitPoint,
        b: UnitPoint,
        covariance: f64,
    }

    #[test]
    fn the_kernel_is_the_matern_function_of_order_five_halves_times_a_factor_for_each_switch() {
        let rows = include_str!("../../tests/fixtures/kernel.json");
        let rows: Vec<Row> = serde_json::from_str(rows).unwrap();
        assert!(rows.len() > 100);
        let float = || Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear };
        let choices = ["a", "b", "c"].map(str::to_owned).to_vec();
        let category = Domain::Categorical { choices };
        let metric = Metric::of(&Space::of_domains([float(), float(), category, Domain::Bool]));
        for row in rows {
            let (length_scales, signal_variance) = (row.length_scales, row.signal_variance);
            let hyper = HyperParameters { length_scales, signal_variance, noise_variance: 1e-4 };
            let mut distances = Distances::default();
            let at = Columns::of([&row.a], 4);
            distances.measure(&metric, &hyper.weights(), &at, 1, &row.b.0);
            let correlation = distances.correlations().next().unwrap();
            let found = signal_variance * correlation;
            // Far away the exponential turns an absolute error of its argument into a relative one.
            let error = (found - row.covariance).abs() / row.covariance.max(f64::MIN_POSITIVE);
            let tolerance = 1e-14 * (10.0 - row.covariance.ln()).max(10.0);
            assert!(error < tolerance, "{found} is not {}, off by {error:e}", row.covariance);
            let covariance = distances.covariances(&hyper).next().unwrap();
            assert_eq!(covariance, distances.given()[0] + found);
        }
    }

    #[test]
    fn a_switch_takes_the_same_share_wherever_the_numbers_stand() {
        let ordinal = |values: &[f64]| Domain::Ordinal { values: values.to_vec() };
        let domains = [
            Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear },
            Domain::Bool,
            ordinal(&[1.0, 2.0]),
            ordinal(&[1.0, 2.0, 4.0]),
        ];
        let metric = Metric::of(&Space::of_domains(domains));
        assert_eq!(metric.switches(), [false, true, true, false]);
        let weights = [4.0, 0.3, 0.7, 2.0];
        let share = |x: f64, rank: f64| -> f64 {
            let of = |a: f64, b: f64| UnitPoint(vec![x, a, b, rank]);
            let points = Columns::of(&[of(0.0, 0.0), of(1.0, 1.0)], 4);
            let mut distances = Distances::default();
            distances.measure(&metric, &weights, &points, 2, &[0.0, 0.0, 0.0, 0.0]);
            let found: Vec<f64> = distances.correlations().collect();
            found[1] / found[0]
        };
        for (x, rank) in [(0.0, 0.0), (0.4, 0.0), (1.0, 0.5), (1.0, 1.0)] {
            assert!((share(x, rank) - (-1.0f64).exp()).abs() < 1e-12);
        }
    }
}
