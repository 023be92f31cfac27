//! Kernel, mean and deviation at given hyper-parameters against others' programs. The numbers, and the
//! scripts that made them, lie in `tests/fixtures`.

use serde::Deserialize;

use crate::spaces::{boolean, category, linear, space};
use tuner::{Observation, Parts, Posterior, Space, UnitPoint};

/// Two numbers, a category of three and a boolean.
fn mixed() -> Space {
    space([
        linear("x", 0.0, 1.0),
        linear("y", 0.0, 1.0),
        category("optimiser", &["sgd", "adam", "adadelta"]),
        boolean("norm"),
    ])
}

#[derive(Deserialize)]
struct Case {
    length_scales: Vec<f64>,
    signal_variance: f64,
    noise_variance: f64,
    offset: f64,
    scale: f64,
    points: Vec<UnitPoint>,
    values: Vec<f64>,
    factor: Vec<f64>,
    alpha: Vec<f64>,
    at: Vec<UnitPoint>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

#[test]
fn mean_and_deviation_are_those_of_scikit_learn() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../fixtures/posterior.json")).unwrap();
    assert_eq!(cases.len(), 2);
    let space = mixed();
    for case in cases {
        let observed: Vec<Observation> = case
            .points
            .iter()
            .zip(&case.values)
            .map(|(point, &value)| Observation { point: point.clone(), value })
            .collect();
        let parts = Parts {
            length_scales: case.length_scales,
            signal_variance: case.signal_variance,
            noise_variance: case.noise_variance,
            offset: case.offset,
            scale: case.scale,
            factor: case.factor,
            alpha: case.alpha,
            log_posterior: 0.0,
            observations: observed.len() as u32,
            failures: 0,
            seed: 0,
        };
        let posterior = Posterior::from_parts(&space, &observed, &[], parts).unwrap();
        let prediction = posterior.predict(&case.at);
        let pairs = [(prediction.mean, case.mean), (prediction.deviation, case.deviation)];
        for (found, expected) in pairs {
            assert_eq!(found.len(), 40);
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
            }
        }
    }
}
