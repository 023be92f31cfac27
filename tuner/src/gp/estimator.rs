//! The process as a `linfa` estimator, so that the usual tools judge it: cross-validation, `r2`.
//!
//! ```
//! use linfa::prelude::*;
//! use ndarray::{Array1, Array2};
//! use tuner::GpParams;
//!
//! let x = Array2::from_shape_fn((12, 1), |(i, _)| i as f64 / 11.0);
//! let y: Array1<f64> = x.column(0).mapv(|x| (3.0 * x).sin());
//! let gp = GpParams::new().seed(7).fit(&Dataset::new(x.clone(), y.clone()))?;
//! assert!(gp.predict(&x).r2(&y)? > 0.99);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use linfa::dataset::{AsSingleTargets, DatasetBase};
use linfa::traits::{Fit, PredictInplace};
use linfa::{Float, ParamGuard};
use ndarray::{Array1, ArrayBase, Data, Ix2};

use super::metric::Metric;
use super::standardise::Tail;
use super::training::gather;
use super::{FitError, Posterior};
use crate::space::{Space, UnitPoint};

/// Why an estimator could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum GpError {
    /// A category that is not a column of the records.
    #[error("column {column} is marked as a category, but the records have {columns} columns")]
    NoSuchColumn {
        /// The column, from 0.
        column: usize,
        /// How many there are.
        columns: usize,
    },
    /// The same column marked twice.
    #[error("column {column} is marked as a category twice; mark it once")]
    MarkedTwice {
        /// The column, from 0.
        column: usize,
    },
    /// The process itself cannot be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// What `linfa` finds wrong with a data set.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

/// Settings of the estimator, not yet checked. Records should lie in [0, 1] in every column, as
/// the priors on the length scales assume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpParams(GpValidParams);

/// Settings of the estimator, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpValidParams {
    seed: u64,
    categories: Vec<usize>,
    space: Option<Metric>,
}

impl GpParams {
    /// Numbers in every column, seed 0.
    pub fn new() -> GpParams {
        GpParams::default()
    }

    /// Seed of the fit; see [`Posterior::fit`].
    pub fn seed(mut self, seed: u64) -> GpParams {
        self.0.seed = seed;
        self
    }

    /// Columns, from 0, whose values have no order.
    pub fn categories(mut self, columns: Vec<usize>) -> GpParams {
        self.0.categories = columns;
        self
    }

    /// Columns that are the parameters of a space, as a search of it sees them; in place of
    /// [`GpParams::categories`].
    pub fn space(mut self, space: &Space) -> GpParams {
        self.0.space = Some(Metric::of(space));
        self
    }
}

impl ParamGuard for GpParams {
    type Checked = GpValidParams;
    type Error = GpError;

    fn check_ref(&self) -> Result<&GpValidParams, GpError> {
        let mut sorted = self.0.categories.clone();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(GpError::MarkedTwice { column: pair[0] }),
            None => Ok(&self.0),
        }
    }

    fn check(self) -> Result<GpValidParams, GpError> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// A fitted estimator: predicts the posterior mean.
#[derive(Clone, Debug)]
pub struct Gp(Posterior);

impl Gp {
    /// Deviation of the mean at each of the rows, in the units of the targets.
    pub fn deviation<F: Float, D: Data<Elem = F>>(&self, x: &ArrayBase<D, Ix2>) -> Array1<f64> {
        Array1::from(self.0.predict(&rows(x)).deviation)
    }
}

impl<F, D, T> Fit<ArrayBase<D, Ix2>, T, GpError> for GpValidParams
where
    F: Float,
    D: Data<Elem = F>,
    T: AsSingleTargets<Elem = F>,
{
    type Object = Gp;

    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<Gp, GpError> {
        let columns = dataset.records.ncols();
        let metric = self.metric(columns)?;
        let targets = dataset.targets.as_single_targets();
        let values: Vec<f64> = targets.iter().map(|value| to_f64(*value)).collect();
        let count = values.len() as u32;
        let training = gather(rows(&dataset.records), values, self.seed)?;
        let counts = (count, 0);
        let seed = self.seed;
        Ok(Gp(Posterior::of(metric, training, None, counts, Tail::Raised, seed)?))
    }
}

impl GpValidParams {
    /// What so many columns are.
    fn metric(&self, columns: usize) -> Result<Metric, GpError> {
        if let Some(metric) = &self.space {
            let expected = metric.dimensions();
            return match expected == columns {
                true => Ok(metric.clone()),
                false => Err(FitError::Dimensions { expected, found: columns }.into()),
            };
        }
        let mut categories = vec![false; columns];
        for &column in &self.categories {
            *categories.get_mut(column).ok_or(GpError::NoSuchColumn { column, columns })? = true;
        }
        Ok(Metric::of_columns(categories))
    }
}

impl<F: Float, D: Data<Elem = F>> PredictInplace<ArrayBase<D, Ix2>, Array1<F>> for Gp {
    fn predict_inplace<'a>(&'a self, x: &'a ArrayBase<D, Ix2>, y: &mut Array1<F>) {
        assert_eq!(x.nrows(), y.len(), "one target for each record");
        for (out, mean) in y.iter_mut().zip(self.0.predict(&rows(x)).mean) {
            *out = F::cast(mean);
        }
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<F> {
        Array1::zeros(x.nrows())
    }
}

fn rows<F: Float, D: Data<Elem = F>>(x: &ArrayBase<D, Ix2>) -> Vec<UnitPoint> {
    x.rows().into_iter().map(|row| UnitPoint(row.iter().map(|v| to_f64(*v)).collect())).collect()
}

fn to_f64<F: Float>(value: F) -> f64 {
    value.to_f64().expect("f32 and f64 have a double each")
}
