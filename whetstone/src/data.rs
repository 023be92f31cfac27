//! Labelled images to train and test on.
//!
//! [`load`] reads one of the [known data sets](names): handwritten digits that are part of this
//! crate, and four common ones from files in their published binary formats. Everything is checked
//! while it is read, since a shifted label file trains to chance without a word.
//!
//! | name | images | train + test | classes | files, in a folder of that name |
//! |---|---|---|---|---|
//! | `digits` | 8×8×1 | 1,437 + 360 | 10 | none: built in |
//! | `mnist` | 28×28×1 | 60,000 + 10,000 | 10 | `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte` |
//! | `fashion-mnist` | 28×28×1 | 60,000 + 10,000 | 10 | the same |
//! | `cifar-10` | 32×32×3 | 50,000 + 10,000 | 10 | `data_batch_1.bin` … `data_batch_5.bin` (those that exist), `test_batch.bin` |
//! | `cifar-100` | 32×32×3 | 50,000 + 10,000 | 100 (fine) | `train.bin`, `test.bin` |
//!
//! Each file may be gzipped, with or without `.gz` at its end. A file may hold fewer records than
//! the published one.
//!
//! Images stay bytes in memory, row by row with the channels of a pixel side by side (NHWC), and
//! become fractions of white batch by batch: CIFAR is 154 MB that way, against 614 MB.

mod augment;
mod batch;
mod cifar;
mod digits;
mod error;
mod file;
mod fingerprint;
mod hold_out;
mod idx;
mod split;

pub use augment::Augment;
pub use batch::{batches_per_epoch, shuffled};
pub use error::DataError;
pub use fingerprint::Fingerprint;
pub use split::Split;

use std::path::Path;

/// Labelled images of one size, in two parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What it is called; one of [`names`] if it was [loaded](load).
    pub name: String,
    /// Labels are smaller than this.
    pub classes: usize,
    /// Height of an image, in pixels.
    pub height: usize,
    /// Width of an image, in pixels.
    pub width: usize,
    /// Numbers a pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// What the network learns from.
    pub train: Split,
    /// What it is measured on as it learns, if that is not the test part.
    pub validation: Option<Split>,
    /// What it is measured on in the end; without a validation part, all along.
    pub test: Split,
}

/// How many images of each part to keep: the first so many in the order of the files, all without
/// a limit. A limit beyond what there is changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Images to learn from, at most.
    pub train: Option<usize>,
    /// Images to measure on, at most.
    pub test: Option<usize>,
}

impl Dataset {
    /// Numbers that make up one image.
    pub fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// What a network is measured on as it learns: the validation part, or else the test part.
    pub fn measured(&self) -> &Split {
        self.validation.as_ref().unwrap_or(&self.test)
    }
}

/// A data set that is known: its shape, and where its two parts come from.
struct Source {
    name: &'static str,
    classes: usize,
    height: usize,
    width: usize,
    channels: usize,
    origin: Origin,
}

/// Where images come from.
enum Origin {
    BuiltIn(fn(Limits) -> Parts),
    Folder(ReadFolder),
}

/// Reads both parts from a data set's own folder.
type ReadFolder = fn(&Path, Limits) -> Result<Parts, DataError>;

/// Both parts of a data set.
struct Parts {
    train: Split,
    test: Split,
}

const SOURCES: &[Source] = &[
    Source {
        name: "digits",
        classes: digits::CLASSES,
        height: digits::SIDE,
        width: digits::SIDE,
        channels: 1,
        origin: Origin::BuiltIn(digits::read),
    },
    idx_source("mnist"),
    idx_source("fashion-mnist"),
    cifar_source("cifar-10", cifar::CLASSES_10, cifar::read_10),
    cifar_source("cifar-100", cifar::CLASSES_100, cifar::read_100),
];

const fn idx_source(name: &'static str) -> Source {
    Source {
        name,
        classes: idx::CLASSES,
        height: idx::SIDE,
        width: idx::SIDE,
        channels: 1,
        origin: Origin::Folder(idx::read),
    }
}

const fn cifar_source(name: &'static str, classes: usize, read: ReadFolder) -> Source {
    Source {
        name,
        classes,
        height: cifar::SIDE,
        width: cifar::SIDE,
        channels: cifar::CHANNELS,
        origin: Origin::Folder(read),
    }
}

/// The data sets that [`load`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|source| source.name)
}

/// Reads a data set by name, from `<folder>/<name>/` unless it is built in.
///
/// # Errors
///
/// [`DataError`] says which file is missing, packed, of the wrong kind, cut short or mislabelled,
/// and what to do about it.
pub fn load(name: &str, folder: Option<&Path>, limits: Limits) -> Result<Dataset, DataError> {
    let source = SOURCES
        .iter()
        .find(|source| source.name == name)
        .ok_or_else(|| DataError::UnknownDataSet { name: name.to_owned() })?;
    let Parts { train, test } = match source.origin {
        Origin::BuiltIn(read) => read(limits),
        Origin::Folder(read) => {
            let folder = folder.ok_or(DataError::FolderNeeded { name: source.name })?;
            read(&folder.join(name), limits)?
        }
    };
    for (part, split) in [("training", &train), ("test", &test)] {
        if split.is_empty() {
            return Err(DataError::Empty { name: source.name, part });
        }
    }
    let Source { name, classes, height, width, channels, .. } = *source;
    let (name, validation) = (name.to_owned(), None);
    Ok(Dataset { name, classes, height, width, channels, train, validation, test })
}
