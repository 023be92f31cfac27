//! The one verb: where to look next.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::acquisition::maximise::{maximise, score};
use crate::design;
use crate::gp::Posterior;
use crate::history::{History, Observation};
use crate::space::{Domain, Key, Space, UnitPoint};
use crate::stream::{Purpose, Stream};

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
    /// By expected improvement under a Gaussian process, after a few Sobol points.
    #[default]
    GaussianProcess,
}

/// Why a point was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// One of the space-filling points before there is anything to model.
    Start,
    /// Drawn uniformly.
    Random,
    /// The next of the grid.
    Grid,
    /// From the Sobol sequence; with a Gaussian process, because no posterior was at hand.
    Sobol,
    /// The largest expected improvement.
    Acquisition,
    /// Space-filling, because the last results all lay at the floor.
    Plateau,
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
    "random, grid, sobol, gaussian_process",
    Random = "random",
    Grid = "grid",
    Sobol = "sobol",
    GaussianProcess = "gaussian_process"
);
named!(
    Origin,
    "start, random, grid, sobol, acquisition, plateau",
    Start = "start",
    Random = "random",
    Grid = "grid",
    Sobol = "sobol",
    Acquisition = "acquisition",
    Plateau = "plateau"
);

/// How a study wants its points chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The method.
    pub algorithm: Algorithm,
    /// How many trials, by number, are space-filling before the Gaussian process decides. `None`
    /// is `max(3, min(8, d/3 + 1))` for `d` parameters; Parsa et al. 2020 used 2.
    pub start_points: Option<u32>,
}

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

    /// How many trials are space-filling before the Gaussian process decides.
    pub fn start_points(&self, space: &Space) -> u32 {
        // Measured: enough to see the main effects, few enough that 30 evaluations are not spent.
        let default = (space.parameters().len() as u32 / 3 + 1).clamp(3, 8);
        self.start_points.unwrap_or(default)
    }
}

/// Where to look next, and what was thought of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Canonical, and not taken.
    pub point: UnitPoint,
    /// Why this point.
    pub origin: Origin,
    /// Posterior mean there, objective units; `None` without a posterior, as the next two.
    pub mean: Option<f64>,
    /// Posterior deviation of the objective there, noise left out, pending points believed.
    pub deviation: Option<f64>,
    /// Log expected improvement there: natural logarithm, of objective units.
    pub acquisition: Option<f64>,
}

/// Every distinct point of the space is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every point of the space has been suggested; widen the space or end the study")]
pub struct Exhausted;

/// Fewest results a posterior is asked about; two if the study starts with two points or fewer.
const RESULTS_MIN: u32 = 3;
/// Results at the floor, one after the other, that make a plateau.
const PLATEAU_RESULTS: usize = 4;
/// How near the worst value, as a share of all that was seen, a result is at the floor.
const PLATEAU_SHARE: f64 = 0.01;
/// Later points of the Sobol sequence that are tried for one that is taken.
const SOBOL_TRIES: u32 = 16;
/// Uniform draws that are tried before the points are gone through one by one.
const UNIFORM_TRIES: u32 = 64;
/// Uniform draws in a space that cannot be gone through, because a float is in it.
const UNIFORM_TRIES_FLOAT: u32 = 10_000;

/// Chooses the point of trial `number` (0, 1, 2 … within the study). Never one that is taken, as
/// long as one is left.
///
/// A function of its arguments, bit for bit; all chance comes from (`seed`, `number`).
/// `posterior` is only asked for by [`Algorithm::GaussianProcess`], and should be the one of the
/// history's results; without it the point is space-filling. Points that are out with workers are
/// believed at their mean, so that several askers differ.
///
/// # Errors
///
/// [`Exhausted`]: every distinct point is taken.
pub fn suggest(
    space: &Space,
    options: &Options,
    history: &History,
    posterior: Option<&Posterior>,
    seed: u64,
    number: u32,
) -> Result<Suggestion, Exhausted> {
    let draw = Draw { space, taken: taken(space, history), seed, number };
    // What is out with workers changes what every point promises, whoever chooses it.
    let believer = posterior.and_then(|posterior| {
        let pending: Vec<UnitPoint> = history.pending.iter().map(|p| space.canonical(p)).collect();
        let mut believer = posterior.clone();
        // A factor that cannot be extended is no posterior; the point is then space-filling.
        believer.believe(&pending).ok().map(|()| believer)
    });
    let (point, origin) = match options.algorithm {
        Algorithm::Random => (draw.uniform()?, Origin::Random),
        Algorithm::Grid => (draw.grid()?, Origin::Grid),
        Algorithm::Sobol => (draw.sobol()?, Origin::Sobol),
        Algorithm::GaussianProcess => {
            let start = options.start_points(space);
            match &believer {
                _ if is_start(start, history, number) => (draw.sobol()?, Origin::Start),
                None => (draw.sobol()?, Origin::Sobol),
                _ if number % 2 == 1 && is_plateau(start, &history.observed) => {
                    (draw.sobol()?, Origin::Plateau)
                }
                Some(believer) => (draw.acquisition(believer)?, Origin::Acquisition),
            }
        }
    };
    let judged = believer.as_ref().map(|believer| {
        let points = std::slice::from_ref(&point);
        let prediction = believer.predict(points);
        let score = score(believer, believer.incumbent(), points)[0];
        (prediction.mean[0], prediction.deviation[0], score + believer.scale().ln())
    });
    Ok(Suggestion {
        point,
        origin,
        mean: judged.map(|(mean, _, _)| mean),
        deviation: judged.map(|(_, deviation, _)| deviation),
        acquisition: judged.map(|(_, _, acquisition)| acquisition),
    })
}

/// Whether there is too little to model yet.
fn is_start(start: u32, history: &History, number: u32) -> bool {
    let results_min = start.clamp(2, RESULTS_MIN) as usize;
    number < start || history.observed.len() < results_min
}

/// Whether the last results after the start all lie at the floor. There the process sees a plain
/// and its improvement is spread so thin that it may stay for the rest of the budget.
fn is_plateau(start: u32, observed: &[Observation]) -> bool {
    let Some(after_start) = observed.get(start as usize..) else { return false };
    let Some(begin) = after_start.len().checked_sub(PLATEAU_RESULTS) else { return false };
    let values = || observed.iter().map(|observation| observation.value);
    let (worst, best) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    // Halves, because the range of two doubles may be no double.
    let reach = 2.0 * PLATEAU_SHARE * (best / 2.0 - worst / 2.0);
    after_start[begin..].iter().all(|observation| observation.value <= worst + reach)
}

fn taken(space: &Space, history: &History) -> HashSet<Key> {
    let observed = history.observed.iter().map(|observation| &observation.point);
    let others = history.taken.iter().chain(&history.pending).chain(&history.failed);
    observed.chain(others).map(|point| space.key(point)).collect()
}

/// The ways to a free point.
struct Draw<'a> {
    space: &'a Space,
    taken: HashSet<Key>,
    seed: u64,
    number: u32,
}

impl Draw<'_> {
    fn acquisition(&self, believer: &Posterior) -> Result<UnitPoint, Exhausted> {
        let mut stream = Stream::new(self.seed, u64::from(self.number), Purpose::Search);
        let best = believer.incumbent();
        match maximise(self.space, believer, best, &self.taken, &mut stream) {
            Some(point) => Ok(point),
            None => self.uniform(),
        }
    }

    /// The Sobol point of this number, or the next that is free.
    fn sobol(&self) -> Result<UnitPoint, Exhausted> {
        let indices = (0..SOBOL_TRIES).map(|i| self.number.wrapping_add(i));
        let mut points = indices.map(|index| design::sobol(self.space, self.seed, index));
        points.find(|point| self.is_free(point)).map_or_else(|| self.uniform(), Ok)
    }

    /// A uniform draw, or the next free point in order.
    fn uniform(&self) -> Result<UnitPoint, Exhausted> {
        let mut stream = Stream::new(self.seed, u64::from(self.number), Purpose::Uniform);
        let tries = match self.space.distinct() {
            Some(_) => UNIFORM_TRIES,
            None => UNIFORM_TRIES_FLOAT,
        };
        for _ in 0..tries {
            let point = design::uniform(self.space, &mut stream);
            if self.is_free(&point) {
                return Ok(point);
            }
        }
        let distinct = self.space.distinct().ok_or(Exhausted)?;
        self.next_free(stream.below_u128(distinct), distinct)
    }

    /// The grid's point of this number, or the next that is free.
    fn grid(&self) -> Result<UnitPoint, Exhausted> {
        match self.space.distinct() {
            Some(distinct) => self.next_free(u128::from(self.number) % distinct, distinct),
            // Refused by `Options::check`; a space-filling point is the nearest to a grid here.
            None => self.sobol(),
        }
    }

    /// The first free point from `first` on, around the end if need be.
    fn next_free(&self, first: u128, distinct: u128) -> Result<UnitPoint, Exhausted> {
        // One more than are taken must include a free one, if there is any.
        let looks = distinct.min(self.taken.len() as u128 + 1);
        let ranks = (0..looks).map(|i| {
            let to_end = distinct - first;
            if i < to_end { first + i } else { i - to_end }
        });
        let mut points = ranks.filter_map(|rank| self.space.nth(rank));
        points.find(|point| self.is_free(point)).ok_or(Exhausted)
    }

    fn is_free(&self, point: &UnitPoint) -> bool {
        !self.taken.contains(&self.space.key(point))
    }
}
