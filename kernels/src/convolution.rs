//! Convolutions that keep the image's size but for their stride, and their gradients.

use rayon::prelude::*;

use crate::axis::{Axis, outputs};
use crate::correlate::Correlation;
use crate::level::Level;
use crate::number::Number;
use crate::panels::Panels;
use crate::patches::gather;
use crate::tile::Shape;
use crate::weight_gradient::WeightGradient;

/// The sizes of one convolution of a batch.
///
/// | slice | shape, row-major |
/// |-------|------------------|
/// | `x`, `dx` | `(images, height, width, channels)` |
/// | `w`, `dw` | `(side, side, channels, features)` |
/// | `y`, `dy` | `(images, ⌈height / stride⌉, ⌈width / stride⌉, features)` |
///
/// It is a cross-correlation with zeros beyond the edges, as many before as behind, or one more
/// behind (Keras's and TensorFlow's "same"). Results are the same bit for bit on every run and for
/// any number of threads; they differ in the last bits between [levels](Level).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Images in the batch.
    pub images: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Numbers a pixel holds.
    pub channels: usize,
    /// Numbers an output pixel holds.
    pub features: usize,
    /// Rows and columns of the kernel.
    pub side: usize,
    /// Pixels from one output to the next, both ways; at least 1.
    pub stride: usize,
}

/// Up to so many numbers in a row of a kernel, patches are copied out first: a tile's runs would be
/// too short to be worth beginning.
const SHORT_ROW: usize = 24;

impl Convolution {
    /// A dense layer: each of `rows` rows of `inputs` numbers times an `(inputs, outputs)` matrix.
    pub fn dense(rows: usize, inputs: usize, outputs: usize) -> Convolution {
        let (channels, features) = (inputs, outputs);
        Convolution { images: rows, height: 1, width: 1, channels, features, side: 1, stride: 1 }
    }

    /// Rows and columns of an output image.
    pub fn output(&self) -> [usize; 2] {
        [outputs(self.height, self.stride), outputs(self.width, self.stride)]
    }

    /// Numbers in `x`, `w` and `y`.
    pub fn lens(&self) -> [usize; 3] {
        let [height, width] = self.output();
        [
            self.images * self.height * self.width * self.channels,
            self.side * self.side * self.channels * self.features,
            self.images * height * width * self.features,
        ]
    }

    /// Writes the convolution of `x` with `w` to `y`.
    ///
    /// # Panics
    ///
    /// If a slice is not of its size.
    pub fn forward<N: Number>(&self, x: &[N], w: &[N], y: &mut [N]) {
        self.forward_at(Level::best(), x, w, y);
    }

    /// Writes the gradient by `x` to `dx`, from the kernel and the gradient by `y`.
    ///
    /// # Panics
    ///
    /// If a slice is not of its size.
    pub fn input_gradient<N: Number>(&self, w: &[N], dy: &[N], dx: &mut [N]) {
        self.input_gradient_at(Level::best(), w, dy, dx);
    }

    /// Writes the gradient by `w` to `dw`, from the images and the gradient by `y`.
    ///
    /// # Panics
    ///
    /// If a slice is not of its size.
    pub fn weight_gradient<N: Number>(&self, x: &[N], dy: &[N], dw: &mut [N]) {
        self.weight_gradient_at(Level::best(), x, dy, dw);
    }

    /// [`Convolution::forward`] at a level.
    ///
    /// # Panics
    ///
    /// Likewise, and if the processor does not have the level.
    pub fn forward_at<N: Number>(&self, level: Level, x: &[N], w: &[N], y: &mut [N]) {
        assert_eq!([x.len(), w.len(), y.len()], self.lens());
        if y.is_empty() {
            return;
        }
        let mut kernel = Panels::zeros(
            self.side * self.side * self.channels,
            self.features,
            Shape::at::<N>(level).columns,
        );
        kernel.put(0, w);
        if self.is_pointwise() {
            return pointwise(level, self.channels, x, &kernel, y);
        }
        let [rows, columns] = &self.forward_axes();
        let output = self.output_pixels() * self.features;
        if self.has_short_rows() {
            let patch = self.side * self.side * self.channels;
            let each = y.par_chunks_mut(output).zip(x.par_chunks(self.image()));
            return each.for_each_init(
                || vec![N::ZERO; self.output_pixels() * patch],
                |patches, (y, x)| {
                    gather([rows, columns], self.channels, x, patches);
                    pointwise(level, patch, patches, &kernel, y);
                },
            );
        }
        let output_pixels = self.output_pixels();
        let output_width = columns.positions;
        Correlation { level, rows, columns, channels: self.channels, output_pixels, output_width }
            .run(x, &kernel, y);
    }

    /// [`Convolution::input_gradient`] at a level.
    ///
    /// # Panics
    ///
    /// Likewise, and if the processor does not have the level.
    pub fn input_gradient_at<N: Number>(&self, level: Level, w: &[N], dy: &[N], dx: &mut [N]) {
        assert_eq!([dx.len(), w.len(), dy.len()], self.lens());
        let width = Shape::at::<N>(level).columns;
        if self.is_pointwise() {
            let mut kernel = Panels::zeros(self.features, self.channels, width);
            if !w.is_empty() {
                kernel.put_transposed(0, w);
            }
            return pointwise(level, self.features, dy, &kernel, dx);
        }
        for rows in &Axis::backward(self.height, self.side, self.stride) {
            for columns in &Axis::backward(self.width, self.side, self.stride) {
                let depth = rows.taps.len() * columns.taps.len() * self.features;
                let mut kernel = Panels::zeros(depth, self.channels, width);
                let mut row = 0;
                for (y, x) in
                    rows.taps.iter().flat_map(|y| columns.taps.iter().map(move |x| (y, x)))
                {
                    let cell = self.channels * self.features;
                    let w = &w[(y.cell * self.side + x.cell) * cell..][..cell];
                    kernel.put_transposed(row, w);
                    row += self.features;
                }
                let channels = self.features;
                let output_pixels = self.height * self.width;
                let output_width = self.width;
                Correlation { level, rows, columns, channels, output_pixels, output_width }
                    .run(dy, &kernel, dx);
            }
        }
    }

    /// [`Convolution::weight_gradient`] at a level.
    ///
    /// # Panics
    ///
    /// Likewise, and if the processor does not have the level.
    pub fn weight_gradient_at<N: Number>(&self, level: Level, x: &[N], dy: &[N], dw: &mut [N]) {
        assert_eq!([x.len(), dw.len(), dy.len()], self.lens());
        if dw.is_empty() {
            return;
        }
        let [rows, columns] = &self.forward_axes();
        if !self.is_pointwise() && !self.has_short_rows() {
            let mut sums =
                WeightGradient::new(level, [rows, columns], self.channels, self.features);
            sums.add(x, dy);
            return sums.finish(dw);
        }
        // Each pixel, or its patch, is an image of one pixel.
        let line = Axis::forward(1, 1, 1);
        let patch = self.side * self.side * self.channels;
        let mut sums = WeightGradient::new(level, [&line, &line], patch, self.features);
        if self.is_pointwise() {
            sums.add(x, dy);
            return sums.finish(dw);
        }
        let at_once = PATCHED_PIXELS.div_ceil(self.output_pixels().max(1));
        let mut patches = vec![N::ZERO; at_once * self.output_pixels() * patch];
        let chunks = x.chunks(at_once * self.image());
        for (x, dy) in chunks.zip(dy.chunks(at_once * self.output_pixels() * self.features)) {
            let patches = &mut patches[..dy.len() / self.features * patch];
            let each = patches.par_chunks_mut(self.output_pixels() * patch);
            each.zip(x.par_chunks(self.image())).for_each(|(patches, x)| {
                gather([rows, columns], self.channels, x, patches);
            });
            sums.add(patches, dy);
        }
        sums.finish(dw);
    }

    fn forward_axes(&self) -> [Axis; 2] {
        [self.height, self.width].map(|inputs| Axis::forward(inputs, self.side, self.stride))
    }

    fn is_pointwise(&self) -> bool {
        self.side == 1 && self.stride == 1
    }

    fn has_short_rows(&self) -> bool {
        self.side * self.channels <= SHORT_ROW
    }

    fn image(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn output_pixels(&self) -> usize {
        self.output().iter().product()
    }
}

/// Pixels whose patches are copied out at once, for the gradient by the kernel.
const PATCHED_PIXELS: usize = 2048;

/// Each row of `x`, `channels` numbers, times the kernel.
fn pointwise<N: Number>(level: Level, channels: usize, x: &[N], kernel: &Panels<N>, y: &mut [N]) {
    let rows = y.len() / kernel.columns.max(1);
    // Lines of one length and then of one pixel less, so that no tile is left nearly empty.
    let lines = rows.div_ceil(Shape::at::<N>(level).rows);
    if lines == 0 {
        return;
    }
    let (short, longer) = (rows / lines, rows % lines);
    let row = Axis::forward(1, 1, 1);
    let ends = longer * (short + 1);
    let (x, y) = (x.split_at(ends * channels), y.split_at_mut(ends * kernel.columns));
    for (width, x, y) in [(short + 1, x.0, y.0), (short, x.1, y.1)] {
        let columns = Axis::forward(width, 1, 1);
        let correlation = Correlation {
            level,
            rows: &row,
            columns: &columns,
            channels,
            output_pixels: width,
            output_width: width,
        };
        correlation.run(x, kernel, y);
    }
}
