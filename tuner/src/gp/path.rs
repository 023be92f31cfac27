//! Functions drawn from the posterior, to be asked at any number of points.
//!
//! A draw from the prior is a level and a sum of cosines with random frequencies; it becomes one from the
//! posterior by adding what the results say about it, which the kernel spreads as it does a mean:
//!
//! ```text
//! f(x) = c + √(2s/F) Σ wₘ cos(ωₘᵀ x + bₘ) + k(x, X) A⁻¹ (y − f₀(X) − ε)
//! ```
//!
//! The frequencies of a Matérn 5/2 kernel follow Student's t with five degrees of freedom,
//! independent of the dimension but for a common scale. Each option of a switch has a frequency of its
//! own: with `ω ~ N(0, 1/ℓ²)` the mean of `cos(ω − ω′)` over two of them is `exp(−1/ℓ²)`.
//!
//! Reference: J. Wilson et al., "Efficiently Sampling Functions from Gaussian Process Posteriors",
//! ICML 2020, eq. 13; A. Rahimi & B. Recht, "Random Features for Large-Scale Kernel Machines",
//! NeurIPS 2007.

use std::f64::consts::TAU;

use super::{BATCH, Posterior};
use crate::space::{Space, UnitPoint};
use crate::stream::Stream;

/// Cosines of a draw. The error of a covariance falls like 1/√F: at 256 it is some 4 % of the
/// signal's variance, far from the results; near them the second term makes up for it.
const FEATURES: usize = 256;
/// Degrees of freedom: twice the smoothness of the kernel.
const FREEDOM: usize = 5;

/// One function that the posterior holds possible, standardised.
pub(crate) struct Path<'a> {
    posterior: &'a Posterior,
    dimensions: Vec<Frequencies>,
    /// bₘ in turns of 2π.
    phases: Vec<f64>,
    /// wₘ √(2s/F).
    weights: Vec<f64>,
    /// What the function is everywhere, apart from its cosines.
    level: f64,
    /// What the options of each category add to that; nothing for other dimensions.
    effects: Vec<Vec<f64>>,
    /// A⁻¹ (y − f₀(X) − ε).
    update: Vec<f64>,
}

/// The part of ωₘᵀ x that one dimension adds, for every cosine, in turns of 2π.
enum Frequencies {
    /// Times the number.
    Number(Vec<f64>),
    /// By option.
    Switch(Vec<Vec<f64>>),
}

impl Posterior {
    /// Draws a function of the space whose results these are. Believed points count as observed
    /// at their means.
    pub(crate) fn path(&self, space: &Space, stream: &mut Stream) -> Path<'_> {
        let normals = |count: usize, stream: &mut Stream| -> Vec<f64> {
            (0..count).map(|_| stream.normal()).collect()
        };
        let scales: Vec<f64> = (0..FEATURES)
            .map(|_| {
                let squares: f64 = normals(FREEDOM, stream).iter().map(|z| z * z).sum();
                (FREEDOM as f64 / squares).sqrt()
            })
            .collect();
        let dimensions = self.hyper.length_scales.iter().enumerate();
        let dimensions = dimensions.map(|(place, length_scale)| {
            let turns = TAU * length_scale;
            match space.options(place) {
                Some(options) if self.metric.is_switch(place) => {
                    let mut frequencies =
                        || normals(FEATURES, stream).iter().map(|z| z / turns).collect();
                    Frequencies::Switch((0..options).map(|_| frequencies()).collect())
                }
                _ => {
                    let normals = normals(FEATURES, stream);
                    let scaled = normals.iter().zip(&scales).map(|(z, scale)| z * scale / turns);
                    Frequencies::Number(scaled.collect())
                }
            }
        });
        let dimensions = dimensions.collect();
        let phases = (0..FEATURES).map(|_| stream.uniform()).collect();
        let height = (2.0 * self.hyper.signal_variance / FEATURES as f64).sqrt();
        let weights = normals(FEATURES, stream).iter().map(|w| w * height).collect();
        let level = self.metric.level_variance().sqrt() * stream.normal();
        let effects = (0..self.metric.dimensions()).map(|place| {
            let (effect, options) = self.metric.effect(place).zip(space.options(place))?;
            Some(effect.of_normals(&normals(options as usize, stream)))
        });
        let effects = effects.map(Option::unwrap_or_default).collect();
        let update = Vec::new();
        let mut path =
            Path { posterior: self, dimensions, phases, weights, level, effects, update };

        let noise = self.hyper.noise_variance.sqrt();
        let drawn: Vec<f64> = (0..self.points.len())
            .map(|row| path.prior(space, &self.points.point(row)) + noise * stream.normal())
            .collect();
        let solved = self.factor.solve(&drawn);
        path.update = self.alpha.iter().zip(solved).map(|(alpha, known)| alpha - known).collect();
        path
    }
}

impl Path<'_> {
    /// The function at canonical points of the space it was drawn for, standardised.
    pub(crate) fn at(&self, space: &Space, points: &[UnitPoint]) -> Vec<f64> {
        let told = self.posterior.weighted(&self.update, points);
        let prior = points.iter().map(|point| self.prior(space, &point.0));
        prior.zip(told).map(|(prior, told)| prior + told).collect()
    }

    fn prior(&self, space: &Space, point: &[f64]) -> f64 {
        let mut turns = self.phases.clone();
        for (place, (frequencies, &unit)) in self.dimensions.iter().zip(point).enumerate() {
            match frequencies {
                Frequencies::Number(frequencies) => {
                    for (turn, frequency) in turns.iter_mut().zip(frequencies) {
                        *turn += frequency * unit;
                    }
                }
                Frequencies::Switch(options) => {
                    let option = &options[space.option(place, unit) as usize];
                    for (turn, frequency) in turns.iter_mut().zip(option) {
                        *turn += frequency;
                    }
                }
            }
        }
        // Term by term before they are summed, so that several are computed at once.
        for (turn, weight) in turns.iter_mut().zip(&self.weights) {
            *turn = weight * cosine(*turn);
        }
        let effects = self.effects.iter().zip(point).enumerate();
        let effects = effects.filter(|(_, (effects, _))| !effects.is_empty());
        let effects =
            effects.map(|(place, (effects, &unit))| effects[space.option(place, unit) as usize]);
        self.level + effects.sum::<f64>() + turns.iter().sum::<f64>()
    }
}

impl Posterior {
    /// Standardised means, without deviations: a fraction of the cost.
    pub(crate) fn means(&self, points: &[UnitPoint]) -> Vec<f64> {
        self.weighted(&self.alpha, points)
    }

    /// `k(x, X) w` at each of the points.
    fn weighted(&self, rows: &[f64], points: &[UnitPoint]) -> Vec<f64> {
        let weights = self.hyper.weights();
        let mut sums = Vec::with_capacity(points.len());
        for batch in points.chunks(BATCH) {
            let cross = self.cross(&weights, batch);
            for column in 0..batch.len() {
                let covariances = cross.col_as_slice(column);
                sums.push((0..rows.len()).map(|i| covariances[i] * rows[i]).sum());
            }
        }
        sums
    }
}

/// `cos(2π t)` for `|t|` below 2⁵⁰, off by less than 1e-11: nine tenths of a draw's time go into
/// cosines, and this one has neither branches nor calls. Taylor's series over half a turn each way.
fn cosine(t: f64) -> f64 {
    /// Adding and subtracting it rounds to a whole number.
    const ROUND: f64 = 1.5 * (1u64 << 52) as f64;
    let turned = t - ((t + ROUND) - ROUND);
    let square = TAU * TAU * turned * turned;
    // 1 − x²/2! + x⁴/4! − …, innermost first.
    INVERSE_PRODUCTS.iter().rev().fold(1.0, |sum, inverse| 1.0 - square * inverse * sum)
}

/// `1 / (2k (2k − 1))` for `k` from 1. The first term that is left out is below π²⁴/24!, 1.4e-12.
const INVERSE_PRODUCTS: [f64; 11] = {
    let mut inverses = [0.0; 11];
    let mut k = 1;
    while k <= inverses.len() {
        inverses[k - 1] = 1.0 / (2 * k * (2 * k - 1)) as f64;
        k += 1;
    }
    inverses
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Observation;
    use crate::space::{Domain, Parameter, Scale};
    use crate::stream::Purpose;

    fn space() -> Space {
        let domains = [
            Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear },
            Domain::Categorical { choices: ["a", "b", "c"].map(str::to_owned).to_vec() },
            Domain::Ordinal { values: vec![8.0, 16.0] },
        ];
        let parameters = domains.into_iter().zip(["x", "kind", "width"]).map(|(domain, name)| {
            Parameter { name: name.to_owned(), domain, condition: None, default: None }
        });
        Space::new(parameters.collect()).unwrap()
    }

    fn point(x: f64, option: u64) -> UnitPoint {
        UnitPoint(vec![x, option as f64 / 2.0, f64::from(u8::from(x < 0.5))])
    }

    fn posterior(space: &Space, results: u32) -> Posterior {
        let observed: Vec<Observation> = (0..results)
            .map(|i| {
                let (x, option) = ((f64::from(i) * 0.381_966).fract(), u64::from(i % 2));
                let value = (6.0 * x).sin() + 0.8 * option as f64;
                Observation { point: point(x, option), value }
            })
            .collect();
        Posterior::fit(space, &observed, &[], 1).unwrap()
    }

    #[test]
    fn draws_have_the_mean_and_the_deviation_that_is_predicted() {
        let space = space();
        // Beside results, between them, and at a category that was never seen.
        let at = [point(0.38, 1), point(0.1, 0), point(0.95, 1), point(0.5, 2), point(0.9, 2)];
        // Where much is known, and where little is.
        for results in [9, 1] {
            let posterior = posterior(&space, results);
            let (means, deviations) = posterior.standardised(&at);
            let (mut sums, mut squares) = ([0.0; 5], [0.0; 5]);
            const DRAWS: u64 = 4000;
            for number in 0..DRAWS {
                let mut stream = Stream::new(3, number, Purpose::Path);
                let drawn = posterior.path(&space, &mut stream).at(&space, &at);
                for (i, value) in drawn.iter().enumerate() {
                    sums[i] += value;
                    squares[i] += value * value;
                }
            }
            for i in 0..at.len() {
                let mean = sums[i] / DRAWS as f64;
                let deviation = (squares[i] / DRAWS as f64 - mean * mean).sqrt();
                // Five deviations of a mean of so many draws.
                let error = 5.0 * deviations[i] / (DRAWS as f64).sqrt();
                assert!((mean - means[i]).abs() < error, "mean {i}: {mean} is not {}", means[i]);
                let ratio = deviation / deviations[i];
                assert!((ratio - 1.0).abs() < 0.06, "deviation {i}: {deviation}, {deviations:?}");
            }
        }
    }

    #[test]
    fn before_results_draws_have_the_covariance_of_the_kernel() {
        let space = space();
        let posterior = posterior(&space, 9);
        let at = [point(0.1, 0), point(0.9, 2)];
        let (mut squares, mut products) = (0.0, 0.0);
        const DRAWS: u64 = 4000;
        for number in 0..DRAWS {
            let path = posterior.path(&space, &mut Stream::new(4, number, Purpose::Path));
            let [a, b] = [&at[0], &at[1]].map(|point| path.prior(&space, &point.0));
            squares += a * a / DRAWS as f64;
            products += a * b / DRAWS as f64;
        }
        let variance = posterior.metric.variance(posterior.hyper.signal_variance);
        let columns = super::super::Columns::of([&at[0]], 3);
        let mut distances = super::super::Distances::default();
        let weights = posterior.hyper.weights();
        distances.measure(&posterior.metric, &weights, &columns, 1, &at[1].0);
        let covariance = distances.covariances(&posterior.hyper).next().unwrap();
        // Five deviations of a mean of so many products.
        let error = 5.0 * variance * (2.0 / DRAWS as f64).sqrt();
        assert!((squares - variance).abs() < error, "{squares} is not {variance}");
        assert!((products - covariance).abs() < error, "{products} is not {covariance}");
    }

    #[test]
    fn the_cosine_is_a_cosine() {
        for i in -4000..4000 {
            let t = f64::from(i) * 0.001_237;
            let error = (cosine(t) - (TAU * t).cos()).abs();
            assert!(error < 1e-11, "off by {error:e} at {t}");
        }
    }

    #[test]
    fn means_alone_are_those_beside_deviations() {
        let space = space();
        let posterior = posterior(&space, 9);
        let at: Vec<UnitPoint> = (0..600).map(|i| point(f64::from(i) / 600.0, 2)).collect();
        assert_eq!(posterior.means(&at), posterior.standardised(&at).0);
    }
}
