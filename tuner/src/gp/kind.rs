//! What kind of space a function lives on, and what is believed of it for that.

use crate::space::Space;

/// Fewest options of a parameter with an order that make it as good as a float.
const NUMBER_OPTIONS_MIN: u64 = 5;

/// What a space is made of (decision 0021).
///
/// On floats alone an objective is mostly smooth: few of them matter, their optimum lies in a basin, and a
/// search gains by narrowing it. Switches and short lists make cliffs and ledges, and effects that add up; there a
/// search gains by trying what it has not. Where everything is one of two, some parameters decide and some do
/// nothing, and more is to be learned of which than where there are many ways to differ (decision 0023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Floats, and whole numbers or ordinals of at least five options.
    Numbers,
    /// Parameters of two options each, with an order or without, which of two means nothing.
    TwoOptions,
    /// Anything else: categories, switches or shorter lists are among its parameters.
    Options,
}

impl Kind {
    /// Of a space; a parameter of one value makes no difference to it.
    pub(crate) fn of(space: &Space) -> Kind {
        let is_number = |place| match space.options(place) {
            Some(1) | None => true,
            Some(options) => !space.is_category(place) && options >= NUMBER_OPTIONS_MIN,
        };
        let is_switch = |place| matches!(space.options(place), Some(1 | 2));
        let mut places = 0..space.parameters().len();
        if places.clone().all(is_number) {
            Kind::Numbers
        } else if places.all(is_switch) {
            Kind::TwoOptions
        } else {
            Kind::Options
        }
    }

    /// Variance of the level, in standardised units squared. Results are standardised, but their mean is
    /// that of where a search has looked, and says little of what the function is elsewhere (decision 0020).
    pub(crate) fn level_variance(self) -> f64 {
        match self {
            Kind::Numbers => 10.0,
            Kind::TwoOptions | Kind::Options => 1.0,
        }
    }

    /// The power by which results are [bent](super::bend), if they are: near the optimum of a smooth function they
    /// are round as they are.
    pub(crate) fn power(self) -> Option<f64> {
        match self {
            Kind::Numbers => None,
            Kind::TwoOptions | Kind::Options => Some(1.5),
        }
    }

    /// Whether results of one height, one after the other, are more than an optimum that was found: a ledge,
    /// from which a search must be sent away (decision 0006).
    pub(crate) fn has_ledges(self) -> bool {
        self != Kind::Numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Domain, Scale};

    fn kind(domains: impl IntoIterator<Item = Domain>) -> Kind {
        Kind::of(&Space::of_domains(domains))
    }

    #[test]
    fn one_parameter_of_few_options_or_without_an_order_makes_a_space_one_of_options() {
        let float = || Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear };
        let int = |high| Domain::Int { low: 1, high, scale: Scale::Linear };
        let choices = |count: usize| Domain::Categorical {
            choices: (0..count).map(|i| format!("c{i}")).collect(),
        };
        assert_eq!(kind([float(), int(5)]), Kind::Numbers);
        assert_eq!(kind([float(), Domain::Ordinal { values: vec![7.0] }]), Kind::Numbers);
        assert_eq!(kind([float(), int(4)]), Kind::Options);
        assert_eq!(kind([float(), Domain::Bool]), Kind::Options);
        assert_eq!(kind([float(), choices(9)]), Kind::Options);
    }

    #[test]
    fn parameters_of_two_options_make_a_kind_of_their_own_and_one_other_makes_it_none() {
        let order = |values: &[f64]| Domain::Ordinal { values: values.to_vec() };
        let choices = || Domain::Categorical { choices: ["a", "b"].map(str::to_owned).to_vec() };
        let all = || [Domain::Bool, order(&[1.0, 2.0]), choices(), order(&[7.0])];
        assert_eq!(kind(all()), Kind::TwoOptions);
        assert_eq!(kind(all().into_iter().chain([order(&[1.0, 2.0, 3.0])])), Kind::Options);
        assert_eq!(kind([order(&[7.0])]), Kind::Numbers);
    }
}
