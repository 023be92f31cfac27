//! The gradient of a convolution by its kernel.
//!
//! For each cell of the kernel, every output pixel that it reaches adds (input pixel) × (gradient
//! pixel). A tile is some input channels of one cell by one panel of features; its inner dimension
//! runs over the pixels of many images, so each number of the result is summed by one thread in one
//! order, however many threads there are.

use rayon::prelude::*;

use crate::axis::Axis;
use crate::correlate::split;
use crate::level::Level;
use crate::number::Number;
use crate::panels::Panels;
use crate::tile::{Factors, Run, Runs, Shape, Start, tile};

/// Pixels worked on at once: their share of a gradient's panel stays in the second-level cache.
const PIXELS: usize = 2048;

/// The gradient by a kernel, growing as images come in.
pub(crate) struct WeightGradient<'a, N> {
    level: Level,
    rows: &'a Axis,
    columns: &'a Axis,
    channels: usize,
    /// A row for each (row tap, column tap, channel).
    sums: Panels<N>,
}

impl<'a, N: Number> WeightGradient<'a, N> {
    /// Zero, for the axes of the forward pass.
    pub(crate) fn new(
        level: Level,
        [rows, columns]: [&'a Axis; 2],
        channels: usize,
        features: usize,
    ) -> Self {
        let width = Shape::at::<N>(level).columns;
        let depth = rows.taps.len() * columns.taps.len() * channels;
        Self { level, rows, columns, channels, sums: Panels::zeros(depth, features, width) }
    }

    /// Images at once, so that a panel of their gradients stays in the cache.
    fn chunk(&self) -> usize {
        PIXELS.div_ceil((self.rows.positions * self.columns.positions).max(1))
    }

    /// Adds the products of images and gradients by their outputs.
    pub(crate) fn add(&mut self, x: &[N], dy: &[N]) {
        let image = self.rows.inputs * self.columns.inputs * self.channels;
        let pixels = self.rows.positions * self.columns.positions;
        let features = self.sums.columns;
        if x.is_empty() || dy.is_empty() {
            return;
        }
        let chunk = self.chunk();
        let mut panels: Option<Panels<N>> = None;
        for (x, dy) in x.chunks(chunk * image).zip(dy.chunks(chunk * pixels * features)) {
            let depth = dy.len() / features;
            let whole = features == self.sums.width;
            let same = panels.take().filter(|panels| panels.depth == depth);
            let mut packed = same.unwrap_or_else(|| {
                Panels::zeros(if whole { 0 } else { depth }, features, self.sums.width)
            });
            if !whole {
                packed.put(0, dy);
            }
            self.add_chunk(x, |panel| if whole { dy } else { packed.panel(panel) });
            panels = Some(packed);
        }
    }

    fn add_chunk<'b>(&mut self, x: &[N], dy: impl Fn(usize) -> &'b [N] + Sync) {
        let Self { level, rows, columns, channels, sums } = self;
        let (level, channels, width, panels) = (*level, *channels, sums.width, sums.count());
        let images = x.len() / (rows.inputs * columns.inputs * channels);
        let cells = rows.taps.len() * columns.taps.len();
        let runs: Vec<Runs> = (0..cells)
            .map(|cell| {
                let taps = [cell / columns.taps.len(), cell % columns.taps.len()];
                cell_runs([rows, columns], taps, images, channels, width)
            })
            .collect();
        let tiles = split(channels, Shape::at::<N>(level).rows);
        debug_assert_eq!(sums.values_mut().len(), panels * cells * channels * width);
        let each = sums.values_mut().par_chunks_mut(channels * width);
        each.enumerate().for_each(|(index, sums)| {
            let (panel, cell) = (index / cells, index % cells);
            if runs[cell].is_empty() {
                return;
            }
            let b = dy(panel);
            for tile_rows in &tiles {
                let factors = Factors { a: &x[tile_rows.start..], a_row: 1, b };
                let c = &mut sums[tile_rows.start * width..];
                tile(level, tile_rows.len(), width, factors, &runs[cell], c, width, Start::Sum);
            }
        });
    }

    /// Writes the gradient, `(row cells, column cells, channels, features)`.
    pub(crate) fn finish(self, dw: &mut [N]) {
        self.sums.take(dw);
    }
}

/// The pixels of some images that one cell of the kernel reaches, row by row.
fn cell_runs(
    [rows, columns]: [&Axis; 2],
    [row_tap, column_tap]: [usize; 2],
    images: usize,
    channels: usize,
    width: usize,
) -> Runs {
    let (row_tap, column_tap) = (rows.taps[row_tap], columns.taps[column_tap]);
    let mut runs = Runs::new(columns.step * channels, width);
    let inside = columns.inside(column_tap);
    if inside.is_empty() {
        return runs;
    }
    let first = columns.input(inside.start, column_tap);
    for image in 0..images {
        for position in rows.inside(row_tap) {
            let row = image * rows.inputs + rows.input(position, row_tap);
            let output = image * rows.positions + position;
            runs.push(Run {
                a: (row * columns.inputs + first) * channels,
                b: (output * columns.positions + inside.start) * width,
                len: inside.len(),
            });
        }
    }
    runs
}
