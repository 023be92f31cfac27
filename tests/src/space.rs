//! Studies and objectives that several tests use.

use proto::v1::{
    BoolDomain, CategoricalDomain, ExternalObjective, FloatDomain, IntDomain, Objective,
    OrdinalDomain, Parameter, Point, Scale, Space, StudySpec, Value, WhetstoneObjective,
    objective::Kind, parameter::Domain, value::Kind as Worth,
};

use crate::hand::number;

/// Eight switches: 256 points, the shape of the paper's first case study.
pub fn eight_switches() -> Space {
    Space { parameters: (1..=8).map(|i| switch(&format!("switch_{i}"))).collect() }
}

/// One switch.
pub fn switch(name: &str) -> Parameter {
    parameter(name, Domain::Bool(BoolDomain {}))
}

/// A number from `low` to `high`.
pub fn float(name: &str, low: f64, high: f64) -> Parameter {
    parameter(name, Domain::Float(FloatDomain { low, high, scale: 0 }))
}

/// A whole number from `low` to `high`, by ratios.
pub fn log_int(name: &str, low: i64, high: i64) -> Parameter {
    parameter(name, Domain::Int(IntDomain { low, high, scale: Scale::Log.into() }))
}

/// The numbers 1 to `options`.
pub fn ordinal(name: &str, options: u32) -> Parameter {
    let values = (1..=options).map(f64::from).collect();
    parameter(name, Domain::Ordinal(OrdinalDomain { values }))
}

/// The names `c0`, `c1` … without an order.
pub fn category(name: &str, options: usize) -> Parameter {
    let choices = (0..options).map(|i| format!("c{i}")).collect();
    parameter(name, Domain::Categorical(CategoricalDomain { choices }))
}

fn parameter(name: &str, domain: Domain) -> Parameter {
    Parameter { name: name.to_owned(), domain: Some(domain), condition: None, default_value: None }
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

/// A study of small networks on digits: each trial takes a second or so.
pub fn small_networks(name: &str, max_trials: u32) -> StudySpec {
    let number = |value: f64| Value { kind: Some(Worth::Number(value)) };
    let word = |value: &str| Value { kind: Some(Worth::Text(value.to_owned())) };
    let fixed = [
        ("optimizer", word("rmsprop")),
        ("conv1_filter", number(3.0)),
        ("conv1_features", number(8.0)),
        ("conv2_filter", number(3.0)),
        ("conv2_features", number(8.0)),
        ("conv3_filter", number(3.0)),
        ("conv3_features", number(16.0)),
        ("dense_units", number(32.0)),
        ("sharpening_start", number(2.0)),
        ("sharpening_duration", number(1.0)),
        ("sharpening_intermission", number(1.0)),
        ("epochs", number(1.0)),
    ];
    let objective = WhetstoneObjective {
        dataset: "digits".into(),
        fixed: fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..Default::default()
    };
    let rate = Parameter {
        name: "learning_rate".into(),
        domain: Some(Domain::Float(FloatDomain {
            low: 1e-4,
            high: 1e-2,
            scale: Scale::Log.into(),
        })),
        condition: None,
        default_value: None,
    };
    StudySpec {
        name: name.to_owned(),
        space: Some(Space { parameters: vec![rate] }),
        objective: Some(Objective { kind: Some(Kind::Whetstone(objective)) }),
        max_trials,
        max_failures: 10,
        seed: 3,
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
