//! Images held out of the training part: how many, which, and what is measured on them.

use recipe::{EpochPolicy, Optimizer, Recipe};
use whetstone::data::{DataError, Dataset, Limits, load};
use whetstone::evaluate::evaluate;
use whetstone::train::{EpochReport, Options, Stop, train};

fn digits(train: usize) -> Dataset {
    load("digits", None, Limits { train: Some(train), test: Some(50) }).unwrap()
}

fn of_each_class(labels: &[u8]) -> Vec<usize> {
    (0..10).map(|class| labels.iter().filter(|label| **label == class).count()).collect()
}

#[test]
fn every_class_gives_alike_and_nothing_is_lost_or_shared() {
    let whole = digits(1437);
    let split = whole.clone().hold_out(203).unwrap();
    let validation = split.validation.as_ref().unwrap();
    assert_eq!((split.train.len(), validation.len(), split.test.len()), (1234, 203, 50));
    assert_eq!(of_each_class(validation.labels()), [21, 21, 21, 20, 20, 20, 20, 20, 20, 20]);
    assert_eq!(split.test, whole.test);

    // Both parts keep the order of the whole, so that merging them by it gives it back.
    let (mut train, mut held_out) = (0, 0);
    for image in 0..whole.train.len() {
        let wanted = whole.train.pixels(image);
        if train < split.train.len() && split.train.pixels(train) == wanted {
            assert_eq!(split.train.labels()[train], whole.train.labels()[image]);
            train += 1;
        } else {
            assert_eq!(validation.pixels(held_out), wanted);
            assert_eq!(validation.labels()[held_out], whole.train.labels()[image]);
            held_out += 1;
        }
    }
    assert_eq!((train, held_out), (1234, 203));
}

#[test]
fn the_same_images_are_held_out_every_time_and_not_just_the_first() {
    let held_out = || digits(400).hold_out(100).unwrap().validation.unwrap();
    assert_eq!(held_out(), held_out());
    let first: Vec<usize> = (0..100).collect();
    assert_ne!(held_out(), digits(400).train.select(&first));
}

#[test]
fn none_changes_nothing_and_all_is_refused() {
    assert_eq!(digits(80).hold_out(0).unwrap(), digits(80));
    assert_eq!(digits(80).hold_out(79).unwrap().train.len(), 1);
    for wanted in [80, 81, usize::MAX] {
        let error = digits(80).hold_out(wanted).unwrap_err();
        assert!(matches!(error, DataError::NothingLeft { train: 80, .. }), "{error}");
    }
}

#[test]
fn epochs_are_measured_on_the_validation_part_and_the_test_part_once_if_asked() {
    let recipe = Recipe {
        optimizer: Optimizer::Rmsprop,
        learning_rate: 3e-3,
        conv1_features: 6,
        conv2_features: 6,
        conv3_features: 6,
        dense_units: 16,
        epochs: 3,
        epoch_policy: EpochPolicy::Fixed,
        ..Recipe::default()
    };
    let data = digits(300).hold_out(60).unwrap();
    let run = |data: &Dataset, measure_test| {
        let options = Options { measure_test, ..Options::default() };
        let mut reports = Vec::new();
        let watch = &mut |report: &EpochReport| reports.push(report.clone());
        let trained = train(&recipe, data, 4, options, watch, &Stop::new()).unwrap();
        (trained, reports)
    };
    let (trained, reports) = run(&data, true);
    let on = |split| evaluate(&trained.network, &data, split, &trained.sharpness).unwrap();
    let (validation, test) = (on(data.validation.as_ref().unwrap()), on(&data.test));
    assert_ne!(validation, test, "else this test tells nothing apart");
    assert_eq!(trained.outcome.soft_accuracy, validation.soft);
    assert_eq!(reports[2].binary_accuracy, validation.binary);
    assert_eq!(trained.outcome.test, Some(test));
    assert_eq!(run(&data, false).0.outcome.test, None);

    // Without a validation part the test part is what is measured all along.
    let plain = digits(300);
    let (trained, reports) = run(&plain, true);
    assert_eq!(trained.outcome.test.unwrap().soft, reports[2].soft_accuracy);
}
