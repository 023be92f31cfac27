//! How the objective changes along one parameter, all others averaged out: partial dependence of the
//! posterior mean.
//!
//! At each value of the parameter the posterior is averaged over the space, with the same points for
//! every value, so that the curve is as smooth as the surrogate. Of a conditional parameter the
//! average goes over that part of the space where it is active. The deviation is the surrogate's, of
//! the average and not of a single prediction.
//!
//! Reference: J. Friedman, "Greedy function approximation: a gradient boosting machine", Annals of
//! Statistics 29(5), 2001, section 8.2; J. Moosbauer et al., "Explaining hyperparameter optimization
//! via partial dependence plots", NeurIPS 2021, section 4.1 (its uncertainty under a Gaussian
//! process).

use crate::gp::Posterior;
use crate::history::Observation;
use crate::space::{Space, UnitPoint, Value};
use crate::stream::{Purpose, Stream};

/// Most values that a range is looked at; of options all are.
pub const PLACES_MAX: usize = 33;
/// Points that are averaged over.
const POINTS: u32 = 128;

/// One value of the parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Natural units.
    pub value: Value,
    /// Where it stands on the unit interval.
    pub unit: f64,
    /// Average of the posterior mean there, objective units.
    pub mean: f64,
    /// The surrogate's deviation of that average, objective units.
    pub deviation: f64,
    /// Results with this value, or for which it is the nearest of a range's.
    pub results: u32,
}

/// The curve of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependence {
    /// The parameter's place in the space, from 0.
    pub parameter: usize,
    /// Options in their order; of a range, evenly spaced on its scale.
    pub places: Vec<Place>,
}

/// The partial dependence on parameter `place` of the space. `observed` are the results that the
/// posterior was fitted to. A function of its arguments, bit for bit.
///
/// # Panics
///
/// If the space has no such parameter, or the posterior belongs to a space of other dimensions.
pub fn dependence(
    space: &Space,
    posterior: &Posterior,
    observed: &[Observation],
    place: usize,
    seed: u64,
) -> Dependence {
    let dimensions = space.parameters().len() as u32;
    let scramble = Stream::new(seed, 0, Purpose::Dependence).bits();
    let points: Vec<UnitPoint> = (0..POINTS)
        .map(|index| {
            let uniforms = (0..dimensions)
                .map(|dimension| f64::from(sobol_burley::sample(index, dimension, scramble)));
            space.spread_where_active(place, &uniforms.collect::<Vec<f64>>())
        })
        .collect();
    let units = space.places(place, PLACES_MAX);
    let mut results = vec![0; units.len()];
    for observation in observed {
        let point = space.canonical(&observation.point);
        if space.active(&point)[place] {
            results[nearest(&units, point.0[place])] += 1;
        }
    }
    let places = units.iter().zip(results).map(|(&unit, results)| {
        let moved = points.iter().map(|point| {
            let mut units = point.0.clone();
            units[place] = unit;
            space.canonical(&UnitPoint(units))
        });
        let (mean, deviation) = posterior.average(&moved.collect::<Vec<UnitPoint>>());
        Place { value: space.value_at(place, unit), unit, mean, deviation, results }
    });
    Dependence { parameter: place, places: places.collect() }
}

/// Which of rising numbers is nearest; of two the lower.
fn nearest(units: &[f64], unit: f64) -> usize {
    let above = units.partition_point(|candidate| *candidate < unit).min(units.len() - 1);
    let below = above.saturating_sub(1);
    if (unit - units[below]).abs() <= (units[above] - unit).abs() { below } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_at_the_nearest_value() {
        let units = [0.0, 0.5, 1.0];
        let found = [0.0, 0.2, 0.25, 0.26, 0.5, 0.8, 1.0].map(|unit| nearest(&units, unit));
        assert_eq!(found, [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(nearest(&[0.0], 0.7), 0);
    }
}
