//! Points that are not to be suggested again, looked up.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::space::{Key, Space, UnitPoint};

/// A set of points of one space. Points that mean the same values are one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    keys: HashSet<Key>,
}

impl Taken {
    /// Those points.
    ///
    /// # Panics
    ///
    /// As all of them, if a point belongs to a space of other dimensions.
    pub fn of<'a>(space: &Space, points: impl IntoIterator<Item = &'a UnitPoint>) -> Taken {
        Taken { keys: points.into_iter().map(|point| space.key(point)).collect() }
    }

    /// Adds a point; `false` if it is there.
    pub fn insert(&mut self, space: &Space, point: &UnitPoint) -> bool {
        self.keys.insert(space.key(point))
    }

    /// Takes a point out; `false` if it is not there.
    pub fn remove(&mut self, space: &Space, point: &UnitPoint) -> bool {
        self.keys.remove(&space.key(point))
    }

    /// Whether a point is there.
    pub fn contains(&self, space: &Space, point: &UnitPoint) -> bool {
        self.keys.contains(&space.key(point))
    }

    pub(crate) fn keys(&self) -> &HashSet<Key> {
        &self.keys
    }
}
