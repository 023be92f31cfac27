//! A value of one parameter in natural units, and a point made of such values.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One parameter's value in natural units: what a person writes and a worker reads.
///
/// In JSON it is the bare value: `true`, `3`, `0.5` or `"adadelta"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Of a [`Domain::Bool`](crate::Domain::Bool).
    Bool(bool),
    /// Of a [`Domain::Int`](crate::Domain::Int), or of an ordinal whose values are all whole.
    Int(i64),
    /// Of a [`Domain::Float`](crate::Domain::Float), or of an ordinal with a fraction in it.
    Float(f64),
    /// Of a [`Domain::Categorical`](crate::Domain::Categorical).
    Text(String),
}

impl Value {
    /// The value as a number, or `None` for booleans and text.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::Bool(_) | Value::Text(_) => None,
        }
    }

    /// What the value is, for error messages: `a boolean`, `a whole number`, `a number`, `text`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Text(_) => "text",
        }
    }
}

/// The bare value, without quotes.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Text(value) => write!(f, "{value}"),
        }
    }
}

/// A point in natural units: the value of every active parameter, by name.
pub type Point = BTreeMap<String, Value>;
