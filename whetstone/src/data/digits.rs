//! Handwritten digits, built in: small enough to train on in seconds.
//!
//! The 1,797 test images of E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits",
//! UCI Machine Learning Repository, 1998 (<https://doi.org/10.24432/C50P49>), CC BY 4.0.
//! `assets/README.md` says how the asset was made.
//!
//! # The split
//!
//! Of each digit 36 images are held out, spread evenly over its images in the order of the source,
//! and both parts keep that order: 1,437 to learn from, 360 to measure on. The digits were
//! collected writer by writer, so that both parts hold every writer. What is measured is how well
//! new images by known hands are read, not new hands.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{Limits, Parts, Split};

/// Zero to nine.
pub(super) const CLASSES: usize = 10;
/// Height and width of an image, in pixels.
pub(super) const SIDE: usize = 8;

const IMAGES: usize = 1_797;
const IMAGE_LEN: usize = SIDE * SIDE;
/// A pixel counts the black dots in a block of 4 × 4.
const WHITE: u8 = 16;
/// A fifth of the images, the same number of each digit.
const HELD_OUT_PER_CLASS: usize = 36;

static PACKED: &[u8] = include_bytes!("../../assets/digits.bin.gz");

/// Both parts, unpacked.
pub(super) fn read(limits: Limits) -> Parts {
    let mut bytes = Vec::with_capacity(IMAGES * (IMAGE_LEN + 1));
    GzDecoder::new(PACKED)
        .read_to_end(&mut bytes)
        .expect("gzip, because it was built in and a test reads it");
    let (pixels, labels) = bytes.split_at(IMAGES * IMAGE_LEN);
    let (test, train): (Vec<usize>, Vec<usize>) = {
        let held_out = held_out(labels);
        (0..labels.len()).partition(|image| held_out[*image])
    };
    let part = |chosen: Vec<usize>, limit: Option<usize>| {
        let kept = limit.map_or(chosen.len(), |limit| limit.min(chosen.len()));
        let chosen = &chosen[..kept];
        let image = |image: &usize| &pixels[image * IMAGE_LEN..][..IMAGE_LEN];
        let pixels = chosen.iter().flat_map(image).copied().collect();
        let labels = chosen.iter().map(|image| labels[*image]).collect();
        Split::new(pixels, labels, IMAGE_LEN, WHITE)
    };
    Parts { train: part(train, limits.train), test: part(test, limits.test) }
}

/// Whether each image is held out: those at which the share due to its digit, rising evenly from
/// 0 to 36, reaches the next whole number.
fn held_out(labels: &[u8]) -> Vec<bool> {
    let mut counts = [0; CLASSES];
    for label in labels {
        counts[usize::from(*label)] += 1;
    }
    let mut seen = [0; CLASSES];
    labels
        .iter()
        .map(|label| {
            let class = usize::from(*label);
            let due = |seen: usize| seen * HELD_OUT_PER_CLASS / counts[class];
            seen[class] += 1;
            due(seen[class]) > due(seen[class] - 1)
        })
        .collect()
}
