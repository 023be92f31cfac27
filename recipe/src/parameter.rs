//! What is known of one hyperparameter, and how a JSON value becomes a field of a recipe.

use std::fmt;
use std::ops::Bound;

use serde_json::Value;

use crate::error::RecipeError;
use crate::recipe::Recipe;

/// What is known of one hyperparameter.
#[derive(Debug)]
pub struct ParameterInfo {
    /// The one word for it, in parameters, files, tables and speech.
    pub name: &'static str,
    /// What one of it is: "epochs", "pixels", "per update"; empty for a pure number or a word.
    pub unit: &'static str,
    /// What it does, in one sentence.
    pub meaning: &'static str,
    pub(crate) field: Field,
}

/// What values a hyperparameter may take. Its `Display` ends the sentence "it must be …".
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number between two bounds, finite.
    Float {
        /// The lower bound.
        low: Bound<f64>,
        /// The upper bound.
        high: Bound<f64>,
    },
    /// A whole number from `low` to `high`, both included.
    Integer {
        /// The smallest allowed value.
        low: u32,
        /// The largest allowed value.
        high: u32,
        /// Whether even numbers are refused.
        odd: bool,
    },
    /// True or false.
    Bool,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

/// A kind, tied to the field of [`Recipe`] that has its type: a table entry cannot promise a whole
/// number and fill a fraction.
#[derive(Debug)]
pub(crate) enum Field {
    Float { low: Bound<f64>, high: Bound<f64>, at: fn(&mut Recipe) -> &mut f64 },
    Integer { low: u32, high: u32, odd: bool, at: fn(&mut Recipe) -> &mut u32 },
    Bool { at: fn(&mut Recipe) -> &mut bool },
    Choice { names: &'static [&'static str], get: fn(&Recipe) -> &'static str, set: SetChoice },
}

/// Sets a field to the choice at an index of its names.
pub(crate) type SetChoice = fn(&mut Recipe, usize);

impl ParameterInfo {
    /// The values it may take.
    pub fn kind(&self) -> Kind {
        match self.field {
            Field::Float { low, high, .. } => Kind::Float { low, high },
            Field::Integer { low, high, odd, .. } => Kind::Integer { low, high, odd },
            Field::Bool { .. } => Kind::Bool,
            Field::Choice { names, .. } => Kind::Choice(names),
        }
    }

    /// The value it takes when none is given.
    pub fn default_value(&self) -> Value {
        self.value_in(&Recipe::default())
    }

    /// The value it has in a recipe.
    pub(crate) fn value_in(&self, recipe: &Recipe) -> Value {
        // The accessors lend out mutably, for reading and writing alike; reading works on a copy.
        let mut copy = recipe.clone();
        match self.field {
            Field::Float { at, .. } => Value::from(*at(&mut copy)),
            Field::Integer { at, .. } => Value::from(*at(&mut copy)),
            Field::Bool { at } => Value::from(*at(&mut copy)),
            Field::Choice { get, .. } => Value::from(get(recipe)),
        }
    }

    /// Checks a value and writes it into its field.
    pub(crate) fn read(&self, value: &Value, recipe: &mut Recipe) -> Result<(), RecipeError> {
        let read = match self.field {
            Field::Float { low, high, at } => {
                float(value).filter(|x| within(*x, low, high)).map(|x| *at(recipe) = x)
            }
            Field::Integer { low, high, odd, at } => integer(value)
                .filter(|n| (low..=high).contains(n) && (!odd || n % 2 == 1))
                .map(|n| *at(recipe) = n),
            Field::Bool { at } => value.as_bool().map(|b| *at(recipe) = b),
            Field::Choice { names, set, .. } => value
                .as_str()
                .and_then(|word| names.iter().position(|name| *name == word))
                .map(|index| set(recipe, index)),
        };
        read.ok_or_else(|| RecipeError::NotAllowed {
            name: self.name,
            value: shortened(value),
            allowed: self.kind().to_string(),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Float { low, high } => {
                f.write_str("a number")?;
                match low {
                    Bound::Included(low) => write!(f, " of at least {low}")?,
                    Bound::Excluded(low) => write!(f, " above {low}")?,
                    Bound::Unbounded => {}
                }
                match high {
                    Bound::Included(high) => write!(f, " and at most {high}"),
                    Bound::Excluded(high) => write!(f, " and below {high}"),
                    Bound::Unbounded => Ok(()),
                }
            }
            Kind::Integer { low, high, odd } => {
                let what = if *odd { "an odd number" } else { "a whole number" };
                write!(f, "{what} from {low} to {high}")
            }
            Kind::Bool => f.write_str("true or false"),
            Kind::Choice(names) => {
                for (index, name) in names.iter().enumerate() {
                    let before = match index {
                        0 => "",
                        _ if index + 1 == names.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{before}\"{name}\"")?;
                }
                Ok(())
            }
        }
    }
}

fn float(value: &Value) -> Option<f64> {
    value.as_f64().filter(|x| x.is_finite())
}

/// A whole number, written with or without a fraction of zero: a searched axis may arrive as 3.0.
fn integer(value: &Value) -> Option<u32> {
    match value.as_u64() {
        Some(n) => u32::try_from(n).ok(),
        None => float(value)
            .filter(|x| x.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(x))
            // Exact: whole and in range, as just checked.
            .map(|x| x as u32),
    }
}

fn within(x: f64, low: Bound<f64>, high: Bound<f64>) -> bool {
    std::ops::RangeBounds::contains(&(low, high), &x)
}

/// The value as JSON; a long one is cut, since the text ends in logs and on one line.
fn shortened(value: &Value) -> String {
    /// Long enough for every sensible value. Taste.
    const CHARACTERS_MAX: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
