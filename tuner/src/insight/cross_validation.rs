//! Whether the surrogate predicts results that its fit has not seen.
//!
//! Leaving one out keeps the hyper-parameters of the full fit, which have seen the result; here every
//! fold is fitted from nothing. The folding is `linfa`'s; the folds are drawn at random, because the
//! order of recording is that of a search, and its last fifth lies elsewhere than its first.

use linfa::dataset::{AsSingleTargets, Dataset};
use linfa::traits::{Fit, Predict};
use linfa::{DatasetBase, ParamGuard};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::RESULTS_MIN;
use super::calibration::CalibrationError;
use crate::gp::Posterior;
use crate::gp::estimator::{Gp, GpError, GpParams, GpValidParams};
use crate::space::Space;
use crate::stream::{Purpose, Stream};

/// Parts that the results are cut into (R. Kohavi, "A study of cross-validation and bootstrap",
/// IJCAI 1995, finds five to ten to be enough; each costs a fit).
pub const FOLDS: usize = 5;

/// How well results are predicted that were not learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossValidation {
    /// Parts, each predicted from the others.
    pub folds: usize,
    /// Results that were predicted; up to `folds − 1` are only learned from.
    pub predicted: usize,
    /// Share of the squared error of the constant that the surrogate is spared: 1 if all is
    /// predicted, 0 or below if it is no better than the mean of the results it was fitted to.
    pub r2: f64,
    /// Root mean square of the errors, objective units.
    pub rmse: f64,
    /// The same of the mean of the results that were learned from.
    pub rmse_constant: f64,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum CrossValidationError {
    /// The results do not suffice.
    #[error(transparent)]
    Results(#[from] CalibrationError),
    /// A fold cannot be fitted.
    #[error(transparent)]
    Fit(#[from] GpError),
}

/// Cross-validates the surrogate on the results of a posterior, as it learned them; points that
/// failed are left out. Costs [`FOLDS`] fits of four fifths of the results.
///
/// # Errors
///
/// [`CrossValidationError`]: too few results, all equal, or a fold that cannot be fitted.
pub fn cross_validation(
    space: &Space,
    posterior: &Posterior,
    seed: u64,
) -> Result<CrossValidation, CrossValidationError> {
    let (points, values) = posterior.learned();
    let results = values.len();
    if results < RESULTS_MIN as usize {
        return Err(CalibrationError::TooFew { results }.into());
    }
    if values.iter().all(|value| *value == values[0]) {
        return Err(CalibrationError::Equal { results }.into());
    }
    let mut stream = Stream::new(seed, results as u64, Purpose::Folds);
    let order = stream.choose(results, results);
    let dimensions = space.parameters().len();
    let records = Array2::from_shape_fn((results, dimensions), |(row, k)| points[order[row]].0[k]);
    let targets = Array1::from_shape_fn(results, |row| values[order[row]]);
    let params = GpParams::new().seed(posterior.seed()).space(space).check()?;

    let mut data = Dataset::new(records, targets);
    let (mut errors, mut constant_errors, mut predicted) = (0.0, 0.0, 0);
    for (fitted, held_out) in data.iter_fold(FOLDS, |learned| fold(&params, learned)) {
        let (gp, mean) = fitted?;
        let found: Array1<f64> = gp.predict(&held_out.records);
        let truth: ArrayView1<f64> = held_out.targets.as_single_targets();
        for (found, truth) in found.iter().zip(truth.iter()) {
            errors += (found - truth) * (found - truth);
            constant_errors += (mean - truth) * (mean - truth);
        }
        predicted += held_out.records.len_of(Axis(0));
    }
    let rmse = |squares: f64| posterior.difference_in_units((squares / predicted as f64).sqrt());
    // Results that differ only among those that were never held out leave nothing to predict.
    let r2 = if constant_errors > 0.0 { 1.0 - errors / constant_errors } else { 0.0 };
    Ok(CrossValidation {
        folds: FOLDS,
        predicted,
        r2,
        rmse: rmse(errors),
        rmse_constant: rmse(constant_errors),
    })
}

/// The surrogate and the constant, of the same results.
fn fold(
    params: &GpValidParams,
    learned: &DatasetBase<ArrayView2<f64>, ArrayView1<f64>>,
) -> Result<(Gp, f64), GpError> {
    let mean = learned.targets.as_single_targets().mean().unwrap_or(0.0);
    Ok((params.fit(learned)?, mean))
}
