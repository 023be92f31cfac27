//! Matrix products over slices, on one thread.

use super::real::Real;

/// A matrix over borrowed values: row-major as made, or the transpose of that.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, R> {
    values: &'a [R],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, R: Real> Matrix<'a, R> {
    /// Reads `values` as a row-major `(rows, columns)` matrix.
    ///
    /// # Panics
    ///
    /// If `values` does not hold `rows · columns` numbers.
    pub fn new(values: &'a [R], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The transpose, without moving a number.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Writes `a · b` to the row-major `out`.
///
/// # Panics
///
/// If the inner dimensions differ, or `out` is not of `a.rows · b.columns` numbers.
pub fn product<R: Real>(a: Matrix<R>, b: Matrix<R>, out: &mut [R]) {
    multiply(a, b, out, false);
}

/// Adds `a · b` to the row-major `out`.
///
/// # Panics
///
/// As [`product`].
pub fn add_product<R: Real>(a: Matrix<R>, b: Matrix<R>, out: &mut [R]) {
    multiply(a, b, out, true);
}

fn multiply<R: Real>(a: Matrix<R>, b: Matrix<R>, out: &mut [R], accumulate: bool) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    if out.is_empty() {
        return;
    }
    if a.columns == 0 {
        if !accumulate {
            out.fill(R::zero());
        }
        return;
    }
    // SAFETY: `Matrix::new` ties strides and sizes to the slices, the asserts tie `out` to both,
    // and `out` is borrowed exclusively, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            accumulate,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            R::one(),
            R::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f64; 6] = [1., 2., 3., 4., 5., 6.];
    const B: [f64; 6] = [7., 8., 9., 10., 11., 12.];

    #[test]
    fn a_product_by_hand() {
        let mut out = [f64::NAN; 4];
        product(Matrix::new(&A, 2, 3), Matrix::new(&B, 3, 2), &mut out);
        assert_eq!(out, [58., 64., 139., 154.]);
    }

    #[test]
    fn transposes_and_sums_by_hand() {
        let mut out = [1.; 9];
        add_product(Matrix::new(&A, 2, 3).transposed(), Matrix::new(&B, 2, 3), &mut out);
        assert_eq!(out, [48., 53., 58., 65., 72., 79., 82., 91., 100.]);
    }

    #[test]
    fn an_empty_inner_dimension_gives_zero() {
        let mut out = [5.; 4];
        add_product(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 2), &mut out);
        assert_eq!(out, [5.; 4]);
        product::<f64>(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 2), &mut out);
        assert_eq!(out, [0.; 4]);
    }
}
