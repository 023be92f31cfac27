//! [`Split`]: one part of a data set.

/// Images and labels of one part of a data set, in a fixed order.
#[derive(Clone, PartialEq)]
pub struct Split {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    image_len: usize,
    white: u8,
}

impl Split {
    /// The split of these images and labels.
    ///
    /// `pixels` holds one image of `image_len` bytes after the other, each row by row with a
    /// pixel's channels side by side, from 0 (black) to `white`.
    ///
    /// # Panics
    ///
    /// If there are not `image_len` pixels for each label, or `image_len` or `white` is 0.
    pub fn new(pixels: Vec<u8>, labels: Vec<u8>, image_len: usize, white: u8) -> Split {
        assert!(image_len > 0, "an image has pixels");
        assert!(white > 0, "white is brighter than black");
        assert_eq!(pixels.len(), labels.len() * image_len, "each label has one image");
        Split { pixels, labels, image_len, white }
    }

    /// The chosen images alone, in that order.
    ///
    /// # Panics
    ///
    /// If an image that is chosen does not exist.
    pub fn select(&self, chosen: &[usize]) -> Split {
        let pixels = chosen.iter().flat_map(|image| self.pixels(*image)).copied().collect();
        let labels = chosen.iter().map(|image| self.labels[*image]).collect();
        Split { pixels, labels, ..*self }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Numbers that make up one image.
    pub fn image_len(&self) -> usize {
        self.image_len
    }

    /// The label of every image.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The bytes of one image, row by row, a pixel's channels side by side.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn pixels(&self, image: usize) -> &[u8] {
        &self.pixels[image * self.image_len..][..self.image_len]
    }

    /// Replaces the contents of `images` and `labels` by those of the chosen images, in that
    /// order. Pixels become fractions of white, in [0, 1]; `images` is then (chosen, image_len).
    ///
    /// The buffers keep their memory: pass the same ones for every batch.
    ///
    /// # Panics
    ///
    /// If an image that is chosen does not exist.
    pub fn gather(&self, chosen: &[usize], images: &mut Vec<f32>, labels: &mut Vec<u32>) {
        let white = f32::from(self.white);
        images.clear();
        labels.clear();
        images.reserve(chosen.len() * self.image_len);
        for &image in chosen {
            images.extend(self.pixels(image).iter().map(|pixel| f32::from(*pixel) / white));
            labels.push(self.labels[image].into());
        }
    }
}

/// Without the pixels: an assertion that prints a megabyte says nothing.
impl std::fmt::Debug for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Split")
            .field("images", &self.len())
            .field("image_len", &self.image_len)
            .field("white", &self.white)
            .finish_non_exhaustive()
    }
}
