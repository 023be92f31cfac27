//! Sobol indices of a function of independent uniform numbers.
//!
//! With `V` the variance of `f(u)` over the unit cube, the first-order index of `uᵢ` is the share
//! of `V` that knowing `uᵢ` alone would explain, and its total index the share that would be left
//! if everything but `uᵢ` were known: its own effect and every interaction that it takes part in.
//!
//! ```text
//! Sᵢ = V[E(f | uᵢ)] / V        Tᵢ = E[V(f | all but uᵢ)] / V
//! ```
//!
//! From two halves `a`, `b` of one point of 2d numbers, and `aᵢ`, which is `a` with `uᵢ` from `b`:
//!
//! ```text
//! Sᵢ V ≈ mean of f(b) (f(aᵢ) − f(a))        Tᵢ V ≈ mean of ½ (f(a) − f(aᵢ))²
//! ```
//!
//! The points are Owen-scrambled Sobol points, under several independent scrambles; how the
//! results differ between the scrambles gives the error.
//!
//! Reference: A. Saltelli et al., "Variance based sensitivity analysis of model output", Computer
//! Physics Communications 181(2), 2010, table 2 (b) and (f), the latter of M. Jansen, "Analysis of
//! variance designs for model output", 1999; A. Owen, "Scrambled net variance for integrals of
//! smooth functions", Annals of Statistics 25(4), 1997, for the independent scrambles.

use crate::stream::{Purpose, Stream};

/// Most numbers that a function may depend on: half of the dimensions of the Sobol sequence.
pub const DIMENSIONS_MAX: usize = (sobol_burley::NUM_DIMENSIONS / 2) as usize;
/// Most points under one scramble, the length of one Sobol sequence.
pub const POINTS_MAX: u32 = 1 << 16;
/// Variances below this share of the mean square are rounding: the function is constant.
const CONSTANT: f64 = 1e-24;

/// How many points are looked at: `scrambles · points · (d + 2)` values of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Independent repetitions, at least 2: the error is taken from their differences.
    pub scrambles: u32,
    /// Points of each, a power of two up to [`POINTS_MAX`].
    pub points: u32,
}

/// An estimate and the standard error that the choice of the points leaves in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// May be a little below 0 or above 1, as the true one cannot.
    pub value: f64,
    /// Standard error, by the jackknife over the scrambles.
    pub error: f64,
}

/// What varies a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Indices {
    /// Mean over the cube.
    pub mean: f64,
    /// Variance over the cube; 0 if the function is constant, and then every index is 0.
    pub variance: f64,
    /// First-order index of each of the `d` numbers.
    pub first: Vec<Estimate>,
    /// Total index of each.
    pub total: Vec<Estimate>,
}

/// Estimates the indices of `f`, which is given points of `dimensions` numbers in [0, 1), some
/// hundred at a time, and answers with one finite value for each.
///
/// # Panics
///
/// If there is no dimension or more than [`DIMENSIONS_MAX`], if the effort is out of its range, or
/// if `f` does not answer with one value for each point.
pub fn indices(
    dimensions: usize,
    effort: Effort,
    seed: u64,
    mut f: impl FnMut(&[Vec<f64>]) -> Vec<f64>,
) -> Indices {
    assert!(effort.scrambles >= 2, "an error needs two scrambles to differ");
    let moments: Vec<Moments> = (0..effort.scrambles)
        .map(|number| moments(dimensions, effort.points, scramble(seed, number), &mut f))
        .collect();
    pooled(&moments)
}

/// The key of one of the independent scrambles.
pub(crate) fn scramble(seed: u64, number: u32) -> u32 {
    Stream::new(seed, u64::from(number), Purpose::Sensitivity).bits()
}

/// What one scramble says: numerators and the denominator of the indices.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    mean: f64,
    variance: f64,
    first: Vec<f64>,
    total: Vec<f64>,
}

impl Moments {
    /// First-order and total index of a dimension from this scramble alone; 0 of a constant.
    pub(crate) fn indices(&self, dimension: usize) -> (f64, f64) {
        let share = |part: f64| if self.variance > 0.0 { part / self.variance } else { 0.0 };
        (share(self.first[dimension]), share(self.total[dimension]))
    }
}

/// Evaluates `f` under one scramble.
pub(crate) fn moments(
    dimensions: usize,
    points: u32,
    scramble: u32,
    mut f: impl FnMut(&[Vec<f64>]) -> Vec<f64>,
) -> Moments {
    assert!((1..=DIMENSIONS_MAX).contains(&dimensions), "{dimensions} dimensions are out of range");
    assert!(points.is_power_of_two() && points <= POINTS_MAX, "{points} points are no net");
    let mut evaluate = |points: &[Vec<f64>]| {
        let values = f(points);
        assert_eq!(values.len(), points.len(), "one value for each point");
        values
    };
    let half = |offset: usize| -> Vec<Vec<f64>> {
        let coordinate = |index, dimension: usize| {
            f64::from(sobol_burley::sample(index, (offset + dimension) as u32, scramble))
        };
        (0..points)
            .map(|index| (0..dimensions).map(|dimension| coordinate(index, dimension)).collect())
            .collect()
    };
    let (a, b) = (half(0), half(dimensions));
    let (at_a, at_b) = (evaluate(&a), evaluate(&b));
    let count = f64::from(points);
    let both = || at_a.iter().chain(&at_b);
    let mean = both().sum::<f64>() / (2.0 * count);
    let variance = both().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (2.0 * count);
    let (mut first, mut total) = (Vec::new(), Vec::new());
    let mut mixed = a;
    for dimension in 0..dimensions {
        let own: Vec<f64> = mixed.iter().map(|point| point[dimension]).collect();
        for (point, other) in mixed.iter_mut().zip(&b) {
            point[dimension] = other[dimension];
        }
        let at_mixed = evaluate(&mixed);
        for (point, own) in mixed.iter_mut().zip(own) {
            point[dimension] = own;
        }
        let changes = at_mixed.iter().zip(&at_a).map(|(mixed, a)| mixed - a);
        // Less the mean, which changes nothing in the limit and takes most of the noise away.
        let together = changes.clone().zip(&at_b).map(|(change, b)| (b - mean) * change);
        first.push(together.sum::<f64>() / count);
        total.push(changes.map(|change| 0.5 * change * change).sum::<f64>() / count);
    }
    Moments { mean, variance, first, total }
}

/// The indices from all scrambles: ratios of sums, because a sum of ratios is biased.
pub(crate) fn pooled(moments: &[Moments]) -> Indices {
    let scrambles = moments.len() as f64;
    let mean = moments.iter().map(|one| one.mean).sum::<f64>() / scrambles;
    let variance = moments.iter().map(|one| one.variance).sum::<f64>() / scrambles;
    let variance = if variance <= CONSTANT * mean * mean { 0.0 } else { variance };
    let variances: Vec<f64> = moments.iter().map(|one| one.variance).collect();
    let of = |part: fn(&Moments) -> &Vec<f64>| -> Vec<Estimate> {
        let dimensions = 0..part(&moments[0]).len();
        let parts = dimensions
            .map(|dimension| moments.iter().map(|one| part(one)[dimension]).collect::<Vec<f64>>());
        parts
            .map(|parts| match variance > 0.0 {
                true => ratio(&parts, &variances),
                false => Estimate::default(),
            })
            .collect()
    };
    Indices { mean, variance, first: of(|one| &one.first), total: of(|one| &one.total) }
}

/// Σ parts / Σ wholes, with its error by leaving out one pair at a time.
///
/// Reference: B. Efron & C. Stein, "The jackknife estimate of variance", Annals of Statistics 9(3),
/// 1981.
fn ratio(parts: &[f64], wholes: &[f64]) -> Estimate {
    let (part, whole): (f64, f64) = (parts.iter().sum(), wholes.iter().sum());
    let value = part / whole;
    let others =
        parts.iter().zip(wholes).map(|(p, w)| (part - p) / (whole - w).max(f64::MIN_POSITIVE));
    let others: Vec<f64> = others.collect();
    let count = others.len() as f64;
    let mean = others.iter().sum::<f64>() / count;
    let squares: f64 = others.iter().map(|other| (other - mean) * (other - mean)).sum();
    Estimate { value, error: ((count - 1.0) / count * squares).sqrt() }
}
