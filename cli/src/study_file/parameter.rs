//! One `[[parameter]]`: its domain, its condition, its default.

use proto::v1::parameter::Domain;
use proto::v1::value::Kind;
use proto::v1::{
    BoolDomain, CategoricalDomain, Condition, FloatDomain, IntDomain, OrdinalDomain, Parameter,
    Scale, Value,
};
use toml::Spanned;

use super::error::{Error, Source};
use super::one_of;
use super::table::{ParameterTable, WhenTable};
use crate::limits::{OPTIONS_MAX, TEXT_BYTES_MAX, WORD_BYTES_MAX};
use crate::value;

/// Reads one parameter, given those that stand before it.
pub fn parameter(
    source: Source<'_>,
    table: &Spanned<ParameterTable>,
    earlier: &[Parameter],
) -> Result<Parameter, Error> {
    let given = table.get_ref();
    let name = given.name.get_ref();
    let wrong = |span, text: String| source.at(span, format!("parameter `{name}`: {text}"));

    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || !name.chars().all(lower) || name.len() > WORD_BYTES_MAX {
        let text = format!(
            "the name must be lower-case letters, digits and underscores, a letter first, at most \
             {WORD_BYTES_MAX}"
        );
        return Err(wrong(given.name.span(), text));
    }
    if earlier.iter().any(|other| other.name == *name) {
        return Err(wrong(given.name.span(), "there is another of this name above".to_owned()));
    }

    let mut parameter = Parameter {
        name: name.clone(),
        domain: Some(domain(source, table)?),
        ..Parameter::default()
    };
    if let Some(when) = &given.when {
        let condition = condition(when.get_ref(), earlier);
        parameter.condition = Some(condition.map_err(|(span, text)| wrong(span, text))?);
    }
    if let Some(default) = &given.default {
        let read = member(&parameter, default.get_ref());
        let read = read.map_err(|text| wrong(default.span(), format!("`default` {text}")))?;
        parameter.default_value = Some(read);
    }
    Ok(parameter)
}

fn domain(source: Source<'_>, table: &Spanned<ParameterTable>) -> Result<Domain, Error> {
    let given = table.get_ref();
    let name = given.name.get_ref();
    let wrong = |span, text: String| source.at(span, format!("parameter `{name}`: {text}"));

    let keys = [
        ("ordinal", given.ordinal.as_ref().map(Spanned::span)),
        ("float", given.float.as_ref().map(Spanned::span)),
        ("int", given.int.as_ref().map(Spanned::span)),
        ("categorical", given.categorical.as_ref().map(Spanned::span)),
        ("bool", given.bool.as_ref().map(Spanned::span)),
    ];
    let present: Vec<_> = keys.into_iter().filter_map(|(key, span)| Some((key, span?))).collect();
    let [(key, span)] = &present[..] else {
        let text = match &present[..] {
            [(first, _), (second, _), ..] => {
                format!("has both `{first}` and `{second}`: keep one")
            }
            _ => "needs exactly one of `ordinal`, `float`, `int`, `categorical`, `bool`".to_owned(),
        };
        return Err(wrong(given.name.span(), text));
    };
    let wrong_here = |text: &str| wrong(span.clone(), format!("`{key}` {text}"));

    if let Some(scale) = &given.scale
        && !matches!(*key, "float" | "int")
    {
        return Err(wrong(
            scale.span(),
            format!("`scale` goes with `float` or `int`, not `{key}`"),
        ));
    }
    let scale = match &given.scale {
        None => Scale::Unspecified,
        Some(word) => {
            one_of(source, "scale", word, &[("linear", Scale::Linear), ("log", Scale::Log)])?
        }
    };

    if let Some(values) = &given.ordinal {
        let values = values.get_ref().clone();
        if values.is_empty() || values.len() > OPTIONS_MAX {
            return Err(wrong_here(&format!("must list 1 to {OPTIONS_MAX} numbers")));
        }
        if !values.iter().all(|x| x.is_finite()) || !values.is_sorted_by(|a, b| a < b) {
            return Err(wrong_here("must be finite numbers that rise strictly"));
        }
        return Ok(Domain::Ordinal(OrdinalDomain { values }));
    }
    if let Some(range) = &given.float {
        let [low, high] = range.get_ref()[..] else {
            return Err(wrong_here("must be two numbers: [low, high]"));
        };
        if !low.is_finite() || !high.is_finite() || low >= high {
            return Err(wrong_here("must be two finite numbers, the lower first"));
        }
        if scale == Scale::Log && low <= 0.0 {
            return Err(wrong_here("must begin above 0, because the scale is \"log\""));
        }
        return Ok(Domain::Float(FloatDomain { low, high, scale: scale.into() }));
    }
    if let Some(range) = &given.int {
        let [low, high] = range.get_ref()[..] else {
            return Err(wrong_here("must be two whole numbers: [low, high]"));
        };
        if low > high {
            return Err(wrong_here("must have the lower number first"));
        }
        if scale == Scale::Log && low <= 0 {
            return Err(wrong_here("must begin above 0, because the scale is \"log\""));
        }
        return Ok(Domain::Int(IntDomain { low, high, scale: scale.into() }));
    }
    if let Some(choices) = &given.categorical {
        let choices = choices.get_ref().clone();
        if choices.is_empty() || choices.len() > OPTIONS_MAX {
            return Err(wrong_here(&format!("must list 1 to {OPTIONS_MAX} names")));
        }
        let fits = |choice: &String| (1..=TEXT_BYTES_MAX).contains(&choice.len());
        if !choices.iter().all(fits) || choices.iter().any(|choice| choice.contains('\0')) {
            let text = format!("must list names of 1 to {TEXT_BYTES_MAX} bytes");
            return Err(wrong_here(&text));
        }
        if let Some(twice) =
            choices.iter().enumerate().find(|(i, choice)| choices[..*i].contains(choice))
        {
            return Err(wrong_here(&format!("lists \"{}\" twice", twice.1)));
        }
        return Ok(Domain::Categorical(CategoricalDomain { choices }));
    }
    match given.bool.as_ref().map(|on| *on.get_ref()) {
        Some(true) => Ok(Domain::Bool(BoolDomain {})),
        _ => Err(wrong_here("must be true; a switch that is not searched belongs among the fixed")),
    }
}

type Wrong = (std::ops::Range<usize>, String);

fn condition(when: &WhenTable, earlier: &[Parameter]) -> Result<Condition, Wrong> {
    let name = when.parameter.get_ref();
    let Some(other) = earlier.iter().find(|other| other.name == *name) else {
        let text = format!("`when` names `{name}`, but no parameter above has that name");
        return Err((when.parameter.span(), text));
    };
    if when.values.is_empty() {
        let text = format!("`when` must list one or more values of `{name}` in `in`");
        return Err((when.parameter.span(), text));
    }
    let values = when.values.iter().map(|value| {
        member(other, value.get_ref())
            .map_err(|text| (value.span(), format!("`when`: a value of `{name}` {text}")))
    });
    Ok(Condition { parameter: name.clone(), values: values.collect::<Result<_, _>>()? })
}

/// A value of a parameter's domain, in the domain's own type: TOML's 1 is an ordinal's 1.0.
fn member(parameter: &Parameter, written: &toml::Value) -> Result<Value, String> {
    let kind = kind_of(written).map(|kind| match (kind, &parameter.domain) {
        (Kind::Integer(n), Some(Domain::Ordinal(_) | Domain::Float(_))) => Kind::Number(n as f64),
        (kind, _) => kind,
    });
    kind.filter(|kind| value::allows(parameter, kind))
        .map(|kind| Value { kind: Some(kind) })
        .ok_or_else(|| format!("must be one of {}, not {written}", value::domain(parameter)))
}

/// A TOML value as the wire has it; `None` for what it has not.
pub fn kind_of(value: &toml::Value) -> Option<Kind> {
    match value {
        toml::Value::Boolean(b) => Some(Kind::Boolean(*b)),
        toml::Value::Integer(n) => Some(Kind::Integer(*n)),
        toml::Value::Float(x) if x.is_finite() => Some(Kind::Number(*x)),
        toml::Value::String(name) => Some(Kind::Text(name.clone())),
        _ => None,
    }
}
