//! Images as matrices of patches ("im2col"), and back.

use super::real::Real;

/// The sizes of one NHWC image and the square, odd window that slides over it with stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows of the image, in pixels.
    pub height: usize,
    /// Columns of the image, in pixels.
    pub width: usize,
    /// Numbers a pixel holds.
    pub channels: usize,
    /// Side of the window, in pixels; odd, so that it has a middle.
    pub side: usize,
}

impl Window {
    /// Windows an image holds: one centred on each pixel.
    pub fn patches(&self) -> usize {
        self.height * self.width
    }

    /// Numbers in one patch, in the order (row, column, channel): that of an HWIO kernel.
    pub fn patch_len(&self) -> usize {
        self.side * self.side * self.channels
    }

    /// Numbers in one image.
    pub fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Calls `f` with each part of a patch row that lies inside the image: `(offset in patches,
    /// offset in image, length)`, contiguous in both because channels come last.
    #[inline(always)]
    fn for_each_segment(&self, mut f: impl FnMut(usize, usize, usize)) {
        let Self { height, width, channels, side } = *self;
        let margin = side / 2;
        for y in 0..height {
            for row in margin.saturating_sub(y)..side.min(height + margin - y) {
                let image_row = (y + row - margin) * width;
                for x in 0..width {
                    let first = margin.saturating_sub(x);
                    let last = side.min(width + margin - x);
                    let patch = (y * width + x) * self.patch_len();
                    f(
                        patch + (row * side + first) * channels,
                        (image_row + x + first - margin) * channels,
                        (last - first) * channels,
                    );
                }
            }
        }
    }
}

/// Writes the patch around every pixel of `image` to a row of `patches`, zeros beyond the edge.
///
/// `image` is `(height, width, channels)`, `patches` is `(height · width, patch_len)`.
///
/// # Panics
///
/// If a slice is not of that size, or the window's side is even.
pub fn gather<R: Real>(window: Window, image: &[R], patches: &mut [R]) {
    assert_eq!(window.side % 2, 1);
    assert_eq!(image.len(), window.image_len());
    assert_eq!(patches.len(), window.patches() * window.patch_len());
    patches.fill(R::zero());
    window.for_each_segment(|to, from, len| {
        patches[to..to + len].copy_from_slice(&image[from..from + len]);
    });
}

/// Adds every patch to the pixels that [`gather`] took it from: the transpose of that map.
///
/// # Panics
///
/// As [`gather`].
pub fn scatter_add<R: Real>(window: Window, patches: &[R], image: &mut [R]) {
    assert_eq!(window.side % 2, 1);
    assert_eq!(image.len(), window.image_len());
    assert_eq!(patches.len(), window.patches() * window.patch_len());
    window.for_each_segment(|from, to, len| {
        for (to, from) in image[to..to + len].iter_mut().zip(&patches[from..from + len]) {
            *to += *from;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patch_of_a_corner_is_padded_with_zeros() {
        let window = Window { height: 2, width: 2, channels: 1, side: 3 };
        let mut patches = vec![f64::NAN; 36];
        gather(window, &[1., 2., 3., 4.], &mut patches);
        assert_eq!(patches[..9], [0., 0., 0., 0., 1., 2., 0., 3., 4.]);
        assert_eq!(patches[27..], [1., 2., 0., 3., 4., 0., 0., 0., 0.]);
    }

    #[test]
    fn scattering_is_the_transpose_of_gathering() {
        // ⟨gather(u), v⟩ = ⟨u, scatter(v)⟩ for every u and v, the window larger than the image too.
        for (height, width, channels, side) in
            [(3, 4, 2, 3), (1, 1, 3, 5), (2, 5, 1, 7), (4, 3, 2, 1)]
        {
            let window = Window { height, width, channels, side };
            let u: Vec<f64> = (0..window.image_len()).map(|i| (i as f64).sin()).collect();
            let v: Vec<f64> = (0..window.patches() * window.patch_len())
                .map(|i| (1.7 * i as f64).cos())
                .collect();
            let mut gathered = vec![0.; v.len()];
            gather(window, &u, &mut gathered);
            let mut scattered = vec![0.; u.len()];
            scatter_add(window, &v, &mut scattered);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert!((dot(&gathered, &v) - dot(&u, &scattered)).abs() < 1e-12, "{window:?}");
        }
    }
}
