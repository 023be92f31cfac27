//! The ways to a point that is not taken.

use std::cell::OnceCell;
use std::collections::HashSet;

use super::Exhausted;
use crate::acquisition::improvement_sought;
use crate::acquisition::maximise::{Score, maximise};
use crate::design;
use crate::gp::Posterior;
use crate::history::History;
use crate::space::{Key, Space, UnitPoint};
use crate::stream::{Purpose, Stream};

/// Later points of the Sobol sequence that are tried for one that is taken.
const SOBOL_TRIES: u32 = 16;
/// Uniform draws that are tried before the points are gone through one by one.
const UNIFORM_TRIES: u32 = 64;
/// Uniform draws in a space that cannot be gone through, because a float is in it.
const UNIFORM_TRIES_FLOAT: u32 = 10_000;

/// One trial's draw among the points that are free.
pub(super) struct Draw<'a> {
    space: &'a Space,
    history: &'a History,
    /// Points that are not free although [`History::taken`] may not have them, once they are asked for.
    others: OnceCell<HashSet<Key>>,
    seed: u64,
    number: u32,
}

impl<'a> Draw<'a> {
    /// Everything observed, pending, failed or taken is not free.
    pub(super) fn new(space: &'a Space, history: &'a History, seed: u64, number: u32) -> Draw<'a> {
        Draw { space, history, others: OnceCell::new(), seed, number }
    }

    fn others(&self) -> &HashSet<Key> {
        self.others.get_or_init(|| {
            let History { observed, pending, failed, .. } = self.history;
            let observed = observed.iter().map(|observation| &observation.point);
            let points = observed.chain(pending).chain(failed);
            points.map(|point| self.space.key(point)).collect()
        })
    }

    /// The free point of largest expected improvement of the results as the search sees them.
    pub(super) fn acquisition(&self, believer: &Posterior) -> Result<UnitPoint, Exhausted> {
        self.best(&improvement_sought(believer), &believer.ranking())
    }

    /// The free point of largest score.
    pub(super) fn best(&self, score: Score, centres: &[UnitPoint]) -> Result<UnitPoint, Exhausted> {
        let mut stream = self.stream(Purpose::Search);
        let taken = self.history.taken.keys().union(self.others()).cloned().collect();
        match maximise(self.space, score, centres, &taken, &mut stream) {
            Some(point) => Ok(point),
            None => self.uniform(),
        }
    }

    /// The point of this number of a Latin hypercube of `count`; a Sobol point beyond it, or if that
    /// is taken.
    pub(super) fn latin(&self, count: u32) -> Result<UnitPoint, Exhausted> {
        let count = count.min(design::latin::POINTS_MAX);
        if self.number < count {
            let mut points = design::latin::latin(self.space, self.seed, count);
            let point = points.swap_remove(self.number as usize);
            if self.is_free(&point) {
                return Ok(point);
            }
        }
        self.sobol()
    }

    /// The Sobol point of this number, or the next that is free.
    pub(super) fn sobol(&self) -> Result<UnitPoint, Exhausted> {
        let indices = (0..SOBOL_TRIES).map(|i| self.number.wrapping_add(i));
        let mut points = indices.map(|index| design::sobol(self.space, self.seed, index));
        points.find(|point| self.is_free(point)).map_or_else(|| self.uniform(), Ok)
    }

    /// A uniform draw, or the next free point in order.
    pub(super) fn uniform(&self) -> Result<UnitPoint, Exhausted> {
        let mut stream = self.stream(Purpose::Uniform);
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
    pub(super) fn grid(&self) -> Result<UnitPoint, Exhausted> {
        match self.space.distinct() {
            Some(distinct) => self.next_free(u128::from(self.number) % distinct, distinct),
            // Refused by `Options::check`; a space-filling point is the nearest to a grid here.
            None => self.sobol(),
        }
    }

    /// The first free point from `first` on, around the end if need be.
    fn next_free(&self, first: u128, distinct: u128) -> Result<UnitPoint, Exhausted> {
        // One more than are taken must include a free one, if there is any.
        let taken = self.history.taken.keys().len() + self.others().len();
        let looks = distinct.min(taken as u128 + 1);
        let ranks = (0..looks).map(|i| {
            let to_end = distinct - first;
            if i < to_end { first + i } else { i - to_end }
        });
        let mut points = ranks.filter_map(|rank| self.space.nth(rank));
        points.find(|point| self.is_free(point)).ok_or(Exhausted)
    }

    /// The trial's random numbers for a purpose, from their beginning.
    pub(super) fn stream(&self, purpose: Purpose) -> Stream {
        Stream::new(self.seed, u64::from(self.number), purpose)
    }

    pub(super) fn is_free(&self, point: &UnitPoint) -> bool {
        let key = self.space.key(point);
        !self.history.taken.keys().contains(&key) && !self.others().contains(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Observation;
    use crate::space::{Domain, Parameter};

    #[test]
    fn of_a_small_space_the_best_of_all_free_points_is_found() {
        let parameter = |i: usize| Parameter {
            name: format!("bit_{i}"),
            domain: Domain::Bool,
            condition: None,
            default: None,
        };
        let space = Space::new((0..8).map(parameter).collect()).unwrap();
        let everything: Vec<UnitPoint> = (0..256).map(|rank| space.nth(rank).unwrap()).collect();
        let value = |x: &UnitPoint| 3.0 * x.0[0] + x.0[3] * x.0[5] - 2.0 * x.0[7] + 0.1 * x.0[1];
        let tried = everything.iter().step_by(13);
        let observed = tried.map(|x| Observation { value: value(x), point: x.clone() });
        let mut history = History { observed: observed.collect(), ..History::default() };
        let posterior = Posterior::fit(&space, &history.observed, &[], 5).unwrap();
        for number in 20..40 {
            let draw = Draw::new(&space, &history, 5, number);
            let found = draw.acquisition(&posterior).unwrap();
            let free: Vec<UnitPoint> =
                everything.iter().filter(|point| draw.is_free(point)).cloned().collect();
            let score = improvement_sought(&posterior);
            let best = score(&free).into_iter().fold(f64::NEG_INFINITY, f64::max);
            let here = score(std::slice::from_ref(&found))[0];
            assert!(here >= best - 1e-9, "{here} of {best} at {number}");
            history.taken.insert(&space, &found);
        }
    }
}
