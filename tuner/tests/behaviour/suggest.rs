//! Suggestions: never twice, always the same, better than chance, and apart when asked at once.

use std::collections::HashSet;

use crate::spaces::*;
use tuner::{
    Algorithm, Exhausted, History, Observation, Options, Origin, Posterior, Space, StartDesign,
    Suggestion, Taken, UnitPoint, Value, suggest,
};

fn options(algorithm: Algorithm) -> Options {
    Options { algorithm, ..Options::default() }
}

const ALL: [Algorithm; 6] = [
    Algorithm::Random,
    Algorithm::Grid,
    Algorithm::Sobol,
    Algorithm::GaussianProcess,
    Algorithm::Tpe,
    Algorithm::Evolution,
];

fn bits(point: &UnitPoint) -> Vec<u64> {
    point.0.iter().map(|unit| unit.to_bits()).collect()
}

fn next(space: &Space, options: &Options, history: &History, seed: u64, number: u32) -> Suggestion {
    let posterior = Posterior::fit(space, &history.observed, &history.failed, seed).ok();
    suggest(space, options, history, posterior.as_ref(), seed, number).expect("points are left")
}

/// Runs a study one trial after the other and returns its observations.
fn study(
    space: &Space,
    algorithm: Algorithm,
    trials: u32,
    seed: u64,
    objective: impl Fn(&UnitPoint) -> f64,
) -> Vec<Observation> {
    let mut history = History::default();
    for number in 0..trials {
        let suggestion = next(space, &options(algorithm), &history, seed, number);
        let value = objective(&suggestion.point);
        history.observed.push(Observation { point: suggestion.point, value });
    }
    history.observed
}

fn best(observed: &[Observation]) -> f64 {
    observed.iter().map(|o| o.value).fold(f64::NEG_INFINITY, f64::max)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// One bit decides; the others add a little, some of them only together.
fn eight_bits(point: &UnitPoint) -> f64 {
    let b = &point.0;
    if b[0] == 0.0 {
        return 6.0 + b[2] - b[5];
    }
    let alone = 3.0 * b[1] + 2.0 * (1.0 - b[2]) - 1.5 * b[3] + b[4];
    let differ = |i: usize, j: usize| f64::from(b[i] != b[j]);
    40.0 + alone + 2.5 * differ(5, 6) + 2.0 * differ(3, 7) - differ(1, 4)
}

#[test]
fn every_algorithm_visits_every_point_once_and_then_says_so() {
    let space = case_one();
    for algorithm in ALL {
        let mut history = History::default();
        let mut seen = HashSet::new();
        for number in 0..256 {
            // Only the first results are reported; the rest is still out or came to nothing.
            let suggestion = next(&space, &options(algorithm), &history, 4, number);
            assert!(seen.insert(bits(&suggestion.point)), "{algorithm} repeats itself at {number}");
            assert_eq!(space.canonical(&suggestion.point), suggestion.point);
            history.taken.insert(&space, &suggestion.point);
            if number < 20 {
                let value = eight_bits(&suggestion.point);
                history.observed.push(Observation { point: suggestion.point, value });
            }
        }
        let posterior = Posterior::fit(&space, &history.observed, &[], 4).unwrap();
        let end = suggest(&space, &options(algorithm), &history, Some(&posterior), 4, 256);
        assert_eq!(end, Err(Exhausted));
    }
}

#[test]
fn a_space_of_one_point_is_searched_in_one_trial() {
    let space = space([category("only", &["this"]), int("fixed", 7, 7)]);
    for algorithm in ALL {
        let mut history = History::default();
        let point = next(&space, &options(algorithm), &history, 0, 0).point;
        assert_eq!(point, space.nth(0).unwrap());
        history.observed.push(Observation { point, value: 0.5 });
        let posterior = Posterior::fit(&space, &history.observed, &[], 0).unwrap();
        let again = suggest(&space, &options(algorithm), &history, Some(&posterior), 0, 9);
        assert_eq!(again, Err(Exhausted));
    }
}

#[test]
fn points_with_workers_and_failed_points_are_taken_without_being_told() {
    let space = space([boolean("a"), boolean("b")]);
    let point = |rank| space.nth(rank).unwrap();
    let history = History {
        observed: vec![Observation { point: point(0), value: 1.0 }],
        pending: vec![point(1)],
        failed: vec![point(2)],
        ..History::default()
    };
    for algorithm in ALL {
        for number in 0..5 {
            assert_eq!(next(&space, &options(algorithm), &history, 0, number).point, point(3));
        }
    }
}

#[test]
fn a_suggestion_is_a_function_of_its_arguments() {
    for space in [case_one(), case_two(), space([float("x", 0.1, 9.0), boolean("b")])] {
        let mut history = History::default();
        for number in 0..9 {
            let suggestion = next(&space, &options(Algorithm::Random), &history, 1, number);
            let value = suggestion.point.0.iter().sum();
            history.observed.push(Observation { point: suggestion.point, value });
        }
        for algorithm in ALL.into_iter().filter(|&algorithm| algorithm != Algorithm::Grid) {
            let once = next(&space, &options(algorithm), &history, 1, 9);
            assert_eq!(next(&space, &options(algorithm), &history, 1, 9), once);
        }
    }
}

#[test]
fn seeds_and_numbers_give_different_points() {
    let space = space([float("x", 0.1, 9.0), float("y", 0.1, 9.0)]);
    let empty = History::default();
    for algorithm in ALL.into_iter().filter(|&algorithm| algorithm != Algorithm::Grid) {
        let point = |seed, number| next(&space, &options(algorithm), &empty, seed, number).point;
        // The first point of a Latin hypercube is the middle of the space, whatever the seed.
        assert_ne!(point(1, 1), point(2, 1));
        assert_ne!(point(1, 0), point(1, 1));
    }
}

#[test]
fn a_stored_posterior_decides_as_the_fitted_one_did() {
    let space = case_two();
    let observed = study(&space, Algorithm::Random, 15, 3, |x| x.0[0] - x.0[4] * x.0[12]);
    let history = History { observed, pending: vec![], failed: vec![], ..History::default() };
    let fitted = Posterior::fit(&space, &history.observed, &[], 3).unwrap();
    let json = serde_json::to_string(&fitted.parts()).unwrap();
    let parts = serde_json::from_str(&json).unwrap();
    let stored = Posterior::from_parts(&space, &history.observed, &[], parts).unwrap();
    let options = options(Algorithm::GaussianProcess);
    let decide = |posterior| suggest(&space, &options, &history, Some(posterior), 3, 15).unwrap();
    assert_eq!(decide(&fitted), decide(&stored));
}

#[test]
fn askers_at_the_same_time_are_sent_to_different_places() {
    let space = space([linear("x", 0.0, 1.0), linear("y", 0.0, 1.0)]);
    let smooth = |x: &UnitPoint| -(x.0[0] - 0.3).powi(2) - (x.0[1] - 0.6).powi(2);
    let observed = study(&space, Algorithm::Sobol, 8, 2, smooth);
    let mut history = History { observed, ..History::default() };
    let options = options(Algorithm::GaussianProcess);
    let posterior = Posterior::fit(&space, &history.observed, &[], 2).unwrap();
    // The same number, so that nothing but the pending points can make the difference.
    let ask = |history: &History| suggest(&space, &options, history, Some(&posterior), 2, 8);
    let mut chosen: Vec<Suggestion> = Vec::new();
    for _ in 0..4 {
        let suggestion = ask(&history).unwrap();
        assert_eq!(suggestion.origin, Origin::Acquisition);
        for other in &chosen {
            let gap = (0..2).map(|k| (suggestion.point.0[k] - other.point.0[k]).abs());
            assert!(gap.fold(0.0, f64::max) > 0.01, "{suggestion:?} is as good as {other:?}");
        }
        history.pending.push(suggestion.point.clone());
        chosen.push(suggestion);
    }
    // Believing the first one leaves its mean alone and makes it certain.
    let at = |suggestion: &Suggestion| posterior.predict(std::slice::from_ref(&suggestion.point));
    for suggestion in &chosen {
        assert!((suggestion.mean.unwrap() - at(suggestion).mean[0]).abs() < 1e-9);
        assert!(suggestion.deviation.unwrap() <= at(suggestion).deviation[0] + 1e-12);
    }
}

#[test]
fn the_start_is_space_filling_and_then_the_process_decides() {
    let space = case_two();
    assert_eq!(options(Algorithm::GaussianProcess).start_points(&space), 8);
    assert_eq!(options(Algorithm::GaussianProcess).start_points(&case_one()), 3);
    let origins = |start_points| {
        let options =
            Options { algorithm: Algorithm::GaussianProcess, start_points, ..Options::default() };
        let mut history = History::default();
        let mut origins = Vec::new();
        for number in 0..10 {
            let suggestion = next(&space, &options, &history, 1, number);
            origins.push(suggestion.origin);
            let value = f64::from(number);
            history.observed.push(Observation { point: suggestion.point, value });
        }
        origins
    };
    let expected = |start| {
        let origin = |i| if i < start { Origin::Start } else { Origin::Acquisition };
        (0..10).map(origin).collect::<Vec<_>>()
    };
    assert_eq!(origins(None), expected(8));
    assert_eq!(origins(Some(2)), expected(2), "as in the paper");
    assert_eq!(origins(Some(0)), expected(2), "a process needs two points to see a slope");
}

#[test]
fn without_results_or_a_posterior_the_point_is_space_filling() {
    let space = case_one();
    let options = options(Algorithm::GaussianProcess);
    let late = suggest(&space, &options, &History::default(), None, 1, 50).unwrap();
    assert_eq!(late.origin, Origin::Start);
    assert_eq!((late.mean, late.deviation, late.acquisition), (None, None, None));
    let observed = study(&space, Algorithm::Random, 6, 1, eight_bits);
    let history = History { observed, ..History::default() };
    assert_eq!(suggest(&space, &options, &history, None, 1, 50).unwrap().origin, Origin::Sobol);
}

#[test]
fn at_a_plateau_every_second_point_is_space_filling() {
    let space = case_two();
    let start = 8;
    for height in [0.0, 5.0] {
        let mut history = History::default();
        let ledge = |number| height + 1e-3 * f64::from(number);
        let value = |number| if number < start { f64::from(number) } else { ledge(number) };
        let mut origins = Vec::new();
        for number in 0..18 {
            let suggestion =
                next(&space, &options(Algorithm::GaussianProcess), &history, 1, number);
            origins.push(suggestion.origin);
            history.observed.push(Observation { point: suggestion.point, value: value(number) });
        }
        assert!(origins[8..12].iter().all(|&origin| origin == Origin::Acquisition));
        let (even, odd) = (Origin::Acquisition, Origin::Plateau);
        assert_eq!(origins[12..], [even, odd, even, odd, even, odd], "at {height}");
    }
}

#[test]
fn numbers_alone_have_no_plateau() {
    let space = space([linear("x", 0.0, 1.0), int("epochs", 1, 40)]);
    let mut history = History::default();
    for number in 0..18 {
        let suggestion = next(&space, &options(Algorithm::GaussianProcess), &history, 1, number);
        let is_known = suggestion.origin == Origin::Acquisition;
        assert!(number < 3 || is_known, "{number}: {}", suggestion.origin);
        let value = f64::from(number.min(3)) + 1e-3 * f64::from(number);
        history.observed.push(Observation { point: suggestion.point, value });
    }
}

#[test]
fn a_suggestion_says_what_was_thought_of_it_in_the_objective_s_units() {
    let space = case_one();
    let observed = study(&space, Algorithm::Random, 20, 1, |x| 1000.0 * eight_bits(x));
    let history = History { observed, ..History::default() };
    let suggestion = next(&space, &options(Algorithm::GaussianProcess), &history, 1, 20);
    let (mean, sd) = (suggestion.mean.unwrap(), suggestion.deviation.unwrap());
    assert!((30_000.0..70_000.0).contains(&mean), "{mean}");
    // Expected improvement by the trapezoid rule over the posterior's density.
    let posterior = Posterior::fit(&space, &history.observed, &[], 1).unwrap();
    let points: Vec<UnitPoint> = history.observed.iter().map(|o| o.point.clone()).collect();
    let incumbent = posterior.predict(&points).mean.into_iter().fold(f64::MIN, f64::max);
    let step = 1e-4;
    let improvement: f64 = (-80_000..80_000)
        .map(|i| f64::from(i) * step)
        .map(|z| (mean + sd * z - incumbent).max(0.0) * (-0.5 * z * z).exp() * step)
        .sum::<f64>()
        / std::f64::consts::TAU.sqrt();
    let acquisition = suggestion.acquisition.unwrap();
    assert!((acquisition - improvement.ln()).abs() < 1e-5, "{acquisition}, {improvement}");
}

#[test]
fn the_chains_reach_what_twenty_thousand_draws_do_not() {
    let space = case_two();
    let objective = |x: &UnitPoint| x.0[0] - (x.0[4] - x.0[12]).abs() + 0.5 * x.0[15] * x.0[20];
    let observed = study(&space, Algorithm::Random, 30, 6, objective);
    let history = History { observed, ..History::default() };
    let posterior = Posterior::fit(&space, &history.observed, &[], 6).unwrap();
    let judge = |algorithm, number| {
        let chosen = suggest(&space, &options(algorithm), &history, Some(&posterior), 6, number);
        chosen.unwrap().acquisition.unwrap()
    };
    let found = judge(Algorithm::GaussianProcess, 30);
    let drawn = (31..2031).map(|number| judge(Algorithm::Random, number));
    let best = drawn.fold(f64::NEG_INFINITY, f64::max);
    assert!(found > best, "{found} is not above {best}");
}

#[test]
fn on_eight_interacting_bits_the_process_beats_chance() {
    let space = case_one();
    let median_best = |algorithm| {
        let runs = (0..11).map(|seed| best(&study(&space, algorithm, 15, seed, eight_bits)));
        median(runs.collect())
    };
    let (process, chance) =
        (median_best(Algorithm::GaussianProcess), median_best(Algorithm::Random));
    let optimum = (0..256).map(|rank| eight_bits(&space.nth(rank).unwrap())).fold(0.0, f64::max);
    assert!(process > chance + 1.0, "{process} against {chance}");
    assert!(optimum - process < 1.0, "{process} of {optimum}");
}

/// Branin's function, in one of three rooms with a threshold each, and a switch that hides `y`.
fn branin(space: &Space, point: &UnitPoint) -> f64 {
    let natural = space.decode(point);
    let number = |name: &str| natural.get(name).and_then(Value::as_number);
    let (x, y) = (number("x").unwrap(), number("y").unwrap_or(0.0));
    let pi = std::f64::consts::PI;
    let bowl = y - 5.1 / (4.0 * pi * pi) * x * x + 5.0 / pi * x - 6.0;
    let room = match natural["room"].to_string().as_str() {
        "near" => 0.0,
        "middle" => 4.0,
        _ => 15.0,
    };
    -(bowl * bowl + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * x.cos() + 10.0 + room)
}

#[test]
fn on_a_mixed_conditional_branin_the_process_beats_chance() {
    let space = space([
        linear("x", -5.0, 10.0),
        boolean("tall"),
        when(linear("y", 0.0, 15.0), "tall", &[Value::Bool(true)]),
        category("room", &["far", "near", "middle"]),
    ]);
    let median_best = |algorithm| {
        let objective = |x: &UnitPoint| branin(&space, x);
        let runs = (0..11).map(|seed| best(&study(&space, algorithm, 25, seed, objective)));
        median(runs.collect())
    };
    let (process, chance) =
        (median_best(Algorithm::GaussianProcess), median_best(Algorithm::Random));
    // The optimum is −0.398.
    assert!(process > -2.5, "{process}");
    assert!(process > chance + 1.0, "{process} against {chance}");
}

#[test]
fn a_grid_needs_a_space_that_ends() {
    let grid = options(Algorithm::Grid);
    assert_eq!(grid.check(&case_one()), Ok(()));
    let error = grid.check(&space([boolean("b"), float("rate", 0.1, 1.0)])).unwrap_err();
    let message = "a grid cannot enumerate the float `rate`; make it an ordinal, or use sobol";
    assert_eq!(error.to_string(), message);
    let wide = space((0..4).map(|i| int(&format!("x{i}"), -(1 << 40), 1 << 40)));
    assert!(grid.check(&wide).is_err());
    assert!(options(Algorithm::Sobol).check(&wide).is_ok());
}

#[test]
fn a_grid_goes_through_the_points_in_order() {
    let space = case_one();
    let mut history =
        History { taken: Taken::of(&space, [&space.nth(1).unwrap()]), ..History::default() };
    for (number, rank) in [(0, 0), (1, 2), (2, 3), (3, 4)] {
        let point = next(&space, &options(Algorithm::Grid), &history, 0, number).point;
        assert_eq!(point, space.nth(rank).unwrap());
        history.taken.insert(&space, &point);
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for algorithm in ALL {
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        assert_eq!(serde_json::to_string(&algorithm).unwrap(), format!("\"{algorithm}\""));
    }
    let error = "gp".parse::<Algorithm>().unwrap_err().to_string();
    assert_eq!(error, "`gp` is not one of random, grid, sobol, gaussian_process, tpe, evolution");
    for design in [StartDesign::LatinHypercube, StartDesign::Sobol, StartDesign::Random] {
        assert_eq!(design.to_string().parse(), Ok(design));
        assert_eq!(serde_json::to_string(&design).unwrap(), format!("\"{design}\""));
    }
    for origin in
        [Origin::Start, Origin::Acquisition, Origin::Plateau, Origin::Parzen, Origin::Mutation]
    {
        assert_eq!(origin.to_string().parse(), Ok(origin));
        assert_eq!(serde_json::to_string(&origin).unwrap(), format!("\"{origin}\""));
    }
}
