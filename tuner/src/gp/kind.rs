//! What kind of space a function lives on, and what is believed of it for that.

use crate::space::Space;

/// Fewest options of a parameter with an order that make it as good as a float.
const NUMBER_OPTIONS_MIN: u64 = 5;

/// What a space is made of (decision 0021).
///
/// On floats alone an objective is mostly smooth: few of them matter, their optimum lies in a basin, and a
/// search gains by narrowing it. Switches and short lists make cliffs and ledges, and effects that add up; there a
/// search gains by trying what it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Floats, and whole numbers or ordinals of at least five options.
    Numbers,
    /// Categories, switches or shorter lists are among its parameters.
    Options,
}

impl Kind {
    /// Of a space; a parameter of one value makes no difference to it.
    pub(crate) fn of(space: &Space) -> Kind {
        let is_number = |place| match space.options(place) {
            Some(1) | None => true,
            Some(options) => !space.is_category(place) && options >= NUMBER_OPTIONS_MIN,
        };
        match (0..space.parameters().len()).all(is_number) {
            true => Kind::Numbers,
            false => Kind::Options,
        }
    }

    /// Variance of the level, in standardised units squared. Results are standardised, but their mean is
    /// that of where a search has looked, and says little of what the function is elsewhere (decision 0020).
    pub(crate) fn level_variance(self) -> f64 {
        match self {
            Kind::Numbers => 10.0,
            Kind::Options => 1.0,
        }
    }

    /// The power by which results are [bent](super::bend).
    pub(crate) fn power(self) -> f64 {
        match self {
            Kind::Numbers => 1.25,
            Kind::Options => 1.5,
        }
    }

    /// Whether results of one height, one after the other, are more than an optimum that was found: a ledge,
    /// from which a search must be sent away (decision 0006).
    pub(crate) fn has_ledges(self) -> bool {
        self == Kind::Options
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
}
