//! Regularised evolution: a tournament among the youngest, and one mutation.
//!
//! The population is the last [`POPULATION`] results in the order in which they were recorded, so
//! what is old dies however good it was: a lucky measurement cannot stay for ever, and nothing has to
//! be remembered between two suggestions. Of [`TOURNAMENT`] of them, drawn with replacement, the best
//! becomes the parent, and its child differs in one parameter. A child may be asked for at any time,
//! whatever is out with workers, which makes it asynchronous as it stands.
//!
//! Source: E. Real, A. Aggarwal, Y. Huang & Q. Le, "Regularized Evolution for Image Classifier
//! Architecture Search", AAAI 2019, algorithm 1, <https://arxiv.org/abs/1802.01548>. Ours are smaller
//! populations and keener tournaments, for tens or hundreds of trials instead of tens of thousands;
//! mutations of numbers are small steps, where the paper searched categories alone.

use super::draw::Draw;
use crate::history::{History, Observation};
use crate::space::{Space, UnitPoint};
use crate::stream::{Purpose, Stream};

/// Results that live.
pub(super) const POPULATION: usize = 20;
/// Of which so many compete to be the parent. Measured on eight mixed problems of 2 to 22 dimensions,
/// 60 seeds each: 5, the paper's proportion, left 0.29 of normalised regret after 30 to 40 results, 10
/// left 0.25, 20 left 0.24, and random points 0.32.
const TOURNAMENT: usize = 10;
/// Deviation of a step along a number, unit interval; 0.1 and 0.3 measured alike.
const STEP: f64 = 0.2;
/// Mutations after which a child that is always taken is given up.
const MUTATIONS_MAX: usize = 64;

/// A free child; `None` if there is no parent, or every child that was looked at is taken.
///
/// A child that was tried before is mutated once more, and so on: in a discrete space the nearest
/// free relatives of a good point may lie several changes away.
pub(super) fn evolution(space: &Space, draw: &Draw<'_>, history: &History) -> Option<UnitPoint> {
    let born = history.observed.len().saturating_sub(POPULATION);
    let population = &history.observed[born..];
    let mut stream = draw.stream(Purpose::Evolution);
    let mut child = space.canonical(&parent(population, &mut stream)?.point);
    for _ in 0..MUTATIONS_MAX {
        child = mutate(space, &child, &mut stream)?;
        if draw.is_free(&child) {
            return Some(child);
        }
    }
    None
}

/// The best of a tournament; of equals the one that was drawn first.
fn parent<'a>(population: &'a [Observation], stream: &mut Stream) -> Option<&'a Observation> {
    let entrants = (0..TOURNAMENT).map(|_| stream.below(population.len() as u64) as usize);
    let entrants: Vec<&Observation> = entrants.filter_map(|i| population.get(i)).collect();
    entrants.into_iter().reduce(|best, next| if next.value > best.value { next } else { best })
}

/// The same point but for one active parameter, and for what that one switches on, which is drawn;
/// `None` if nothing can change.
fn mutate(space: &Space, from: &UnitPoint, stream: &mut Stream) -> Option<UnitPoint> {
    let before = space.active(from);
    let can_change = |place: usize| before[place] && space.options(place) != Some(1);
    let places: Vec<usize> = (0..before.len()).filter(|&place| can_change(place)).collect();
    if places.is_empty() {
        return None;
    }
    let place = places[stream.below(places.len() as u64) as usize];
    let mut point = from.clone();
    point.0[place] = step(space, place, from.0[place], stream);
    let mut active = Vec::with_capacity(before.len());
    for (place, &was_active) in before.iter().enumerate() {
        active.push(space.is_active(place, &active, &point.0));
        if active[place] && !was_active {
            point.0[place] = space.spread_one(place, stream.uniform());
        }
    }
    Some(space.canonical(&point))
}

/// Another value of one parameter: of a category any other, else one nearby.
fn step(space: &Space, place: usize, unit: f64, stream: &mut Stream) -> f64 {
    let Some(options) = space.options(place) else {
        return (unit + STEP * stream.normal()).clamp(0.0, 1.0);
    };
    let here = space.option(place, unit);
    if space.is_category(place) {
        let other = stream.below(options - 1);
        return space.option_at(place, if other < here { other } else { other + 1 });
    }
    let step = STEP * stream.normal();
    let to = space.option(place, (unit + step).clamp(0.0, 1.0));
    let up = if here == 0 { true } else { here < options - 1 && step > 0.0 };
    let next = if up { here + 1 } else { here - 1 };
    space.option_at(place, if to == here { next } else { to })
}
