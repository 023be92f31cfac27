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
struct Row {
    length_scales: Vec<f64>,
    signal_variance: f64,
    a: UnitPoint,
    b: UnitPoint,
    covariance: f64,
}

#[test]
fn the_kernel_is_the_matern_function_of_order_five_halves_times_a_factor_for_each_switch() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../fixtures/kernel.json")).unwrap();
    assert!(rows.len() > 100);
    let space = mixed();
    for row in rows {
        // A process of one result with weight 1 has the kernel itself as its mean.
        let observed = [Observation { point: row.a.clone(), value: 1.0 }];
        let parts = Parts {
            length_scales: row.length_scales,
            signal_variance: row.signal_variance,
            noise_variance: 1e-4,
            offset: 0.0,
            scale: 1.0,
            factor: vec![1.0],
            alpha: vec![1.0],
            log_posterior: 0.0,
            observations: 1,
            failures: 0,
            seed: 0,
        };
        let posterior = Posterior::from_parts(&space, &observed, &[], parts).unwrap();
        let found = posterior.predict(std::slice::from_ref(&row.b)).mean[0];
        // Far away the exponential turns an absolute error of its argument into a relative one.
        let error = (found - row.covariance).abs() / row.covariance.max(f64::MIN_POSITIVE);
        let tolerance = 1e-14 * (10.0 - row.covariance.ln()).max(10.0);
        assert!(error < tolerance, "{found} is not {}, off by {error:e}", row.covariance);
    }
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
