//! The space that is searched: its parameters, and the way between natural units and [0, 1]^d.
//!
//! Three forms of a point:
//!
//! | form | type | who uses it |
//! |------|------|-------------|
//! | natural | [`Point`]: value by name, inactive parameters absent | people, workers |
//! | unit | [`UnitPoint`]: one number in [0, 1] for each parameter | the process |
//! | canonical unit | the same, discrete ones exactly on their option, inactive ones on a constant | comparison |
//!
//! Two points that can only behave alike have the same canonical form, bit for bit.

mod check;
mod column;
mod count;
mod parameter;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use check::{INT_MAX, OPTIONS_MAX, PARAMETERS_MAX, SpaceError};
use column::Column;
use count::Forest;
pub use parameter::{Condition, Domain, Parameter, Scale};
pub use value::{Point, Value};

/// A point in [0, 1]^d, in the order of [`Space::parameters`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitPoint(pub Vec<f64>);

/// Two floats closer than this on the unit interval count as the same when a point is looked up
/// among those already tried (taste: a millionth of a range is below what any training notices).
const FLOAT_RESOLUTION: f64 = 1e-6;

/// What a point is looked up by: equal for points that count as the same trial.
pub(crate) type Key = Vec<i64>;

/// Why a point does not belong to a space.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message beside each variant says what it means")]
pub enum PointError {
    /// A name that is not a parameter's.
    #[error("the space has no parameter `{name}`")]
    Unknown { name: String },
    /// An active parameter without a value.
    #[error("parameter `{name}` is missing; give it a value")]
    Missing { name: String },
    /// A value of the wrong kind or outside the domain; `complaint` ends the sentence.
    #[error("parameter `{name}` {complaint}")]
    Value { name: String, complaint: String },
}

/// A validated list of parameters. In JSON it is that list, checked again when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Parameter>", into = "Vec<Parameter>")]
pub struct Space {
    parameters: Vec<Parameter>,
    columns: Vec<Column>,
    forest: Forest,
}

impl Space {
    /// Checks the parameters and makes them ready; [`SpaceError`] says what is refused.
    pub fn new(parameters: Vec<Parameter>) -> Result<Space, SpaceError> {
        check::check(&parameters)?;
        let columns: Vec<Column> = parameters.iter().map(|p| Column::of(&p.domain)).collect();
        let places: BTreeMap<&str, usize> =
            parameters.iter().enumerate().map(|(i, p)| (p.name.as_str(), i)).collect();
        let parents = parameters
            .iter()
            .map(|parameter| {
                let condition = parameter.condition.as_ref()?;
                let parent = places[condition.parameter.as_str()];
                let option = |value| {
                    let unit = columns[parent].encode(value);
                    columns[parent].option(unit.expect("conditions were checked above"))
                };
                Some((parent, condition.values.iter().map(option).collect()))
            })
            .collect();
        let forest = Forest::new(&columns, parents);
        Ok(Space { parameters, columns, forest })
    }

    /// The parameters, in the order of every [`UnitPoint`].
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Product of the option counts over all parameters, conditions ignored, as papers count;
    /// `None` if a float is among them, or beyond `u128`.
    pub fn size(&self) -> Option<u128> {
        let mut options = self.columns.iter().map(Column::options);
        options.try_fold(1u128, |size, options| size.checked_mul(u128::from(options?)))
    }

    /// Points that can behave differently: inactive parameters are counted once. `None` if a
    /// float is among the parameters, or beyond `u128`.
    pub fn distinct(&self) -> Option<u128> {
        self.forest.distinct()
    }

    /// The `rank`-th distinct point, canonical, in lexicographic order of the options (the last
    /// parameter turns fastest); `None` from [`Space::distinct`] on, and if that is `None`.
    pub fn nth(&self, rank: u128) -> Option<UnitPoint> {
        let options = self.forest.nth(&self.columns, rank)?;
        let units = self.columns.iter().zip(options).map(|(column, option)| match option {
            Some(option) => column.at(option),
            None => column.constant(),
        });
        Some(UnitPoint(units.collect()))
    }

    /// Natural units → canonical unit point. Inactive parameters may be absent, and are ignored if
    /// given; every active one must have a value of its domain, whole numbers passing for floats.
    pub fn encode(&self, point: &Point) -> Result<UnitPoint, PointError> {
        if let Some(name) = point.keys().find(|n| !self.parameters.iter().any(|p| p.name == **n)) {
            return Err(PointError::Unknown { name: name.clone() });
        }
        let mut units = Vec::with_capacity(self.columns.len());
        let mut active = Vec::with_capacity(self.columns.len());
        for (place, (parameter, column)) in self.parameters.iter().zip(&self.columns).enumerate() {
            active.push(self.is_active(place, &active, &units));
            if !active[place] {
                units.push(column.constant());
                continue;
            }
            let name = || parameter.name.clone();
            let value = point.get(&parameter.name);
            let value = value.ok_or_else(|| PointError::Missing { name: name() })?;
            let unit = column.encode(value);
            units.push(unit.map_err(|complaint| PointError::Value { name: name(), complaint })?);
        }
        Ok(UnitPoint(units))
    }

    /// Unit point → natural units; inactive parameters are absent, floats clamped to their range.
    ///
    /// # Panics
    ///
    /// If the point does not have one number for each parameter; so do all that take one.
    pub fn decode(&self, point: &UnitPoint) -> Point {
        let active = self.active(point);
        let places = (0..self.columns.len()).filter(|&place| active[place]);
        places
            .map(|place| {
                let value = self.columns[place].decode(point.0[place]);
                (self.parameters[place].name.clone(), value)
            })
            .collect()
    }

    /// The canonical form: inactive parameters on their constant, discrete ones exactly on the
    /// nearest option, floats clamped to [0, 1].
    pub fn canonical(&self, point: &UnitPoint) -> UnitPoint {
        let active = self.active(point);
        let units = self.columns.iter().zip(&point.0).zip(active);
        let units = units.map(|((column, &unit), active)| match active {
            true => column.snap(unit),
            false => column.constant(),
        });
        UnitPoint(units.collect())
    }

    /// Which parameters matter at a point.
    pub fn active(&self, point: &UnitPoint) -> Vec<bool> {
        assert_eq!(point.0.len(), self.columns.len(), "a point has one number for each parameter");
        let mut active = Vec::with_capacity(self.columns.len());
        for place in 0..self.columns.len() {
            active.push(self.is_active(place, &active, &point.0));
        }
        active
    }

    /// The point at which every active parameter takes its default; `None` if one has none.
    pub fn default_point(&self) -> Option<Point> {
        let mut units = Vec::with_capacity(self.columns.len());
        let mut active = Vec::with_capacity(self.columns.len());
        for (place, (parameter, column)) in self.parameters.iter().zip(&self.columns).enumerate() {
            active.push(self.is_active(place, &active, &units));
            units.push(match active[place] {
                true => {
                    let unit = column.encode(parameter.default.as_ref()?);
                    unit.expect("defaults were checked when the space was made")
                }
                false => column.constant(),
            });
        }
        Some(self.decode(&UnitPoint(units)))
    }

    /// The canonical point at `uniforms`, numbers uniform on [0, 1): each active parameter is
    /// drawn with equal chances for equal shares of its domain.
    pub(crate) fn spread(&self, uniforms: &[f64]) -> UnitPoint {
        let units = self.columns.iter().zip(uniforms).map(|(column, &u)| column.spread(u));
        self.canonical(&UnitPoint(units.collect()))
    }

    /// One parameter's share of [`Space::spread`].
    pub(crate) fn spread_one(&self, place: usize, uniform: f64) -> f64 {
        self.columns[place].spread(uniform)
    }

    /// The uniform numbers, from one to below the other, that [`Space::spread`] takes to an option
    /// of a discrete parameter: its share of [0, 1].
    pub(crate) fn cell(&self, place: usize, option: u64) -> (f64, f64) {
        self.columns[place].cell(option)
    }

    /// The same, but with every ancestor of `place` on one of the options that make it active,
    /// chosen by the ancestor's uniform.
    pub(crate) fn spread_where_active(&self, place: usize, uniforms: &[f64]) -> UnitPoint {
        let mut units: Vec<f64> =
            self.columns.iter().zip(uniforms).map(|(column, &u)| column.spread(u)).collect();
        let mut child = place;
        while let Some((parent, options)) = &self.forest.parents[child] {
            let chosen = (uniforms[*parent] * options.len() as f64) as usize;
            let option = options.iter().nth(chosen.min(options.len() - 1));
            let option = option.expect("a condition names at least one option");
            units[*parent] = self.columns[*parent].at(*option);
            child = *parent;
        }
        self.canonical(&UnitPoint(units))
    }

    /// Unit values of a parameter, rising: every option of an ordinal or a category, and of a range
    /// all if they are no more than `most`, else `most` evenly spaced ones.
    pub(crate) fn places(&self, place: usize, most: usize) -> Vec<f64> {
        let column = &self.columns[place];
        let is_range = matches!(column, Column::Float { .. } | Column::Int { .. });
        match column.options() {
            Some(options) if !is_range || options <= most as u64 => {
                (0..options).map(|option| column.at(option)).collect()
            }
            _ => {
                let evenly = (0..most).map(|i| column.snap(i as f64 / (most - 1) as f64));
                let mut units: Vec<f64> = evenly.collect();
                units.dedup();
                units
            }
        }
    }

    /// The natural value of a parameter at a unit value.
    pub(crate) fn value_at(&self, place: usize, unit: f64) -> Value {
        self.columns[place].decode(unit)
    }

    /// What a point is looked up by among those tried.
    pub(crate) fn key(&self, point: &UnitPoint) -> Key {
        let canonical = self.canonical(point);
        let units = self.columns.iter().zip(&canonical.0);
        let digits = units.map(|(column, &unit)| match column.options() {
            Some(_) => column.option(unit) as i64,
            None => (unit / FLOAT_RESOLUTION).round() as i64,
        });
        digits.collect()
    }

    /// The options of a parameter, `None` for a float.
    pub(crate) fn options(&self, place: usize) -> Option<u64> {
        self.columns[place].options()
    }

    /// Which option a unit value of a discrete parameter means.
    pub(crate) fn option(&self, place: usize, unit: f64) -> u64 {
        self.columns[place].option(unit)
    }

    /// The unit value of an option.
    pub(crate) fn option_at(&self, place: usize, option: u64) -> f64 {
        self.columns[place].at(option)
    }

    /// Whether a parameter's values have no order.
    pub(crate) fn is_category(&self, place: usize) -> bool {
        self.columns[place].is_category()
    }

    /// Whether `place` is active, given the activity and values of all before it.
    pub(crate) fn is_active(&self, place: usize, active: &[bool], units: &[f64]) -> bool {
        match &self.forest.parents[place] {
            None => true,
            Some((parent, options)) => {
                active[*parent] && options.contains(&self.columns[*parent].option(units[*parent]))
            }
        }
    }
}

#[cfg(test)]
impl Space {
    /// A space of parameters p0, p1 and so on, for tests.
    pub(crate) fn of_domains(domains: impl IntoIterator<Item = Domain>) -> Space {
        let parameters = domains.into_iter().enumerate().map(|(i, domain)| Parameter {
            name: format!("p{i}"),
            domain,
            condition: None,
            default: None,
        });
        Space::new(parameters.collect()).expect("a possible space")
    }
}

impl TryFrom<Vec<Parameter>> for Space {
    type Error = SpaceError;

    fn try_from(parameters: Vec<Parameter>) -> Result<Space, SpaceError> {
        Space::new(parameters)
    }
}

impl From<Space> for Vec<Parameter> {
    fn from(space: Space) -> Vec<Parameter> {
        space.parameters
    }
}
