//! The process among linfa's tools.

use linfa::prelude::*;
use ndarray::{Array1, Array2, s};
use tuner::{GpError, GpParams, GpValidParams, Observation, Posterior, UnitPoint};

use crate::spaces::{linear, ordinal, space};

/// Sixty points of the unit square and a smooth function of them.
fn smooth() -> (Array2<f64>, Array1<f64>) {
    let x = Array2::from_shape_fn((60, 2), |(i, k)| {
        ((i + 1) as f64 * [0.754_877_666, 0.569_840_291][k]).fract()
    });
    let y = x.rows().into_iter().map(|row| (5.0 * row[0]).sin() + row[1] * row[1]).collect();
    (x, y)
}

#[test]
fn cross_validation_finds_the_process_better_than_the_mean() {
    let (x, y) = smooth();
    let mut data = Dataset::new(x, y);
    let models = [GpParams::new().seed(3)];
    let r2: Array1<f64> =
        data.cross_validate_single(5, &models, |predicted, truth| predicted.r2(truth)).unwrap();
    // The mean scores 0 by definition.
    assert!(r2[0] > 0.95, "{r2}");
}

#[test]
fn checked_and_unchecked_settings_fit_the_same_process() {
    let (x, y) = smooth();
    let data = Dataset::new(x.clone(), y);
    let unchecked = GpParams::new().seed(3);
    let checked: GpValidParams = unchecked.clone().check().unwrap();
    let (a, b) = (unchecked.fit(&data).unwrap(), checked.fit(&data).unwrap());
    assert_eq!(a.predict(&x), b.predict(&x));
    assert_eq!(a.deviation(&x), b.deviation(&x));
}

#[test]
fn a_column_of_categories_is_compared_by_equality() {
    // The middle category is unlike both others: no order explains it.
    let x = Array2::from_shape_fn((30, 1), |(i, _)| (i % 3) as f64 / 2.0);
    let y: Array1<f64> = x.column(0).mapv(|unit| f64::from(unit == 0.5));
    let data = Dataset::new(x, y);
    let at = Array2::from_shape_vec((1, 1), vec![0.25]).unwrap();
    let ordered: f64 = GpParams::new().fit(&data).unwrap().predict(&at)[0];
    let unordered: f64 = GpParams::new().categories(vec![0]).fit(&data).unwrap().predict(&at)[0];
    assert!(ordered > 0.4, "{ordered} lies between its neighbours");
    assert!((unordered - 1.0 / 3.0).abs() < 0.2, "{unordered}: an unseen category is average");
}

#[test]
fn single_precision_records_are_accepted() {
    let (x, y) = smooth();
    let (x, y) = (x.mapv(|v| v as f32), y.mapv(|v| v as f32));
    let gp = GpParams::new().fit(&Dataset::new(x.clone(), y.clone())).unwrap();
    let predicted: Array1<f32> = gp.predict(&x);
    assert!(predicted.r2(&y).unwrap() > 0.99);
}

#[test]
fn settings_and_records_that_do_not_agree_are_refused() {
    let (x, y) = smooth();
    let data = Dataset::new(x, y);
    let refused = |columns| GpParams::new().categories(columns).fit(&data).expect_err("refused");
    assert!(matches!(refused(vec![1, 1]), GpError::MarkedTwice { column: 1 }));
    let message = "column 2 is marked as a category, but the records have 2 columns";
    assert_eq!(refused(vec![2]).to_string(), message);
}

#[test]
fn with_a_space_it_is_the_process_of_a_search_in_it() {
    let space = space([linear("x", 0.0, 1.0), ordinal("n", &[8.0, 16.0])]);
    let points: Vec<UnitPoint> =
        (0..12).map(|i| UnitPoint(vec![f64::from(i) / 11.0, f64::from(i % 2)])).collect();
    let value = |x: &UnitPoint| (3.0 * x.0[0]).sin() + 0.4 * x.0[1];
    let observed: Vec<Observation> =
        points.iter().map(|x| Observation { value: value(x), point: x.clone() }).collect();
    let searched = Posterior::fit(&space, &observed, &[], 3).unwrap().predict(&points);

    let x = Array2::from_shape_fn((12, 2), |(row, k)| points[row].0[k]);
    let y = Array1::from_shape_fn(12, |row| observed[row].value);
    let gp = GpParams::new().seed(3).space(&space).fit(&Dataset::new(x.clone(), y)).unwrap();
    assert_eq!(gp.predict(&x).to_vec(), searched.mean);
    assert_eq!(gp.deviation(&x).to_vec(), searched.deviation);

    let narrow = Dataset::new(x.slice_move(s![.., ..1]), Array1::zeros(12));
    let refused = GpParams::new().space(&space).fit(&narrow).expect_err("refused");
    assert!(refused.to_string().contains("1 numbers where the space has 2"), "{refused}");
}
