//! The one verb: where to look next.

mod draw;
mod evolution;
mod options;
mod parzen;
mod several;
mod tpe;

use serde::{Deserialize, Serialize};

use crate::acquisition::improvement;
use crate::gp::{Kind, Posterior};
use crate::history::History;
use crate::space::{Space, UnitPoint};
use draw::Draw;
pub use options::{Algorithm, Options, OptionsError, Origin, StartDesign, UnknownName};
pub use several::suggest_for;

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
    /// Log expected improvement there: natural logarithm, of objective units. Of the results as they are;
    /// what was maximised is that of the results bent, which rises with mean and deviation too. For
    /// [`Origin::Parzen`] the logarithm of the ratio of the good density to the bad one; with further
    /// goals see [`suggest_for`].
    pub acquisition: Option<f64>,
}

/// Every distinct point of the space is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every point of the space has been suggested; widen the space or end the study")]
pub struct Exhausted;

/// Fewest results a posterior is asked about; two if the study starts with two points or fewer.
const RESULTS_MIN: u32 = 3;
/// Fewest results that can be split into good and bad ones.
const SPLIT_MIN: usize = 2;
/// Results of one height, one after the other, that make a plateau.
const PLATEAU_RESULTS: usize = 4;
/// How far apart they may lie, as a share of all that was seen. Measured on a space of 22 mixed
/// dimensions with cliffs at chance accuracy: at 0.05 the regret after 30 results fell from 0.10
/// to 0.04 (24 seeds), and on seven other problems it stayed where it was; 0.02 and 0.1 were
/// little different.
const PLATEAU_SHARE: f64 = 0.05;

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
///
/// # Panics
///
/// If a point of the history, or the posterior, belongs to a space of other dimensions.
pub fn suggest(
    space: &Space,
    options: &Options,
    history: &History,
    posterior: Option<&Posterior>,
    seed: u64,
    number: u32,
) -> Result<Suggestion, Exhausted> {
    let draw = Draw::new(space, history, seed, number);
    // What is out with workers changes what every point promises, whoever chooses it.
    let believer = posterior.and_then(|posterior| {
        let pending: Vec<UnitPoint> = history.pending.iter().map(|p| space.canonical(p)).collect();
        let mut believer = posterior.clone();
        // A factor that cannot be extended is no posterior; the point is then space-filling.
        believer.believe(&pending).ok().map(|()| believer)
    });
    let start = options.start_points(space);
    let mut ratio = None;
    let (point, origin) = match options.algorithm {
        Algorithm::Random => (draw.uniform()?, Origin::Random),
        Algorithm::Grid => (draw.grid()?, Origin::Grid),
        Algorithm::Sobol => (draw.sobol()?, Origin::Sobol),
        _ if is_start(options, start, history, number) => {
            let point = match options.start_design {
                StartDesign::LatinHypercube => draw.latin(start)?,
                StartDesign::Sobol => draw.sobol()?,
                StartDesign::Random => draw.uniform()?,
            };
            (point, Origin::Start)
        }
        Algorithm::Tpe => match tpe::tpe(space, &draw, history) {
            Some((point, log_ratio)) => {
                ratio = Some(log_ratio);
                (point, Origin::Parzen)
            }
            None => (draw.uniform()?, Origin::Random),
        },
        Algorithm::Evolution => match evolution::evolution(space, &draw, history) {
            Some(point) => (point, Origin::Mutation),
            None => (draw.uniform()?, Origin::Random),
        },
        Algorithm::GaussianProcess => match &believer {
            None => (draw.sobol()?, Origin::Sobol),
            _ if number % 2 == 1 && is_plateau(space, start, &values(history)) => {
                (draw.sobol()?, Origin::Plateau)
            }
            Some(believer) => (draw.acquisition(believer)?, Origin::Acquisition),
        },
    };
    let judged = believer.as_ref().map(|believer| {
        let points = std::slice::from_ref(&point);
        let prediction = believer.predict(points);
        let score = improvement(believer)(points)[0];
        (prediction.mean[0], prediction.deviation[0], score + believer.scale().ln())
    });
    Ok(Suggestion {
        point,
        origin,
        mean: judged.map(|(mean, _, _)| mean),
        deviation: judged.map(|(_, deviation, _)| deviation),
        acquisition: ratio.or(judged.map(|(_, _, acquisition)| acquisition)),
    })
}

/// The values in the order of recording.
fn values(history: &History) -> Vec<f64> {
    history.observed.iter().map(|observation| observation.value).collect()
}

/// Whether there is too little to learn from yet.
fn is_start(options: &Options, start: u32, history: &History, number: u32) -> bool {
    let results_min = match options.algorithm {
        Algorithm::Tpe => SPLIT_MIN,
        Algorithm::Evolution => 1,
        _ => start.clamp(2, RESULTS_MIN) as usize,
    };
    number < start || history.observed.len() < results_min
}

/// Whether the last results after the start are all alike: at the floor, where every training
/// collapses, or on a ledge above it. There the process sees a plain, its improvement is spread
/// thin among the neighbours, and it may stay for the rest of the budget. At a true optimum the
/// results are alike too, and half of the trials are then free to look elsewhere. On numbers alone there
/// are no ledges, and such results are an optimum.
fn is_plateau(space: &Space, start: u32, observed: &[f64]) -> bool {
    if !Kind::of(space).has_ledges() {
        return false;
    }
    let Some(after_start) = observed.get(start as usize..) else { return false };
    let Some(begin) = after_start.len().checked_sub(PLATEAU_RESULTS) else { return false };
    // Halves, because the range of two doubles may be no double.
    let range = |values: &[f64]| {
        let values = values.iter().map(|value| value / 2.0);
        values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
    };
    range(&after_start[begin..]) <= PLATEAU_SHARE * range(observed)
}
