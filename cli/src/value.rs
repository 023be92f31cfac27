//! One value of one hyperparameter: written for people, read from them.

use proto::v1::parameter::Domain;
use proto::v1::value::Kind;
use proto::v1::{Parameter, Point, Value};

/// A number as a person would write it: the shortest form that reads back the same.
pub fn number(x: f64) -> String {
    match x.abs() {
        size if size == 0.0 || (1e-3..1e6).contains(&size) => format!("{x}"),
        _ => format!("{x:e}"),
    }
}

/// A value as a person would write it.
pub fn text(value: &Value) -> String {
    match &value.kind {
        Some(Kind::Boolean(b)) => b.to_string(),
        Some(Kind::Integer(n)) => n.to_string(),
        Some(Kind::Number(x)) => number(*x),
        Some(Kind::Text(name)) => name.clone(),
        None => "–".to_owned(),
    }
}

/// A point's value of a parameter; a dash where the parameter is inactive.
pub fn text_at(point: Option<&Point>, name: &str) -> String {
    point.and_then(|point| point.values.get(name)).map_or_else(|| "–".to_owned(), text)
}

/// What a parameter may be, for people.
pub fn domain(parameter: &Parameter) -> String {
    let scaled = |scale: i32| match scale == proto::v1::Scale::Log as i32 {
        true => ", by ratios",
        false => "",
    };
    match &parameter.domain {
        Some(Domain::Float(d)) => {
            format!("{} to {}{}", number(d.low), number(d.high), scaled(d.scale))
        }
        Some(Domain::Int(d)) => format!("{} to {}{}, whole", d.low, d.high, scaled(d.scale)),
        Some(Domain::Ordinal(d)) => {
            d.values.iter().map(|x| number(*x)).collect::<Vec<_>>().join(", ")
        }
        Some(Domain::Categorical(d)) => d.choices.join(", "),
        Some(Domain::Bool(_)) => "false, true".to_owned(),
        None => "?".to_owned(),
    }
}

/// How many values it may be; `None` for a range of real numbers.
pub fn options(parameter: &Parameter) -> Option<u128> {
    match &parameter.domain {
        Some(Domain::Int(d)) => {
            // In 128 bits, which no difference of two 64-bit numbers fills.
            Some((i128::from(d.high) - i128::from(d.low) + 1).unsigned_abs())
        }
        Some(Domain::Ordinal(d)) => Some(d.values.len() as u128),
        Some(Domain::Categorical(d)) => Some(d.choices.len() as u128),
        Some(Domain::Bool(_)) => Some(2),
        Some(Domain::Float(_)) | None => None,
    }
}

/// Reads a value of a parameter as a person wrote it; on failure, what it must be.
pub fn parse(parameter: &Parameter, written: &str) -> Result<Value, String> {
    let kind = match &parameter.domain {
        Some(Domain::Bool(_)) => written.parse().ok().map(Kind::Boolean),
        Some(Domain::Int(_)) => written.parse().ok().map(Kind::Integer),
        Some(Domain::Float(_) | Domain::Ordinal(_)) => {
            written.parse().ok().filter(|x: &f64| x.is_finite()).map(Kind::Number)
        }
        Some(Domain::Categorical(_)) | None => Some(Kind::Text(written.to_owned())),
    };
    kind.filter(|kind| allows(parameter, kind))
        .map(|kind| Value { kind: Some(kind) })
        .ok_or_else(|| domain(parameter))
}

/// Whether a value lies in a parameter's domain.
pub fn allows(parameter: &Parameter, kind: &Kind) -> bool {
    match (&parameter.domain, kind) {
        (Some(Domain::Bool(_)), Kind::Boolean(_)) => true,
        (Some(Domain::Int(d)), Kind::Integer(n)) => (d.low..=d.high).contains(n),
        (Some(Domain::Float(d)), Kind::Number(x)) => (d.low..=d.high).contains(x),
        (Some(Domain::Ordinal(d)), Kind::Number(x)) => d.values.contains(x),
        (Some(Domain::Categorical(d)), Kind::Text(name)) => d.choices.contains(name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::{IntDomain, OrdinalDomain};

    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let cases = [
            (0.0, "0"),
            (1e-8, "1e-8"),
            (0.00095, "9.5e-4"),
            (0.001, "0.001"),
            (0.95, "0.95"),
            (1.0, "1"),
            (1024.0, "1024"),
            (-2.5e7, "-2.5e7"),
        ];
        for (x, written) in cases {
            assert_eq!(number(x), written);
            assert_eq!(written.parse::<f64>().unwrap(), x);
        }
    }

    #[test]
    fn a_value_is_read_as_its_domain_says_and_refused_outside_it() {
        let values = vec![1e-4, 1.0];
        let ordinal = Parameter {
            domain: Some(Domain::Ordinal(OrdinalDomain { values })),
            ..Parameter::default()
        };
        assert_eq!(parse(&ordinal, "1").unwrap().kind, Some(Kind::Number(1.0)));
        assert_eq!(parse(&ordinal, "0.5").unwrap_err(), "1e-4, 1");
        let int = Parameter {
            domain: Some(Domain::Int(IntDomain { low: 1, high: 9, scale: 0 })),
            ..Parameter::default()
        };
        assert_eq!(parse(&int, "9").unwrap().kind, Some(Kind::Integer(9)));
        assert_eq!(parse(&int, "2.5").unwrap_err(), "1 to 9, whole");
        assert_eq!(options(&int), Some(9));
    }
}
