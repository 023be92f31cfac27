//! Reading the fixtures.

use serde_json::Value;

/// One group of the fixtures.
pub fn fixtures(group: &str) -> Value {
    let text = include_str!("../fixtures/whetstone.json");
    let mut all: Value = serde_json::from_str(text).unwrap();
    all[group].take()
}

/// The numbers of an array, of arrays of arrays too, in reading order.
pub fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// An array of numbers as an f64 tensor of its shape.
pub fn tensor(value: &Value) -> candle_core::Tensor {
    let mut shape = Vec::new();
    let mut inner = value;
    while let Value::Array(values) = inner {
        shape.push(values.len());
        inner = &values[0];
    }
    candle_core::Tensor::from_vec(numbers(value), shape, &candle_core::Device::Cpu).unwrap()
}

/// The numbers of a tensor in reading order.
pub fn flat(tensor: &candle_core::Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(candle_core::DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Fails unless both have the same length and differ by `tolerance` at most, relative to the
/// larger of one and the expected number.
pub fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let difference = (actual - expected).abs() / expected.abs().max(1.0);
        assert!(difference <= tolerance, "{what}: number {i} is {actual}, not {expected}");
    }
}
