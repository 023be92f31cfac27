//! How many points a discrete space has, and which one is the n-th.
//!
//! Conditions hang every parameter under at most one earlier parent, so the space is a forest. The
//! ways to fill in a parameter and all that hangs below it are
//!
//! ```text
//! ways(p) = Σ over options o of p   Π over children c of p   (o activates c ? ways(c) : 1)
//! ```
//!
//! and the distinct points of the space are the product over the roots.

use std::collections::BTreeSet;

use super::column::Column;

/// What hangs where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Forest {
    /// For each parameter: its parent and the parent's options that activate it.
    pub(super) parents: Vec<Option<(usize, BTreeSet<u64>)>>,
    /// For each parameter: those that depend on it.
    children: Vec<Vec<usize>>,
    /// `ways(p)` for each parameter; `None` below or at a float, or beyond `u128`.
    ways: Option<Vec<u128>>,
    /// The product of `ways` over the roots.
    distinct: Option<u128>,
}

impl Forest {
    pub(super) fn new(columns: &[Column], parents: Vec<Option<(usize, BTreeSet<u64>)>>) -> Forest {
        let mut children = vec![Vec::new(); columns.len()];
        for (place, parent) in parents.iter().enumerate() {
            if let Some((parent, _)) = parent {
                children[*parent].push(place);
            }
        }
        let mut forest = Forest { parents, children, ways: None, distinct: None };
        forest.ways = forest.count(columns);
        forest.distinct = forest.ways.as_ref().and_then(|ways| {
            let roots = forest.parents.iter().zip(ways).filter(|(parent, _)| parent.is_none());
            roots.map(|(_, ways)| *ways).try_fold(1u128, u128::checked_mul)
        });
        forest
    }

    /// Points that differ in an active parameter; `None` with a float, or beyond `u128`.
    pub(super) fn distinct(&self) -> Option<u128> {
        self.distinct
    }

    /// The options, one for each parameter and `None` where inactive, of the `rank`-th distinct
    /// point in lexicographic order; `None` if there are fewer, or uncountably many.
    pub(super) fn nth(&self, columns: &[Column], mut rank: u128) -> Option<Vec<Option<u64>>> {
        let (ways, distinct) = (self.ways.as_ref()?, self.distinct?);
        if rank >= distinct {
            return None;
        }
        let mut chosen = vec![None; columns.len()];
        let mut active: Vec<bool> = self.parents.iter().map(Option::is_none).collect();
        // Ways to fill in what is still open, given what is chosen.
        let mut open = distinct;
        for place in 0..columns.len() {
            if !active[place] {
                continue;
            }
            open /= ways[place];
            let (option, rest) = self.pick(place, ways, open, rank);
            rank = rest;
            chosen[place] = Some(option);
            for &child in &self.children[place] {
                active[child] = self.activates(child, option);
                if active[child] {
                    open *= ways[child];
                }
            }
        }
        Some(chosen)
    }

    /// Which option of `place` the `rank`-th completion has, and its rank among those that do.
    /// `open` counts the ways of everything outside this parameter's tree.
    fn pick(&self, place: usize, ways: &[u128], open: u128, mut rank: u128) -> (u64, u128) {
        let mut next = 0;
        for option in self.special(place) {
            // The options in between activate nothing, so each stands for `open` completions.
            let gap = u128::from(option - next) * open;
            if rank < gap {
                break;
            }
            rank -= gap;
            let block = self.ways_below(place, option, ways) * open;
            if rank < block {
                return (option, rank);
            }
            rank -= block;
            next = option + 1;
        }
        let skipped = u64::try_from(rank / open).expect("a rank below `distinct` names an option");
        (next + skipped, rank % open)
    }

    fn count(&self, columns: &[Column]) -> Option<Vec<u128>> {
        let mut ways = vec![0u128; columns.len()];
        // Children stand after their parents, so backwards they are counted first.
        for place in (0..columns.len()).rev() {
            let special = self.special(place);
            let mut total = u128::from(columns[place].options()?) - special.len() as u128;
            for option in special {
                let below = self.children[place]
                    .iter()
                    .filter(|&&child| self.activates(child, option))
                    .map(|&child| ways[child])
                    .try_fold(1u128, u128::checked_mul)?;
                total = total.checked_add(below)?;
            }
            ways[place] = total;
        }
        Some(ways)
    }

    /// The options of `place` that activate something, ascending.
    fn special(&self, place: usize) -> BTreeSet<u64> {
        let sets = self.children[place].iter().filter_map(|&child| self.parents[child].as_ref());
        sets.flat_map(|(_, options)| options.iter().copied()).collect()
    }

    fn ways_below(&self, place: usize, option: u64, ways: &[u128]) -> u128 {
        let children = self.children[place].iter();
        children.filter(|&&child| self.activates(child, option)).map(|&child| ways[child]).product()
    }

    fn activates(&self, child: usize, option: u64) -> bool {
        self.parents[child].as_ref().is_none_or(|(_, options)| options.contains(&option))
    }
}
