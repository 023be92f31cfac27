//! What a posterior says.

use proto::v1 as wire;
use tuner::{
    Space,
    insight::{Dependence, Importance, Share},
};

use super::{invalid, space::value_to_wire};
use crate::{Error, insight::Calibration};

/// The place of a parameter in a study's space.
pub fn place(study: &str, space: &Space, name: &str) -> Result<usize, Error> {
    let parameters = space.parameters();
    parameters.iter().position(|parameter| parameter.name == name).ok_or_else(|| {
        let shown: String = name.chars().take(80).collect();
        let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let names = names.join(", ");
        invalid(format!("study `{study}` has no parameter {shown:?}; it searches {names}"))
    })
}

pub fn importance_to_wire(
    space: &Space,
    horizon: i32,
    importance: &Importance,
) -> wire::Importance {
    let share = |share: Share| wire::Share {
        value: share.value,
        estimator: share.estimator,
        surrogate: share.surrogate,
    };
    let effects = space.parameters().iter().zip(&importance.effects);
    let effects = effects.map(|(parameter, effect)| wire::Effect {
        parameter: parameter.name.clone(),
        first: Some(share(effect.first)),
        total: Some(share(effect.total)),
    });
    wire::Importance {
        horizon: horizon.unsigned_abs(),
        spread: importance.spread,
        effects: effects.collect(),
    }
}

pub fn calibration_to_wire(horizon: i32, calibration: &Calibration) -> wire::Calibration {
    let Calibration { judged, numbers, cross_validation } = calibration;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let coverage = judged
        .coverage
        .map(|coverage| wire::Coverage { level: coverage.level, share: coverage.share });
    let left_out = judged.left_out.iter().zip(numbers).map(|(one, number)| wire::LeftOut {
        number: number.unsigned_abs(),
        value: one.value,
        is_raised: one.is_raised,
        mean: one.mean,
        deviation: one.deviation,
        z_score: one.z,
    });
    wire::Calibration {
        horizon: horizon.unsigned_abs(),
        z_mean: judged.z_mean,
        z_rms: judged.z_rms,
        coverage: coverage.to_vec(),
        log_density: judged.log_density,
        log_density_constant: judged.log_density_constant,
        cross_validation: cross_validation.map(|folds| wire::CrossValidation {
            folds: count(folds.folds),
            predicted: count(folds.predicted),
            r2: folds.r2,
            rmse: folds.rmse,
            rmse_constant: folds.rmse_constant,
        }),
        left_out: left_out.collect(),
    }
}

pub fn dependence_to_wire(space: &Space, dependence: &Dependence) -> wire::Dependence {
    let places = dependence.places.iter().map(|place| wire::Place {
        value: Some(value_to_wire(&place.value)),
        mean: place.mean,
        deviation: place.deviation,
        results: place.results,
    });
    let parameter = space.parameters()[dependence.parameter].name.clone();
    wire::Dependence { parameter, places: places.collect() }
}
