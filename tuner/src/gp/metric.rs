//! How points are told apart: what each dimension is, and how far it is expected to reach.

use super::effect::Effect;
use super::kind::Kind;
use super::prior::{Belief, length};
use crate::space::Space;

/// What each dimension is, and what they are together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// Whether its values are only alike or not.
    switches: Vec<bool>,
    /// What is believed of its length scale, as a logarithm.
    lengths: Vec<Belief>,
    /// What a category adds wherever the others stand.
    effects: Vec<Option<Effect>>,
    kind: Kind,
}

impl Metric {
    pub(crate) fn of(space: &Space) -> Metric {
        let places = 0..space.parameters().len();
        let kind = Kind::of(space);
        let reach = |place| match space.options(place) {
            Some(options) => reach(options, space.is_category(place) && kind != Kind::TwoOptions),
            None => 1.0,
        };
        let is_switch = |place| space.is_category(place) || space.options(place) == Some(2);
        let effects = places.clone().map(|place| Effect::of(space, place)).collect();
        let switches = places.clone().map(is_switch).collect();
        Metric { effects, ..Metric::new(switches, places.map(reach), kind) }
    }

    /// Of records, of which no more is known than which columns are categories: not how many options these
    /// have, and so nothing of main effects.
    pub(crate) fn of_columns(categories: Vec<bool>) -> Metric {
        let kind = if categories.contains(&true) { Kind::Options } else { Kind::Numbers };
        let reaches = vec![1.0; categories.len()];
        Metric::new(categories, reaches, kind)
    }

    fn new(switches: Vec<bool>, reaches: impl IntoIterator<Item = f64>, kind: Kind) -> Metric {
        let dimensions = switches.len();
        let lengths = reaches.into_iter().map(|reach| length(reach, dimensions, kind)).collect();
        Metric { switches, lengths, effects: vec![None; dimensions], kind }
    }

    /// Whether values of this dimension are only alike or not.
    pub(crate) fn is_switch(&self, dimension: usize) -> bool {
        self.switches[dimension]
    }

    pub(crate) fn switches(&self) -> &[bool] {
        &self.switches
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.switches.len()
    }

    /// What is believed of the logarithm of each length scale.
    pub(crate) fn lengths(&self) -> &[Belief] {
        &self.lengths
    }

    /// The main effect of a dimension, if it is a category.
    pub(crate) fn effect(&self, dimension: usize) -> Option<Effect> {
        self.effects[dimension]
    }

    /// Variance of the level, in standardised units squared.
    pub(crate) fn level_variance(&self) -> f64 {
        self.kind.level_variance()
    }

    /// Variance of the function at any point before any result.
    pub(crate) fn variance(&self, signal_variance: f64) -> f64 {
        let effects = self.effects.iter().flatten().map(|effect| effect.covariance(true));
        self.level_variance() + effects.sum::<f64>() + signal_variance
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

/// How many times as long as a float's the length scale of so many options is expected to be.
///
/// Few options lie far apart: the mean squared distance of two values of a float is 1/6, of `m` evenly
/// spaced options `(m + 1)/(m − 1)` times that, and of `m` categories `6 (m − 1)/m` times that. But who lists a
/// few options lists sensible ones, and the largest distance there is need not be a large difference. With one
/// expectation for all, a space of switches is believed to be so rugged that nothing is learned of a switch
/// from points at which another one differs. Options with an order are given the whole factor; categories its
/// root, because they may be anything. Measured: decision 0018. Where every parameter is one of two, all are
/// given the whole.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Domain, Scale};

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
        let space = Space::of_domains(domains);
        let metric = Metric::of(&space);
        let reach = |place: usize| metric.lengths()[place].mean.exp();
        assert_eq!(reach(0), 1.0);
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
            assert!((reach(place) - expected).abs() < 1e-12, "{place}: {metric:?}");
        }
    }

    #[test]
    fn a_parameter_that_cannot_change_reaches_no_further_than_a_float() {
        assert_eq!(reach(1, false), 1.0);
        assert_eq!(reach(1, true), 1.0);
    }
}
