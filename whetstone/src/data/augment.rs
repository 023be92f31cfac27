//! Training images that differ a little each time they are seen.

use crate::seed::Stream;
use recipe::Recipe;

/// By how much training images are changed, at random, before a network sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Most pixels by which an image is shifted each way, zeros entering.
    pub shift: usize,
    /// Whether half of the images are mirrored left to right.
    pub mirror: bool,
}

impl Augment {
    /// What a recipe asks for, or `None` if that is nothing.
    pub fn from_recipe(recipe: &Recipe) -> Option<Augment> {
        let augment =
            Augment { shift: recipe.augment_shift as usize, mirror: recipe.augment_mirror };
        (augment.shift > 0 || augment.mirror).then_some(augment)
    }

    /// Changes a batch of images, each `height · width · channels` numbers, row by row with a
    /// pixel's channels side by side.
    ///
    /// Every image takes the same number of draws, so that what one of them meets depends on its
    /// place in the batch alone.
    ///
    /// # Panics
    ///
    /// If the images are not whole.
    pub fn apply(
        self,
        images: &mut [f32],
        [height, width, channels]: [usize; 3],
        draws: &mut Stream,
    ) {
        let len = height * width * channels;
        assert!(len > 0 && images.len().is_multiple_of(len), "images must be whole");
        let mut original = vec![0.0; len];
        let most = self.shift as i64;
        for image in images.chunks_exact_mut(len) {
            let mut along = || draws.below(2 * self.shift as u64 + 1) as i64 - most;
            let (down, right) = (along(), along());
            let mirrored = draws.below(2) == 1 && self.mirror;
            if (down, right, mirrored) == (0, 0, false) {
                continue;
            }
            original.copy_from_slice(image);
            image.fill(0.0);
            for row in 0..height {
                let Some(to) = moved(row, down, height) else { continue };
                for column in 0..width {
                    let seen = if mirrored { width - 1 - column } else { column };
                    let Some(column) = moved(column, right, width) else { continue };
                    let (from, to) = (row * width + seen, to * width + column);
                    image[to * channels..][..channels]
                        .copy_from_slice(&original[from * channels..][..channels]);
                }
            }
        }
    }
}

/// Where a shift takes a row or column, if that is still in the image.
fn moved(from: usize, by: i64, size: usize) -> Option<usize> {
    usize::try_from(from as i64 + by).ok().filter(|to| *to < size)
}
