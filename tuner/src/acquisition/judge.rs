//! How much a point promises where more counts than the value.

use super::feasibility::log_probability;
use super::hypervolume::Gain;
use super::log_expected_improvement;
use super::maximise::CENTRES;
use crate::goals::Goals;
use crate::gp::Posterior;
use crate::history::History;
use crate::models::Models;
use crate::pareto::{Partition, front, greedy, reference};
use crate::space::{Space, UnitPoint};

/// Most points of the front that improvements are measured against, by number of objectives. Every
/// candidate is scored against every box, and boxes grow with the points, with four objectives
/// faster than they do. Of more, those are kept that hold most of the volume.
const FRONT_MAX: [usize; 5] = [0, 0, 100, 50, 25];

/// What the models say of points, weighed by the goals of a study. All in standardised units.
pub(crate) struct Judge<'a> {
    models: &'a Models,
    improvement: Improvement,
    centres: Vec<UnitPoint>,
}

/// Over what an improvement counts.
enum Improvement {
    /// Nothing feasible is known; whatever is feasible is one.
    OverNothing,
    /// Over the best feasible mean of the one objective: of its results as the search sees them, and as
    /// they are.
    Over { sought: f64, told: f64 },
    /// Of the volume of the feasible front.
    OfVolume(Gain),
}

impl<'a> Judge<'a> {
    /// Sets the goals against what is known: results by what was measured of their constraints,
    /// and by the models' means of their objectives, because results are noisy; `pending` points,
    /// which the models believe, by means throughout. Believed points count, because what a worker
    /// is about to confirm is no improvement any more.
    ///
    /// To take means for what is known of a noisy front is the plain form of S. Daulton, M.
    /// Balandat & E. Bakshy, "Parallel Bayesian optimization of multiple noisy objectives with
    /// expected hypervolume improvement", NeurIPS 2021, which integrates over them.
    pub(crate) fn new(
        space: &Space,
        models: &'a Models,
        goals: &Goals,
        history: &History,
        pending: &[UnitPoint],
    ) -> Judge<'a> {
        let measured = history.observed.iter().map(|o| space.canonical(&o.point));
        let points: Vec<UnitPoint> = measured.chain(pending.iter().cloned()).collect();
        let objectives = goals.objectives();
        let was_kept = |row: &Vec<f64>| row[objectives - 1..].iter().all(|slack| *slack >= 0.0);
        let mut is_feasible: Vec<bool> = history.further.iter().map(was_kept).collect();
        is_feasible.resize(points.len(), true);
        for slack in &models.constraints {
            let means = slack.predict(pending).mean;
            let believed = is_feasible[history.observed.len()..].iter_mut();
            believed.zip(means).for_each(|(feasible, mean)| *feasible &= mean >= 0.0);
        }
        let feasible: Vec<UnitPoint> = points
            .iter()
            .zip(&is_feasible)
            .filter(|(_, feasible)| **feasible)
            .map(|(point, _)| point.clone())
            .collect();
        if feasible.is_empty() {
            let mut judge =
                Judge { models, improvement: Improvement::OverNothing, centres: Vec::new() };
            judge.centres = best_first(&points, &judge.scores(&points));
            return judge;
        }

        let values = models.value().sought(&feasible).0;
        let mut centres = best_first(&feasible, &values);
        if objectives == 1 {
            let best = |values: Vec<f64>| values.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let told = best(models.value().standardised(&feasible).0);
            let improvement = Improvement::Over { sought: best(values), told };
            return Judge { models, improvement, centres };
        }
        let means = transposed(models.objectives.iter().map(|o| o.standardised(&feasible).0));
        let found = reference(&means, 1.0);
        let given = goals.references.iter().zip(&models.objectives);
        let given = given.map(|(given, model)| given.map(|value| model.standardise(value)));
        let reference: Vec<f64> =
            given.zip(found).map(|(given, found)| given.unwrap_or(found)).collect();
        let rows = front(&means);
        let on_front: Vec<Vec<f64>> = rows.iter().map(|&row| means[row].clone()).collect();
        let most = FRONT_MAX[objectives];
        let kept = greedy(&on_front, &reference, if rows.len() > most { most } else { CENTRES });
        let ends: Vec<UnitPoint> =
            kept.iter().take(CENTRES).map(|&place| feasible[rows[place]].clone()).collect();
        centres.splice(0..0, ends);
        let against: Vec<Vec<f64>> = match rows.len() > most {
            true => kept.iter().map(|&place| on_front[place].clone()).collect(),
            false => on_front,
        };
        let gain = Gain::over(&Partition::of(&against, &reference));
        Judge { models, improvement: Improvement::OfVolume(gain), centres }
    }

    /// Log of what each point promises: the expected improvement that counts only where every
    /// constraint is kept, or the chance to keep them while nothing that does is known.
    pub(crate) fn scores(&self, points: &[UnitPoint]) -> Vec<f64> {
        match &self.improvement {
            Improvement::Over { sought, .. } => {
                self.with_chances(points, *sought, self.models.value().sought(points))
            }
            _ => self.told(points),
        }
    }

    /// The same of the results as they are, which is what is told of a suggestion.
    pub(crate) fn told(&self, points: &[UnitPoint]) -> Vec<f64> {
        let predicted = |objective: &Posterior| objective.standardised(points);
        match &self.improvement {
            Improvement::OverNothing => self.chances(points),
            Improvement::Over { told, .. } => {
                self.with_chances(points, *told, predicted(self.models.value()))
            }
            Improvement::OfVolume(gain) => {
                let mut scores = self.chances(points);
                let (means, sds): (Vec<_>, Vec<_>) =
                    self.models.objectives.iter().map(predicted).unzip();
                let rows = transposed(means.into_iter()).into_iter();
                let rows = rows.zip(transposed(sds.into_iter()));
                for (score, (mean, sd)) in scores.iter_mut().zip(rows) {
                    *score += gain.log_expected(&mean, &sd);
                }
                scores
            }
        }
    }

    /// Log improvement over `best` that counts only where every constraint is kept.
    fn with_chances(
        &self,
        points: &[UnitPoint],
        best: f64,
        (mean, sd): (Vec<f64>, Vec<f64>),
    ) -> Vec<f64> {
        let mut scores = vec![0.0; points.len()];
        log_expected_improvement(&mean, &sd, best, &mut scores);
        scores.iter_mut().zip(self.chances(points)).for_each(|(score, log)| *score += log);
        scores
    }

    /// Log of the chance that every constraint is kept; zeros without any.
    fn chances(&self, points: &[UnitPoint]) -> Vec<f64> {
        let slacks = self.models.constraints.iter().map(|slack| {
            let slack = slack.predict(points);
            slack.mean.into_iter().zip(slack.deviation).collect::<Vec<_>>()
        });
        let slacks = transposed(slacks);
        match slacks.is_empty() {
            true => vec![0.0; points.len()],
            false => slacks.iter().map(|row| log_chance(row)).collect(),
        }
    }

    /// What to add to a score to have it in the objectives' own units.
    pub(crate) fn log_unit(&self) -> f64 {
        match self.improvement {
            Improvement::OverNothing => 0.0,
            _ => self.models.objectives.iter().map(|objective| objective.scale().ln()).sum(),
        }
    }

    /// Whether nothing feasible is known.
    pub(crate) fn is_over_nothing(&self) -> bool {
        matches!(self.improvement, Improvement::OverNothing)
    }

    /// Known points around which to look first.
    pub(crate) fn centres(&self) -> &[UnitPoint] {
        &self.centres
    }
}

fn log_chance(slacks: &[(f64, f64)]) -> f64 {
    let (mean, sd): (Vec<f64>, Vec<f64>) = slacks.iter().copied().unzip();
    log_probability(&mean, &sd)
}

/// One column an output to one row a point.
fn transposed<T: Copy>(columns: impl Iterator<Item = Vec<T>>) -> Vec<Vec<T>> {
    let mut rows: Vec<Vec<T>> = Vec::new();
    for column in columns {
        rows.resize_with(column.len(), Vec::new);
        rows.iter_mut().zip(column).for_each(|(row, number)| row.push(number));
    }
    rows
}

/// The points by falling score, as many as are looked around.
fn best_first(points: &[UnitPoint], scores: &[f64]) -> Vec<UnitPoint> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.into_iter().take(CENTRES).map(|place| points[place].clone()).collect()
}
