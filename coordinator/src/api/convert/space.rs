//! Spaces, points and values.

use std::collections::BTreeMap;

use proto::v1::{self as wire, parameter::Domain as WireDomain, value::Kind};
use tuner::{Condition, Domain, Parameter, Point, Scale, Space, Value};

use super::{invalid, text};
use crate::{
    Error,
    limits::{OPTIONS_MAX, PARAMETERS_MAX},
};

pub fn space(space: Option<wire::Space>) -> Result<Space, Error> {
    let space = space.ok_or_else(|| invalid("the study has no space; say what is searched"))?;
    // Before any of them is looked at.
    if space.parameters.len() > PARAMETERS_MAX {
        let count = space.parameters.len();
        return Err(invalid(format!(
            "a space may have at most {PARAMETERS_MAX} parameters, this one has {count}: fix some"
        )));
    }
    let parameters = space.parameters.into_iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
    Space::new(parameters).map_err(|error| invalid(error.to_string()))
}

pub fn space_to_wire(space: &Space) -> wire::Space {
    wire::Space { parameters: space.parameters().iter().map(parameter_to_wire).collect() }
}

fn parameter(parameter: wire::Parameter) -> Result<Parameter, Error> {
    let name = parameter.name;
    text("a parameter's name", &name)?;
    let domain = match parameter.domain {
        None => {
            return Err(invalid(format!(
                "parameter `{name}` has no domain; give it float, int, ordinal, categorical or bool"
            )));
        }
        Some(WireDomain::Float(range)) => {
            Domain::Float { low: range.low, high: range.high, scale: scale(&name, range.scale)? }
        }
        Some(WireDomain::Int(range)) => {
            Domain::Int { low: range.low, high: range.high, scale: scale(&name, range.scale)? }
        }
        Some(WireDomain::Ordinal(ordinal)) => Domain::Ordinal { values: ordinal.values },
        Some(WireDomain::Categorical(categorical)) => {
            // Only as many as may be are looked at; that there are more, the space says.
            for choice in categorical.choices.iter().take(OPTIONS_MAX) {
                text(&format!("a choice of parameter `{name}`"), choice)?;
            }
            Domain::Categorical { choices: categorical.choices }
        }
        Some(WireDomain::Bool(wire::BoolDomain {})) => Domain::Bool,
    };
    let condition = match parameter.condition {
        None => None,
        Some(condition) if condition.values.len() > OPTIONS_MAX => {
            let count = condition.values.len();
            return Err(invalid(format!(
                "the condition of parameter `{name}` lists {count} values; at most {OPTIONS_MAX} are \
                 allowed"
            )));
        }
        Some(condition) => Some(Condition {
            parameter: condition.parameter,
            values: condition
                .values
                .into_iter()
                .map(|one| value(&format!("the condition of parameter `{name}`"), one))
                .collect::<Result<_, _>>()?,
        }),
    };
    let default = match parameter.default_value {
        None => None,
        Some(default) => Some(value(&format!("the default of parameter `{name}`"), default)?),
    };
    Ok(Parameter { name, domain, condition, default })
}

fn parameter_to_wire(parameter: &Parameter) -> wire::Parameter {
    let domain = match &parameter.domain {
        Domain::Float { low, high, scale } => WireDomain::Float(wire::FloatDomain {
            low: *low,
            high: *high,
            scale: scale_to_wire(*scale),
        }),
        Domain::Int { low, high, scale } => WireDomain::Int(wire::IntDomain {
            low: *low,
            high: *high,
            scale: scale_to_wire(*scale),
        }),
        Domain::Ordinal { values } => {
            WireDomain::Ordinal(wire::OrdinalDomain { values: values.clone() })
        }
        Domain::Categorical { choices } => {
            WireDomain::Categorical(wire::CategoricalDomain { choices: choices.clone() })
        }
        Domain::Bool => WireDomain::Bool(wire::BoolDomain {}),
    };
    wire::Parameter {
        name: parameter.name.clone(),
        domain: Some(domain),
        condition: parameter.condition.as_ref().map(|condition| wire::Condition {
            parameter: condition.parameter.clone(),
            values: condition.values.iter().map(value_to_wire).collect(),
        }),
        default_value: parameter.default.as_ref().map(value_to_wire),
    }
}

fn scale(name: &str, scale: i32) -> Result<Scale, Error> {
    match wire::Scale::try_from(scale) {
        Ok(wire::Scale::Unspecified | wire::Scale::Linear) => Ok(Scale::Linear),
        Ok(wire::Scale::Log) => Ok(Scale::Log),
        Err(_) => Err(invalid(format!("parameter `{name}` has unknown scale {scale}"))),
    }
}

fn scale_to_wire(scale: Scale) -> i32 {
    match scale {
        Scale::Linear => wire::Scale::Linear.into(),
        Scale::Log => wire::Scale::Log.into(),
    }
}

/// A value with a kind, finite if a number; `what` says where it stands.
pub fn value(what: &str, value: wire::Value) -> Result<Value, Error> {
    match value.kind {
        None => Err(invalid(format!("{what} has no value"))),
        Some(Kind::Boolean(on)) => Ok(Value::Bool(on)),
        Some(Kind::Integer(whole)) => Ok(Value::Int(whole)),
        Some(Kind::Number(real)) if real.is_finite() => Ok(Value::Float(real)),
        Some(Kind::Number(real)) => Err(invalid(format!("{what} is {real}; it must be finite"))),
        Some(Kind::Text(word)) => {
            text(what, &word)?;
            Ok(Value::Text(word))
        }
    }
}

pub fn value_to_wire(value: &Value) -> wire::Value {
    let kind = match value {
        Value::Bool(on) => Kind::Boolean(*on),
        Value::Int(whole) => Kind::Integer(*whole),
        Value::Float(real) => Kind::Number(*real),
        Value::Text(word) => Kind::Text(word.clone()),
    };
    wire::Value { kind: Some(kind) }
}

pub fn values(
    what: &str,
    values: BTreeMap<String, wire::Value>,
) -> Result<BTreeMap<String, Value>, Error> {
    values
        .into_iter()
        .map(|(name, one)| {
            let checked = value(&format!("{what} `{name}`"), one)?;
            Ok((name, checked))
        })
        .collect()
}

/// A point as a person chose it; the space checks it.
pub fn point(point: wire::Point) -> Result<Point, Error> {
    values("parameter", point.values)
}

pub fn point_to_wire(point: &Point) -> wire::Point {
    wire::Point {
        values: point.iter().map(|(name, value)| (name.clone(), value_to_wire(value))).collect(),
    }
}

/// Where results come from, as a person calls it.
pub fn source(source: &str) -> Result<String, Error> {
    text("the source", source)?;
    match source {
        "" => Err(invalid("the results have no source; say where they come from")),
        source => Ok(source.to_owned()),
    }
}
