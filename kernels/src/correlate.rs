//! Images against a kernel: the forward pass of a convolution, and its gradient by the images.
//!
//! Both add up, for each output pixel, kernel cells times input pixels; only the axes differ. A
//! tile is some neighbouring pixels of an output row by one panel of features.

use std::ops::Range;

use rayon::prelude::*;

use crate::axis::Axis;
use crate::level::Level;
use crate::number::Number;
use crate::panels::Panels;
use crate::tile::{Factors, Run, Runs, Shape, Start, tile};

/// Numbers of the inner dimension worked on at once: a panel's share of the kernel then stays in
/// the second-level cache while many pixels use it.
const DEPTH: usize = 1024;

/// Pixels that use a panel's share before the next is fetched, at least.
const PIXELS: usize = 256;

/// Images (pixels of `channels` numbers each) correlated along both axes.
pub(crate) struct Correlation<'a> {
    pub(crate) level: Level,
    pub(crate) rows: &'a Axis,
    pub(crate) columns: &'a Axis,
    /// Numbers a pixel of the input holds.
    pub(crate) channels: usize,
    /// Pixels of an output image, over all its rows and columns.
    pub(crate) output_pixels: usize,
    /// Pixels of a row of an output image.
    pub(crate) output_width: usize,
}

/// One tile's share of the inner dimension, the same for every image and panel.
struct Job {
    /// The output pixel of the tile's first row.
    pixel: usize,
    /// Pixels, `columns.stride` apart.
    rows: usize,
    runs: Runs,
    start: Start,
}

impl Correlation<'_> {
    /// Adds up into `y`, overwriting the pixels of these axes.
    ///
    /// `kernel` has a row for each (row tap, column tap, channel), in that order.
    pub(crate) fn run<N: Number>(&self, x: &[N], kernel: &Panels<N>, y: &mut [N]) {
        let image = self.rows.inputs * self.columns.inputs * self.channels;
        let output = self.output_pixels * kernel.columns;
        if y.is_empty() || image == 0 {
            return;
        }
        let jobs = self.jobs::<N>(kernel);
        let pixels = self.rows.positions * self.columns.positions;
        let chunk = PIXELS.div_ceil(pixels.max(1));
        y.par_chunks_mut(chunk * output).zip(x.par_chunks(chunk * image)).for_each(|(y, x)| {
            for panel in 0..kernel.count() {
                let columns = kernel.columns_of(panel);
                let b = kernel.panel(panel);
                for block in &jobs {
                    for (y, a) in y.chunks_mut(output).zip(x.chunks(image)) {
                        for job in block {
                            let factors =
                                Factors { a, a_row: self.columns.step * self.channels, b };
                            let c = &mut y[job.pixel * kernel.columns + columns.start..];
                            let c_row = self.columns.stride * kernel.columns;
                            let (rows, columns) = (job.rows, columns.len());
                            tile(
                                self.level, rows, columns, factors, &job.runs, c, c_row, job.start,
                            );
                        }
                    }
                }
            }
        });
    }

    /// The jobs, block by block of the inner dimension.
    fn jobs<N: Number>(&self, kernel: &Panels<N>) -> Vec<Vec<Job>> {
        let tiles = split(self.columns.positions, Shape::at::<N>(self.level).rows);
        let mut begun = vec![false; self.rows.positions * tiles.len()];
        let mut blocks: Vec<Vec<Job>> = Vec::new();
        for (row_taps, channels) in self.blocks() {
            let mut jobs = Vec::new();
            for position in 0..self.rows.positions {
                let at = self.rows.taps_at(position);
                let taps = at.start.max(row_taps.start)..at.end.min(row_taps.end);
                for (index, tile) in tiles.iter().enumerate() {
                    let begun = &mut begun[position * tiles.len() + index];
                    for (pixels, column_taps) in self.groups(tile) {
                        let runs = self.runs(
                            kernel,
                            position,
                            taps.clone(),
                            pixels.start,
                            column_taps,
                            &channels,
                        );
                        if runs.is_empty() {
                            continue;
                        }
                        if !*begun && pixels != *tile {
                            jobs.push(self.job(
                                position,
                                tile,
                                Runs::new(1, kernel.width),
                                Start::Zero,
                            ));
                            *begun = true;
                        }
                        let start = if *begun { Start::Sum } else { Start::Zero };
                        jobs.push(self.job(position, &pixels, runs, start));
                        *begun = true;
                    }
                }
            }
            blocks.push(jobs);
        }
        // Pixels that no tap reaches: of a gradient, where a stride is longer than the kernel.
        let mut rest = Vec::new();
        for (index, _) in begun.iter().enumerate().filter(|(_, begun)| !**begun) {
            let (position, tile) = (index / tiles.len(), &tiles[index % tiles.len()]);
            rest.push(self.job(position, tile, Runs::new(1, kernel.width), Start::Zero));
        }
        blocks.push(rest);
        blocks
    }

    fn job(&self, position: usize, pixels: &Range<usize>, runs: Runs, start: Start) -> Job {
        let row = self.rows.first + position * self.rows.stride;
        let column = self.columns.first + pixels.start * self.columns.stride;
        Job { pixel: row * self.output_width + column, rows: pixels.len(), runs, start }
    }

    /// The inner dimension in blocks of about [`DEPTH`]: ranges of row taps and of channels.
    fn blocks(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let (row_taps, channels) = (self.rows.taps.len(), self.channels);
        let row = self.columns.taps.len() * channels;
        if row <= 2 * DEPTH {
            let at_once = (DEPTH / row.max(1)).max(1);
            let firsts = (0..row_taps).step_by(at_once);
            return firsts.map(|tap| (tap..row_taps.min(tap + at_once), 0..channels)).collect();
        }
        let at_once = (DEPTH / self.columns.taps.len()).max(1);
        (0..row_taps)
            .flat_map(|tap| {
                let firsts = (0..channels).step_by(at_once);
                firsts.map(move |c| (tap..tap + 1, c..channels.min(c + at_once)))
            })
            .collect()
    }

    /// The column taps of a tile, grouped by the pixels of the tile at which they are inside; those
    /// that are so at all of its pixels first.
    fn groups(&self, tile: &Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
        let mut groups: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for (index, tap) in self.columns.taps.iter().enumerate() {
            let inside = self.columns.inside(*tap);
            let pixels = inside.start.max(tile.start)..inside.end.min(tile.end);
            if pixels.is_empty() {
                continue;
            }
            match groups.last_mut() {
                Some((same, taps)) if *same == pixels && taps.end == index => taps.end += 1,
                _ => groups.push((pixels, index..index + 1)),
            }
        }
        groups.sort_by_key(|(pixels, _)| pixels != tile);
        groups
    }

    fn runs<N: Number>(
        &self,
        kernel: &Panels<N>,
        position: usize,
        row_taps: Range<usize>,
        pixel: usize,
        column_taps: Range<usize>,
        channels: &Range<usize>,
    ) -> Runs {
        let mut runs = Runs::new(1, kernel.width);
        let whole = channels.len() == self.channels;
        for row_tap in row_taps {
            let row = self.rows.input(position, self.rows.taps[row_tap]) * self.columns.inputs;
            let mut push = |column_tap: usize, len: usize| {
                let column = self.columns.input(pixel, self.columns.taps[column_tap]);
                let cell = row_tap * self.columns.taps.len() + column_tap;
                runs.push(Run {
                    a: (row + column) * self.channels + channels.start,
                    b: (cell * self.channels + channels.start) * kernel.width,
                    len,
                });
            };
            if whole {
                // Neighbouring taps are neighbours in the image and in the kernel.
                push(column_taps.start, column_taps.len() * self.channels);
            } else {
                column_taps.clone().for_each(|tap| push(tap, channels.len()));
            }
        }
        runs
    }
}

/// `0..count` in as few ranges of at most `max` as can be, of nearly equal length.
pub(crate) fn split(count: usize, max: usize) -> Vec<Range<usize>> {
    let parts = count.div_ceil(max);
    (0..parts).map(|part| part * count / parts..(part + 1) * count / parts).collect()
}
