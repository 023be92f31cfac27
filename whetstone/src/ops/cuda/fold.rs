//! Sums over rows, in an order that depends on sizes alone.

use super::machine::{Buffer, In, Kernel, Machine, Out, count};
use candle_core::Result;

/// Rows that one thread adds up.
const EACH: usize = 64;

/// Threads that a reduction is spread over, about: enough to keep a GPU's memory busy.
const THREADS: usize = 1 << 16;

/// Rows that a thread adds up at least, so that few rows are not scattered over many sums.
const ROWS_MIN: usize = 16;

/// Into how many interleaved parts a reduction over `rows` of so many columns is cut.
pub(super) fn chunks(rows: usize, columns: usize) -> usize {
    (THREADS / columns.max(1)).min(rows.div_ceil(ROWS_MIN)).max(1)
}

#[repr(C)]
struct Fold<'a> {
    input: In<'a, f64>,
    output: Out<'a, f64>,
    rows: u32,
    columns: u32,
    each: u32,
    groups: u32,
}

// SAFETY: `fold` checks the lengths of what it launches this with.
unsafe impl Kernel for Fold<'_> {
    const NAME: &'static str = "fold";

    fn threads(&self) -> u32 {
        self.groups * self.columns
    }
}

/// Adds up the rows of a matrix, `(rows, columns)`, to one row.
///
/// # Errors
///
/// If the machine fails.
///
/// # Panics
///
/// If the matrix is empty or not a whole number of rows.
pub fn fold<M: Machine>(
    machine: &M,
    matrix: Buffer<M, f64>,
    columns: usize,
) -> Result<Buffer<M, f64>> {
    let mut matrix = matrix;
    let mut rows = matrix.read().len() / columns;
    assert!(rows > 0 && rows * columns == matrix.read().len());
    while rows > 1 {
        let groups = rows.div_ceil(EACH);
        let mut sums = Buffer::blank(machine, groups * columns)?;
        machine.launch(Fold {
            input: matrix.read(),
            output: sums.write(),
            rows: count(rows)?,
            columns: count(columns)?,
            each: count(EACH)?,
            groups: count(groups * columns).and(count(groups))?,
        })?;
        (matrix, rows) = (sums, groups);
    }
    Ok(matrix)
}

#[repr(C)]
struct Squares<'a> {
    x: In<'a, f32>,
    sums: Out<'a, f64>,
    count: u32,
    chunks: u32,
}

// SAFETY: made in `squares` alone, with as many sums as chunks.
unsafe impl Kernel for Squares<'_> {
    const NAME: &'static str = "squares";

    fn threads(&self) -> u32 {
        self.chunks
    }
}

/// The Euclidean length of each of some vectors, summed in `f64`. All are queued before the first is waited for.
///
/// # Errors
///
/// If the machine fails, or there are too many numbers for it.
pub fn lengths<M: Machine>(machine: &M, vectors: &[In<f32>]) -> Result<Vec<f64>> {
    let squares: Vec<_> = vectors.iter().map(|x| squares(machine, *x)).collect::<Result<_>>()?;
    let length = |squares: Option<Buffer<M, f64>>| match squares {
        Some(squares) => Ok(squares.to_vec(machine)?[0].sqrt()),
        None => Ok(0.0),
    };
    squares.into_iter().map(length).collect()
}

/// The sum of all numbers' squares; nothing of none.
fn squares<M: Machine>(machine: &M, x: In<f32>) -> Result<Option<Buffer<M, f64>>> {
    if x.len() == 0 {
        return Ok(None);
    }
    let chunks = chunks(x.len(), 1);
    let mut sums = Buffer::blank(machine, chunks)?;
    machine.launch(Squares {
        x,
        sums: sums.write(),
        count: count(x.len())?,
        chunks: count(chunks)?,
    })?;
    fold(machine, sums, 1).map(Some)
}
