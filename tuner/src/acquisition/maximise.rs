//! The search for the most promising point: all of them where that is possible, chains elsewhere.

use std::collections::HashSet;

use crate::design;
use crate::space::{Key, Space, UnitPoint};
use crate::stream::Stream;

/// Up to so many distinct points, every one is scored (about as many as the chains look at).
pub(crate) const EXHAUSTIVE_MAX: u128 = 20_000;
/// Uniform candidates of the sweep. This and the next five numbers were measured together on nine
/// mixed problems of 6 to 25 dimensions.
const GLOBAL: usize = 1000;
/// So many of the best observed points have their surroundings looked at …
pub(crate) const CENTRES: usize = 5;
/// … by so many perturbations each.
const AROUND: usize = 50;
/// Chains of the local search: half from the best of all, half from the best around the centres.
const CHAINS: usize = 8;
/// Rounds of the local search.
const ROUNDS: usize = 25;
/// Random moves of one to three coordinates, besides all single changes, for a chain and round.
const JUMPS: usize = 10;
/// Deviation of the perturbations around a centre, unit interval.
const PERTURBATION: f64 = 0.15;
/// First step of a chain along a float, unit interval.
const STEP: f64 = 0.2;
/// What is left of the step when no change improves.
const SHRINK: f64 = 0.3;
/// A chain ends when its step is below this.
const STEP_MIN: f64 = 0.004;
/// Steps along a float, as multiples of the current one.
const STEPS: [f64; 4] = [-1.0, -0.3, 0.3, 1.0];
/// Up to so many options every one is tried; of more, the three on either side.
const OPTIONS_ALL: u64 = 12;
const OPTIONS_ASIDE: u64 = 3;
/// Smallest gain that counts; below it two chains would trade places for ever.
const GAIN_MIN: f64 = 1e-9;

/// What is maximised: a score for each of some canonical points, larger is better.
pub(crate) type Score<'a> = &'a dyn Fn(&[UnitPoint]) -> Vec<f64>;

/// The canonical point of largest score that is not `taken`; `None` if every point that was looked
/// at is. `centres` are points that did well, best first: their surroundings are looked at closely.
pub(crate) fn maximise(
    space: &Space,
    score: Score,
    centres: &[UnitPoint],
    taken: &HashSet<Key>,
    stream: &mut Stream,
) -> Option<UnitPoint> {
    let centres = &centres[..centres.len().min(CENTRES)];
    let search = Search { space, score, centres, taken };
    let found = match space.distinct() {
        Some(distinct) if distinct <= EXHAUSTIVE_MAX => search.everything(distinct, stream),
        _ => search.chains(stream),
    };
    found.map(|chain| chain.at)
}

struct Search<'a> {
    space: &'a Space,
    score: Score<'a>,
    centres: &'a [UnitPoint],
    taken: &'a HashSet<Key>,
}

struct Chain {
    at: UnitPoint,
    score: f64,
    step: f64,
    /// No single change of a discrete parameter improves it.
    is_settled: bool,
}

impl Search<'_> {
    /// Scores every distinct point. Begins at a random one, so that ties are broken by the seed
    /// and not by the order in which parameters were listed.
    fn everything(&self, distinct: u128, stream: &mut Stream) -> Option<Chain> {
        let first = stream.below_u128(distinct);
        let ranks = (0..distinct).map(|i| (first + i) % distinct);
        let points = ranks.filter_map(|rank| self.space.nth(rank)).collect();
        self.free(points)
            .into_iter()
            .reduce(|best, next| if next.score > best.score { next } else { best })
    }

    /// Sweeps the space, then improves the best candidates one change at a time.
    fn chains(&self, stream: &mut Stream) -> Option<Chain> {
        let global = (0..GLOBAL).map(|_| design::uniform(self.space, stream)).collect();
        let mut near = Vec::new();
        for centre in self.centres {
            near.extend((0..AROUND).map(|_| self.jump(centre, PERTURBATION, stream)));
        }
        let mut near = self.free(near);
        best_first(&mut near);
        let mut rest = near.split_off(near.len().min(CHAINS / 2));
        rest.extend(self.free(global));
        best_first(&mut rest);
        let mut chains = near;
        let room = CHAINS - chains.len();
        chains.extend(rest.into_iter().take(room));
        for _ in 0..ROUNDS {
            if !self.round(&mut chains, stream) {
                break;
            }
        }
        best_first(&mut chains);
        chains.into_iter().next()
    }

    /// Gives every chain its best change, all scored in one batch; `false` once all have ended.
    fn round(&self, chains: &mut [Chain], stream: &mut Stream) -> bool {
        let mut neighbours = Vec::new();
        let mut ends = Vec::new();
        for chain in chains.iter().filter(|chain| chain.step >= STEP_MIN) {
            self.changes(chain, &mut neighbours);
            neighbours.extend((0..JUMPS).map(|_| self.jump(&chain.at, chain.step, stream)));
            ends.push(neighbours.len());
        }
        let scores = (self.score)(&neighbours);
        let mut begin = 0;
        let running = chains.iter_mut().filter(|chain| chain.step >= STEP_MIN);
        for (chain, &end) in running.zip(&ends) {
            let mut order: Vec<usize> =
                (begin..end).filter(|&i| scores[i] > chain.score + GAIN_MIN).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            // Looked up only for those that improve, which are few.
            let improvement = order.into_iter().find(|&i| self.is_free(&neighbours[i]));
            match improvement {
                Some(i) => {
                    (chain.at, chain.score) = (neighbours[i].clone(), scores[i]);
                    chain.is_settled = false;
                }
                None => {
                    chain.step *= SHRINK;
                    chain.is_settled = true;
                }
            }
            begin = end;
        }
        !ends.is_empty()
    }

    /// Adds every point that differs from the chain's in one active parameter: all options of a
    /// discrete one (the nearest of many) unless they were found no better, a step either way along a
    /// float.
    fn changes(&self, chain: &Chain, out: &mut Vec<UnitPoint>) {
        let active = self.space.active(&chain.at);
        for place in (0..active.len()).filter(|&place| active[place]) {
            let unit = chain.at.0[place];
            let mut change = |to: f64| {
                if to != unit {
                    let mut point = chain.at.clone();
                    point.0[place] = to;
                    out.push(self.space.canonical(&point));
                }
            };
            match self.space.options(place) {
                None => STEPS.iter().for_each(|s| change((unit + s * chain.step).clamp(0.0, 1.0))),
                Some(_) if chain.is_settled => {}
                Some(options) => {
                    let here = self.space.option(place, unit);
                    let all = options <= OPTIONS_ALL || self.space.is_category(place);
                    let (low, high) = match all {
                        true => (0, options - 1),
                        false => (
                            here.saturating_sub(OPTIONS_ASIDE),
                            (here + OPTIONS_ASIDE).min(options - 1),
                        ),
                    };
                    (low..=high).for_each(|option| change(self.space.option_at(place, option)));
                }
            }
        }
    }

    /// A random move of one to three parameters: floats by a normal step of deviation `step`,
    /// long orders by a few ranks in proportion, the rest to any option.
    fn jump(&self, from: &UnitPoint, step: f64, stream: &mut Stream) -> UnitPoint {
        let mut point = from.clone();
        let active = self.space.active(from);
        let places: Vec<usize> = (0..active.len()).filter(|&place| active[place]).collect();
        let count = 1 + usize::from(stream.uniform() < 0.4) + usize::from(stream.uniform() < 0.2);
        for chosen in stream.choose(count, places.len()) {
            let place = places[chosen];
            let unit = &mut point.0[place];
            *unit = match self.space.options(place) {
                None => (*unit + step * stream.normal()).clamp(0.0, 1.0),
                Some(options) if options <= 3 || self.space.is_category(place) => {
                    self.space.option_at(place, stream.below(options))
                }
                Some(options) => {
                    let ranks = 1 + (stream.normal() * step * options as f64 / 2.0).abs() as u64;
                    let here = self.space.option(place, *unit);
                    let to = match stream.below(2) {
                        0 => here.saturating_sub(ranks),
                        _ => (here + ranks).min(options - 1),
                    };
                    self.space.option_at(place, to)
                }
            };
        }
        self.space.canonical(&point)
    }

    /// Chains at those of the points that are not taken.
    fn free(&self, points: Vec<UnitPoint>) -> Vec<Chain> {
        let free: Vec<UnitPoint> = points.into_iter().filter(|point| self.is_free(point)).collect();
        let scores = (self.score)(&free);
        let chain = |(at, score)| Chain { at, score, step: STEP, is_settled: false };
        free.into_iter().zip(scores).map(chain).collect()
    }

    fn is_free(&self, point: &UnitPoint) -> bool {
        !self.taken.contains(&self.space.key(point))
    }
}

fn best_first(chains: &mut [Chain]) {
    chains.sort_by(|a, b| b.score.total_cmp(&a.score));
}
