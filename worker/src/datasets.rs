//! [`Datasets`]: the data sets that this process has read, kept for the next trial.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use whetstone::data::{DataError, Dataset, Limits, load};

/// Data sets kept at once. A study needs one; a worker between two studies needs two. The largest
/// takes 184 MB.
const KEPT_MAX: usize = 2;

/// A data set by name and the number of images that are used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What it is called.
    pub name: String,
    /// The first so many training images; 0: all.
    pub train_images: u32,
    /// So many of these are held out; see [`Dataset::hold_out`].
    pub validation_images: u32,
    /// The first so many test images; 0: all.
    pub test_images: u32,
}

/// Data sets, read once and shared by every slot.
#[derive(Debug)]
pub struct Datasets {
    folder: Option<PathBuf>,
    /// The last used stands last.
    kept: Mutex<Vec<(Wanted, Arc<Dataset>)>>,
}

impl Datasets {
    /// None read yet. Files are looked for in `folder`; without one, only what ships with the
    /// trainer can be had.
    pub fn new(folder: Option<PathBuf>) -> Datasets {
        Datasets { folder, kept: Mutex::default() }
    }

    /// The data set that is wanted.
    ///
    /// # Errors
    ///
    /// [`DataError`] if it is unknown, missing, damaged or too small. The next call tries again: a
    /// person may have put the files there.
    pub fn get(&self, wanted: &Wanted) -> Result<Arc<Dataset>, DataError> {
        // Held while reading: slots that begin together want the same one, and it fits once.
        let mut kept = self.kept.lock().unwrap_or_else(|panicked| panicked.into_inner());
        let dataset = match kept.iter().position(|(known, _)| known == wanted) {
            Some(index) => kept.remove(index).1,
            None => {
                // Makes room before it reads, so that three never lie in memory at once.
                if kept.len() == KEPT_MAX {
                    kept.remove(0);
                }
                let limit = |images: u32| (images > 0).then_some(images as usize);
                let train = limit(wanted.train_images);
                let limits = Limits { train, test: limit(wanted.test_images) };
                let whole = load(&wanted.name, self.folder.as_deref(), limits)?;
                Arc::new(whole.hold_out(wanted.validation_images as usize)?)
            }
        };
        kept.push((wanted.clone(), dataset.clone()));
        Ok(dataset)
    }
}
