//! Shifted and mirrored images: every one of them as told, all of them equally often.

use recipe::Recipe;
use std::collections::BTreeMap;
use whetstone::data::Augment;
use whetstone::seed::{Purpose, stream};

/// Three rows of four pixels of two channels, all numbers different and none zero.
const SIZE: [usize; 3] = [3, 4, 2];

fn image() -> Vec<f32> {
    (1..=24).map(|number| number as f32).collect()
}

fn at(image: &[f32], row: i64, column: i64, channel: usize) -> f32 {
    let inside = (0..3).contains(&row) && (0..4).contains(&column);
    if inside { image[(row * 4 + column) as usize * 2 + channel] } else { 0.0 }
}

/// The image, mirrored first and then shifted.
fn expected(down: i64, right: i64, mirrored: bool) -> Vec<f32> {
    let original = image();
    let mut changed = Vec::new();
    for row in 0..3 {
        for column in 0..4 {
            let (from_row, from_column) = (row - down, column - right);
            let inside = (0..4).contains(&from_column);
            let seen = if mirrored && inside { 3 - from_column } else { from_column };
            changed.extend([0, 1].map(|channel| at(&original, from_row, seen, channel)));
        }
    }
    changed
}

#[test]
fn every_shift_and_mirror_comes_up_equally_often_and_nothing_else() {
    const DRAWS: usize = 18_000;
    let augment = Augment { shift: 1, mirror: true };
    let mut images = image().repeat(DRAWS);
    augment.apply(&mut images, SIZE, &mut stream(5, Purpose::Augment, 0));
    let mut counts: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    for image in images.chunks(24) {
        *counts.entry(image.iter().map(|x| x.to_bits()).collect()).or_default() += 1;
    }
    assert_eq!(counts.len(), 18);
    let mut chi_squared = 0.0;
    for down in -1..=1 {
        for right in -1..=1 {
            for mirrored in [false, true] {
                let expected = expected(down, right, mirrored);
                let bits: Vec<u32> = expected.iter().map(|x| x.to_bits()).collect();
                let count = counts.get(&bits);
                let count = *count.unwrap_or_else(|| panic!("{down} {right} {mirrored}"));
                chi_squared += (count as f64 - 1000.0).powi(2) / 1000.0;
            }
        }
    }
    // Seventeen degrees of freedom: 40.8 once in a thousand.
    assert!(chi_squared < 40.8, "{chi_squared}");
}

#[test]
fn without_a_mirror_none_is_mirrored_and_without_anything_none_is_made() {
    let mut images = image().repeat(200);
    let augment = Augment { shift: 0, mirror: false };
    augment.apply(&mut images, SIZE, &mut stream(5, Purpose::Augment, 1));
    assert_eq!(images, image().repeat(200));
    assert_eq!(Augment::from_recipe(&Recipe::default()), None);
    let recipe = Recipe { augment_shift: 3, ..Recipe::default() };
    assert_eq!(Augment::from_recipe(&recipe), Some(Augment { shift: 3, mirror: false }));
}

#[test]
fn a_shift_beyond_the_image_leaves_black() {
    let mut images = image().repeat(400);
    let augment = Augment { shift: 8, mirror: false };
    augment.apply(&mut images, SIZE, &mut stream(5, Purpose::Augment, 2));
    let black = images.chunks(24).filter(|image| image.iter().all(|x| *x == 0.0)).count();
    // 5 of 17 rows and 7 of 17 columns leave something: 12 % of the images.
    assert!((300..390).contains(&black), "{black}");
    let whole = images.chunks(24).filter(|shifted| *shifted == image()).count();
    assert!(whole < 10, "{whole}");
}
