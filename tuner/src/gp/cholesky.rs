//! The lower factor of a covariance matrix: built, extended by rows, solved with.
//!
//! Everything runs on one thread (`Par::Seq`), so that on one kind of processor equal arguments
//! give equal bits. Between kinds, wider vector instructions may round differently.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, Par, Spec};

/// What is added to the diagonal, times its mean, one after the other until the factor exists.
/// With noise at its floor the first succeeds; the others are for near-copies by the hundred.
const JITTERS: [f64; 4] = [0.0, 1e-8, 1e-6, 1e-4];

/// The matrix is not positive definite, however much is added to its diagonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotPositive;

/// Lower triangular `L` with `L Lᵀ = A`, of size `n`. Above the diagonal stands nothing of meaning.
#[derive(Clone, Debug)]
pub(crate) struct Factor(Mat<f64>);

impl Factor {
    /// Factors the matrix whose lower triangle is given.
    pub(crate) fn new(matrix: &Mat<f64>) -> Result<Factor, NotPositive> {
        let n = matrix.nrows();
        let mean_diagonal = (0..n).map(|i| matrix[(i, i)]).sum::<f64>() / n as f64;
        if !mean_diagonal.is_finite() {
            return Err(NotPositive);
        }
        JITTERS.iter().find_map(|jitter| factor(matrix, jitter * mean_diagonal)).ok_or(NotPositive)
    }

    /// The factor whose lower triangle is `packed` row by row: `n (n + 1) / 2` numbers.
    pub(crate) fn unpack(packed: &[f64], n: usize) -> Factor {
        assert_eq!(packed.len(), n * (n + 1) / 2, "a packed triangle has n (n + 1) / 2 numbers");
        Factor(Mat::from_fn(n, n, |i, j| if j <= i { packed[i * (i + 1) / 2 + j] } else { 0.0 }))
    }

    /// The inverse of [`Factor::unpack`].
    pub(crate) fn pack(&self) -> Vec<f64> {
        (0..self.size()).flat_map(|i| (0..=i).map(move |j| self.0[(i, j)])).collect()
    }

    pub(crate) fn size(&self) -> usize {
        self.0.nrows()
    }

    /// `A x`, by way of the factor.
    pub(crate) fn multiply(&self, x: &[f64]) -> Vec<f64> {
        let n = self.size();
        let lower = |i, j| self.0[(i, j)];
        let half: Vec<f64> = (0..n).map(|j| (j..n).map(|i| lower(i, j) * x[i]).sum()).collect();
        (0..n).map(|i| (0..=i).map(|j| lower(i, j) * half[j]).sum()).collect()
    }

    /// Grows the factor of `A` to that of `[[A, C], [Cᵀ, B]]`, where `cross` is `C` (n × k) and
    /// `corner` is `B` (k × k, lower triangle): the new rows are `(L⁻¹ C)ᵀ` and the factor of the
    /// Schur complement `B − Cᵀ A⁻¹ C`. The old rows stay as they are.
    pub(crate) fn extend(
        &mut self,
        mut cross: Mat<f64>,
        mut corner: Mat<f64>,
    ) -> Result<(), NotPositive> {
        let (n, k) = (self.size(), corner.nrows());
        assert_eq!((cross.nrows(), cross.ncols()), (n, k), "cross covariances are n by k");
        self.half_solve(cross.as_mut());
        faer::linalg::matmul::matmul(
            corner.as_mut(),
            faer::Accum::Add,
            cross.as_ref().transpose(),
            cross.as_ref(),
            -1.0,
            Par::Seq,
        );
        let corner = Factor::new(&corner)?.0;
        self.0.resize_with(n + k, n + k, |i, j| match (i < n, j < n) {
            (false, true) => cross[(j, i - n)],
            (false, false) => corner[(i - n, j - n)],
            (true, _) => 0.0,
        });
        Ok(())
    }

    /// `rhs ← L⁻¹ rhs`.
    pub(crate) fn half_solve(&self, rhs: MatMut<'_, f64>) {
        solve_lower_triangular_in_place(self.0.as_ref(), rhs, Par::Seq);
    }

    /// `A⁻¹ rhs`.
    pub(crate) fn solve(&self, rhs: &[f64]) -> Vec<f64> {
        let mut solution = Mat::from_fn(rhs.len(), 1, |i, _| rhs[i]);
        self.half_solve(solution.as_mut());
        solve_upper_triangular_in_place(self.0.as_ref().transpose(), solution.as_mut(), Par::Seq);
        solution.col_as_slice(0).to_vec()
    }

    /// The lower triangle of `A⁻¹`.
    pub(crate) fn inverse(&self) -> Mat<f64> {
        let n = self.size();
        let mut inverse = Mat::zeros(n, n);
        let mut memory = MemBuffer::new(llt::inverse::inverse_scratch::<f64>(n, Par::Seq));
        llt::inverse::inverse(
            inverse.as_mut(),
            self.0.as_ref(),
            Par::Seq,
            MemStack::new(&mut memory),
        );
        inverse
    }

    /// `½ log det A`.
    pub(crate) fn half_log_determinant(&self) -> f64 {
        (0..self.size()).map(|i| self.0[(i, i)].ln()).sum()
    }
}

fn factor(matrix: &Mat<f64>, jitter: f64) -> Option<Factor> {
    let n = matrix.nrows();
    let mut lower = Mat::from_fn(n, n, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => matrix[(i, i)] + jitter,
        std::cmp::Ordering::Greater => matrix[(i, j)],
    });
    let parameters = Spec::default();
    let scratch = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, parameters);
    let mut memory = MemBuffer::new(scratch);
    llt::factor::cholesky_in_place(
        lower.as_mut(),
        Default::default(),
        Par::Seq,
        MemStack::new(&mut memory),
        parameters,
    )
    .ok()?;
    // A NaN passes the factorisation's own test of its pivots.
    (0..n).all(|i| lower[(i, i)] > 0.0).then_some(Factor(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A well conditioned positive definite matrix with nothing special about it.
    fn matrix(n: usize) -> Mat<f64> {
        Mat::from_fn(n, n, |i, j| {
            let distance = (i as f64).sqrt() - (j as f64).sqrt();
            (-distance * distance).exp() + if i == j { 0.1 } else { 0.0 }
        })
    }

    #[test]
    fn an_extended_factor_is_the_factor_of_the_larger_matrix() {
        let (n, k) = (37, 5);
        let all = matrix(n + k);
        let fresh = Factor::new(&all).unwrap();
        let mut grown = Factor::new(&matrix(n)).unwrap();
        let cross = Mat::from_fn(n, k, |i, j| all[(i, n + j)]);
        let corner = Mat::from_fn(k, k, |i, j| all[(n + i, n + j)]);
        grown.extend(cross, corner).unwrap();
        for (a, b) in grown.pack().iter().zip(fresh.pack()) {
            assert!((a - b).abs() < 1e-13, "{a} is not {b}");
        }
    }

    #[test]
    fn a_factor_times_its_transpose_is_the_matrix_and_its_inverse_undoes_it() {
        let n = 23;
        let matrix = matrix(n);
        let factor = Factor::new(&matrix).unwrap();
        let rhs: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let solution = factor.solve(&rhs);
        let inverse = factor.inverse();
        for i in 0..n {
            let back: f64 = (0..n).map(|j| matrix[(i, j)] * solution[j]).sum();
            assert!((back - rhs[i]).abs() < 1e-12);
            let entry = |a: usize, b: usize| inverse[(a.max(b), a.min(b))];
            let by_inverse: f64 = (0..n).map(|j| entry(i, j) * rhs[j]).sum();
            assert!((by_inverse - solution[i]).abs() < 1e-12);
        }
    }

    #[test]
    fn packing_is_exact() {
        let factor = Factor::new(&matrix(9)).unwrap();
        assert_eq!(Factor::unpack(&factor.pack(), 9).pack(), factor.pack());
    }

    #[test]
    fn copies_of_one_point_are_factored_and_an_indefinite_matrix_is_refused() {
        let ones = Mat::from_fn(6, 6, |_, _| 1.0);
        assert!(Factor::new(&ones).is_ok());
        let indefinite = Mat::from_fn(3, 3, |i, j| if i == j { 1.0 } else { 5.0 });
        assert_eq!(Factor::new(&indefinite).err(), Some(NotPositive));
        let nothing = Mat::from_fn(2, 2, |_, _| f64::NAN);
        assert_eq!(Factor::new(&nothing).err(), Some(NotPositive));
    }
}
