//! The one loop in which nearly all the time goes: a small block of a product, held in registers.
//!
//! ```text
//! C[i, j] (+)= Σ_runs Σ_t A[i, t] · B[t, j]      i < rows, j < two registers
//! ```
//!
//! A run is a stretch of `t` that is regular in memory. Convolutions need several: one a kernel row
//! forward, one an image row for the gradient by the weights. `A` is read number by number and
//! spread over a register, so it may lie in any regular way and is never copied; `B` is read two
//! registers at a time.

use pulp::{Simd, WithSimd};

use crate::level::Level;
use crate::number::Number;

/// Registers that a row of a tile is wide.
const WIDTH: usize = 2;

/// The most rows of a tile at any level.
pub const ROWS_MAX: usize = 14;

/// How large a tile is at a level: what fits the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The most rows.
    pub rows: usize,
    /// Columns, always.
    pub columns: usize,
}

impl Shape {
    /// The shape at a level: with two registers for `B` and one for `A`, 14 × 2 of 32 registers, or
    /// 6 × 2 of 16.
    pub fn at<N: Number>(level: Level) -> Shape {
        let bytes = match level {
            Level::Portable => 16,
            Level::Avx2 => 32,
            Level::Avx512 => 64,
        };
        let rows = if level == Level::Avx512 { ROWS_MAX } else { 6 };
        Shape { rows, columns: WIDTH * bytes / size_of::<N>() }
    }
}

/// A stretch of the inner dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where its first number of row 0 lies in `A`.
    pub a: usize,
    /// Where its first row lies in `B`.
    pub b: usize,
    /// How long it is; at least 1.
    pub len: usize,
}

/// The inner dimension of a tile, with how far its runs reach.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    list: Vec<Run>,
    steps: [usize; 2],
    /// One past the last number of row 0 that any run reads in `A`.
    a_end: usize,
    /// One past the first number of the last row that any run reads in `B`.
    b_end: usize,
}

impl Runs {
    /// No run yet. From one `t` to the next lie `a_step` numbers in `A` and `b_step` in `B`.
    pub fn new(a_step: usize, b_step: usize) -> Runs {
        Runs { list: Vec::new(), steps: [a_step, b_step], a_end: 0, b_end: 0 }
    }

    /// Adds a run, to the end of the last one if it follows on there.
    ///
    /// # Panics
    ///
    /// If it is empty.
    pub fn push(&mut self, run: Run) {
        assert_ne!(run.len, 0);
        self.a_end = self.a_end.max(run.a + (run.len - 1) * self.steps[0] + 1);
        self.b_end = self.b_end.max(run.b + (run.len - 1) * self.steps[1] + 1);
        match self.list.last_mut() {
            Some(last)
                if last.a + last.len * self.steps[0] == run.a
                    && last.b + last.len * self.steps[1] == run.b =>
            {
                last.len += run.len;
            }
            _ => self.list.push(run),
        }
    }

    /// Whether there is nothing to add up.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Both factors of a tile.
#[derive(Clone, Copy, Debug)]
pub struct Factors<'a, N> {
    /// Holds `A[i, t]` at `i · a_row + run.a + t · a_step`.
    pub a: &'a [N],
    /// From one row of `A` to the next.
    pub a_row: usize,
    /// Holds `B[t, ..]` at `run.b + t · b_step`.
    pub b: &'a [N],
}

/// What the sums begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing: what lay in `C` is overwritten.
    Zero,
    /// What lies in `C`.
    Sum,
}

/// Computes a tile: `C`, whose row `i` begins at `c[i · c_row]`, `rows` × `columns`.
///
/// `columns` may be fewer than the level's; `B` must still hold all of them, and those beyond
/// `columns` do not count.
///
/// # Panics
///
/// If a slice is too short for what the runs, rows and columns reach, or the tile is larger than
/// the level's [`Shape`] or empty.
#[inline]
#[expect(
    clippy::too_many_arguments,
    reason = "the innermost call; a struct would only rename them"
)]
pub fn tile<N: Number>(
    level: Level,
    rows: usize,
    columns: usize,
    factors: Factors<N>,
    runs: &Runs,
    c: &mut [N],
    c_row: usize,
    start: Start,
) {
    let shape = Shape::at::<N>(level);
    assert!((1..=shape.rows).contains(&rows) && (1..=shape.columns).contains(&columns));
    assert!(runs.is_empty() || runs.a_end + (rows - 1) * factors.a_row <= factors.a.len());
    assert!(runs.is_empty() || runs.b_end + shape.columns - 1 <= factors.b.len());
    assert!((rows - 1) * c_row + columns <= c.len());
    if columns == shape.columns {
        dispatch(level, rows, factors, runs, c, c_row, start);
        return;
    }
    // A narrow tile is computed at full width beside its place.
    let mut wide = [N::ZERO; ROWS_MAX * 32];
    let wide = &mut wide[..rows * shape.columns];
    if start == Start::Sum {
        for (wide, c) in wide.chunks_mut(shape.columns).zip(c.chunks(c_row)) {
            wide[..columns].copy_from_slice(&c[..columns]);
        }
    }
    dispatch(level, rows, factors, runs, wide, shape.columns, start);
    for (wide, c) in wide.chunks(shape.columns).zip(c.chunks_mut(c_row)) {
        c[..columns].copy_from_slice(&wide[..columns]);
    }
}

fn dispatch<N: Number>(
    level: Level,
    rows: usize,
    factors: Factors<N>,
    runs: &Runs,
    c: &mut [N],
    c_row: usize,
    start: Start,
) {
    /// One function a number of rows, since rows are registers.
    macro_rules! by_rows {
        ($($rows:literal)*) => {
            match rows {
                $($rows => level.run(Tile::<N, $rows> { factors, runs, c, c_row, start }),)*
                _ => unreachable!("the caller has checked the rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
}

/// One call of the loop, with the rows as a constant.
struct Tile<'a, N, const ROWS: usize> {
    factors: Factors<'a, N>,
    runs: &'a Runs,
    c: &'a mut [N],
    c_row: usize,
    start: Start,
}

impl<N: Number, const ROWS: usize> WithSimd for Tile<'_, N, ROWS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Factors { a_row, .. } = self.factors;
        // A constant row or step lets the addresses be displacements of one pointer.
        match (a_row, self.runs.steps[0]) {
            (1, step) => self.compute(simd, 1, step),
            (row, 1) => self.compute(simd, row, 1),
            (row, step) => self.compute(simd, row, step),
        }
    }
}

impl<N: Number, const ROWS: usize> Tile<'_, N, ROWS> {
    #[inline(always)]
    fn compute<S: Simd>(self, simd: S, a_row: usize, a_step: usize) {
        let Self { factors, runs, c, c_row, start } = self;
        let lanes = N::lanes::<S>();
        let b_step = runs.steps[1];
        let (a, b) = (factors.a.as_ptr(), factors.b.as_ptr());
        let mut sums = [[N::splat(simd, N::ZERO); WIDTH]; ROWS];
        // SAFETY: `tile` has checked that `a`, `b` and `c` hold what the rows, the runs and the
        // full width reach; vectors are plain numbers side by side, read and written unaligned.
        unsafe {
            if start == Start::Sum {
                for (i, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        let c = c.as_ptr().add(i * c_row + v * lanes);
                        *sum = c.cast::<N::Vector<S>>().read_unaligned();
                    }
                }
            }
            for run in &runs.list {
                let (mut a, mut b) = (a.add(run.a), b.add(run.b));
                for _ in 0..run.len {
                    let row: [N::Vector<S>; WIDTH] = std::array::from_fn(|v| {
                        b.add(v * lanes).cast::<N::Vector<S>>().read_unaligned()
                    });
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let x = N::splat(simd, *a.add(i * a_row));
                        for (sum, b) in sums.iter_mut().zip(row) {
                            *sum = N::multiply_add(simd, x, b, *sum);
                        }
                    }
                    // Wrapping, since after the last step they point beyond what was checked.
                    (a, b) = (a.wrapping_add(a_step), b.wrapping_add(b_step));
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let c = c.as_mut_ptr().add(i * c_row + v * lanes);
                    c.cast::<N::Vector<S>>().write_unaligned(*sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers: sums are exact, whatever their order.
    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7 + seed * 13) % 11) as f32 - 5.0).collect()
    }

    #[test]
    fn every_size_at_every_level_is_the_plain_sum() {
        let (a, b) = (numbers(400, 1), numbers(2000, 2));
        for level in Level::available() {
            let shape = Shape::at::<f32>(level);
            for rows in 1..=shape.rows {
                for columns in [1, shape.columns - 1, shape.columns] {
                    for (a_row, a_step) in [(1, 20), (9, 1), (2, 3)] {
                        let mut runs = Runs::new(a_step, 40);
                        runs.push(Run { a: 3, b: 5, len: 4 });
                        runs.push(Run { a: 0, b: 160, len: 1 });
                        let mut c = numbers(rows * 37, 3);
                        let mut plain = c.clone();
                        for i in 0..rows {
                            for j in 0..columns {
                                for run in &runs.list {
                                    for t in 0..run.len {
                                        plain[i * 37 + j] += a[run.a + i * a_row + t * a_step]
                                            * b[run.b + t * 40 + j];
                                    }
                                }
                            }
                        }
                        let factors = Factors { a: &a, a_row, b: &b };
                        tile(level, rows, columns, factors, &runs, &mut c, 37, Start::Sum);
                        assert_eq!(c, plain, "{level:?} {rows}×{columns}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_fresh_tile_forgets_what_lay_there() {
        let mut c = [7.0f64; 3];
        let runs = Runs::new(1, 1);
        let factors = Factors { a: &[], a_row: 0, b: &[] };
        tile(Level::Portable, 1, 2, factors, &runs, &mut c, 3, Start::Zero);
        assert_eq!(c, [0.0, 0.0, 7.0]);
    }

    #[test]
    #[should_panic(expected = "a_end")]
    fn a_run_beyond_the_factor_is_refused() {
        let mut runs = Runs::new(1, 8);
        runs.push(Run { a: 0, b: 0, len: 3 });
        let factors = Factors { a: &[1.0f32, 2.0], a_row: 0, b: &[0.0; 64] };
        tile(Level::Portable, 1, 1, factors, &runs, &mut [0.0], 1, Start::Zero);
    }
}
