//! The covariance: a level, and Matérn 5/2 with a length scale for each number, times a factor for each switch.
//!
//! A switch is a parameter of whose values no more is known than whether they are alike: categories, and
//! two options. With `dₖ = xₖ − x′ₖ` and `r² = Σ dₖ² / ℓₖ²` over the numbers, and `q = Σ 1[xₖ ≠ x′ₖ] / ℓₖ²` over
//! the switches,
//!
//! ```text
//! k(x, x′) = 1 + s (1 + √5 r + 5/3 r²) exp(−√5 r) exp(−q)
//! ∂k/∂ log ℓₖ = s 5/3 (1 + √5 r) exp(−√5 r) exp(−q) dₖ² / ℓₖ²     of a number
//! ∂k/∂ log ℓₖ = 2 (k(x, x′) − 1) 1[xₖ ≠ x′ₖ] / ℓₖ²                of a switch
//! ```
//!
//! So what a switch does to a result is alike, to the same degree, wherever the other parameters stand;
//! in a joint distance its share would shrink the farther apart they are (decision 0019). The 1 is the variance
//! of a level that all points share (decision 0020): a constant mean that is not known, integrated out (section 2.7
//! of the book).
//!
//! References: C. Rasmussen & C. Williams, "Gaussian Processes for Machine Learning", 2006, eq. 4.17 with
//! an ARD metric (section 5.1); for the switches F. Hutter, H. Hoos & K. Leyton-Brown, "Sequential
//! Model-Based Optimization for General Algorithm Configuration", LION 2011 (the weighted Hamming distance).

use crate::space::{Space, UnitPoint};

/// What each dimension is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// Whether its values are only alike or not.
    switches: Vec<bool>,
    /// How many times as long as a float's its length scale is expected to be, at least 1.
    reaches: Vec<f64>,
}

impl Metric {
    pub(crate) fn of(space: &Space) -> Metric {
        let places = 0..space.parameters().len();
        let reach = |place| match space.options(place) {
            Some(options) => reach(options, space.is_category(place)),
            None => 1.0,
        };
        let is_switch = |place| space.is_category(place) || space.options(place) == Some(2);
        Metric {
            switches: places.clone().map(is_switch).collect(),
            reaches: places.map(reach).collect(),
        }
    }

    /// Of records, of which no more is known than which columns are categories.
    pub(crate) fn of_columns(categories: Vec<bool>) -> Metric {
        let reaches = vec![1.0; categories.len()];
        Metric { switches: categories, reaches }
    }

    /// Whether values of this dimension are only alike or not.
    pub(crate) fn is_switch(&self, dimension: usize) -> bool {
        self.switches[dimension]
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.switches.len()
    }

    /// How many times as long as a float's each length scale is expected to be.
    pub(crate) fn reaches(&self) -> &[f64] {
        &self.reaches
    }
}

/// How many times as long as a float's the length scale of so many options is expected to be.
///
/// Few options lie far apart: the mean squared distance of two values of a float is 1/6, of `m` evenly
/// spaced options `(m + 1)/(m − 1)` times that, and of `m` categories `6 (m − 1)/m` times that. But who lists a
/// few options lists sensible ones, and the largest distance there is need not be a large difference. With one
/// expectation for all, a space of switches is believed to be so rugged that nothing is learned of a switch
/// from points at which another one differs. Options with an order are given the whole factor; categories its
/// root, because they may be anything. Measured: decision 0018.
fn reach(options: u64, is_category: bool) -> f64 {
    let options = options as f64;
    if options < 2.0 {
        1.0
    } else if is_category {
        (6.0 * (options - 1.0) / options).sqrt()
    } else {
        (options + 1.0) / (options - 1.0)
    }
}

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

/// Variance of the level, in standardised units squared. Results are standardised, but their mean is that of
/// where a search has looked, and says little of what the function is elsewhere (decision 0020).
pub(crate) const LEVEL_VARIANCE: f64 = 1.0;

impl HyperParameters {
    /// Covariance of the function at two points of this correlation: the level, which all points share, and
    /// what rises and falls around it.
    pub(crate) fn covariance(&self, correlation: f64) -> f64 {
        self.signal_variance * correlation + LEVEL_VARIANCE
    }

    /// Variance of the function at any point before any result.
    pub(crate) fn variance(&self) -> f64 {
        self.covariance(1.0)
    }

    /// `1 / ℓₖ²`.
    pub(crate) fn weights(&self) -> Vec<f64> {
        self.length_scales.iter().map(|scale| 1.0 / (scale * scale)).collect()
    }
}

/// How far apart points lie from one that they were measured to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distances {
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
        let Distances { squared, apart } = self;
        for sums in [&mut *squared, &mut *apart] {
            sums.clear();
            sums.resize(count, 0.0);
        }
        for (dimension, (&is_switch, &weight)) in metric.switches.iter().zip(weights).enumerate() {
            let column = &points.column(dimension)[..count];
            let at = to[dimension];
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

    /// The correlation with each, in (0, 1].
    pub(crate) fn correlations(&self) -> impl Iterator<Item = f64> + '_ {
        self.squared.iter().zip(&self.apart).map(|(&squared, &apart)| {
            let r = (5.0 * squared).sqrt();
            (1.0 + r + 5.0 / 3.0 * squared) * (-r - apart).exp()
        })
    }

    /// The correlation with each, and the factor of `dₖ²/ℓₖ²` in its slope along a number.
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
    let is_switch = metric.switches[dimension];
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
    use crate::space::{Domain, Parameter, Scale};

    fn space(domains: impl IntoIterator<Item = Domain>) -> Space {
        let parameters = domains.into_iter().enumerate().map(|(i, domain)| Parameter {
            name: format!("p{i}"),
            domain,
            condition: None,
            default: None,
        });
        Space::new(parameters.collect()).unwrap()
    }

    #[test]
    fn options_reach_as_far_as_their_mean_squared_distance_exceeds_that_of_two_floats() {
        let choices = |count: usize| (0..count).map(|i| format!("c{i}")).collect();
        let domains = [
            Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear },
            Domain::Bool,
            Domain::Ordinal { values: vec![1.0, 2.0, 4.0] },
            Domain::Int { low: 3, high: 8, scale: Scale::Linear },
            Domain::Categorical { choices: choices(4) },
        ];
        let space = space(domains);
        let metric = Metric::of(&space);
        assert_eq!(metric.reaches()[0], 1.0);
        for place in 1..5 {
            let options = space.options(place).unwrap();
            let units = || (0..options).map(|option| space.option_at(place, option));
            let squared = |a: f64, b: f64| match space.is_category(place) {
                true => f64::from(u8::from(a != b)),
                false => (a - b) * (a - b),
            };
            let sum: f64 = units().flat_map(|a| units().map(move |b| squared(a, b))).sum();
            let factor = 6.0 * sum / (options * options) as f64;
            let expected = if space.is_category(place) { factor.sqrt() } else { factor };
            assert!((metric.reaches()[place] - expected).abs() < 1e-12, "{place}: {metric:?}");
        }
    }

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
        let metric = Metric::of(&space([float(), float(), category, Domain::Bool]));
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
            assert_eq!(hyper.covariance(correlation), LEVEL_VARIANCE + found);
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
        let parameters = domains.into_iter().enumerate().map(|(i, domain)| Parameter {
            name: format!("p{i}"),
            domain,
            condition: None,
            default: None,
        });
        let metric = Metric::of(&Space::new(parameters.collect()).unwrap());
        assert_eq!(metric.switches, [false, true, true, false]);
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

    #[test]
    fn a_parameter_that_cannot_change_reaches_no_further_than_a_float() {
        assert_eq!(reach(1, false), 1.0);
        assert_eq!(reach(1, true), 1.0);
    }
}
