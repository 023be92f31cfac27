//! One parameter between natural units and the unit interval. The only place that rounds.

use super::parameter::{Domain, Scale};
use super::value::Value;

/// Why a value does not belong to a domain; ends the sentence "parameter `x` …".
pub(super) type Complaint = String;

/// A domain made ready for arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Column {
    Float {
        low: f64,
        high: f64,
        scale: Scale,
    },
    Int {
        low: i64,
        high: i64,
        scale: Scale,
    },
    /// Ascending; `whole` if none of the values has a fraction.
    Ordinal {
        values: Vec<f64>,
        whole: bool,
    },
    Categorical {
        choices: Vec<String>,
    },
    Bool,
}

impl Column {
    pub(super) fn of(domain: &Domain) -> Column {
        match domain {
            Domain::Float { low, high, scale } => {
                Column::Float { low: *low, high: *high, scale: *scale }
            }
            Domain::Int { low, high, scale } => {
                Column::Int { low: *low, high: *high, scale: *scale }
            }
            Domain::Ordinal { values } => {
                let mut values = values.clone();
                values.sort_by(f64::total_cmp);
                // Beyond 2⁵³ a double no longer says which whole number was meant.
                let whole = values.iter().all(|v| v.fract() == 0.0 && v.abs() < 9.0e15);
                Column::Ordinal { values, whole }
            }
            Domain::Categorical { choices } => Column::Categorical { choices: choices.clone() },
            Domain::Bool => Column::Bool,
        }
    }

    /// How many values there are; `None` for a float.
    pub(super) fn options(&self) -> Option<u64> {
        match self {
            Column::Float { .. } => None,
            Column::Int { low, high, .. } => Some((high - low) as u64 + 1),
            Column::Ordinal { values, .. } => Some(values.len() as u64),
            Column::Categorical { choices } => Some(choices.len() as u64),
            Column::Bool => Some(2),
        }
    }

    /// Whether two different values are equally far apart whatever they are.
    pub(super) fn is_category(&self) -> bool {
        matches!(self, Column::Categorical { .. } | Column::Bool)
    }

    /// Natural value → unit interval.
    pub(super) fn encode(&self, value: &Value) -> Result<f64, Complaint> {
        match self {
            Column::Float { low, high, scale } => {
                let v = number(value)?;
                if !(*low <= v && v <= *high) {
                    return Err(format!("is {v}, outside [{low}, {high}]"));
                }
                Ok(into_unit(v, *low, *high, *scale))
            }
            Column::Int { low, high, .. } => {
                let v = number(value)?;
                if v.fract() != 0.0 {
                    return Err(format!("must be a whole number, not {v}"));
                }
                if !(*low as f64 <= v && v <= *high as f64) {
                    return Err(format!("is {v}, outside [{low}, {high}]"));
                }
                Ok(self.at((v as i64 - low) as u64))
            }
            Column::Ordinal { values, .. } => {
                let v = number(value)?;
                match values.iter().position(|option| *option == v) {
                    Some(rank) => Ok(self.at(rank as u64)),
                    None => Err(format!("is {v}, not one of {values:?}")),
                }
            }
            Column::Categorical { choices } => match value {
                Value::Text(text) => match choices.iter().position(|choice| choice == text) {
                    Some(index) => Ok(self.at(index as u64)),
                    None => Err(format!("is `{text}`, not one of {choices:?}")),
                },
                other => Err(format!("must be text, not {}", other.kind())),
            },
            Column::Bool => match value {
                Value::Bool(value) => Ok(self.at(u64::from(*value))),
                other => Err(format!("must be true or false, not {}", other.kind())),
            },
        }
    }

    /// Unit interval → natural value; anything outside [0, 1] is clamped.
    pub(super) fn decode(&self, unit: f64) -> Value {
        match self {
            Column::Float { low, high, scale } => {
                Value::Float(out_of_unit(into_range(unit), *low, *high, *scale))
            }
            Column::Int { low, .. } => Value::Int(low + self.option(unit) as i64),
            Column::Ordinal { values, whole } => {
                let value = values[self.option(unit) as usize];
                if *whole { Value::Int(value as i64) } else { Value::Float(value) }
            }
            Column::Categorical { choices } => {
                Value::Text(choices[self.option(unit) as usize].clone())
            }
            Column::Bool => Value::Bool(self.option(unit) == 1),
        }
    }

    /// Which option, from 0, lies nearest to `unit`.
    ///
    /// # Panics
    ///
    /// If the column is a float, which has no options.
    pub(super) fn option(&self, unit: f64) -> u64 {
        let unit = into_range(unit);
        match self {
            Column::Float { .. } => panic!("a float has no options to choose from"),
            Column::Int { low, high, scale: Scale::Log } => {
                let v = out_of_unit(unit, *low as f64, *high as f64, Scale::Log).round();
                (v as i64 - low) as u64
            }
            _ => (unit * self.last()).round() as u64,
        }
    }

    /// The place of an option on the unit interval; the inverse of [`Column::option`].
    pub(super) fn at(&self, option: u64) -> f64 {
        match self {
            Column::Int { low, high, scale: Scale::Log } => {
                into_unit((low + option as i64) as f64, *low as f64, *high as f64, Scale::Log)
            }
            _ if self.last() == 0.0 => 0.0,
            _ => option as f64 / self.last(),
        }
    }

    /// The canonical form of a unit value: discrete ones at their option, floats clamped.
    pub(super) fn snap(&self, unit: f64) -> f64 {
        match self {
            Column::Float { .. } => into_range(unit),
            _ => self.at(self.option(unit)),
        }
    }

    /// Carries a number that is uniform on [0, 1) to the unit interval such that every option is
    /// as likely as its width deserves. Snapping would give the two end options half their due.
    pub(super) fn spread(&self, uniform: f64) -> f64 {
        match self {
            Column::Float { .. } => uniform,
            Column::Int { low, high, scale: Scale::Log } => {
                // Each whole number owns the half step on either side of it.
                let (low, high) = (*low as f64, *high as f64);
                let v = out_of_unit(uniform, low - 0.5, high + 0.5, Scale::Log);
                into_unit(v.round().clamp(low, high), low, high, Scale::Log)
            }
            _ => {
                let options = self.last() + 1.0;
                self.at((uniform * options).min(self.last()) as u64)
            }
        }
    }

    /// The uniform numbers, from one to below the other, that [`Column::spread`] takes to an option.
    ///
    /// # Panics
    ///
    /// If the column is a float, which has no options.
    pub(super) fn cell(&self, option: u64) -> (f64, f64) {
        let options = self.options().expect("a float has no options to choose from");
        match self {
            Column::Int { low, high, scale: Scale::Log } => {
                let edge = |option: f64| {
                    let (low, high) = (*low as f64 - 0.5, *high as f64 + 0.5);
                    into_unit(low + option, low, high, Scale::Log)
                };
                (edge(option as f64), edge(option as f64 + 1.0))
            }
            _ => (option as f64 / options as f64, (option + 1) as f64 / options as f64),
        }
    }

    /// Where an inactive parameter stands: the middle of an order, the first of the categories.
    pub(super) fn constant(&self) -> f64 {
        match self.options() {
            None => 0.5,
            Some(_) if self.is_category() => 0.0,
            Some(options) => self.at(options / 2),
        }
    }

    /// The index of the last option, as the divisor of ranks.
    fn last(&self) -> f64 {
        (self.options().expect("only discrete columns are ranked") - 1) as f64
    }
}

fn number(value: &Value) -> Result<f64, Complaint> {
    match value.as_number() {
        Some(number) if number.is_finite() => Ok(number),
        Some(number) => Err(format!("must be finite, not {number}")),
        None => Err(format!("must be a number, not {}", value.kind())),
    }
}

/// Clamps to [0, 1], takes NaN to 0 and -0 to 0, so that equal points have equal bits.
fn into_range(unit: f64) -> f64 {
    if unit > 0.0 { unit.min(1.0) } else { 0.0 }
}

fn into_unit(value: f64, low: f64, high: f64, scale: Scale) -> f64 {
    if low == high {
        return 0.0;
    }
    let unit = match scale {
        Scale::Linear => (value - low) / (high - low),
        Scale::Log => (value.ln() - low.ln()) / (high.ln() - low.ln()),
    };
    into_range(unit)
}

fn out_of_unit(unit: f64, low: f64, high: f64, scale: Scale) -> f64 {
    // The ends are exact, whatever exp and ln round to.
    if unit == 0.0 {
        return low;
    }
    if unit == 1.0 {
        return high;
    }
    let value = match scale {
        Scale::Linear => low + unit * (high - low),
        Scale::Log => (low.ln() + unit * (high.ln() - low.ln())).exp(),
    };
    value.clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_the_options_are_what_uniform_numbers_give_them() {
        let columns = [
            Column::Int { low: 1, high: 9, scale: Scale::Log },
            Column::Int { low: -2, high: 3, scale: Scale::Linear },
            Column::Ordinal { values: vec![0.1, 0.5, 9.0], whole: false },
            Column::Bool,
        ];
        for column in columns {
            let options = column.options().unwrap();
            let mut end = 0.0;
            for option in 0..options {
                let (low, high) = column.cell(option);
                assert_eq!(low, end);
                for share in [0.001, 0.5, 0.999] {
                    let spread = column.spread(low + share * (high - low));
                    assert_eq!(column.option(spread), option, "{column:?}");
                }
                end = high;
            }
            assert_eq!(end, 1.0);
        }
    }
}
