//! Studies and objectives that several tests use.

use proto::v1::{
    BoolDomain, ExternalObjective, FloatDomain, Objective, Parameter, Point, Space, StudySpec,
    objective::Kind, parameter::Domain,
};

use crate::hand::number;

/// Eight switches: 256 points, the shape of the paper's first case study.
pub fn eight_switches() -> Space {
    Space { parameters: (1..=8).map(|i| switch(&format!("switch_{i}"))).collect() }
}

/// One switch.
pub fn switch(name: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        domain: Some(Domain::Bool(BoolDomain {})),
        condition: None,
        default_value: None,
    }
}

/// A number from `low` to `high`.
pub fn float(name: &str, low: f64, high: f64) -> Parameter {
    Parameter {
        name: name.to_owned(),
        domain: Some(Domain::Float(FloatDomain { low, high, scale: 0 })),
        condition: None,
        default_value: None,
    }
}

/// An external study over a space.
pub fn external(name: &str, space: Space, max_trials: u32) -> StudySpec {
    StudySpec {
        name: name.to_owned(),
        space: Some(space),
        objective: Some(Objective { kind: Some(Kind::External(ExternalObjective::default())) }),
        max_trials,
        seed: 7,
        ..Default::default()
    }
}

/// A function of the eight switches with one cliff and one interaction; its maximum is 1.
pub fn cliff(point: &Point) -> f64 {
    let on = |i: usize| number(point, &format!("switch_{i}"));
    let cliff = 0.5 * on(1);
    let pair = 0.2 * on(2) * on(3) + 0.05 * (1.0 - on(2));
    cliff + pair + 0.1 * on(4) + 0.1 * (1.0 - on(5)) + 0.05 * on(6) + 0.05 * on(7)
}
