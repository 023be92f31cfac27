//! CIFAR-10 and CIFAR-100 in their binary versions.
//!
//! A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>). A record is one label (CIFAR-10) or the coarse
//! and the fine label (CIFAR-100), then 1,024 bytes each of red, green and blue, row by row.

use std::path::Path;

use super::error::DataError;
use super::file::{Contents, read as read_file, read_if_present};
use super::{Limits, Parts, Split};

/// Classes of CIFAR-10.
pub(super) const CLASSES_10: usize = 10;
/// Fine classes of CIFAR-100.
pub(super) const CLASSES_100: usize = 100;
/// Height and width of every image, in pixels.
pub(super) const SIDE: usize = 32;
/// Red, green, blue.
pub(super) const CHANNELS: usize = 3;

const IMAGE_LEN: usize = SIDE * SIDE * CHANNELS;

const FILES_10: &[&str] = &[
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
const FILES_100: &[&str] = &["train.bin", "test.bin"];

/// How a record begins.
#[derive(Clone, Copy)]
struct Form {
    /// Labels before the pixels, of which the last is the one that counts.
    labels: usize,
    classes: usize,
}

const FORM_10: Form = Form { labels: 1, classes: CLASSES_10 };
const FORM_100: Form = Form { labels: 2, classes: CLASSES_100 };

/// Reads both parts of CIFAR-10. Training batches that are not there are left out, as long as
/// there is one.
pub(super) fn read_10(folder: &Path, limits: Limits) -> Result<Parts, DataError> {
    let (test, batches) = FILES_10.split_last().expect("a file, because the list is not empty");
    let mut train = Records::new(FORM_10, limits.train);
    let mut found_any = false;
    for batch in batches {
        if train.full() {
            break;
        }
        if let Some(file) = read_if_present(folder, batch)? {
            found_any = true;
            train.append(&file)?;
        }
    }
    if !found_any && !train.full() {
        let path = folder.join(FILES_10[0]);
        return Err(DataError::Missing { path, expected: FILES_10 });
    }
    let mut held_out = Records::new(FORM_10, limits.test);
    held_out.append(&read_file(folder, test, FILES_10)?)?;
    Ok(Parts { train: train.into_split(), test: held_out.into_split() })
}

/// Reads both parts of CIFAR-100, with the fine labels.
pub(super) fn read_100(folder: &Path, limits: Limits) -> Result<Parts, DataError> {
    let mut splits = [Records::new(FORM_100, limits.train), Records::new(FORM_100, limits.test)];
    for (records, file) in splits.iter_mut().zip(FILES_100) {
        records.append(&read_file(folder, file, FILES_100)?)?;
    }
    let [train, test] = splits;
    Ok(Parts { train: train.into_split(), test: test.into_split() })
}

/// Records read so far, and how many are wanted.
struct Records {
    form: Form,
    limit: usize,
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Records {
    fn new(form: Form, limit: Option<usize>) -> Records {
        let limit = limit.unwrap_or(usize::MAX);
        Records { form, limit, pixels: Vec::new(), labels: Vec::new() }
    }

    fn full(&self) -> bool {
        self.labels.len() >= self.limit
    }

    fn append(&mut self, file: &Contents) -> Result<(), DataError> {
        let Form { labels, classes } = self.form;
        let record_len = labels + IMAGE_LEN;
        if !file.bytes.len().is_multiple_of(record_len) {
            return Err(DataError::WrongLength {
                path: file.path.clone(),
                found: file.bytes.len() as u64,
                expected: format!("whole records of {record_len}"),
            });
        }
        let wanted = self.limit - self.labels.len();
        for (record, bytes) in file.bytes.chunks_exact(record_len).take(wanted).enumerate() {
            let (labels, planes) = bytes.split_at(labels);
            let label = *labels.last().expect("a label, because a form has at least one");
            if usize::from(label) >= classes {
                let path = file.path.clone();
                return Err(DataError::LabelOutOfRange { path, record, label, classes });
            }
            self.labels.push(label);
            self.pixels.extend(interleaved(planes));
        }
        Ok(())
    }

    fn into_split(self) -> Split {
        Split::new(self.pixels, self.labels, IMAGE_LEN, u8::MAX)
    }
}

/// An image of three planes as pixels of three channels.
fn interleaved(planes: &[u8]) -> impl Iterator<Item = u8> {
    let plane = SIDE * SIDE;
    (0..plane).flat_map(move |pixel| (0..CHANNELS).map(move |c| planes[c * plane + pixel]))
}
