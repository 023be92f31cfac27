//! Training images set apart to measure on.

use super::{DataError, Dataset, Split};
use crate::seed::{Purpose, stream};

/// Which images are held out never depends on a training's seed: all trainings of a study are
/// measured on the same ones.
const SEED: u64 = 0;

impl Dataset {
    /// Sets so many of the training images apart to measure on as the network learns, so that the
    /// test part is seen only in the end; 0 changes nothing.
    ///
    /// Every class gives the same number, as far as it has them and the total can be divided; the
    /// lowest classes give what is left over. Within a class they are drawn at random, always the
    /// same for the same labels in the same order. Both parts keep that order.
    ///
    /// # Errors
    ///
    /// [`DataError::NothingLeft`] if no image would be left to learn from.
    ///
    /// # Panics
    ///
    /// If a validation part has been held out already.
    pub fn hold_out(mut self, validation_images: usize) -> Result<Dataset, DataError> {
        assert!(self.validation.is_none(), "a validation part is held out once");
        if validation_images == 0 {
            return Ok(self);
        }
        let train = self.train.len();
        if validation_images >= train {
            let (name, wanted) = (self.name, validation_images);
            return Err(DataError::NothingLeft { name, wanted, train });
        }
        let held_out = chosen(self.train.labels(), self.classes, validation_images);
        let part = |wanted: bool| {
            let images = (0..train).filter(|image| held_out[*image] == wanted);
            self.train.select(&images.collect::<Vec<_>>())
        };
        let (kept, validation): (Split, Split) = (part(false), part(true));
        (self.train, self.validation) = (kept, Some(validation));
        Ok(self)
    }
}

/// Whether each image is held out.
fn chosen(labels: &[u8], classes: usize, wanted: usize) -> Vec<bool> {
    let mut of_class = vec![Vec::new(); classes];
    for (image, label) in labels.iter().enumerate() {
        of_class[usize::from(*label)].push(image);
    }
    let counts: Vec<usize> = of_class.iter().map(Vec::len).collect();
    let mut held_out = vec![false; labels.len()];
    for ((class, mut images), quota) in (0..).zip(of_class).zip(quotas(&counts, wanted)) {
        stream(SEED, Purpose::HoldOut, class).shuffle(&mut images);
        images[..quota].iter().for_each(|image| held_out[*image] = true);
    }
    held_out
}

/// How many each class gives: dealt out one by one, those passed over that have no more.
fn quotas(counts: &[usize], wanted: usize) -> Vec<usize> {
    let mut quotas = vec![0; counts.len()];
    let mut left = wanted.min(counts.iter().sum());
    while left > 0 {
        for (quota, count) in quotas.iter_mut().zip(counts) {
            if left > 0 && *quota < *count {
                *quota += 1;
                left -= 1;
            }
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::quotas;

    #[test]
    fn classes_give_alike_as_far_as_they_can() {
        assert_eq!(quotas(&[9, 9, 9], 6), [2, 2, 2]);
        assert_eq!(quotas(&[9, 9, 9], 8), [3, 3, 2]);
        assert_eq!(quotas(&[9, 1, 0, 9], 9), [4, 1, 0, 4]);
        assert_eq!(quotas(&[2, 1], 7), [2, 1]);
    }
}
