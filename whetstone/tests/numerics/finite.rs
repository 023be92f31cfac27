//! Gradients by finite differences.

use crate::fixture::flat;
use candle_core::{Tensor, Var};

/// Fails unless the gradients of a scalar agree with central differences, for each variable.
///
/// In f64 with a step of 1e-6 both errors, truncation and rounding, stay below 1e-7 for the
/// functions tested here.
pub fn assert_gradients(variables: &[&Var], tolerance: f64, f: impl Fn() -> Tensor) {
    const STEP: f64 = 1e-6;
    let gradients = f().backward().unwrap();
    for (nth, variable) in variables.iter().enumerate() {
        let found = flat(gradients.get(variable).expect("a gradient"));
        let at = flat(variable);
        for i in 0..at.len() {
            let value = |step: f64| {
                let mut moved = at.clone();
                moved[i] += step;
                let moved = Tensor::from_vec(moved, variable.shape(), variable.device()).unwrap();
                variable.set(&moved).unwrap();
                f().to_scalar::<f64>().unwrap()
            };
            let difference = (value(STEP) - value(-STEP)) / (2.0 * STEP);
            assert!(
                (found[i] - difference).abs() <= tolerance * difference.abs().max(1.0),
                "variable {nth}, number {i}: gradient {}, differences say {difference}",
                found[i],
            );
        }
        variable.set(&Tensor::from_vec(at, variable.shape(), variable.device()).unwrap()).unwrap();
    }
}

/// Numbers without pattern in [−1, 1], the same on every run.
pub fn scattered(count: usize, phase: f64) -> Vec<f64> {
    (0..count)
        .map(|i| (12.9898 * i as f64 + phase).sin() * 43758.5453)
        .map(|x| 2.0 * (x - x.floor()) - 1.0)
        .collect()
}

/// A variable of such numbers.
pub fn scattered_var(shape: &[usize], phase: f64) -> Var {
    let values = scattered(shape.iter().product(), phase);
    Var::from_vec(values, shape, &candle_core::Device::Cpu).unwrap()
}
