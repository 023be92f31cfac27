//! Main effects: what a category adds to a result wherever the other parameters stand (decision 0022).

use super::kind::Kind;
use crate::space::Space;

/// Variance of the main effects of all parameters together, if all were categories, in standardised units
/// squared: as much as is expected of all the rest. Measured: decision 0023.
const EFFECTS_VARIANCE: f64 = 1.0;

/// The main effect of a category before any result: one number for each of its `m` options, normal, and
/// together zero, so that it takes nothing from the level. Two of them have the covariance −variance/(m − 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Effect {
    /// In standardised units squared.
    variance: f64,
    /// At least two.
    options: u64,
}

impl Effect {
    /// Of a parameter; `None` unless it is a category of two options or more, and some parameter of its space
    /// has more than two.
    pub(crate) fn of(space: &Space, place: usize) -> Option<Effect> {
        if Kind::of(space) == Kind::TwoOptions {
            return None;
        }
        let options = space.options(place).filter(|&options| options > 1)?;
        let variance = EFFECTS_VARIANCE / space.parameters().len() as f64;
        space.is_category(place).then_some(Effect { variance, options })
    }

    /// Covariance at two points where the category is the same, or another.
    pub(crate) fn covariance(self, is_alike: bool) -> f64 {
        if is_alike { self.variance } else { -self.variance / (self.options - 1) as f64 }
    }

    /// The effect of each option, of as many normal draws.
    pub(crate) fn of_normals(self, normals: &[f64]) -> Vec<f64> {
        let m = self.options as f64;
        let mean = normals.iter().sum::<f64>() / m;
        let height = (self.variance * m / (m - 1.0)).sqrt();
        normals.iter().map(|z| height * (z - mean)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Domain;

    #[test]
    fn categories_alone_have_one_and_it_is_together_zero() {
        let choices = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let order = Domain::Ordinal { values: vec![1.0, 2.0] };
        let one = Domain::Categorical { choices: vec!["a".to_owned()] };
        let domains = [Domain::Categorical { choices }, Domain::Bool, order, one];
        let space = Space::of_domains(domains);
        let effects: Vec<Option<Effect>> = (0..4).map(|place| Effect::of(&space, place)).collect();
        assert_eq!(effects[2..], [None, None]);
        for (effect, options) in effects.into_iter().flatten().zip([4, 2]) {
            assert_eq!(effect.covariance(true), 0.25);
            let sum = effect.covariance(true) + (options - 1) as f64 * effect.covariance(false);
            assert!(sum.abs() < 1e-15);
        }
    }

    #[test]
    fn drawn_effects_have_the_covariance() {
        let effect = Effect { variance: 0.3, options: 3 };
        // A draw is a linear map M of normals, so its covariance is M Mᵀ.
        let map: Vec<Vec<f64>> = (0..3)
            .map(|of| {
                let unit = |i: usize| f64::from(u8::from(i == of));
                effect.of_normals(&[unit(0), unit(1), unit(2)])
            })
            .collect();
        for a in 0..3 {
            for b in 0..3 {
                let covariance: f64 = map.iter().map(|column| column[a] * column[b]).sum();
                assert!((covariance - effect.covariance(a == b)).abs() < 1e-15);
            }
        }
    }
}
