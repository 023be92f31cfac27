//! MNIST and what took its form: images and labels in IDX files.
//!
//! Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998; H. Xiao,
//! K. Rasul, R. Vollgraf, "Fashion-MNIST", 2017 (<https://arxiv.org/abs/1708.07747>). An IDX file
//! begins with a magic number, says its dimensions in 32 bits each, big end first, and then holds
//! one byte a value.

use std::path::Path;

use super::error::DataError;
use super::file::{Contents, read as read_file};
use super::{Limits, Parts, Split};

/// Classes of every data set in this form.
pub(super) const CLASSES: usize = 10;
/// Height and width of every image, in pixels.
pub(super) const SIDE: usize = 28;

const TRAIN: [&str; 2] = [FILES[0], FILES[1]];
const TEST: [&str; 2] = [FILES[2], FILES[3]];
const FILES: &[&str] = &[
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Unsigned bytes in three dimensions.
const IMAGES_MAGIC: u32 = 0x0000_0803;
/// Unsigned bytes in one dimension.
const LABELS_MAGIC: u32 = 0x0000_0801;

/// Reads both parts from a folder.
pub(super) fn read(folder: &Path, limits: Limits) -> Result<Parts, DataError> {
    let train = read_split(folder, TRAIN, limits.train)?;
    let test = read_split(folder, TEST, limits.test)?;
    Ok(Parts { train, test })
}

fn read_split(
    folder: &Path,
    [images, labels]: [&str; 2],
    limit: Option<usize>,
) -> Result<Split, DataError> {
    let images = read_file(folder, images, FILES)?;
    let ([count, height, width], pixels) = values(&images, IMAGES_MAGIC, "images")?;
    if [height, width] != [SIDE, SIDE] {
        let (found, expected) = ([height, width], [SIDE, SIDE]);
        return Err(DataError::WrongSize { path: images.path, found, expected });
    }
    let labels = read_file(folder, labels, FILES)?;
    let ([labels_count], labels_found) = values(&labels, LABELS_MAGIC, "labels")?;
    if count != labels_count {
        return Err(DataError::Unpaired {
            images_path: images.path,
            images: count,
            labels_path: labels.path,
            labels: labels_count,
        });
    }
    let kept = limit.map_or(count, |limit| limit.min(count));
    let labels_found = &labels_found[..kept];
    if let Some(record) = labels_found.iter().position(|label| usize::from(*label) >= CLASSES) {
        let label = labels_found[record];
        let (path, classes) = (labels.path, CLASSES);
        return Err(DataError::LabelOutOfRange { path, record, label, classes });
    }
    let image_len = SIDE * SIDE;
    let pixels = pixels[..kept * image_len].to_vec();
    Ok(Split::new(pixels, labels_found.to_vec(), image_len, u8::MAX))
}

/// The dimensions of an IDX file and its values, if it is one of so many dimensions and as long
/// as it says.
fn values<'a, const DIMENSIONS: usize>(
    file: &'a Contents,
    magic: u32,
    kind: &'static str,
) -> Result<([usize; DIMENSIONS], &'a [u8]), DataError> {
    let wrong_length = |expected: String| DataError::WrongLength {
        path: file.path.clone(),
        found: file.bytes.len() as u64,
        expected,
    };
    let header = 4 * (1 + DIMENSIONS);
    let mut numbers = file.bytes.chunks_exact(4).map(|bytes| {
        u32::from_be_bytes(bytes.try_into().expect("four bytes, because chunks are exact"))
    });
    let found = numbers.next().ok_or_else(|| wrong_length(format!("{header} or more")))?;
    if found != magic {
        let path = file.path.clone();
        return Err(DataError::WrongMagic { path, kind, found, expected: magic });
    }
    let values =
        file.bytes.get(header..).ok_or_else(|| wrong_length(format!("{header} or more")))?;
    let mut dimensions = [0; DIMENSIONS];
    for (dimension, number) in dimensions.iter_mut().zip(numbers) {
        *dimension = number as usize;
    }
    // In 128 bits: a damaged header may claim more than 64 can count.
    let claimed: u128 = dimensions.iter().map(|dimension| *dimension as u128).product();
    if values.len() as u128 != claimed {
        return Err(wrong_length((header as u128 + claimed).to_string()));
    }
    Ok((dimensions, values))
}
