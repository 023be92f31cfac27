//! The trade-offs that a study has found: the domain, without SQL and without wire.

use tuner::pareto;

use crate::{limits::FRONT_MAX, study::Direction};

/// Share of the range of the feasible results by which the reference lies below their worst.
const BELOW: f64 = 0.1;

/// A feasible result.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The trial's number.
    pub number: i32,
    /// The value and the further objectives, negated where smaller is better.
    pub objectives: Vec<f64>,
}

/// What is known of a study's front.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    /// The trials on it by number: best value first, of equals the earliest; at most [`FRONT_MAX`].
    pub numbers: Vec<i32>,
    /// How many there are in all.
    pub size: usize,
    /// Results that keep every constraint.
    pub feasible: usize,
    /// From where the volume is measured, in the objectives' own units; empty without a result.
    pub reference: Vec<f64>,
    /// Volume between reference and front; `None` without a result, and where it would take too
    /// long.
    pub hypervolume: Option<f64>,
}

impl Front {
    /// The front of feasible results in the order of recording. `references` are given by the
    /// study, turned like the results; where there is none it lies below their worst.
    pub fn of(results: &[Standing], references: &[Option<f64>], directions: &[Direction]) -> Front {
        let points: Vec<Vec<f64>> = results.iter().map(|r| r.objectives.clone()).collect();
        let mut places = pareto::front(&points);
        let on_front: Vec<Vec<f64>> = places.iter().map(|&place| points[place].clone()).collect();
        let reference: Vec<f64> = match points.is_empty() {
            true => Vec::new(),
            false => (0..references.len())
                .map(|k| references[k].unwrap_or_else(|| below(points.iter().map(|p| p[k]))))
                .collect(),
        };
        let is_cheap = references.len() <= 2 || on_front.len() <= FRONT_MAX;
        let hypervolume =
            (!points.is_empty() && is_cheap).then(|| pareto::hypervolume(&on_front, &reference));
        places.sort_by(|&a, &b| points[b][0].total_cmp(&points[a][0]).then(a.cmp(&b)));
        Front {
            numbers: places.iter().take(FRONT_MAX).map(|&place| results[place].number).collect(),
            size: places.len(),
            feasible: results.len(),
            reference: reference.iter().zip(directions).map(|(x, d)| d.orient(*x)).collect(),
            hypervolume,
        }
    }
}

/// A tenth of the range below the worst; of one unit where there is no range. Function
/// `hypervolume_reference` in SQL does the same.
fn below(numbers: impl Iterator<Item = f64> + Clone) -> f64 {
    let worst = numbers.clone().fold(f64::INFINITY, f64::min);
    let best = numbers.fold(f64::NEG_INFINITY, f64::max);
    // In parts, because the range of two doubles may be no double.
    let range = BELOW * best - BELOW * worst;
    (worst - if range > 0.0 { range } else { BELOW }).max(f64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Maximize, Minimize};

    fn standings(rows: &[[f64; 2]]) -> Vec<Standing> {
        (0..).zip(rows).map(|(number, row)| Standing { number, objectives: row.to_vec() }).collect()
    }

    #[test]
    fn a_front_is_told_from_its_best_value_on_in_the_objectives_own_units() {
        let results = standings(&[[0.5, -10.0], [0.9, -40.0], [0.4, -20.0], [0.7, -20.0]]);
        let front = Front::of(&results, &[Some(0.0), Some(-50.0)], &[Maximize, Minimize]);
        assert_eq!(front.numbers, [1, 3, 0]);
        assert_eq!((front.size, front.feasible), (3, 4));
        assert_eq!(front.reference, [0.0, 50.0]);
        // Slabs of the second objective: 40 to 20 below 50 with 0.9, 0.7, 0.5.
        let volume = 0.9 * 10.0 + 0.7 * 20.0 + 0.5 * 10.0;
        assert!((front.hypervolume.unwrap() - volume).abs() < 1e-12);
    }

    #[test]
    fn a_reference_that_nobody_gave_lies_below_all_results() {
        let results = standings(&[[0.5, -10.0], [0.9, -40.0], [0.4, -20.0]]);
        let front = Front::of(&results, &[None, None], &[Maximize, Minimize]);
        assert!((front.reference[0] - 0.35).abs() < 1e-12);
        assert!((front.reference[1] - 43.0).abs() < 1e-12);
        let alike = Front::of(&standings(&[[2.0, -3.0]]), &[None, None], &[Maximize, Minimize]);
        assert_eq!(alike.reference, [1.9, 3.1]);
    }

    #[test]
    fn without_a_feasible_result_there_is_nothing_to_measure() {
        let front = Front::of(&[], &[None, Some(1.0)], &[Maximize, Maximize]);
        assert_eq!((front.size, front.hypervolume), (0, None));
        assert!(front.reference.is_empty());
    }
}
