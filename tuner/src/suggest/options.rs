//! What a study may ask for, and the words it is asked in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::space::{Domain, Space};

/// How points are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Uniformly, without repetition.
    Random,
    /// Every point once, in lexicographic order.
    Grid,
    /// By a scrambled Sobol sequence.
    Sobol,
    /// By expected improvement under a Gaussian process, after a few space-filling points.
    #[default]
    GaussianProcess,
    /// By a tree-structured Parzen estimator, after a few space-filling points.
    Tpe,
    /// By regularised evolution, after a few space-filling points.
    Evolution,
}

/// What the first points of a study are, where the algorithm learns from results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartDesign {
    /// The middle of the space and a Latin hypercube around it: as far apart as so few can be.
    #[default]
    LatinHypercube,
    /// A scrambled Sobol sequence: even in every parameter.
    Sobol,
    /// Uniform draws, as in Parsa et al. 2020.
    Random,
}

/// Why a point was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// One of the space-filling points before there is anything to model.
    Start,
    /// Drawn uniformly; with another algorithm, because what it would have chosen was taken.
    Random,
    /// The next of the grid.
    Grid,
    /// From the Sobol sequence; with a Gaussian process, because no posterior was at hand.
    Sobol,
    /// The largest expected improvement.
    Acquisition,
    /// The most probably feasible, because nothing feasible is known.
    Feasibility,
    /// Space-filling, because the last results all lay at one height.
    Plateau,
    /// The largest ratio of good to bad density under a Parzen estimator.
    Parzen,
    /// A mutation of the winner of a tournament.
    Mutation,
}

/// A word that is none of the names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {names}")]
pub struct UnknownName {
    word: String,
    names: &'static str,
}

macro_rules! named {
    ($type:ident, $names:literal, $($variant:ident = $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($type::$variant => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(word: &str) -> Result<$type, UnknownName> {
                match word {
                    $($name => Ok($type::$variant),)+
                    _ => Err(UnknownName { word: word.to_owned(), names: $names }),
                }
            }
        }
    };
}

named!(
    Algorithm,
    "random, grid, sobol, gaussian_process, tpe, evolution",
    Random = "random",
    Grid = "grid",
    Sobol = "sobol",
    GaussianProcess = "gaussian_process",
    Tpe = "tpe",
    Evolution = "evolution"
);
named!(
    StartDesign,
    "latin_hypercube, sobol, random",
    LatinHypercube = "latin_hypercube",
    Sobol = "sobol",
    Random = "random"
);
named!(
    Origin,
    "start, random, grid, sobol, acquisition, feasibility, plateau, parzen, mutation",
    Start = "start",
    Random = "random",
    Grid = "grid",
    Sobol = "sobol",
    Acquisition = "acquisition",
    Feasibility = "feasibility",
    Plateau = "plateau",
    Parzen = "parzen",
    Mutation = "mutation"
);

/// How a study wants its points chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The method.
    pub algorithm: Algorithm,
    /// How many trials, by number, come from the start design before results decide. `None` is
    /// `max(3, min(8, d/3 + 1))` for `d` parameters with a Gaussian process, and 10 with
    /// [`Algorithm::Tpe`] and [`Algorithm::Evolution`]; Parsa et al. 2020 used 2.
    pub start_points: Option<u32>,
    /// What those first points are.
    pub start_design: StartDesign,
}

/// Start points of the algorithms that learn from the order of results alone, which says less than
/// the results: as many as users of a Parzen estimator are used to.
const START_POINTS: u32 = 10;

/// Why options do not suit a space.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A grid over a float never ends.
    #[error("a grid cannot enumerate the float `{parameter}`; make it an ordinal, or use sobol")]
    GridOverFloat {
        /// Its name.
        parameter: String,
    },
    /// A grid whose points cannot even be counted.
    #[error("a grid cannot enumerate more than 2^128 points; use sobol")]
    GridTooLarge,
}

impl Algorithm {
    /// Whether it asks what was measured before; otherwise a point depends on those that are taken alone.
    pub fn learns(self) -> bool {
        !matches!(self, Algorithm::Random | Algorithm::Grid | Algorithm::Sobol)
    }
}

impl Options {
    /// Whether the options can be followed in a space.
    pub fn check(&self, space: &Space) -> Result<(), OptionsError> {
        if self.algorithm != Algorithm::Grid || space.distinct().is_some() {
            return Ok(());
        }
        let mut parameters = space.parameters().iter();
        match parameters.find(|parameter| matches!(parameter.domain, Domain::Float { .. })) {
            Some(float) => Err(OptionsError::GridOverFloat { parameter: float.name.clone() }),
            None => Err(OptionsError::GridTooLarge),
        }
    }

    /// How many trials come from the start design before results decide.
    pub fn start_points(&self, space: &Space) -> u32 {
        let default = match self.algorithm {
            Algorithm::Tpe | Algorithm::Evolution => START_POINTS,
            // Measured: enough to see the main effects, few enough that 30 evaluations are not
            // spent.
            _ => (space.parameters().len() as u32 / 3 + 1).clamp(3, 8),
        };
        self.start_points.unwrap_or(default)
    }
}
