//! Where to look next, when more counts than the value.

use super::draw::Draw;
use super::{
    Algorithm, Exhausted, Options, Origin, Suggestion, is_plateau, is_start, suggest, values,
};
use crate::acquisition::judge::Judge;
use crate::goals::Goals;
use crate::history::History;
use crate::models::Models;
use crate::space::{Space, UnitPoint};

/// Chooses the point of trial `number` as [`suggest`] does, for a study with further objectives or
/// constraints; without either it is [`suggest`] with the value's posterior, bit for bit.
///
/// [`Algorithm::GaussianProcess`] takes the point of the largest log expected improvement: of the
/// hypervolume of the feasible front if there are further objectives, else of the value over the
/// best feasible one; plus, with constraints, the log probability that they are kept. While nothing
/// feasible is known it takes the most probably feasible point. [`Suggestion::acquisition`] is that
/// sum, the improvement in the product of the objectives' own units. The other algorithms choose as
/// ever, by the value alone.
///
/// `models` should be those of the history's results.
///
/// # Errors
///
/// [`Exhausted`]: every distinct point is taken.
///
/// # Panics
///
/// As [`suggest`], and as [`Models::fit`].
pub fn suggest_for(
    space: &Space,
    options: &Options,
    goals: &Goals,
    history: &History,
    models: Option<&Models>,
    seed: u64,
    number: u32,
) -> Result<Suggestion, Exhausted> {
    if goals.further() == 0 {
        return suggest(space, options, history, models.map(Models::value), seed, number);
    }
    history.check(goals);
    let draw = Draw::new(space, history, seed, number);
    let pending: Vec<UnitPoint> = history.pending.iter().map(|p| space.canonical(p)).collect();
    let believers = models.and_then(|models| {
        let mut believers = models.clone();
        believers.believe(&pending).ok().map(|()| believers)
    });
    let judge = believers
        .as_ref()
        .map(|models| (models, Judge::new(space, models, goals, history, &pending)));
    let start = options.start_points(space);
    let decides = options.algorithm == Algorithm::GaussianProcess
        && !is_start(options, start, history, number);
    let (point, origin, ratio) = match &judge {
        Some(_) if decides && number % 2 == 1 && are_flat(space, start, goals, history) => {
            (draw.sobol()?, Origin::Plateau, None)
        }
        Some((_, judge)) if decides => {
            let point = draw.best(&|points| judge.scores(points), judge.centres())?;
            let hopes = judge.is_over_nothing();
            (point, if hopes { Origin::Feasibility } else { Origin::Acquisition }, None)
        }
        _ => {
            let plain = suggest(space, options, history, None, seed, number)?;
            (plain.point, plain.origin, plain.acquisition)
        }
    };
    let thought = judge.as_ref().map(|(models, judge)| {
        let points = std::slice::from_ref(&point);
        let value = models.value().predict(points);
        (value.mean[0], value.deviation[0], judge.told(points)[0] + judge.log_unit())
    });
    Ok(Suggestion {
        point,
        origin,
        mean: thought.map(|(mean, _, _)| mean),
        deviation: thought.map(|(_, deviation, _)| deviation),
        acquisition: ratio.or(thought.map(|(_, _, acquisition)| acquisition)),
    })
}

/// Whether the last results are alike in every objective.
fn are_flat(space: &Space, start: u32, goals: &Goals, history: &History) -> bool {
    let column = |k: usize| -> Vec<f64> { history.further.iter().map(|row| row[k]).collect() };
    is_plateau(space, start, &values(history))
        && (0..goals.objectives() - 1).all(|k| is_plateau(space, start, &column(k)))
}
