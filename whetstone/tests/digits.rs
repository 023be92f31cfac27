//! The built-in digits: complete, fairly split, none shared.

use std::collections::BTreeSet;

use whetstone::data::{Limits, Split, load};

const ALL: Limits = Limits { train: None, test: None };

#[test]
fn the_digits_are_built_in_and_whole() {
    let data = load("digits", None, ALL).unwrap();
    assert_eq!((data.height, data.width, data.channels, data.classes), (8, 8, 1, 10));
    assert_eq!((data.train.len(), data.test.len()), (1_437, 360));

    // Images of each digit in the source, as its documentation counts them.
    const COUNTS: [usize; 10] = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
    let count = |labels: &[u8], digit: usize| {
        labels.iter().filter(|label| usize::from(**label) == digit).count()
    };
    for (digit, expected) in COUNTS.into_iter().enumerate() {
        assert_eq!(count(data.test.labels(), digit), 36);
        assert_eq!(count(data.train.labels(), digit), expected - 36);
    }

    let brightest = (0..1_437).flat_map(|image| data.train.pixels(image)).max();
    assert_eq!(brightest, Some(&16));
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    data.train.gather(&[0], &mut images, &mut labels);
    // The source's first image, a zero; its second row begins 0, 0, 13, 15, 10.
    assert_eq!(labels, [0]);
    assert_eq!(images[8..13], [0.0, 0.0, 13.0 / 16.0, 15.0 / 16.0, 10.0 / 16.0]);
}

#[test]
fn no_digit_is_both_learned_and_held_out() {
    let data = load("digits", None, ALL).unwrap();
    let images = |split: &Split| -> BTreeSet<Vec<u8>> {
        (0..split.len()).map(|image| split.pixels(image).to_vec()).collect()
    };
    let (train, test) = (images(&data.train), images(&data.test));
    // All images of the source differ from one another, so none may be lost or shared.
    assert_eq!((train.len(), test.len()), (1_437, 360));
    assert!(train.is_disjoint(&test));
}

#[test]
fn the_first_digits_are_a_fair_sample() {
    let data = load("digits", None, Limits { train: Some(200), test: Some(100) }).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (200, 100));
    for (split, fewest) in [(&data.train, 12), (&data.test, 5)] {
        for digit in 0..10 {
            let images = split.labels().iter().filter(|label| **label == digit).count();
            assert!(images >= fewest, "{images} images of {digit}");
        }
    }
}
