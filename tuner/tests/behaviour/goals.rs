//! Several objectives and constraints: what is chosen, what is thought of it, and what comes of it.

use crate::spaces::*;
use tuner::normal::{cdf, pdf};
use tuner::pareto::hypervolume;
use tuner::{
    Algorithm, Goals, History, Models, Observation, Options, Origin, Posterior, Space, Suggestion,
    UnitPoint, suggest, suggest_for,
};

fn options(algorithm: Algorithm) -> Options {
    Options { algorithm, ..Options::default() }
}

fn next(
    space: &Space,
    algorithm: Algorithm,
    goals: &Goals,
    history: &History,
    seed: u64,
    number: u32,
) -> Suggestion {
    let models = Models::fit(space, goals, history, seed).ok();
    let options = options(algorithm);
    suggest_for(space, &options, goals, history, models.as_ref(), seed, number).unwrap()
}

/// Runs a study one trial after the other; `outputs` gives the value and the further numbers.
fn study(
    space: &Space,
    algorithm: Algorithm,
    goals: &Goals,
    trials: u32,
    seed: u64,
    outputs: impl Fn(&UnitPoint) -> (f64, Vec<f64>),
) -> (History, Vec<Origin>) {
    let (mut history, mut origins) = (History::default(), Vec::new());
    for number in 0..trials {
        let suggestion = next(space, algorithm, goals, &history, seed, number);
        let (value, further) = outputs(&suggestion.point);
        origins.push(suggestion.origin);
        history.observed.push(Observation { point: suggestion.point, value });
        history.further.push(further);
    }
    (history, origins)
}

fn square() -> Space {
    space([linear("x", 0.0, 1.0), linear("y", 0.0, 1.0)])
}

fn two() -> Goals {
    Goals { references: vec![None, None], constraints: 0 }
}

/// The best of each lies in another corner; in between lie the trade-offs.
fn corners(point: &UnitPoint) -> (f64, Vec<f64>) {
    let away = |x: f64, y: f64| (point.0[0] - x).powi(2) + (point.0[1] - y).powi(2);
    (1.0 - away(0.2, 0.3), vec![10.0 * (1.0 - away(0.8, 0.6))])
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[test]
fn without_further_goals_it_is_the_plain_suggestion_bit_for_bit() {
    let space = case_one();
    let (mut history, _) =
        study(&space, Algorithm::GaussianProcess, &Goals::default(), 9, 3, |point| {
            (point.0.iter().sum(), vec![])
        });
    history.pending = vec![space.nth(7).unwrap()];
    let posterior = Posterior::fit(&space, &history.observed, &[], 3).unwrap();
    for algorithm in [Algorithm::GaussianProcess, Algorithm::Random] {
        let plain = suggest(&space, &options(algorithm), &history, Some(&posterior), 3, 9).unwrap();
        assert_eq!(next(&space, algorithm, &Goals::default(), &history, 3, 9), plain);
    }
}

#[test]
fn models_fitted_after_others_are_those_fitted_afresh() {
    let goals = Goals { references: vec![None, None], constraints: 1 };
    let outputs = |point: &UnitPoint| {
        let (value, mut further) = corners(point);
        further.push(0.3 - point.0[0] * (1.0 + point.0[1]));
        (value, further)
    };
    // Enough that hyper-parameters are not learned from every result.
    let (history, _) = study(&square(), Algorithm::Random, &goals, 100, 5, outputs);
    let upto = |n: usize| History {
        observed: history.observed[..n].to_vec(),
        further: history.further[..n].to_vec(),
        ..History::default()
    };
    let mut warm = None;
    for n in [90, 97, 98, 99] {
        let known = upto(n);
        let after = Models::fit_after(warm.as_ref(), &square(), &goals, &known, 5).unwrap();
        let afresh = Models::fit(&square(), &goals, &known, 5).unwrap();
        let ask = |models: &Models| {
            let options = options(Algorithm::GaussianProcess);
            suggest_for(&square(), &options, &goals, &known, Some(models), 5, 100).unwrap()
        };
        assert_eq!(ask(&after), ask(&afresh), "after {n}");
        warm = Some(after);
    }
}

#[test]
fn a_suggestion_is_a_function_of_its_arguments_and_algorithms_without_models_go_on_as_ever() {
    let goals = Goals { references: vec![None, Some(1.0)], constraints: 1 };
    let outputs = |point: &UnitPoint| {
        let (value, mut further) = corners(point);
        further.push(point.0[0] - 0.3);
        (value, further)
    };
    let (history, _) = study(&square(), Algorithm::Random, &goals, 9, 1, outputs);
    let once = next(&square(), Algorithm::GaussianProcess, &goals, &history, 1, 9);
    assert_eq!(next(&square(), Algorithm::GaussianProcess, &goals, &history, 1, 9), once);
    assert_eq!(once.origin, Origin::Acquisition);
    let plain = suggest(&square(), &options(Algorithm::Sobol), &history, None, 1, 9).unwrap();
    let sobol = next(&square(), Algorithm::Sobol, &goals, &history, 1, 9);
    assert_eq!(sobol.point, plain.point);
    assert!(sobol.acquisition.is_some(), "the models still say what they think of it");
}

#[test]
fn a_constrained_promise_is_the_improvement_over_the_best_feasible_mean_times_the_chance() {
    let goals = Goals { references: vec![None], constraints: 1 };
    // The largest values are not allowed.
    let outputs = |point: &UnitPoint| (7.0 * point.0[0], vec![0.55 - point.0[0]]);
    let (history, _) = study(&square(), Algorithm::Sobol, &goals, 12, 2, outputs);
    let suggestion = next(&square(), Algorithm::GaussianProcess, &goals, &history, 2, 12);
    let posterior = Posterior::fit(&square(), &history.observed, &[], 2).unwrap();
    let kept = history.further.iter().zip(&history.observed).filter(|(row, _)| row[0] >= 0.0);
    let points: Vec<UnitPoint> = kept.map(|(_, o)| o.point.clone()).collect();
    let incumbent = posterior.predict(&points).mean.into_iter().fold(f64::MIN, f64::max);
    assert!(incumbent < 4.0, "{incumbent}");
    let (mean, sd) = (suggestion.mean.unwrap(), suggestion.deviation.unwrap());
    let z = (mean - incumbent) / sd;
    let improvement = (sd * (pdf(z) + z * cdf(z))).ln();
    // What is left is the log of a probability, and a sensible one.
    let chance = (suggestion.acquisition.unwrap() - improvement).exp();
    assert!((0.05..=1.0 + 1e-9).contains(&chance), "{chance}");
    assert!(suggestion.point.0[0] < 0.6, "{suggestion:?}");
}

#[test]
fn while_nothing_is_feasible_the_most_probably_feasible_point_is_sought() {
    let goals = Goals { references: vec![None], constraints: 2 };
    // A corner that is allowed, away from where the value is large.
    let outputs = |point: &UnitPoint| {
        let (x, y) = (point.0[0], point.0[1]);
        (x + y, vec![0.18 - x, 0.2 - y])
    };
    let mut first_feasible = Vec::new();
    for seed in 0..5 {
        let (history, origins) =
            study(&square(), Algorithm::GaussianProcess, &goals, 14, seed, outputs);
        let kept = |row: &Vec<f64>| row.iter().all(|slack| *slack >= 0.0);
        let first = history.further.iter().position(kept).expect("something feasible is found");
        for (number, origin) in origins.iter().enumerate().skip(3) {
            let hopes = *origin == Origin::Feasibility;
            assert!(hopes == (number <= first) || *origin == Origin::Plateau, "{number}: {origin}");
        }
        first_feasible.push(first as f64);
    }
    // Chance finds it after 28 on average.
    assert!(median(first_feasible.clone()) < 9.0, "{first_feasible:?}");
}

#[test]
fn a_constraint_that_is_almost_never_broken_is_still_seen_where_it_is() {
    // Eleven comfortable points and one that collapsed: pulled in towards the others, as a value
    // would be, it would look allowed.
    let goals = Goals { references: vec![None], constraints: 1 };
    let collapses = |point: &UnitPoint| point.0[0] > 0.9 && point.0[1] > 0.9;
    let slack = |point: &UnitPoint| if collapses(point) { -0.05 } else { 0.6 + 0.05 * point.0[1] };
    let mut history = History::default();
    for i in 0..12 {
        let point = match i {
            11 => UnitPoint(vec![1.0, 1.0]),
            i => UnitPoint(vec![f64::from(i) / 12.0, f64::from(i * 5 % 12) / 13.0]),
        };
        history.observed.push(Observation { point: point.clone(), value: point.0[0] + point.0[1] });
        history.further.push(vec![slack(&point)]);
    }
    let suggestion = next(&square(), Algorithm::GaussianProcess, &goals, &history, 1, 12);
    let (x, y) = (suggestion.point.0[0], suggestion.point.0[1]);
    assert!(x < 0.97 || y < 0.97, "sent to the corner that collapsed: {suggestion:?}");
}

#[test]
fn askers_at_the_same_time_are_sent_to_different_trade_offs() {
    let (mut history, _) = study(&square(), Algorithm::Sobol, &two(), 8, 2, corners);
    let models = Models::fit(&square(), &two(), &history, 2).unwrap();
    let mut chosen: Vec<Suggestion> = Vec::new();
    for _ in 0..4 {
        let next = {
            let options = options(Algorithm::GaussianProcess);
            suggest_for(&square(), &options, &two(), &history, Some(&models), 2, 8).unwrap()
        };
        for other in &chosen {
            let gap = (0..2).map(|k| (next.point.0[k] - other.point.0[k]).abs());
            assert!(gap.fold(0.0, f64::max) > 0.01, "{next:?} is as good as {other:?}");
        }
        history.pending.push(next.point.clone());
        chosen.push(next);
    }
    let last = chosen.last().unwrap().acquisition.unwrap();
    assert!(last < chosen[0].acquisition.unwrap(), "what is out promises no longer");
}

#[test]
fn the_unit_of_a_further_objective_does_not_matter() {
    let in_unit = |unit: f64| {
        move |point: &UnitPoint| {
            let (value, further) = corners(point);
            (value, vec![unit * further[0]])
        }
    };
    let (history, _) = study(&square(), Algorithm::Sobol, &two(), 10, 4, in_unit(1.0));
    let mut scaled = history.clone();
    scaled.further.iter_mut().for_each(|row| row[0] *= 1024.0);
    let ask = |history| next(&square(), Algorithm::GaussianProcess, &two(), history, 4, 10);
    let (plain, other) = (ask(&history), ask(&scaled));
    assert_eq!(plain.point, other.point);
    let shift = other.acquisition.unwrap() - plain.acquisition.unwrap();
    assert!((shift - 1024f64.ln()).abs() < 1e-9, "{shift}");
}

#[test]
fn a_reference_says_which_end_of_the_front_is_of_interest() {
    let (history, _) = study(&square(), Algorithm::Sobol, &two(), 10, 4, corners);
    let ask = |references| {
        let goals = Goals { references, constraints: 0 };
        next(&square(), Algorithm::GaussianProcess, &goals, &history, 4, 10).point
    };
    let first = ask(vec![Some(0.9), None]);
    let second = ask(vec![None, Some(9.0)]);
    let away = |point: &UnitPoint, x: f64, y: f64| (point.0[0] - x).hypot(point.0[1] - y);
    assert!(away(&first, 0.2, 0.3) < away(&first, 0.8, 0.6), "{first:?}");
    assert!(away(&second, 0.8, 0.6) < away(&second, 0.2, 0.3), "{second:?}");
}

#[test]
fn a_front_is_found_sooner_than_by_chance() {
    let volume = |history: &History| {
        let points = history.observed.iter().zip(&history.further);
        let points: Vec<Vec<f64>> = points.map(|(o, row)| vec![o.value, row[0]]).collect();
        hypervolume(&points, &[0.4, 4.0])
    };
    let of = |algorithm| {
        let runs =
            (0..5).map(|seed| volume(&study(&square(), algorithm, &two(), 20, seed, corners).0));
        median(runs.collect())
    };
    // All trade-offs lie on the line between the corners.
    let line = (0..=2000).map(|i| f64::from(i) / 2000.0).map(|t| {
        let (value, further) = corners(&UnitPoint(vec![0.2 + 0.6 * t, 0.3 + 0.3 * t]));
        vec![value, further[0]]
    });
    let most = hypervolume(&line.collect::<Vec<_>>(), &[0.4, 4.0]);
    let (process, chance) = (of(Algorithm::GaussianProcess), of(Algorithm::Random));
    assert!(process > 0.95 * most, "{process} of {most}");
    assert!(most - process < 0.3 * (most - chance), "{process} and {chance} of {most}");
}

#[test]
fn three_objectives_with_a_constraint_on_a_mixed_space_find_feasible_trade_offs() {
    let space = case_one();
    let goals = Goals { references: vec![None; 3], constraints: 1 };
    let outputs = |point: &UnitPoint| {
        let b = &point.0;
        let cost: f64 = b.iter().sum();
        let value = 2.0 * b[0] + b[1] * b[2] + 0.5 * b[5];
        (value, vec![-cost, b[7] - b[3] + 0.2 * b[4], 5.5 - cost - b[6]])
    };
    let run = |algorithm, seed| {
        let (history, _) = study(&space, algorithm, &goals, 25, seed, outputs);
        let rows = history.observed.iter().zip(&history.further);
        let kept = rows.filter(|(_, row)| row[2] >= 0.0);
        let points: Vec<Vec<f64>> = kept.map(|(o, row)| vec![o.value, row[0], row[1]]).collect();
        hypervolume(&points, &[-0.1, -8.1, -1.1])
    };
    let of = |algorithm| median((0..5).map(|seed| run(algorithm, seed)).collect());
    let (process, chance) = (of(Algorithm::GaussianProcess), of(Algorithm::Random));
    assert!(process > 1.05 * chance, "{process} against {chance}");
}

#[test]
#[should_panic(expected = "2 numbers beside its value")]
fn a_history_without_the_numbers_that_the_goals_speak_of_is_a_mistake() {
    let goals = Goals { references: vec![None, None], constraints: 1 };
    let point = UnitPoint(vec![0.5, 0.5]);
    let observed = vec![Observation { point, value: 1.0 }];
    let history = History { observed, further: vec![vec![1.0]], ..History::default() };
    let _ = Models::fit(&square(), &goals, &history, 0);
}
