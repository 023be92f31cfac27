//! What the next trials may gain, so that a search can end when it is no longer worth its cost.

use std::collections::HashSet;
use std::f64::consts::PI;

use crate::acquisition::log_expected_improvement;
use crate::design;
use crate::gp::Posterior;
use crate::history::{History, Observation};
use crate::space::{Key, Space, UnitPoint};
use crate::stream::{Purpose, Stream};
use crate::suggest::{Options, suggest};
use crate::taken::Taken;

/// Up to so many distinct points, all of them are candidates.
const EVERY_POINT_MAX: u128 = 2_000;
/// Uniform candidates elsewhere.
const GLOBAL: usize = 1_000;
/// So many of the best observed points, and the point of largest expected improvement, have their
/// surroundings looked at …
const CENTRES: usize = 5;
/// … at so many places each …
const AROUND: usize = 50;
/// … that lie so far off, as a deviation on the unit interval; both as in the search for a suggestion.
const PERTURBATION: f64 = 0.15;
/// What choosing among the candidates may cost, in products: a second or so.
const WORK: f64 = 5e8;
/// Candidates that the choice is made among, at least and at most.
const SHORTLIST_MIN: usize = 32;
const SHORTLIST_MAX: usize = 512;
/// Probability with which the regret bound may fail.
const DELTA: f64 = 0.1;
/// By which A. Makarova et al. divide the confidence parameter of the theory, which is far too wide
/// in practice (section 4 of the paper); so do the peers.
const BETA_SCALE: f64 = 5.0;

/// What further trials may gain over the best mean so far. Objective units, at least 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prospect {
    /// Further trials that were thought through: as many as asked for, or as the space has points.
    pub trials: u32,
    /// What they may be expected to gain, at most: the sum of their expected improvements.
    pub gain: f64,
    /// What any number of trials may gain, at most, with a probability of 90 %: the regret bound.
    pub regret_bound: f64,
}

/// What `trials` further trials may be expected to gain, and what is left in the space at all.
///
/// With the posterior `f(x) ~ N(μ(x), σ²(x))` of the results in `observed` and the incumbent
/// `b = max μ(xᵢ)` over them:
///
/// - The gain. Points are chosen one after another as the search would, each where the expected
///   improvement is largest once those before are believed at their mean. What they gain together is
///   at most what they gain alone, `E[max(0, maxⱼ f(xⱼ) − b)] ≤ Σⱼ E[max(0, f(xⱼ) − b)]`, and that sum is
///   the gain. It does not count what a search learns on the way.
/// - The regret bound, `max_x (μ + √β σ)(x) − maxᵢ (μ − √β σ)(xᵢ)` with
///   `β = 2 log(d n² π² / 6δ) / 5` and δ = 0.1: A. Makarova et al., "Automatic Termination for
///   Hyperparameter Optimization", AutoML 2022, section 3 — <https://arxiv.org/abs/2104.08166>. The maximum is
///   over the same candidates.
///
/// A function of its arguments, bit for bit; chance comes from (`seed`, number of results). `taken`
/// points, and the observed, are not tried again. `None` without a result.
///
/// # Panics
///
/// If a point belongs to a space of other dimensions.
pub fn prospect(
    space: &Space,
    posterior: &Posterior,
    observed: &[Observation],
    taken: &[UnitPoint],
    trials: u32,
    seed: u64,
) -> Option<Prospect> {
    let known: Vec<UnitPoint> = observed.iter().map(|o| space.canonical(&o.point)).collect();
    let at_known = posterior.predict(&known);
    let best = at_known.mean.iter().copied().reduce(f64::max)?;

    let mut stream = Stream::new(seed, observed.len() as u64, Purpose::Prospect);
    let mut ranked: Vec<(UnitPoint, f64)> =
        known.iter().cloned().zip(at_known.mean.clone()).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut candidates = candidates(space, &ranked, &mut stream);
    // What the search itself finds is better than any sweep.
    let history = History {
        observed: observed.to_vec(),
        taken: Taken::of(space, taken),
        ..History::default()
    };
    let options = Options { start_points: Some(0), ..Options::default() };
    let number = observed.len() as u32;
    if let Ok(found) = suggest(space, &options, &history, Some(posterior), seed, number) {
        candidates.extend(around(space, &found.point, &mut stream));
        candidates.push(found.point);
    }
    let mut seen: HashSet<Key> = known.iter().chain(taken).map(|point| space.key(point)).collect();
    candidates.retain(|point| seen.insert(space.key(point)));

    let prediction = posterior.predict(&candidates);
    let root_beta = root_beta(space.parameters().len(), observed.len());
    let bound = |mean: &[f64], deviation: &[f64], sign: f64| {
        let bounds = mean.iter().zip(deviation).map(|(mean, sd)| mean + sign * root_beta * sd);
        bounds.fold(f64::NEG_INFINITY, f64::max)
    };
    let upper = bound(&prediction.mean, &prediction.deviation, 1.0).max(bound(
        &at_known.mean,
        &at_known.deviation,
        1.0,
    ));
    let lower = bound(&at_known.mean, &at_known.deviation, -1.0);
    let alone = improvements(posterior, &candidates, best);
    let (trials, gain) = chosen(posterior, candidates, alone, best, trials, observed.len());
    Some(Prospect { trials, gain, regret_bound: (upper - lower).max(0.0) })
}

/// How many of the candidates were chosen, and the sum of what each promises alone.
fn chosen(
    posterior: &Posterior,
    candidates: Vec<UnitPoint>,
    alone: Vec<f64>,
    best: f64,
    trials: u32,
    results: usize,
) -> (u32, f64) {
    let products = f64::from(trials.max(1)) * (results as f64).powi(2);
    let room = (WORK / products.max(1.0)) as usize;
    let mut shortlist: Vec<(UnitPoint, f64)> = candidates.into_iter().zip(alone).collect();
    shortlist.sort_by(|a, b| b.1.total_cmp(&a.1));
    shortlist.truncate(room.clamp(SHORTLIST_MIN, SHORTLIST_MAX).max(trials as usize));
    let mut believer = posterior.clone();
    let (mut count, mut gain) = (0, 0.0);
    while count < trials && !shortlist.is_empty() {
        let points: Vec<UnitPoint> = shortlist.iter().map(|(point, _)| point.clone()).collect();
        let now = improvements(&believer, &points, best);
        let next = (0..now.len()).reduce(|a, b| if now[b] > now[a] { b } else { a });
        let (point, promise) = shortlist.swap_remove(next.expect("the list is not empty"));
        count += 1;
        gain += promise;
        // A factor that cannot be extended knows the point already.
        if believer.believe(&[point]).is_err() {
            break;
        }
    }
    (count, gain)
}

/// What each point promises over `best`, alone.
fn improvements(posterior: &Posterior, points: &[UnitPoint], best: f64) -> Vec<f64> {
    let prediction = posterior.predict(points);
    let mut improvements = vec![0.0; points.len()];
    log_expected_improvement(&prediction.mean, &prediction.deviation, best, &mut improvements);
    improvements.into_iter().map(f64::exp).collect()
}

/// Every point of a small space; of a large one, points all over and around the best.
fn candidates(space: &Space, ranked: &[(UnitPoint, f64)], stream: &mut Stream) -> Vec<UnitPoint> {
    if let Some(distinct) = space.distinct().filter(|distinct| *distinct <= EVERY_POINT_MAX) {
        return (0..distinct).filter_map(|rank| space.nth(rank)).collect();
    }
    let mut candidates: Vec<UnitPoint> =
        (0..GLOBAL).map(|_| design::uniform(space, stream)).collect();
    for (centre, _) in ranked.iter().take(CENTRES) {
        candidates.extend(around(space, centre, stream));
    }
    candidates
}

/// Points near a centre, each moved along one to three parameters.
fn around(space: &Space, centre: &UnitPoint, stream: &mut Stream) -> Vec<UnitPoint> {
    let places = centre.0.len();
    let moved = (0..AROUND).map(|_| {
        let mut point = centre.clone();
        let count = 1 + stream.below(3) as usize;
        for place in stream.choose(count, places) {
            point.0[place] = match space.options(place) {
                Some(options) if options <= 3 || space.is_category(place) => {
                    space.option_at(place, stream.below(options))
                }
                _ => (point.0[place] + PERTURBATION * stream.normal()).clamp(0.0, 1.0),
            };
        }
        space.canonical(&point)
    });
    moved.collect()
}

/// `√β`, deviations either way of the regret bound.
fn root_beta(dimensions: usize, results: usize) -> f64 {
    let n = results as f64;
    (2.0 * (dimensions as f64 * n * n * PI * PI / (6.0 * DELTA)).ln() / BETA_SCALE).sqrt()
}
