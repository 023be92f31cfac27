//! What a posterior says to people, against closed forms and against going through every point.

use std::f64::consts::PI;

use crate::spaces::{boolean, category, float, int, linear, ordinal, space, when};
use tuner::insight::sensitivity::{Effort, indices};
use tuner::insight::{
    self, CalibrationError, CrossValidationError, PLACES_MAX, calibration, cross_validation,
    dependence, importance,
};
use tuner::{Observation, Posterior, Space, UnitPoint, Value};

const EFFORT: Effort = Effort { scrambles: 16, points: 1024 };

fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() < tolerance, "{what} is {found}, not {expected}");
}

/// `sin x₁ + 7 sin² x₂ + x₃⁴/10 sin x₁` over [−π, π]³ (T. Ishigami & T. Homma, 1990).
fn ishigami(uniforms: &[f64]) -> f64 {
    let x = |i: usize| PI * (2.0 * uniforms[i] - 1.0);
    x(0).sin() + 7.0 * x(1).sin().powi(2) + 0.1 * x(2).powi(4) * x(0).sin()
}

#[test]
fn the_indices_of_ishigamis_function_are_those_of_its_closed_form() {
    let found = indices(3, EFFORT, 5, |points| points.iter().map(|p| ishigami(p)).collect());
    let (a, b) = (7.0f64, 0.1f64);
    let first = 0.5 * (1.0 + b * PI.powi(4) / 5.0).powi(2);
    let second = a * a / 8.0;
    let interaction = b * b * PI.powi(8) * 8.0 / 225.0;
    let variance = first + second + interaction;
    assert_near(found.mean, a / 2.0, 0.01, "the mean");
    assert_near(found.variance / variance, 1.0, 0.005, "the variance");
    let expected = [
        (first / variance, (first + interaction) / variance),
        (second / variance, second / variance),
        (0.0, interaction / variance),
    ];
    for (i, (first, total)) in expected.into_iter().enumerate() {
        assert_near(found.first[i].value, first, 0.01, &format!("first-order index {i}"));
        assert_near(found.total[i].value, total, 0.01, &format!("total index {i}"));
    }
}

#[test]
fn the_indices_of_the_g_function_lie_within_their_own_errors() {
    // Π (|4uᵢ − 2| + aᵢ) / (1 + aᵢ) (I. Sobol, 1998): shares Vᵢ = 1 / (3 (1 + aᵢ)²).
    let a = [0.0, 1.0, 4.5, 9.0, 99.0, 99.0];
    let g = |u: &Vec<f64>| -> f64 {
        u.iter().zip(a).map(|(u, a)| ((4.0 * u - 2.0).abs() + a) / (1.0 + a)).product()
    };
    let parts: Vec<f64> = a.iter().map(|a| 1.0 / (3.0 * (1.0 + a) * (1.0 + a))).collect();
    let variance = parts.iter().map(|part| 1.0 + part).product::<f64>() - 1.0;
    let (mut beyond, mut squares) = (0, 0.0);
    for seed in 0..5 {
        let effort = Effort { scrambles: 16, points: 128 };
        let found = indices(6, effort, seed, |points| points.iter().map(g).collect());
        for (i, part) in parts.iter().enumerate() {
            let others: f64 =
                (0..6).filter(|&j| j != i).map(|j| 1.0 + parts[j]).product::<f64>() * part;
            for (estimate, truth) in
                [(found.first[i], part / variance), (found.total[i], others / variance)]
            {
                assert!(estimate.error < 0.02, "{estimate:?} of index {i}");
                let z = (estimate.value - truth) / estimate.error;
                squares += z * z;
                beyond += usize::from(z.abs() > 3.0);
            }
        }
    }
    // Sixty estimates: a standard error that means what it says is exceeded threefold by one or two
    // at most, and z is one as a root mean square.
    assert!(beyond <= 2, "{beyond} of 60 are off by more than three errors");
    let rms = (squares / 60.0f64).sqrt();
    assert!((0.7..1.4).contains(&rms), "errors are off by a factor of {rms}");
}

#[test]
fn a_constant_has_no_indices_and_the_same_seed_gives_the_same_bits() {
    let flat = indices(2, EFFORT, 1, |points| vec![1e12 / 3.0; points.len()]);
    assert_eq!(flat.variance, 0.0);
    assert!(flat.first.iter().chain(&flat.total).all(|index| index.value == 0.0));
    let once = |seed| indices(3, EFFORT, seed, |p| p.iter().map(|p| ishigami(p)).collect());
    assert_eq!(once(9), once(9));
    assert_ne!(once(9), once(10));
}

/// Results at the first `n` points of an even set (M. Roberts' additive recurrence).
fn results(space: &Space, n: usize, value: impl Fn(&UnitPoint) -> f64) -> Vec<Observation> {
    let steps = [0.881_271_462, 0.776_639_389, 0.684_430_130, 0.603_168_741];
    let point = |i: usize| {
        let units = (0..space.parameters().len()).map(|k| ((i + 1) as f64 * steps[k]).fract());
        space.canonical(&UnitPoint(units.collect()))
    };
    (0..n).map(point).map(|x| Observation { value: value(&x), point: x }).collect()
}

#[test]
fn an_additive_objective_is_explained_by_first_order_indices() {
    let space = space([linear("a", 0.0, 1.0), linear("b", 0.0, 1.0), linear("idle", 0.0, 1.0)]);
    let value = |x: &UnitPoint| 50.0 + 6.0 * x.0[0] + 3.0 * (PI * x.0[1]).sin();
    let posterior = Posterior::fit(&space, &results(&space, 80, value), &[], 1).unwrap();
    let importance = importance(&space, &posterior, 3);
    // 36/12, and 9 (1/2 − 4/π²).
    let (a, b) = (3.0, 9.0 * (0.5 - 4.0 / (PI * PI)));
    assert_near(importance.spread, f64::sqrt(a + b), 0.05, "the spread");
    for (i, truth) in [a / (a + b), b / (a + b), 0.0].into_iter().enumerate() {
        let effect = importance.effects[i];
        assert_near(effect.first.value, truth, 0.02, &format!("first-order index {i}"));
        assert_near(effect.total.value, truth, 0.02, &format!("total index {i}"));
        assert!(effect.first.deviation() < 0.04 && effect.total.deviation() < 0.04, "{effect:?}");
    }
}

/// Sobol indices of a function of a discrete space, by going through all combinations of options;
/// those of inactive parameters count like any other.
fn enumerated(options: &[usize], f: impl Fn(&[f64]) -> f64) -> Vec<(f64, f64)> {
    let all: usize = options.iter().product();
    let digits = |mut rank: usize| -> Vec<usize> {
        let digits = options.iter().map(|&options| {
            let digit = rank % options;
            rank /= options;
            digit
        });
        digits.collect()
    };
    let values: Vec<(Vec<usize>, f64)> = (0..all)
        .map(|rank| {
            let digits = digits(rank);
            let uniforms: Vec<f64> = digits
                .iter()
                .zip(options)
                .map(|(&digit, &options)| (digit as f64 + 0.5) / options as f64)
                .collect();
            let value = f(&uniforms);
            (digits, value)
        })
        .collect();
    let mean = values.iter().map(|(_, v)| v).sum::<f64>() / all as f64;
    let variance = values.iter().map(|(_, v)| (v - mean).powi(2)).sum::<f64>() / all as f64;
    // Variance of the means of groups that agree in some digits.
    let explained = |key: &dyn Fn(&[usize]) -> Vec<usize>| {
        let mut groups = std::collections::BTreeMap::<Vec<usize>, (f64, f64)>::new();
        for (digits, value) in &values {
            let group = groups.entry(key(digits)).or_default();
            *group = (group.0 + value, group.1 + 1.0);
        }
        let squares = groups.values().map(|(sum, n)| n * (sum / n - mean).powi(2)).sum::<f64>();
        squares / all as f64
    };
    (0..options.len())
        .map(|i| {
            let own = explained(&|digits| vec![digits[i]]);
            let others = explained(&|digits| {
                let mut digits = digits.to_vec();
                digits.remove(i);
                digits
            });
            (own / variance, 1.0 - others / variance)
        })
        .collect()
}

/// A category, a number that only one of its three choices has, a switch and an ordinal.
fn conditional() -> Space {
    let gain = when(int("gain", 1, 4), "kind", &[Value::Text("b".into())]);
    space([
        category("kind", &["a", "b", "c"]),
        gain,
        boolean("norm"),
        ordinal("width", &[8.0, 16.0, 32.0, 64.0]),
    ])
}

fn conditional_value(x: &UnitPoint) -> f64 {
    let is_b = f64::from(x.0[0] == 0.5);
    20.0 + 3.0 * is_b * x.0[1] + 2.0 * x.0[2] * x.0[3] + f64::from(x.0[0] == 1.0)
}

#[test]
fn indices_of_a_conditional_space_are_those_of_all_its_points() {
    let space = conditional();
    let observed = results(&space, 40, conditional_value);
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let found = importance(&space, &posterior, 3);
    let mean = |uniforms: &[f64]| {
        // Options from uniforms, spelled out here for each of the four.
        let units = [
            (uniforms[0] * 3.0).floor() / 2.0,
            (uniforms[1] * 4.0).floor() / 3.0,
            (uniforms[2] * 2.0).floor(),
            (uniforms[3] * 4.0).floor() / 3.0,
        ];
        posterior.predict(&[space.canonical(&UnitPoint(units.to_vec()))]).mean[0]
    };
    let expected = enumerated(&[3, 4, 2, 4], mean);
    for (i, (first, total)) in expected.into_iter().enumerate() {
        let effect = found.effects[i];
        let near = |share: insight::Share, truth: f64, what: &str| {
            let tolerance = 4.0 * share.estimator + 0.002;
            assert_near(share.value, truth, tolerance, &format!("{what} index {i}"));
            assert!(share.estimator < 0.02, "{share:?}");
        };
        near(effect.first, first, "first-order");
        near(effect.total, total, "total");
    }
    assert_eq!(found, importance(&space, &posterior, 3));
}

#[test]
fn few_results_leave_an_importance_uncertain_and_more_make_it_sure() {
    let space = space([linear("a", 0.0, 1.0), linear("b", 0.0, 1.0), linear("c", 0.0, 1.0)]);
    // Linear, so the shares are 16 : 4 : 1 of 21.
    let value = |x: &UnitPoint| 4.0 * x.0[0] + 2.0 * x.0[1] + x.0[2];
    let of = |n: usize| {
        let posterior = Posterior::fit(&space, &results(&space, n, value), &[], 1).unwrap();
        importance(&space, &posterior, 3)
    };
    let (few, many) = (of(6), of(60));
    for (i, truth) in [16.0 / 21.0, 4.0 / 21.0, 1.0 / 21.0].into_iter().enumerate() {
        let (few, many) = (few.effects[i].total, many.effects[i].total);
        assert!(few.surrogate > 3.0 * many.surrogate, "{i}: {few:?} and {many:?}");
        assert!((few.value - truth).abs() < 3.0 * few.deviation(), "{i}: {few:?}, not {truth}");
        assert_near(many.value, truth, 0.02, "the index from many results");
    }
}

/// Noise without a pattern: sums of four fractions, less their mean, to unit deviation.
fn noise(i: usize) -> f64 {
    let fractions = [0.618_034, 0.414_214, 0.732_051, 0.236_068].map(|step: f64| {
        let x = (i as f64 + 1.0) * step * 97.31;
        (x * x).fract()
    });
    (fractions.iter().sum::<f64>() - 2.0) * 3.0f64.sqrt()
}

#[test]
fn a_surrogate_of_a_smooth_noisy_objective_is_as_sure_as_it_should_be() {
    let space = space([linear("a", 0.0, 1.0), linear("b", 0.0, 1.0)]);
    let mut observed =
        results(&space, 150, |x| 10.0 + 4.0 * (4.0 * x.0[0]).sin() + 2.0 * x.0[1] * x.0[1]);
    observed.iter_mut().enumerate().for_each(|(i, o)| o.value += 0.3 * noise(i));
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let found = calibration(&posterior, &observed, 0).unwrap();
    assert_eq!(found.left_out.len(), 150);
    assert_near(found.z_mean, 0.0, 0.1, "the mean of z");
    assert_near(found.z_rms, 1.0, 0.15, "the root mean square of z");
    for coverage in found.coverage {
        // Two deviations of a binomial share.
        let error = 2.0 * (coverage.level * (1.0 - coverage.level) / 150.0).sqrt();
        assert_near(coverage.share, coverage.level, error + 0.02, "a coverage");
    }
    // What is left is the noise, and the constant sees nothing but the spread.
    let entropy = |deviation: f64| -0.5 - (deviation * (2.0 * PI).sqrt()).ln();
    assert_near(found.log_density, entropy(0.3), 0.15, "the log density");
    let n = observed.len() as f64;
    let mean = observed.iter().map(|o| o.value).sum::<f64>() / n;
    let spread = (observed.iter().map(|o| (o.value - mean).powi(2)).sum::<f64>() / n).sqrt();
    assert_near(found.log_density_constant, entropy(spread), 0.05, "that of the constant");

    let folds = cross_validation(&space, &posterior, 4).unwrap();
    assert_eq!((folds.folds, folds.predicted), (5, 150));
    assert_near(folds.rmse, 0.3, 0.08, "the error");
    assert_near(folds.rmse_constant / spread, 1.0, 0.05, "that of the constant");
    let spared = 1.0 - (folds.rmse / folds.rmse_constant).powi(2);
    assert_near(folds.r2, spared, 1e-12, "R²");
}

#[test]
fn every_result_is_judged_by_what_the_others_say_of_it() {
    let space = conditional();
    let mut observed = results(&space, 30, conditional_value);
    // One collapse, far below.
    observed[11].value = -1e6;
    let failed = [space.canonical(&UnitPoint(vec![0.5, 0.1, 0.0, 0.4]))];
    let posterior = Posterior::fit(&space, &observed, &failed, 1).unwrap();
    let found = calibration(&posterior, &observed, failed.len()).unwrap();
    let predicted = posterior.leave_one_out();
    assert_eq!(found.left_out.len(), 30, "what failed was not measured");
    for (i, one) in found.left_out.iter().enumerate() {
        assert_eq!(one.result, i);
        assert_eq!((one.mean, one.deviation), (predicted.mean[i], predicted.deviation[i]));
        assert_eq!(one.is_raised, i == 11, "{one:?}");
        if i != 11 {
            assert_near(one.value, observed[i].value, 1e-6, "a value");
        }
        assert_near(one.z, (one.value - one.mean) / one.deviation, 1e-9, "z");
    }
    assert!(found.left_out[11].value > -1e3);
}

#[test]
fn noise_is_not_predicted_and_too_little_is_refused() {
    let space = space([linear("a", 0.0, 1.0), linear("b", 0.0, 1.0)]);
    let mut observed = results(&space, 60, |_| 0.0);
    observed.iter_mut().enumerate().for_each(|(i, o)| o.value = noise(i));
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let folds = cross_validation(&space, &posterior, 4).unwrap();
    assert!(folds.r2 < 0.15, "{folds:?}");
    let found = calibration(&posterior, &observed, 0).unwrap();
    assert!(found.log_density < found.log_density_constant + 0.1, "{found:?}");

    let few = Posterior::fit(&space, &observed[..4], &[], 1).unwrap();
    let refusal = calibration(&few, &observed[..4], 0).unwrap_err();
    assert_eq!(refusal.to_string(), "there are 4 results; 5 are needed to leave one out");
    let refusal = cross_validation(&space, &few, 4).unwrap_err();
    assert!(matches!(
        refusal,
        CrossValidationError::Results(CalibrationError::TooFew { results: 4 })
    ));
    observed.iter_mut().for_each(|o| o.value = 0.1);
    let equal = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let refusal = calibration(&equal, &observed, 0).unwrap_err();
    assert_eq!(refusal, CalibrationError::Equal { results: 60 });
    let flat = importance(&space, &equal, 1);
    assert_eq!(flat.spread, 0.0);
    assert!(flat.effects.iter().all(|e| e.total.value == 0.0 && e.total.surrogate > 0.0));
}

#[test]
fn a_dependence_is_the_mean_over_all_points_with_that_value() {
    // Eight points, of which any run of 2ᵏ Sobol points holds equally many.
    let space = space([boolean("a"), boolean("b"), ordinal("c", &[1.0, 2.0])]);
    let observed = results(&space, 8, |x| 5.0 + x.0[0] + 2.0 * x.0[0] * x.0[1] - x.0[2]);
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    for place in 0..3 {
        let found = dependence(&space, &posterior, &observed, place, 3);
        assert_eq!(found.places.len(), 2);
        for (option, found) in found.places.iter().enumerate() {
            let points: Vec<UnitPoint> = (0..8)
                .map(|rank| space.nth(rank).unwrap())
                .filter(|point| point.0[place] == option as f64)
                .collect();
            let mean = posterior.predict(&points).mean.iter().sum::<f64>() / 4.0;
            assert_near(found.mean, mean, 1e-9, "a mean");
            let here = observed.iter().filter(|o| o.point.0[place] == option as f64).count();
            assert_eq!(found.results as usize, here);
        }
    }
}

#[test]
fn the_curve_of_an_additive_objective_is_its_own_term() {
    let space = space([float("rate", 1e-4, 1.0), linear("b", 0.0, 1.0)]);
    let value = |x: &UnitPoint| 30.0 + 5.0 * (3.0 * x.0[0]).sin() + 4.0 * x.0[1];
    let mut observed = results(&space, 90, value);
    // Nothing is known of the upper fifth.
    observed.retain(|o| o.point.0[0] < 0.8);
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let found = dependence(&space, &posterior, &observed, 0, 3);
    assert_eq!(found.places.len(), PLACES_MAX);
    assert_eq!(found.places[0].value, Value::Float(1e-4));
    assert_eq!(found.places[32].value, Value::Float(1.0));
    let Value::Float(middle) = found.places[16].value else { panic!("a float has floats") };
    assert_near(middle, 1e-2, 1e-12, "the middle of four decades");
    for place in found.places.iter().filter(|place| place.unit < 0.78) {
        let term = 32.0 + 5.0 * (3.0 * place.unit).sin();
        assert_near(place.mean, term, 0.05, &format!("the curve at {}", place.unit));
    }
    let deviation = |place: usize| found.places[place].deviation;
    assert!(deviation(32) > 5.0 * deviation(12), "{} and {}", deviation(32), deviation(12));
    let total: u32 = found.places.iter().map(|place| place.results).sum();
    assert_eq!(total as usize, observed.len());
    assert_eq!(found.places[32].results, 0);
}

#[test]
fn a_conditional_parameter_is_averaged_where_it_is_active() {
    let space = conditional();
    let observed = results(&space, 60, conditional_value);
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let gain = dependence(&space, &posterior, &observed, 1, 3);
    let values: Vec<&Value> = gain.places.iter().map(|place| &place.value).collect();
    assert_eq!(values, [&Value::Int(1), &Value::Int(2), &Value::Int(3), &Value::Int(4)]);
    // Three times the share of its range, where a third would be left if all kinds were averaged.
    let rise = gain.places[3].mean - gain.places[0].mean;
    assert_near(rise, 3.0, 0.2, "the rise from the first to the last");
    let active = observed.iter().filter(|o| o.point.0[0] == 0.5).count() as u32;
    assert_eq!(gain.places.iter().map(|place| place.results).sum::<u32>(), active);
    // And of the category itself all three kinds are shown.
    let kind = dependence(&space, &posterior, &observed, 0, 3);
    let lift = kind.places[2].mean - kind.places[0].mean;
    assert_near(lift, 1.0, 0.2, "what the third kind adds");
}

#[test]
fn a_wide_whole_range_is_shown_at_some_of_its_values() {
    let space = space([int("units", 1, 1_000_000), boolean("norm")]);
    let observed = results(&space, 12, |x| x.0[0] + x.0[1]);
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let places = dependence(&space, &posterior, &observed, 0, 3).places;
    assert_eq!(places.len(), PLACES_MAX);
    assert_eq!(places[0].value, Value::Int(1));
    assert_eq!(places[32].value, Value::Int(1_000_000));
    assert!(places.windows(2).all(|pair| pair[0].unit < pair[1].unit));
}

#[test]
fn huge_results_give_finite_answers() {
    let space = space([linear("a", 0.0, 1.0), boolean("b")]);
    let observed = results(&space, 12, |x| if x.0[0] > 0.5 { 1e308 } else { -1.7e308 });
    let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
    let importance = importance(&space, &posterior, 3);
    assert!(importance.spread.is_finite() && importance.effects[0].total.value > 0.9);
    let found = calibration(&posterior, &observed, 0).unwrap();
    assert!(found.left_out.iter().all(|one| one.z.is_finite() && one.deviation.is_finite()));
    assert!(found.log_density.is_finite() && found.log_density_constant.is_finite());
    let folds = cross_validation(&space, &posterior, 4).unwrap();
    assert!(folds.rmse.is_finite() && folds.r2.is_finite());
    let curve = dependence(&space, &posterior, &observed, 0, 3);
    assert!(curve.places.iter().all(|p| p.mean.is_finite() && p.deviation.is_finite()));
}
