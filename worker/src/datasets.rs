//! [`Datasets`]: the data sets that this process has read, kept for the next trial.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use whetstone::data::{DataError, Dataset, Limits, load};

/// Data sets kept at once. A study needs one; a worker between two studies needs two. The largest
/// takes 184 MB.
const KEPT_MAX: usize = 2;

/// A data set by name and the number of images that are used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: String,
    train_images: u32,
    test_images: u32,
}

/// Data sets, read once and shared by every slot.
#[derive(Debug)]
pub struct Datasets {
    folder: Option<PathBuf>,
    /// The last used stands last.
    kept: Mutex<Vec<(Key, Arc<Dataset>)>>,
}

impl Datasets {
    /// None read yet. Files are looked for in `folder`; without one, only what ships with the
    /// trainer can be had.
    pub fn new(folder: Option<PathBuf>) -> Datasets {
        Datasets { folder, kept: Mutex::default() }
    }

    /// A data set, its first `train_images` and `test_images` images; 0 means all.
    ///
    /// # Errors
    ///
    /// [`DataError`] if it is unknown, missing or damaged. The next call tries again: a person may
    /// have put the files there.
    pub fn get(
        &self,
        name: &str,
        train_images: u32,
        test_images: u32,
    ) -> Result<Arc<Dataset>, DataError> {
        let key = Key { name: name.to_owned(), train_images, test_images };
        // Held while reading: slots that begin together want the same one, and it fits once.
        let mut kept = self.kept.lock().unwrap_or_else(|panicked| panicked.into_inner());
        let dataset = match kept.iter().position(|(known, _)| *known == key) {
            Some(index) => kept.remove(index).1,
            None => {
                // Makes room before it reads, so that three never lie in memory at once.
                if kept.len() == KEPT_MAX {
                    kept.remove(0);
                }
                let limit = |images: u32| (images > 0).then_some(images as usize);
                let limits = Limits { train: limit(train_images), test: limit(test_images) };
                Arc::new(load(name, self.folder.as_deref(), limits)?)
            }
        };
        kept.push((key, dataset.clone()));
        Ok(dataset)
    }
}
