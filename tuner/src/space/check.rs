//! What a space may not be, said in one line each.

use std::collections::BTreeMap;

use super::column::Column;
use super::parameter::{Domain, Parameter, Scale};
use super::value::Value;

/// Most parameters a space may have: more than three times the paper's 22, and far below the 256
/// dimensions for which Sobol directions are tabulated.
pub const PARAMETERS_MAX: usize = 64;
/// Most options of one ordinal or categorical parameter (taste: a page of them is no search).
pub const OPTIONS_MAX: usize = 1024;
/// Largest magnitude of an integer's bounds. Up to here a log-scaled integer survives the way to
/// the unit interval and back exactly.
pub const INT_MAX: i64 = 1 << 40;
/// Longest name, in bytes.
const NAME_MAX: usize = 64;

/// Why a list of parameters is not a space.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message beside each variant says what it means")]
pub enum SpaceError {
    /// Nothing to search.
    #[error("a space needs at least one parameter")]
    Empty,
    /// Beyond [`PARAMETERS_MAX`].
    #[error("a space may have at most {PARAMETERS_MAX} parameters, this one has {count}")]
    TooManyParameters { count: usize },
    /// Names are identifiers, because they become keys in configuration files.
    #[error(
        "parameter name `{name}` must be a lower-case letter followed by at most 63 lower-case \
         letters, digits or underscores"
    )]
    BadName { name: String },
    /// Two parameters of one name.
    #[error("parameter `{name}` is listed twice; give each a name of its own")]
    DuplicateName { name: String },
    /// A bound is infinite or not a number, or the two are too far apart to subtract.
    #[error("parameter `{name}` must have finite bounds, not [{low}, {high}]")]
    NonFinite { name: String, low: String, high: String },
    /// The lower bound is not below the upper one.
    #[error(
        "parameter `{name}` has the empty range [{low}, {high}]; put the smaller bound first, or \
         fix a value with an ordinal of one option"
    )]
    EmptyRange { name: String, low: String, high: String },
    /// A logarithm of something that is not positive.
    #[error("parameter `{name}` is on a log scale, so its lower bound must be above 0, not {low}")]
    LogOfNonPositive { name: String, low: String },
    /// An integer bound beyond [`INT_MAX`].
    #[error("parameter `{name}` has an integer bound beyond 2^40; make it a float")]
    IntTooLarge { name: String },
    /// An ordinal or categorical with nothing to choose.
    #[error("parameter `{name}` has no options; list at least one")]
    NoOptions { name: String },
    /// Beyond [`OPTIONS_MAX`].
    #[error("parameter `{name}` has {count} options; at most {OPTIONS_MAX} are allowed")]
    TooManyOptions { name: String, count: usize },
    /// The same option twice.
    #[error("parameter `{name}` lists the option {option} twice")]
    DuplicateOption { name: String, option: String },
    /// An ordinal's option is infinite or not a number.
    #[error("parameter `{name}` lists {option}, which is not a finite number")]
    NonFiniteOption { name: String, option: String },
    /// The default is not a value of the parameter; `complaint` ends the sentence.
    #[error("the default of parameter `{name}` {complaint}")]
    BadDefault { name: String, complaint: String },
    /// A condition on a parameter that is not there.
    #[error("parameter `{name}` depends on `{parent}`, which the space does not have")]
    UnknownParent { name: String, parent: String },
    /// A condition on itself or on a later parameter; listing parents first rules out cycles.
    #[error("parameter `{name}` depends on `{parent}`, which must be listed before it")]
    LaterParent { name: String, parent: String },
    /// A condition on a float, which hits a given value with probability 0.
    #[error("parameter `{name}` depends on `{parent}`, which is a float; depend on a discrete one")]
    FloatParent { name: String, parent: String },
    /// A condition without values: the parameter would never matter.
    #[error("parameter `{name}` depends on `{parent}` taking one of no values; list at least one")]
    NoConditionValues { name: String, parent: String },
    /// A condition on a value that the parent cannot take.
    #[error("parameter `{name}` depends on `{parent}`, but that {complaint}")]
    ImpossibleCondition { name: String, parent: String, complaint: String },
}

/// Checks everything that can be said about the list, in its order.
pub(super) fn check(parameters: &[Parameter]) -> Result<(), SpaceError> {
    if parameters.is_empty() {
        return Err(SpaceError::Empty);
    }
    if parameters.len() > PARAMETERS_MAX {
        return Err(SpaceError::TooManyParameters { count: parameters.len() });
    }
    let mut places = BTreeMap::new();
    for (place, parameter) in parameters.iter().enumerate() {
        let name = &parameter.name;
        if !is_name(name) {
            return Err(SpaceError::BadName { name: name.clone() });
        }
        if places.insert(name.as_str(), place).is_some() {
            return Err(SpaceError::DuplicateName { name: name.clone() });
        }
    }
    for (place, parameter) in parameters.iter().enumerate() {
        check_domain(&parameter.name, &parameter.domain)?;
        if let Some(default) = &parameter.default {
            Column::of(&parameter.domain).encode(default).map_err(|complaint| {
                SpaceError::BadDefault { name: parameter.name.clone(), complaint }
            })?;
        }
        check_condition(place, parameter, parameters, &places)?;
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= NAME_MAX
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn check_domain(name: &str, domain: &Domain) -> Result<(), SpaceError> {
    let name = || name.to_owned();
    match domain {
        Domain::Float { low, high, scale } => {
            let (l, h) = (low.to_string(), high.to_string());
            if !(high - low).is_finite() {
                return Err(SpaceError::NonFinite { name: name(), low: l, high: h });
            }
            if low >= high {
                return Err(SpaceError::EmptyRange { name: name(), low: l, high: h });
            }
            if *scale == Scale::Log && *low <= 0.0 {
                return Err(SpaceError::LogOfNonPositive { name: name(), low: l });
            }
        }
        Domain::Int { low, high, scale } => {
            let (l, h) = (low.to_string(), high.to_string());
            if *low < -INT_MAX || *high > INT_MAX {
                return Err(SpaceError::IntTooLarge { name: name() });
            }
            if low > high {
                return Err(SpaceError::EmptyRange { name: name(), low: l, high: h });
            }
            if *scale == Scale::Log && *low <= 0 {
                return Err(SpaceError::LogOfNonPositive { name: name(), low: l });
            }
        }
        Domain::Ordinal { values } => {
            check_count(&name, values.len())?;
            if let Some(option) = values.iter().find(|value| !value.is_finite()) {
                let option = option.to_string();
                return Err(SpaceError::NonFiniteOption { name: name(), option });
            }
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                let option = pair[0].to_string();
                return Err(SpaceError::DuplicateOption { name: name(), option });
            }
        }
        Domain::Categorical { choices } => {
            check_count(&name, choices.len())?;
            let mut sorted: Vec<&String> = choices.iter().collect();
            sorted.sort();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                let option = format!("`{}`", pair[0]);
                return Err(SpaceError::DuplicateOption { name: name(), option });
            }
        }
        Domain::Bool => {}
    }
    Ok(())
}

fn check_count(name: &impl Fn() -> String, count: usize) -> Result<(), SpaceError> {
    match count {
        0 => Err(SpaceError::NoOptions { name: name() }),
        1..=OPTIONS_MAX => Ok(()),
        _ => Err(SpaceError::TooManyOptions { name: name(), count }),
    }
}

fn check_condition(
    place: usize,
    parameter: &Parameter,
    parameters: &[Parameter],
    places: &BTreeMap<&str, usize>,
) -> Result<(), SpaceError> {
    let Some(condition) = &parameter.condition else { return Ok(()) };
    let (name, parent) = (parameter.name.clone(), condition.parameter.clone());
    let Some(&parent_place) = places.get(parent.as_str()) else {
        return Err(SpaceError::UnknownParent { name, parent });
    };
    if parent_place >= place {
        return Err(SpaceError::LaterParent { name, parent });
    }
    let column = Column::of(&parameters[parent_place].domain);
    if column.options().is_none() {
        return Err(SpaceError::FloatParent { name, parent });
    }
    if condition.values.is_empty() {
        return Err(SpaceError::NoConditionValues { name, parent });
    }
    let impossible = |value: &Value| column.encode(value).err();
    match condition.values.iter().find_map(impossible) {
        Some(complaint) => Err(SpaceError::ImpossibleCondition { name, parent, complaint }),
        None => Ok(()),
    }
}
