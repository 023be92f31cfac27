//! The covariance: Matérn 5/2 with a length scale for each dimension.
//!
//! With `r² = Σₖ dₖ² / ℓₖ²`, where `dₖ = xₖ − x′ₖ` for numbers and `dₖ² = 1[xₖ ≠ x′ₖ]` for
//! categories (which then stand at the corners of a regular simplex, so that the sum stays a
//! squared Euclidean distance and the kernel positive definite),
//!
//! ```text
//! k(x, x′) = s (1 + √5 r + 5/3 r²) exp(−√5 r)
//! ∂k/∂ log ℓₖ = s 5/3 (1 + √5 r) exp(−√5 r) dₖ² / ℓₖ²
//! ```
//!
//! Reference: C. Rasmussen & C. Williams, "Gaussian Processes for Machine Learning", 2006,
//! eq. 4.17 with an ARD metric (section 5.1).

use crate::space::{Space, UnitPoint};

/// What each dimension is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// Whether its values are categories.
    categories: Vec<bool>,
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
        Metric {
            categories: places.clone().map(|place| space.is_category(place)).collect(),
            reaches: places.map(reach).collect(),
        }
    }

    /// Of records, of which no more is known than which columns are categories.
    pub(crate) fn of_columns(categories: Vec<bool>) -> Metric {
        let reaches = vec![1.0; categories.len()];
        Metric { categories, reaches }
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.categories.len()
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

impl HyperParameters {
    /// `1 / ℓₖ²`.
    pub(crate) fn weights(&self) -> Vec<f64> {
        self.length_scales.iter().map(|scale| 1.0 / (scale * scale)).collect()
    }
}

/// Writes `r²` between `to` and each of the first `out.len()` points.
pub(crate) fn squared_distances(
    metric: &Metric,
    weights: &[f64],
    points: &Columns,
    to: &[f64],
    out: &mut [f64],
) {
    out.fill(0.0);
    for (dimension, (&category, &weight)) in metric.categories.iter().zip(weights).enumerate() {
        let column = &points.column(dimension)[..out.len()];
        let at = to[dimension];
        if category {
            for (sum, &unit) in out.iter_mut().zip(column) {
                *sum += if unit == at { 0.0 } else { weight };
            }
        } else {
            for (sum, &unit) in out.iter_mut().zip(column) {
                *sum += weight * (unit - at) * (unit - at);
            }
        }
    }
}

/// Sum over the first `factors.len()` points of `factors[i] dₖ²(xᵢ, to)`, for dimension `k`.
pub(crate) fn weighted_spread(
    metric: &Metric,
    dimension: usize,
    points: &Columns,
    to: f64,
    factors: &[f64],
) -> f64 {
    let column = &points.column(dimension)[..factors.len()];
    let category = metric.categories[dimension];
    let term = |factor: f64, unit: f64| {
        let difference = unit - to;
        match category {
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

/// The correlation at squared distance `r²`, in (0, 1].
pub(crate) fn correlation(squared: f64) -> f64 {
    let r = (5.0 * squared).sqrt();
    (1.0 + r + 5.0 / 3.0 * squared) * (-r).exp()
}

/// The correlation and `5/3 (1 + √5 r) exp(−√5 r)`, the factor of `dₖ²/ℓₖ²` in its slope.
pub(crate) fn correlation_and_slope(squared: f64) -> (f64, f64) {
    let r = (5.0 * squared).sqrt();
    let decay = (-r).exp();
    ((1.0 + r + 5.0 / 3.0 * squared) * decay, 5.0 / 3.0 * (1.0 + r) * decay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Domain, Parameter, Scale};

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
        let parameters = domains.into_iter().enumerate().map(|(i, domain)| Parameter {
            name: format!("p{i}"),
            domain,
            condition: None,
            default: None,
        });
        let space = Space::new(parameters.collect()).unwrap();
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

    #[test]
    fn a_parameter_that_cannot_change_reaches_no_further_than_a_float() {
        assert_eq!(reach(1, false), 1.0);
        assert_eq!(reach(1, true), 1.0);
    }
}
