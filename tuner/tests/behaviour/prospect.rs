//! What further trials may gain: against independent computations, and as a search goes on.

use crate::spaces::*;
use tuner::{History, Observation, Options, Posterior, Space, UnitPoint, prospect, suggest};

/// `E[max(0, f − best)]` for a normal `f`, by Simpson's rule.
fn improvement(mean: f64, sd: f64, best: f64) -> f64 {
    let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let integrand = |z: f64| (mean + sd * z - best).max(0.0) * density(z);
    let (low, high, n) = (((best - mean) / sd).clamp(-12.0, 12.0), 12.0, 4_000);
    let h = (high - low) / f64::from(n);
    let weights = |i: i32| {
        if i == 0 || i == n {
            1.0
        } else if i % 2 == 1 {
            4.0
        } else {
            2.0
        }
    };
    (0..=n).map(|i| weights(i) * integrand(low + f64::from(i) * h)).sum::<f64>() * h / 3.0
}

fn hill(point: &UnitPoint) -> f64 {
    -(point.0[0] - 0.3).powi(2) - 0.5 * (point.0[1] - 0.6).powi(2)
}

/// A search by the tuner's own suggestions.
fn searched(space: &Space, trials: u32, objective: impl Fn(&UnitPoint) -> f64) -> Vec<Observation> {
    let mut history = History::default();
    for number in 0..trials {
        let posterior = Posterior::fit(space, &history.observed, &[], 1).ok();
        let found = suggest(space, &Options::default(), &history, posterior.as_ref(), 1, number);
        let point = found.unwrap().point;
        let value = objective(&point);
        history.observed.push(Observation { point, value });
    }
    history.observed
}

fn free(space: &Space, observed: &[Observation]) -> Vec<UnitPoint> {
    let all = (0..space.distinct().unwrap()).map(|rank| space.nth(rank).unwrap());
    all.filter(|point| !observed.iter().any(|o| o.point == *point)).collect()
}

#[test]
fn one_trial_gains_the_largest_expected_improvement_and_the_bound_is_that_of_the_paper() {
    let space = case_one();
    let bits =
        |point: &UnitPoint| point.0.iter().zip([8.0, 1.0, 2.0, 0.5]).map(|(b, w)| b * w).sum();
    let observed = searched(&space, 10, bits);
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let known: Vec<UnitPoint> = observed.iter().map(|o| o.point.clone()).collect();
    let at_known = posterior.predict(&known);
    let best = at_known.mean.iter().copied().fold(f64::MIN, f64::max);
    let at_free = posterior.predict(&free(&space, &observed));
    let mut improvements: Vec<f64> = at_free
        .mean
        .iter()
        .zip(&at_free.deviation)
        .map(|(mean, sd)| improvement(*mean, *sd, best))
        .collect();
    improvements.sort_by(|a, b| b.total_cmp(a));

    let one = prospect(&space, &posterior, &observed, &[], 1, 1).unwrap();
    assert_eq!(one.trials, 1);
    let error = (one.gain / improvements[0] - 1.0).abs();
    assert!(error < 1e-6, "{} is not {}: off by {error:e}", one.gain, improvements[0]);

    // 2 log(8 · 10² π² / 0.6) / 5, eight parameters and ten results.
    let beta = 2.0 * (8.0 * 100.0 * std::f64::consts::PI.powi(2) / 0.6_f64).ln() / 5.0;
    let ends = |sign: f64, of: &tuner::Prediction| -> f64 {
        let ends = of.mean.iter().zip(&of.deviation).map(|(m, s)| m + sign * beta.sqrt() * s);
        ends.fold(f64::MIN, f64::max)
    };
    let bound = ends(1.0, &at_free).max(ends(1.0, &at_known)) - ends(-1.0, &at_known);
    assert!((one.regret_bound / bound - 1.0).abs() < 1e-12, "{} {bound}", one.regret_bound);

    // Twenty gain more than one, and no more than the twenty largest improvements together.
    let twenty = prospect(&space, &posterior, &observed, &[], 20, 1).unwrap();
    let most: f64 = improvements[..20].iter().sum();
    assert!(twenty.gain > one.gain && twenty.gain <= most * (1.0 + 1e-9), "{twenty:?} {most}");
}

#[test]
fn the_prospects_of_a_search_that_has_arrived_are_small() {
    let space = space([linear("x", 0.0, 1.0), linear("y", 0.0, 1.0)]);
    let gain = |trials| {
        let observed = searched(&space, trials, hill);
        let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
        let found = prospect(&space, &posterior, &observed, &[], 20, 1).unwrap();
        assert!(found.gain <= 20.0 * found.regret_bound + 1e-12, "{found:?}");
        found.gain
    };
    let (early, late) = (gain(5), gain(25));
    assert!(early > 1e-2, "after five results much is open: {early}");
    assert!(late < 1e-2 * early, "after twenty-five little is: {late} of {early}");
}

#[test]
fn prospects_scale_with_the_objective_and_are_the_same_twice() {
    let space = space([linear("x", 0.0, 1.0), category("c", &["a", "b", "c"])]);
    let observed = searched(&space, 8, |point| hill(&UnitPoint(vec![point.0[0], point.0[1]])));
    let scaled: Vec<Observation> = observed
        .iter()
        .map(|o| Observation { point: o.point.clone(), value: 1024.0 * o.value - 512.0 })
        .collect();
    let of = |observed: &[Observation]| {
        let posterior = Posterior::fit(&space, observed, &[], 1).unwrap();
        prospect(&space, &posterior, observed, &[], 20, 1).unwrap()
    };
    let (plain, large) = (of(&observed), of(&scaled));
    assert_eq!(plain, of(&observed));
    assert!((large.gain / (1024.0 * plain.gain) - 1.0).abs() < 1e-2, "{plain:?} {large:?}");
}

#[test]
fn a_space_with_few_points_left_has_no_more_trials_to_think_of() {
    let space = space([boolean("a"), boolean("b"), int("c", 0, 2)]);
    let observed = searched(&space, 9, |point| point.0.iter().sum());
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let three = prospect(&space, &posterior, &observed, &[], 20, 1).unwrap();
    assert_eq!(three.trials, 3);
    let rest = free(&space, &observed);
    let none = prospect(&space, &posterior, &observed, &rest, 20, 1).unwrap();
    assert_eq!((none.trials, none.gain), (0, 0.0));
    assert_eq!(prospect(&space, &posterior, &[], &[], 20, 1), None);
}
