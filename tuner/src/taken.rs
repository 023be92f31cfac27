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

    pub(crate) fn keys(&self) -> &HashSet<Key> {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Condition, Domain, Parameter, Value};

    #[test]
    fn points_that_mean_the_same_are_one() {
        let bit = |name: &str, condition| Parameter {
            name: name.to_owned(),
            domain: Domain::Bool,
            condition,
            default: None,
        };
        let beside = Condition { parameter: "on".to_owned(), values: vec![Value::Bool(true)] };
        let space = Space::new(vec![bit("on", None), bit("how", Some(beside))]).unwrap();
        let point = |on: f64, how: f64| UnitPoint(vec![on, how]);
        let mut taken = Taken::of(&space, [&point(0.0, 0.0), &point(0.2, 1.0)]);
        assert_eq!(taken.keys().len(), 1, "off, and how it would be does not matter");
        assert!(!taken.insert(&space, &point(0.0, 1.0)));
        assert!(taken.insert(&space, &point(1.0, 1.0)));
        assert!(taken.insert(&space, &point(1.0, 0.0)), "on, it does");
        assert!(taken.remove(&space, &point(0.9, 0.8)));
        assert!(!taken.remove(&space, &point(1.0, 1.0)), "it is gone");
        assert_eq!(taken.keys().len(), 2);
    }
}
