//! What a study wants besides a good value: further objectives and constraints, over numbers that
//! workers report. The domain, without SQL and without wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::limits::{ALSO_MAX, CONSTRAINTS_MAX};
use crate::study::Direction;

/// What a constraint calls the objective's value.
pub const VALUE: &str = "value";

/// What a study wants besides a good value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Goals {
    /// At most [`ALSO_MAX`], each of another measurement.
    pub also: Vec<FurtherObjective>,
    /// At most [`CONSTRAINTS_MAX`].
    pub constraints: Vec<Constraint>,
    /// The worst value of interest.
    pub reference: Option<f64>,
}

/// A number that is to be good beside the value; stored as JSON in `study.also`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FurtherObjective {
    /// Its name among the measurements.
    pub measurement: String,
    /// Which way is better.
    pub direction: Direction,
    /// The worst that is of interest.
    pub reference: Option<f64>,
}

/// What a trial must keep to count; stored as JSON in `study.constraints`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// The name among the measurements, or [`VALUE`].
    pub measurement: String,
    /// How far it may go.
    #[serde(flatten)]
    pub bound: Bound,
}

/// How far a number may go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or smaller.
    AtMost(f64),
    /// This or larger.
    AtLeast(f64),
}

/// A result as the goals see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The value and the further objectives, negated where smaller is better.
    pub objectives: Vec<f64>,
    /// How far each constraint is from its bound; kept if not negative.
    pub slacks: Vec<f64>,
}

impl Judged {
    /// Whether every constraint is kept.
    pub fn is_feasible(&self) -> bool {
        self.slacks.iter().all(|slack| *slack >= 0.0)
    }

    /// What the tuner is told beside the value.
    pub fn further(&self) -> Vec<f64> {
        self.objectives[1..].iter().chain(&self.slacks).copied().collect()
    }
}

/// A report lacks a measurement that the study asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub measurement: String,
}

impl Goals {
    /// A result seen by the goals of a study whose value is better in `direction`.
    pub fn judge(
        &self,
        direction: Direction,
        value: f64,
        measurements: &BTreeMap<String, f64>,
    ) -> Result<Judged, Missing> {
        let measured = |name: &str| match (name, measurements.get(name)) {
            (VALUE, _) => Ok(value),
            (_, Some(number)) => Ok(*number),
            (name, None) => Err(Missing { measurement: name.to_owned() }),
        };
        let mut objectives = vec![direction.orient(value)];
        for further in &self.also {
            objectives.push(further.direction.orient(measured(&further.measurement)?));
        }
        let slack = |constraint: &Constraint| {
            let number = measured(&constraint.measurement)?;
            let slack = match constraint.bound {
                Bound::AtMost(bound) => bound - number,
                Bound::AtLeast(bound) => number - bound,
            };
            // The difference of two doubles may be none.
            Ok(slack.clamp(f64::MIN, f64::MAX))
        };
        Ok(Judged {
            objectives,
            slacks: self.constraints.iter().map(slack).collect::<Result<_, _>>()?,
        })
    }

    /// The same goals as the tuner knows them: everything larger is better.
    pub fn for_tuner(&self, direction: Direction) -> tuner::Goals {
        let value = self.reference.map(|reference| direction.orient(reference));
        let also = self.also.iter();
        let also = also.map(|o| o.reference.map(|reference| o.direction.orient(reference)));
        tuner::Goals {
            references: std::iter::once(value).chain(also).collect(),
            constraints: self.constraints.len(),
        }
    }

    /// Which way each objective is better, the value first.
    pub fn directions(&self, direction: Direction) -> Vec<Direction> {
        std::iter::once(direction).chain(self.also.iter().map(|o| o.direction)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goals() -> Goals {
        Goals {
            also: vec![FurtherObjective {
                measurement: "energy".into(),
                direction: Direction::Minimize,
                reference: Some(9.0),
            }],
            constraints: vec![
                Constraint { measurement: VALUE.into(), bound: Bound::AtLeast(0.5) },
                Constraint { measurement: "energy".into(), bound: Bound::AtMost(4.0) },
            ],
            reference: None,
        }
    }

    #[test]
    fn a_result_is_turned_so_that_larger_is_better_and_bounds_are_zero() {
        let energy = |joules: f64| BTreeMap::from([("energy".to_owned(), joules)]);
        let judge = |value, joules| goals().judge(Direction::Maximize, value, &energy(joules));
        let judged = judge(0.75, 3.0).unwrap();
        assert_eq!(judged.objectives, [0.75, -3.0]);
        assert_eq!(judged.slacks, [0.25, 1.0]);
        assert_eq!(judged.further(), [-3.0, 0.25, 1.0]);
        assert!(judge(0.5, 4.0).unwrap().is_feasible(), "the bound itself is kept");
        assert!(!judge(0.25, 3.0).unwrap().is_feasible());
        assert!(!judge(0.75, 4.5).unwrap().is_feasible());
        assert_eq!(judge(1e308, -1e308).unwrap().slacks[0], 1e308);
        let missing = goals().judge(Direction::Maximize, 0.5, &BTreeMap::new());
        assert_eq!(missing, Err(Missing { measurement: "energy".into() }));
    }

    #[test]
    fn goals_come_back_from_json_as_they_were() {
        let Goals { also, constraints, .. } = goals();
        let text = serde_json::to_string(&(&also, &constraints)).unwrap();
        assert!(text.contains(r#"{"measurement":"energy","at_most":4.0}"#), "{text}");
        assert!(text.contains(r#""direction":"minimize","reference":9.0"#), "{text}");
        assert_eq!(serde_json::from_str(&text).ok(), Some((also, constraints)));
    }

    #[test]
    fn the_tuner_is_told_references_turned() {
        let told = goals().for_tuner(Direction::Minimize);
        assert_eq!((told.references, told.constraints), (vec![None, Some(-9.0)], 2));
    }
}
