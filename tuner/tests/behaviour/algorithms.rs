//! The algorithms that learn without a surrogate: better than chance, and as their papers have them.

use crate::spaces::*;
use tuner::{
    Algorithm, History, Observation, Options, Origin, Space, StartDesign, UnitPoint, Value, suggest,
};

const LEARNING: [Algorithm; 2] = [Algorithm::Tpe, Algorithm::Evolution];

fn options(algorithm: Algorithm) -> Options {
    Options { algorithm, ..Options::default() }
}

/// Ten parameters of every kind, one of them conditional, as a network's are.
fn ten() -> Space {
    space([
        float("rate", 1e-5, 1.0),
        linear("momentum", 0.0, 0.99),
        float("decay", 1e-8, 1e-2),
        int("layers", 1, 8),
        log_int("units", 16, 1024),
        ordinal("batch", &[16.0, 32.0, 64.0, 128.0, 256.0]),
        category("optimiser", &["sgd", "adam", "rmsprop", "adadelta"]),
        boolean("norm"),
        boolean("noise"),
        when(linear("noise_std", 0.0, 1.0), "noise", &[Value::Bool(true)]),
    ])
}

/// An accuracy in percent: a cliff in the rate, which the optimiser moves; a ridge between width and
/// depth; small effects of the rest. The optimum is 100.
fn accuracy(space: &Space, point: &UnitPoint) -> f64 {
    let natural = space.decode(point);
    let number = |name: &str| natural.get(name).and_then(Value::as_number);
    let on = |name: &str| natural[name] == Value::Bool(true);
    let (best_rate, penalty) = match natural["optimiser"].to_string().as_str() {
        "adam" => (-3.0, 0.0),
        "rmsprop" => (-3.3, 2.0),
        "sgd" => (-1.3, 5.0),
        _ => (-0.3, 8.0),
    };
    let off = number("rate").unwrap().log10() - best_rate;
    if off > 1.2 {
        return 10.0;
    }
    let size = number("units").unwrap().log2() + number("layers").unwrap();
    let batch = number("batch").unwrap().log2();
    let noise = number("noise_std").map_or(3.0, |std| 20.0 * (std - 0.2).powi(2));
    let lost = penalty
        + 8.0 * off * off
        + 1.2 * (size - 12.0).powi(2)
        + 20.0 * (number("momentum").unwrap() - 0.9).powi(2)
        + 0.5 * (number("decay").unwrap().log10() + 4.0).powi(2)
        + 0.8 * (batch - 6.0).powi(2)
        + if on("norm") { 0.0 } else { 6.0 }
        + noise;
    (100.0 - lost).max(10.0)
}

/// The best value of 60 trials, four of them always out with workers.
fn best_of_sixty(algorithm: Algorithm, seed: u64) -> f64 {
    let space = ten();
    let mut history = History::default();
    for number in 0..60 {
        let suggestion =
            suggest(&space, &options(algorithm), &history, None, seed, number).unwrap();
        history.pending.push(suggestion.point);
        if history.pending.len() == 4 || number > 56 {
            let point = history.pending.remove(0);
            let value = accuracy(&space, &point);
            history.observed.push(Observation { point, value });
        }
    }
    history.observed.iter().map(|o| o.value).fold(f64::NEG_INFINITY, f64::max)
}

fn mean_regret(algorithm: Algorithm) -> f64 {
    let regrets = (0..24).map(|seed| 100.0 - best_of_sixty(algorithm, seed));
    regrets.sum::<f64>() / 24.0
}

#[test]
fn over_ten_mixed_parameters_tpe_and_evolution_beat_chance() {
    let chance = mean_regret(Algorithm::Random);
    for algorithm in LEARNING {
        let regret = mean_regret(algorithm);
        assert!(regret < 0.75 * chance, "{algorithm} leaves {regret}, chance {chance}");
    }
}

/// A study of 30 results over [`ten`], the points drawn uniformly.
fn known(space: &Space) -> History {
    let mut history = History::default();
    for number in 0..30 {
        let options = options(Algorithm::Random);
        let point = suggest(space, &options, &history, None, 3, number).unwrap().point;
        let value = accuracy(space, &point);
        history.observed.push(Observation { point, value });
    }
    history
}

#[test]
fn only_the_order_of_the_results_counts() {
    let space = ten();
    let history = known(&space);
    let mut stretched = history.clone();
    for observation in &mut stretched.observed {
        // Far beyond what a difference of two doubles can say.
        observation.value = (observation.value - 55.0) * 3e306;
    }
    for algorithm in LEARNING {
        for number in 30..40 {
            let ask = |history| suggest(&space, &options(algorithm), history, None, 3, number);
            assert_eq!(ask(&history), ask(&stretched));
        }
    }
}

#[test]
fn where_results_are_good_points_are_suggested_and_where_askers_are_fewer() {
    // Good on the left of `x`, at `b`; the rest is bad.
    let space = space([linear("x", 0.0, 1.0), category("c", &["a", "b", "c", "d"])]);
    let mut history = History::default();
    for i in 0..40 {
        let point = UnitPoint(vec![f64::from(i) / 39.0, f64::from(i % 4) / 3.0]);
        let value = -(point.0[0] - 0.2).abs() - f64::from(i % 4 != 1);
        history.observed.push(Observation { point, value });
    }
    let ask = |history: &History, number| {
        suggest(&space, &options(Algorithm::Tpe), history, None, 1, number).unwrap()
    };
    let mut near = 0;
    for number in 40..140 {
        let suggestion = ask(&history, number);
        assert_eq!(suggestion.origin, Origin::Parzen);
        assert!(suggestion.acquisition.unwrap() > 0.0, "denser among the good");
        let good = (suggestion.point.0[0] - 0.2).abs() < 0.25 && suggestion.point.0[1] == 1.0 / 3.0;
        near += usize::from(good);
    }
    assert!(near > 90, "{near} of 100");
    // Thirty askers at one place make it a bad one.
    history.pending =
        (0..30).map(|i| UnitPoint(vec![0.15 + 0.003 * f64::from(i), 1.0 / 3.0])).collect();
    let at = UnitPoint(vec![0.2, 1.0 / 3.0]);
    let away = (40..140).filter(|&number| {
        let point = ask(&history, number).point;
        (point.0[0] - at.0[0]).abs() > 0.1 || point.0[1] != at.0[1]
    });
    assert!(away.count() > 60);
}

#[test]
fn a_child_differs_from_one_of_the_last_results_in_one_parameter() {
    let space = ten();
    let history = known(&space);
    for number in 30..230 {
        let options = options(Algorithm::Evolution);
        let child = suggest(&space, &options, &history, None, 3, number).unwrap();
        assert_eq!(child.origin, Origin::Mutation);
        let changes = |parent: &Observation| {
            let places = (0..10).filter(|&k| child.point.0[k] != parent.point.0[k]);
            places.collect::<Vec<_>>()
        };
        let by_one = |changes: &Vec<usize>| match changes[..] {
            [_] => true,
            // The switch brings its parameter along, or takes it away.
            [8, 9] => true,
            _ => false,
        };
        // The first ten are older than the population.
        assert!(history.observed[10..].iter().map(changes).any(|c| by_one(&c)), "{child:?}");
    }
}

#[test]
fn what_is_older_than_the_population_is_dead_however_good_it_was() {
    let space = ten();
    let history = known(&space);
    let mut golden = history.clone();
    golden.observed[..10].iter_mut().for_each(|observation| observation.value += 1e6);
    let mut youngest = history.clone();
    youngest.observed[29].value += 1e6;
    let children = |history: &History| -> Vec<UnitPoint> {
        let options = options(Algorithm::Evolution);
        (30..60).map(|n| suggest(&space, &options, history, None, 3, n).unwrap().point).collect()
    };
    assert_eq!(children(&history), children(&golden));
    assert_ne!(children(&history), children(&youngest));
}

#[test]
fn the_start_is_what_the_options_say() {
    let space = ten();
    for algorithm in [Algorithm::GaussianProcess, Algorithm::Tpe, Algorithm::Evolution] {
        let first = |start_design, number| {
            let options = Options { algorithm, start_points: Some(2), start_design };
            let first = suggest(&space, &options, &History::default(), None, 5, number).unwrap();
            assert_eq!(first.origin, Origin::Start);
            first.point
        };
        let alone = |algorithm, number| {
            suggest(&space, &options(algorithm), &History::default(), None, 5, number)
                .unwrap()
                .point
        };
        for number in 0..2 {
            assert_ne!(
                first(StartDesign::LatinHypercube, number),
                first(StartDesign::Sobol, number)
            );
            assert_eq!(first(StartDesign::Sobol, number), alone(Algorithm::Sobol, number));
            assert_eq!(first(StartDesign::Random, number), alone(Algorithm::Random, number));
        }
    }
    for (algorithm, start) in [(Algorithm::Tpe, 10), (Algorithm::Evolution, 10)] {
        assert_eq!(options(algorithm).start_points(&space), start);
        let mut history = known(&space);
        let origin = |history: &History, number| {
            suggest(&space, &options(algorithm), history, None, 5, number).unwrap().origin
        };
        assert_eq!(origin(&history, 9), Origin::Start);
        assert_ne!(origin(&history, 10), Origin::Start);
        history.observed.clear();
        assert_eq!(origin(&history, 50), Origin::Start, "there is nothing to learn from");
    }
}
