//! Matrices copied so that a tile reads them in one stretch.

use std::ops::Range;

use crate::number::Number;

/// A matrix of `depth` rows, cut into panels of a tile's width that lie one after the other, each
/// row by row; the last is filled up with zeros.
#[derive(Clone, Debug)]
pub(crate) struct Panels<N> {
    values: Vec<N>,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    pub(crate) width: usize,
}

impl<N: Number> Panels<N> {
    /// Panels of zeros.
    pub(crate) fn zeros(depth: usize, columns: usize, width: usize) -> Panels<N> {
        let values = vec![N::ZERO; columns.div_ceil(width) * depth * width];
        Panels { values, depth, columns, width }
    }

    /// How many panels there are.
    pub(crate) fn count(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    /// The columns of a panel that are not filling.
    pub(crate) fn columns_of(&self, panel: usize) -> Range<usize> {
        panel * self.width..((panel + 1) * self.width).min(self.columns)
    }

    /// One panel, `depth` rows of `width` numbers.
    pub(crate) fn panel(&self, panel: usize) -> &[N] {
        &self.values[panel * self.depth * self.width..][..self.depth * self.width]
    }

    /// All panels, one after the other.
    pub(crate) fn values_mut(&mut self) -> &mut [N] {
        &mut self.values
    }

    /// Copies the row-major `(rows, columns)` matrix to the rows from `first_row` on.
    pub(crate) fn put(&mut self, first_row: usize, matrix: &[N]) {
        let (depth, width, columns) = (self.depth, self.width, self.columns);
        for (panel, values) in self.values.chunks_mut(depth * width).enumerate() {
            let from = panel * width;
            let to = columns.min(from + width);
            let rows = values[first_row * width..].chunks_mut(width);
            for (row, source) in rows.zip(matrix.chunks_exact(columns)) {
                row[..to - from].copy_from_slice(&source[from..to]);
            }
        }
    }

    /// Copies the transpose of the row-major `(columns, rows)` matrix likewise.
    pub(crate) fn put_transposed(&mut self, first_row: usize, matrix: &[N]) {
        let (depth, width, columns) = (self.depth, self.width, self.columns);
        let rows = matrix.len() / columns;
        for (panel, values) in self.values.chunks_mut(depth * width).enumerate() {
            let from = panel * width;
            let source = &matrix[from * rows..columns.min(from + width) * rows];
            // In strips, so that the lines being read stay in the first-level cache.
            for strip in (0..rows).step_by(16) {
                let strip = strip..rows.min(strip + 16);
                for (column, source) in source.chunks_exact(rows).enumerate() {
                    for row in strip.clone() {
                        values[(first_row + row) * width + column] = source[row];
                    }
                }
            }
        }
    }

    /// Copies back to the row-major `(depth, columns)` matrix.
    pub(crate) fn take(&self, matrix: &mut [N]) {
        for panel in 0..self.count() {
            let columns = self.columns_of(panel);
            let rows = matrix.chunks_exact_mut(self.columns);
            for (row, source) in rows.zip(self.panel(panel).chunks_exact(self.width)) {
                row[columns.clone()].copy_from_slice(&source[..columns.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_can_be_taken() {
        let matrix: Vec<f64> = (0..15).map(f64::from).collect();
        let mut panels = Panels::zeros(3, 5, 2);
        panels.put(0, &matrix);
        assert_eq!(panels.panel(1), [2., 3., 7., 8., 12., 13.]);
        assert_eq!(panels.panel(2), [4., 0., 9., 0., 14., 0.]);
        let mut taken = [0.; 15];
        panels.take(&mut taken);
        assert_eq!(taken[..], matrix);
    }

    #[test]
    fn a_transpose_is_put_by_columns() {
        let mut panels = Panels::zeros(3, 2, 4);
        panels.put_transposed(1, &[1., 2., 3., 4.]);
        assert_eq!(panels.panel(0), [0., 0., 0., 0., 1., 3., 0., 0., 2., 4., 0., 0.]);
    }
}
