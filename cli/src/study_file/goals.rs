//! `[[objective.also]]` and `[[constraint]]`: what a study wants besides a good value.

use proto::v1::constraint::Bound;
use proto::v1::objective::Kind;
use proto::v1::{Constraint, Direction, FurtherObjective, Objective};
use toml::Spanned;

use super::error::{Error, Source};
use super::one_of;
use super::table::{AlsoTable, ConstraintTable, FileTable};
use crate::limits::{ALSO_MAX, CONSTRAINTS_MAX};

/// What a constraint calls the objective's value.
const VALUE: &str = "value";

/// As the wire has them.
pub struct Goals {
    pub also: Vec<FurtherObjective>,
    pub constraints: Vec<Constraint>,
    pub reference: Option<f64>,
}

pub fn goals(source: Source<'_>, file: &FileTable, of: &Objective) -> Result<Goals, Error> {
    let objective = file.objective.get_ref();
    if let Some(beyond) = objective.also.get(ALSO_MAX) {
        let text = format!(
            "a study weighs its value against at most {ALSO_MAX} others: make the rest constraints"
        );
        return Err(source.at(beyond.span(), text));
    }
    if let Some(beyond) = file.constraint.get(CONSTRAINTS_MAX) {
        let text = format!("a study keeps at most {CONSTRAINTS_MAX} constraints");
        return Err(source.at(beyond.span(), text));
    }
    let mut also: Vec<FurtherObjective> = Vec::new();
    for table in &objective.also {
        let further = further(source, table, of)?;
        if also.iter().any(|other| other.measurement == further.measurement) {
            let text = format!("`{}` is a further objective twice: drop one", further.measurement);
            return Err(source.at(table.span(), text));
        }
        also.push(further);
    }
    let reference = finite(source, "reference", &objective.reference)?;
    if let (Some(given), true) = (&objective.reference, also.is_empty()) {
        let text = "`reference` measures trade-offs: it needs an [[objective.also]]";
        return Err(source.at(given.span(), text));
    }
    let constraints = file.constraint.iter().map(|table| constraint(source, table, of));
    Ok(Goals { also, constraints: constraints.collect::<Result<_, _>>()?, reference })
}

fn further(
    source: Source<'_>,
    table: &Spanned<AlsoTable>,
    of: &Objective,
) -> Result<FurtherObjective, Error> {
    let AlsoTable { measurement, direction, reference } = table.get_ref();
    let name = measurement.get_ref();
    let metric = match &of.kind {
        Some(Kind::Whetstone(whetstone)) => whetstone.metric.as_str(),
        _ => VALUE,
    };
    if name == metric || name == VALUE {
        let text = format!("`measurement` = \"{name}\" is the value itself: name another one");
        return Err(source.at(measurement.span(), text));
    }
    known(source, measurement, of)?;
    // No default: whoever forgets it of a cost would search for the dearest.
    let Some(direction) = direction else {
        let text = format!("`direction` is missing: \"minimize\" or \"maximize\" {name}?");
        return Err(source.at(table.span(), text));
    };
    let words = [("maximize", Direction::Maximize), ("minimize", Direction::Minimize)];
    let direction = one_of(source, "direction", direction, &words)?.into();
    let reference = finite(source, "reference", reference)?;
    Ok(FurtherObjective { measurement: name.clone(), direction, reference })
}

fn constraint(
    source: Source<'_>,
    table: &Spanned<ConstraintTable>,
    of: &Objective,
) -> Result<Constraint, Error> {
    let ConstraintTable { measurement, at_most, at_least } = table.get_ref();
    let name = measurement.get_ref();
    if name != VALUE {
        known(source, measurement, of)?;
    }
    let at_most = finite(source, "at_most", at_most)?;
    let at_least = finite(source, "at_least", at_least)?;
    let bound = match (at_most, at_least) {
        (Some(bound), None) => Bound::AtMost(bound),
        (None, Some(bound)) => Bound::AtLeast(bound),
        (None, None) => {
            let text = format!("the constraint on `{name}` needs `at_most` or `at_least`");
            return Err(source.at(table.span(), text));
        }
        (Some(_), Some(_)) => {
            let text = format!(
                "the constraint on `{name}` has both `at_most` and `at_least`: write two constraints"
            );
            return Err(source.at(table.span(), text));
        }
    };
    Ok(Constraint { measurement: name.clone(), bound: Some(bound) })
}

/// What networks report is known; what a worker of one's own does, is not.
fn known(source: Source<'_>, name: &Spanned<String>, of: &Objective) -> Result<(), Error> {
    match &of.kind {
        Some(Kind::Whetstone(_)) => recipe::check_measurement(name.get_ref())
            .map_err(|error| source.at(name.span(), format!("`measurement`: {error}"))),
        _ => Ok(()),
    }
}

fn finite(
    source: Source<'_>,
    key: &str,
    number: &Option<Spanned<f64>>,
) -> Result<Option<f64>, Error> {
    match number {
        Some(number) if !number.get_ref().is_finite() => {
            Err(source.at(number.span(), format!("`{key}` must be a finite number")))
        }
        number => Ok(number.as_ref().map(|number| *number.get_ref())),
    }
}
