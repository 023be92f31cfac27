//! Why a data set cannot be had.

use std::path::PathBuf;

/// Why a data set cannot be had. Each text names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No data set has this name.
    #[error(
        "there is no data set `{name}`; known are {}",
        super::names().collect::<Vec<_>>().join(", ")
    )]
    UnknownDataSet {
        /// The name that was given.
        name: String,
    },

    /// The data set is read from files, and no folder was given.
    #[error(
        "the data set `{name}` is read from files: give the folder that holds a folder `{name}`"
    )]
    FolderNeeded {
        /// The data set.
        name: &'static str,
    },

    /// A file is not there.
    #[error(
        "{} is missing; {} must hold {}, each as it is or gzipped",
        path.display(),
        path.parent().unwrap_or(path).display(),
        expected.join(", ")
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// All the files that belong there.
        expected: &'static [&'static str],
    },

    /// A file is there, but packed by xz, which is not read here.
    #[error("{} is still packed; run `{command}` first", path.display())]
    Packed {
        /// The file that is wanted.
        path: PathBuf,
        /// What unpacks it.
        command: String,
    },

    /// A file cannot be read, or is damaged gzip.
    #[error("failed to read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },

    /// A file does not begin as its kind does.
    #[error(
        "{} begins with {found:#010x} and not with {expected:#010x}: it is not an IDX file of \
         {kind}; fetch it again",
        path.display()
    )]
    WrongMagic {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        kind: &'static str,
        /// The first four bytes, big end first.
        found: u32,
        /// What they should be.
        expected: u32,
    },

    /// A file is shorter or longer than it says itself, or than whole records are.
    #[error(
        "{} holds {found} bytes where {expected} are expected; it was cut short or is another \
         file: fetch it again",
        path.display()
    )]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// Bytes found, after unpacking.
        found: u64,
        /// What would have been right.
        expected: String,
    },

    /// The images of a file have another size than the data set's.
    #[error("{} holds images of {found:?} pixels; {expected:?} are expected", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Height and width found.
        found: [usize; 2],
        /// Height and width of the data set.
        expected: [usize; 2],
    },

    /// There are not as many labels as images.
    #[error(
        "{} holds {images} images but {} holds {labels} labels; they do not belong together",
        images_path.display(),
        labels_path.display()
    )]
    Unpaired {
        /// The file of images.
        images_path: PathBuf,
        /// Images in it.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// Labels in it.
        labels: usize,
    },

    /// A label is no class.
    #[error(
        "record {record} of {} is labelled {label}, but labels go from 0 to {}; it is damaged or \
         another data set",
        path.display(),
        classes - 1
    )]
    LabelOutOfRange {
        /// The file.
        path: PathBuf,
        /// The record, counted from 0.
        record: usize,
        /// Its label.
        label: u8,
        /// Classes of the data set.
        classes: usize,
    },

    /// Nothing to train on, or nothing to measure on.
    #[error("the {part} part of `{name}` holds no image; raise its limit or fill its file")]
    Empty {
        /// The data set.
        name: &'static str,
        /// "training" or "test".
        part: &'static str,
    },

    /// More images are to be held out than would leave one to learn from.
    #[error(
        "{wanted} validation images cannot be held out of the {train} training images of `{name}`: \
         at least one must be left to learn from"
    )]
    NothingLeft {
        /// The data set.
        name: String,
        /// Images to hold out.
        wanted: usize,
        /// Images there are.
        train: usize,
    },
}
