//! The process against formulas written out the long way, and its way through storage.

use crate::spaces::{boolean, category, float, int, space};
use tuner::{Domain, FitError, Observation, Parts, PartsError, Posterior, Space, UnitPoint};

/// Two floats, a category of three and a boolean.
fn mixed() -> Space {
    space([
        float("rate", 1e-4, 1.0),
        float("decay", 1e-6, 1e-2),
        category("optimiser", &["sgd", "adam", "adadelta"]),
        boolean("norm"),
    ])
}

/// Two floats and a whole number of many values.
fn numbers() -> Space {
    space([float("rate", 1e-4, 1.0), float("decay", 1e-6, 1e-2), int("epochs", 1, 40)])
}

/// The `i`-th of a fixed, irregular set of canonical points.
fn point(space: &Space, i: usize) -> UnitPoint {
    let units =
        (0..space.parameters().len()).map(|k| ((i * (k + 3) + k) as f64 * 0.618_034).fract());
    space.canonical(&UnitPoint(units.collect()))
}

fn results(space: &Space, n: usize) -> Vec<Observation> {
    let value = |x: &UnitPoint| {
        50.0 + 7.0 * (4.0 * x.0[0]).sin() + 3.0 * x.0[1] * x.0[1] + 2.0 * f64::from(x.0[2] == 0.5)
    };
    (0..n).map(|i| point(space, i)).map(|x| Observation { value: value(&x), point: x }).collect()
}

/// What no hyper-parameter changes: the level, ten where all parameters are numbers (decision 0021), and
/// main effects of categories (decisions 0022 and 0023).
fn given(space: &Space, a: &UnitPoint, b: &UnitPoint) -> f64 {
    let options = |domain: &Domain| match domain {
        Domain::Categorical { choices } => Some(choices.len()),
        Domain::Bool => Some(2),
        _ => None,
    };
    let share = 1.0 / space.parameters().len() as f64;
    let units = a.0.iter().zip(&b.0);
    let effects = space.parameters().iter().zip(units).filter_map(|(parameter, (a, b))| {
        let m = options(&parameter.domain)? as f64;
        Some(if a == b { share } else { -share / (m - 1.0) })
    });
    let effects: Vec<f64> = effects.collect();
    let level = if effects.is_empty() { 10.0 } else { 1.0 };
    level + effects.iter().sum::<f64>()
}

/// The kernel, term by term.
fn covariance(space: &Space, parts: &Parts, a: &UnitPoint, b: &UnitPoint) -> f64 {
    let (mut squared, mut switches) = (0.0, 1.0);
    for (k, parameter) in space.parameters().iter().enumerate() {
        let scale = parts.length_scales[k];
        match parameter.domain {
            Domain::Categorical { .. } | Domain::Bool => {
                switches *= if a.0[k] == b.0[k] { 1.0 } else { (-1.0 / (scale * scale)).exp() };
            }
            _ => squared += ((a.0[k] - b.0[k]) / scale).powi(2),
        }
    }
    let r = squared.sqrt();
    let polynomial = 1.0 + 5.0f64.sqrt() * r + 5.0 / 3.0 * r * r;
    let correlation = polynomial * (-(5.0f64.sqrt()) * r).exp() * switches;
    given(space, a, b) + parts.signal_variance * correlation
}

/// Solves `a x = b` by elimination with pivoting.
fn eliminate(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs())).unwrap();
        a.swap(i, pivot);
        b.swap(i, pivot);
        for row in i + 1..n {
            let share = a[row][i] / a[i][i];
            let upper = a[i].clone();
            a[row].iter_mut().zip(upper).skip(i).for_each(|(entry, up)| *entry -= share * up);
            b[row] -= share * b[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| a[i][j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

/// Mean and deviation at `at`, given results that are standardised by the parts' own numbers.
fn dense(space: &Space, parts: &Parts, observed: &[Observation], at: &UnitPoint) -> (f64, f64) {
    let y: Vec<f64> = observed.iter().map(|o| (o.value - parts.offset) / parts.scale).collect();
    let row = |a: &Observation| {
        observed.iter().map(|b| covariance(space, parts, &a.point, &b.point)).collect()
    };
    let mut matrix: Vec<Vec<f64>> = observed.iter().map(row).collect();
    for (i, row) in matrix.iter_mut().enumerate() {
        row[i] += parts.noise_variance;
    }
    let cross: Vec<f64> = observed.iter().map(|o| covariance(space, parts, &o.point, at)).collect();
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let mean = dot(&cross, &eliminate(matrix.clone(), y));
    let explained = dot(&cross, &eliminate(matrix, cross.clone()));
    let variance = given(space, at, at) + parts.signal_variance - explained;
    (parts.offset + parts.scale * mean, parts.scale * variance.sqrt())
}

#[test]
fn predictions_agree_with_the_textbook_formula() {
    for space in [mixed(), numbers()] {
        let observed = results(&space, 25);
        let posterior = Posterior::fit(&space, &observed, &[], 3).unwrap();
        let parts = posterior.parts();
        let at: Vec<UnitPoint> = (100..130).map(|i| point(&space, i)).collect();
        let prediction = posterior.predict(&at);
        for (i, at) in at.iter().enumerate() {
            let (mean, deviation) = dense(&space, &parts, &observed, at);
            assert!((prediction.mean[i] - mean).abs() < 1e-9, "{} not {mean}", prediction.mean[i]);
            assert!((prediction.deviation[i] - deviation).abs() < 1e-9);
        }
    }
}

#[test]
fn noise_is_found_where_there_is_some_and_none_where_there_is_none() {
    // What varies from one float to the next is hardest to tell from chance.
    for (space, noises) in [(mixed(), [1.0, 2.0]), (numbers(), [0.3, 1.0])] {
        let told = |noise: f64| -> f64 {
            let mut observed = results(&space, 40);
            for (i, result) in observed.iter_mut().enumerate() {
                let word = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
                let uniform =
                    (word.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / 2f64.powi(53);
                result.value += noise * 12f64.sqrt() * (uniform - 0.5);
            }
            Posterior::fit(&space, &observed, &[], 3).unwrap().noise_deviation()
        };
        // Results spread by 5.
        assert!(told(0.0) < 0.1, "{}", told(0.0));
        for noise in noises {
            assert!((0.6..1.6).contains(&(told(noise) / noise)), "{} for {noise}", told(noise));
        }
    }
}

#[test]
fn a_prediction_does_not_depend_on_its_company() {
    let space = mixed();
    let posterior = Posterior::fit(&space, &results(&space, 20), &[], 3).unwrap();
    let many: Vec<UnitPoint> = (0..1100).map(|i| point(&space, i)).collect();
    let together = posterior.predict(&many);
    for i in [0, 511, 512, 1099] {
        let alone = posterior.predict(&many[i..=i]);
        assert!((alone.mean[0] - together.mean[i]).abs() < 1e-12);
        assert!((alone.deviation[0] - together.deviation[i]).abs() < 1e-10);
    }
}

#[test]
fn leaving_one_out_is_predicting_it_from_the_others() {
    let space = mixed();
    let observed = results(&space, 18);
    let posterior = Posterior::fit(&space, &observed, &[], 3).unwrap();
    let parts = posterior.parts();
    let left_out = posterior.leave_one_out();
    for i in 0..observed.len() {
        let mut others = observed.clone();
        let gone = others.remove(i);
        let (mean, deviation) = dense(&space, &parts, &others, &gone.point);
        let noisy = (deviation.powi(2) + parts.noise_variance * parts.scale.powi(2)).sqrt();
        assert!((left_out.mean[i] - mean).abs() < 1e-8, "{} not {mean}", left_out.mean[i]);
        assert!((left_out.deviation[i] - noisy).abs() < 1e-8);
    }
}

#[test]
fn a_posterior_survives_storage_to_the_bit() {
    let space = mixed();
    let mut observed = results(&space, 22);
    let failed = vec![point(&space, 500), point(&space, 501)];
    let posterior = Posterior::fit(&space, &observed, &failed, 3).unwrap();
    let stored = serde_json::to_string(&posterior.parts()).unwrap();
    let parts: Parts = serde_json::from_str(&stored).unwrap();
    assert_eq!(parts, posterior.parts());
    assert_eq!((parts.observations, parts.failures), (22, 2));

    // The study has gone on since; what came later is not part of this posterior.
    observed.push(Observation { point: point(&space, 600), value: -1e9 });
    let back = Posterior::from_parts(&space, &observed, &failed, parts).unwrap();
    let at: Vec<UnitPoint> = (100..140).map(|i| point(&space, i)).collect();
    assert_eq!(back.predict(&at), posterior.predict(&at));
    assert_eq!(back.parts(), posterior.parts());
}

#[test]
fn parts_that_do_not_fit_the_study_are_refused() {
    let space = mixed();
    let observed = results(&space, 10);
    let parts = Posterior::fit(&space, &observed, &[], 3).unwrap().parts();
    let refused = |parts: Parts| {
        Posterior::from_parts(&space, &observed, &[], parts).expect_err("these parts are wrong")
    };

    let ahead = Parts { observations: 11, ..parts.clone() };
    assert_eq!(
        refused(ahead).to_string(),
        "the stored posterior knows 11 results but the study has 10; fit it again"
    );
    let short = Parts { alpha: vec![0.0; 9], ..parts.clone() };
    assert!(matches!(refused(short), PartsError::Length { what: "weights", .. }));
    let mut factor = parts.factor.clone();
    factor[2] = 0.0;
    let flat = Parts { factor, ..parts.clone() };
    assert!(matches!(refused(flat), PartsError::Impossible { what: "factor" }));
    // As another version of the tuner may have stored it, by another kernel.
    let mut factor = parts.factor.clone();
    factor[1] *= 1.001;
    let foreign = Parts { factor, ..parts.clone() };
    assert!(matches!(refused(foreign), PartsError::Impossible { what: "factor" }));
    let negative = Parts { noise_variance: -1.0, ..parts };
    assert!(matches!(refused(negative), PartsError::Impossible { .. }));
}

#[test]
fn a_fit_is_a_function_of_its_arguments() {
    let space = mixed();
    let observed = results(&space, 20);
    let fit = |seed| Posterior::fit(&space, &observed, &[], seed).unwrap().parts();
    assert_eq!(fit(9), fit(9));
}

#[test]
fn the_smallest_and_the_dullest_studies_can_be_fitted() {
    let space = mixed();
    let one = results(&space, 1);
    let posterior = Posterior::fit(&space, &one, &[], 0).unwrap();
    let prediction = posterior.predict(std::slice::from_ref(&one[0].point));
    assert!((prediction.mean[0] - one[0].value).abs() < 1e-9);

    let mut equal = results(&space, 12);
    equal.iter_mut().for_each(|observation| observation.value = 0.1);
    let posterior = Posterior::fit(&space, &equal, &[], 0).unwrap();
    let prediction = posterior.predict(&[point(&space, 77)]);
    assert!((prediction.mean[0] - 0.1).abs() < 1e-12);
    assert!(prediction.deviation[0] > 0.0);

    // The same point again and again, with different results.
    let repeated: Vec<Observation> =
        (0..30).map(|i| Observation { point: point(&space, 1), value: f64::from(i % 3) }).collect();
    let posterior = Posterior::fit(&space, &repeated, &[], 0).unwrap();
    let mean = posterior.predict(&[point(&space, 1)]).mean[0];
    assert!((mean - 1.0).abs() < 0.1, "{mean} is not the average of 0, 1 and 2");
}

#[test]
fn huge_results_do_not_break_a_fit() {
    let space = mixed();
    let mut observed = results(&space, 12);
    for (i, observation) in observed.iter_mut().enumerate() {
        observation.value = if i % 2 == 0 { 1e308 } else { -1.7e308 };
    }
    let posterior = Posterior::fit(&space, &observed, &[], 0).unwrap();
    let prediction = posterior.predict(&[point(&space, 0), point(&space, 77)]);
    assert!(prediction.mean.iter().chain(&prediction.deviation).all(|v| v.is_finite()));
    assert!(prediction.mean[0] > 0.0, "the first point is one of the good ones");
}

#[test]
fn where_trainings_fail_little_is_expected() {
    let space = mixed();
    let moved = |norm: f64| {
        move |mut x: UnitPoint| {
            x.0[3] = norm;
            x
        }
    };
    // Everything measured has `norm` on; everything without it fails.
    let mut observed = results(&space, 15);
    observed.iter_mut().for_each(|o| o.point = moved(1.0)(o.point.clone()));
    let failed: Vec<UnitPoint> = (100..106).map(|i| point(&space, i)).map(moved(0.0)).collect();
    let at = |norm| (200..220).map(|i| point(&space, i)).map(moved(norm)).collect::<Vec<_>>();
    let mean = |failed: &[UnitPoint], norm| {
        let posterior = Posterior::fit(&space, &observed, failed, 0).unwrap();
        posterior.predict(&at(norm)).mean.iter().sum::<f64>() / 20.0
    };
    assert!((mean(&[], 0.0) - mean(&[], 1.0)).abs() < 1.0);
    assert!(mean(&failed, 0.0) < mean(&failed, 1.0) - 3.0);
}

#[test]
fn what_cannot_be_fitted_is_refused_in_one_sentence() {
    let space = mixed();
    let refused = |observed: &[Observation]| {
        Posterior::fit(&space, observed, &[], 0).expect_err("nothing to fit")
    };
    assert_eq!(refused(&[]), FitError::NothingObserved);
    let short = Observation { point: UnitPoint(vec![0.5]), value: 1.0 };
    assert_eq!(
        refused(&[short]).to_string(),
        "a point has 1 numbers where the space has 4 parameters"
    );
    let infinite = Observation { point: point(&space, 0), value: f64::INFINITY };
    assert_eq!(refused(&[infinite]).to_string(), "result 0 is inf; record it as failed instead");
}

#[test]
fn what_an_earlier_posterior_has_learned_saves_time_and_changes_nothing() {
    let space = mixed();
    let results = results(&space, 64);
    let fit =
        |n: usize, failed: &[UnitPoint]| Posterior::fit(&space, &results[..n], failed, 3).unwrap();
    let failed = [point(&space, 90)];
    // Learned anew at 50 and 51 and at 60, taken over from 57 to 59 and from 60 to 61.
    for (before, n) in [(50, 51), (57, 59), (59, 60), (60, 61), (12, 64)] {
        let earlier = fit(before, &[]);
        let after =
            Posterior::fit_after(Some(&earlier), &space, &results[..n], &failed, 3).unwrap();
        assert_eq!(after.parts(), fit(n, &failed).parts(), "{before} and then {n}");
    }
    assert_eq!(fit(57, &[]).length_scales(), fit(59, &[]).length_scales());
    assert_ne!(fit(59, &[]).length_scales(), fit(60, &[]).length_scales());
    let other = Posterior::fit(&space, &results[..57], &[], 4).unwrap();
    let after = Posterior::fit_after(Some(&other), &space, &results[..59], &[], 3).unwrap();
    assert_eq!(after.parts(), fit(59, &[]).parts(), "of another seed nothing is taken over");
}
