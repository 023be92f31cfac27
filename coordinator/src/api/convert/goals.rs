//! Further objectives and constraints. Of a Whetstone objective the names are checked against what
//! its workers report; of an external one nobody knows them before the first report.

use proto::v1 as wire;

use super::{
    invalid,
    lease::word,
    study::{direction, direction_to_wire},
};
use crate::{
    Error,
    goals::{Bound, Constraint, FurtherObjective, Goals, VALUE},
    limits::{ALSO_MAX, CONSTRAINTS_MAX},
    study::Objective,
};

pub fn goals(
    also: Vec<wire::FurtherObjective>,
    constraints: Vec<wire::Constraint>,
    reference: Option<f64>,
    of: &Objective,
) -> Result<Goals, Error> {
    if also.len() > ALSO_MAX {
        let count = also.len();
        return Err(invalid(format!(
            "{count} further objectives; at most {ALSO_MAX} can be weighed against the value: make \
             the others constraints"
        )));
    }
    if constraints.len() > CONSTRAINTS_MAX {
        let count = constraints.len();
        return Err(invalid(format!(
            "{count} constraints; at most {CONSTRAINTS_MAX} are kept: drop some"
        )));
    }
    if also.is_empty() && reference.is_some() {
        return Err(invalid(
            "a reference measures trade-offs and the study has one objective; add a further one, or \
             say `at_least` in a constraint on `value`",
        ));
    }
    finite("the value's reference", reference)?;
    let also = also.into_iter().map(|further| further_objective(further, of));
    let also = also.collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = twice(also.iter().map(|further| further.measurement.as_str())) {
        return Err(invalid(format!("`{twice}` is a further objective twice; drop one")));
    }
    let constraints = constraints.into_iter().map(|asked| constraint(asked, of));
    let constraints = constraints.collect::<Result<Vec<_>, _>>()?;
    check_bounds(&constraints)?;
    Ok(Goals { also, constraints, reference })
}

fn further_objective(
    further: wire::FurtherObjective,
    of: &Objective,
) -> Result<FurtherObjective, Error> {
    let measurement = further.measurement;
    let metric = match of {
        Objective::Whetstone(whetstone) => whetstone.metric.as_str(),
        Objective::External(_) => VALUE,
    };
    if measurement == VALUE || measurement == metric {
        return Err(invalid(format!(
            "`{measurement}` is the value itself; a further objective is another measurement"
        )));
    }
    known("a further objective", &measurement, of)?;
    finite(&format!("the reference of `{measurement}`"), further.reference)?;
    let direction = direction(further.direction)?;
    Ok(FurtherObjective { measurement, direction, reference: further.reference })
}

fn constraint(asked: wire::Constraint, of: &Objective) -> Result<Constraint, Error> {
    let measurement = asked.measurement;
    if measurement != VALUE {
        known("a constraint", &measurement, of)?;
    }
    let bound = match asked.bound {
        None => {
            return Err(invalid(format!(
                "the constraint on `{measurement}` has no bound; give it `at_most` or `at_least`"
            )));
        }
        Some(wire::constraint::Bound::AtMost(bound)) => Bound::AtMost(bound),
        Some(wire::constraint::Bound::AtLeast(bound)) => Bound::AtLeast(bound),
    };
    let (Bound::AtMost(number) | Bound::AtLeast(number)) = bound;
    finite(&format!("the bound on `{measurement}`"), Some(number))?;
    Ok(Constraint { measurement, bound })
}

/// Bounds that leave nothing between them, or say the same twice, are a slip.
fn check_bounds(constraints: &[Constraint]) -> Result<(), Error> {
    for (place, one) in constraints.iter().enumerate() {
        let name = &one.measurement;
        let others = constraints[place + 1..].iter().filter(|other| other.measurement == *name);
        for other in others {
            match (one.bound, other.bound) {
                (Bound::AtMost(high), Bound::AtLeast(low))
                | (Bound::AtLeast(low), Bound::AtMost(high)) => {
                    if low > high {
                        return Err(invalid(format!(
                            "`{name}` cannot be at least {low} and at most {high}; widen one"
                        )));
                    }
                }
                _ => {
                    return Err(invalid(format!(
                        "`{name}` is bounded twice from the same side; drop the looser bound"
                    )));
                }
            }
        }
    }
    Ok(())
}

fn known(what: &str, measurement: &str, of: &Objective) -> Result<(), Error> {
    word(what, measurement)?;
    match of {
        Objective::External(_) => Ok(()),
        Objective::Whetstone(_) => recipe::check_measurement(measurement)
            .map_err(|error| invalid(format!("{what}: {error}"))),
    }
}

fn finite(what: &str, number: Option<f64>) -> Result<(), Error> {
    match number {
        Some(number) if !number.is_finite() => {
            Err(invalid(format!("{what} is {number}; it must be finite")))
        }
        _ => Ok(()),
    }
}

fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::HashSet::new();
    let mut names = names;
    names.find(|name| !seen.insert(*name))
}

pub fn goals_to_wire(goals: &Goals) -> (Vec<wire::FurtherObjective>, Vec<wire::Constraint>) {
    let also = goals.also.iter().map(|further| wire::FurtherObjective {
        measurement: further.measurement.clone(),
        direction: direction_to_wire(further.direction).into(),
        reference: further.reference,
    });
    let constraints = goals.constraints.iter().map(|constraint| wire::Constraint {
        measurement: constraint.measurement.clone(),
        bound: Some(match constraint.bound {
            Bound::AtMost(bound) => wire::constraint::Bound::AtMost(bound),
            Bound::AtLeast(bound) => wire::constraint::Bound::AtLeast(bound),
        }),
    });
    (also.collect(), constraints.collect())
}
