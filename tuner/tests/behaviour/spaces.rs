//! Spaces for the tests beside it.

use tuner::{Condition, Domain, Parameter, Scale, Space, Value};

pub fn parameter(name: &str, domain: Domain) -> Parameter {
    Parameter { name: name.to_owned(), domain, condition: None, default: None }
}

/// A positive float on a log scale.
pub fn float(name: &str, low: f64, high: f64) -> Parameter {
    parameter(name, Domain::Float { low, high, scale: Scale::Log })
}

pub fn linear(name: &str, low: f64, high: f64) -> Parameter {
    parameter(name, Domain::Float { low, high, scale: Scale::Linear })
}

pub fn int(name: &str, low: i64, high: i64) -> Parameter {
    parameter(name, Domain::Int { low, high, scale: Scale::Linear })
}

pub fn log_int(name: &str, low: i64, high: i64) -> Parameter {
    parameter(name, Domain::Int { low, high, scale: Scale::Log })
}

pub fn ordinal(name: &str, values: &[f64]) -> Parameter {
    parameter(name, Domain::Ordinal { values: values.to_vec() })
}

pub fn category(name: &str, choices: &[&str]) -> Parameter {
    let choices = choices.iter().map(|&choice| choice.to_owned()).collect();
    parameter(name, Domain::Categorical { choices })
}

pub fn boolean(name: &str) -> Parameter {
    parameter(name, Domain::Bool)
}

pub fn when(mut parameter: Parameter, parent: &str, values: &[Value]) -> Parameter {
    parameter.condition = Some(Condition { parameter: parent.to_owned(), values: values.to_vec() });
    parameter
}

pub fn space(parameters: impl IntoIterator<Item = Parameter>) -> Space {
    Space::new(parameters.into_iter().collect()).expect("the test's own space is legal")
}

/// Eight parameters of two options: 256 points, as case study one of Parsa et al. 2020.
pub fn case_one() -> Space {
    space([
        ordinal("lr", &[1e-4, 1.0]),
        ordinal("decay", &[1e-8, 1e-6]),
        ordinal("sh_start", &[15.0, 25.0]),
        ordinal("sh_dur", &[3.0, 7.0]),
        ordinal("sh_int", &[2.0, 5.0]),
        ordinal("k1", &[3.0, 7.0]),
        ordinal("f1", &[64.0, 128.0]),
        ordinal("dense", &[256.0, 1024.0]),
    ])
}

/// The 22 parameters of case study two; the noise's deviation only matters where noise is added.
pub fn case_two() -> Space {
    let dims: Vec<(String, Vec<Value>)> = case_two_dims();
    let parameters = dims.into_iter().map(|(name, options)| {
        let domain = match &options[0] {
            Value::Bool(_) => Domain::Bool,
            Value::Text(_) => {
                Domain::Categorical { choices: options.iter().map(Value::to_string).collect() }
            }
            _ => Domain::Ordinal { values: options.iter().filter_map(Value::as_number).collect() },
        };
        let parameter = parameter(&name, domain);
        match name.as_str() {
            "noise_std" => when(parameter, "noise_loc", &[Value::Text("after_1st_dense".into())]),
            _ => parameter,
        }
    });
    space(parameters)
}

/// Table III of Parsa et al. 2020, in its order but for the noise's deviation, which follows its
/// location. Read line by line, because a JSON map would forget the order.
fn case_two_dims() -> Vec<(String, Vec<Value>)> {
    let lines = include_str!("../fixtures/case_two.json").lines();
    lines
        .filter_map(|line| line.trim().trim_end_matches(',').split_once(": "))
        .map(|(name, options)| {
            (serde_json::from_str(name).unwrap(), serde_json::from_str(options).unwrap())
        })
        .collect()
}
