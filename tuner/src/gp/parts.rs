//! A posterior taken apart for storage, and put together again.

use serde::{Deserialize, Serialize};

use super::cholesky::Factor;
use super::kernel::{Columns, Distances, HyperParameters};
use super::metric::Metric;
use super::standardise::{Standard, Tail, standardise};
use super::{FitError, Posterior, seen, training};
use crate::history::Observation;
use crate::space::{Space, UnitPoint};

/// How far a stored factor may be from the covariance's, as a share of the first variance: rounding, on another
/// machine.
const COLUMN_ERROR: f64 = 1e-9;

/// Everything of a [`Posterior`] that does not follow from the study's results without a fit.
///
/// With `n` points in the factor and `d` parameters. Plain numbers, so that any storage will do;
/// the way out and back is exact to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// ℓ, `(d)`: unit-cube units; for a category, the scale of "differs".
    pub length_scales: Vec<f64>,
    /// Standardised units squared.
    pub signal_variance: f64,
    /// Standardised units squared.
    pub noise_variance: f64,
    /// Mean of the standardisation, objective units.
    pub offset: f64,
    /// Deviation of the standardisation, objective units; positive.
    pub scale: f64,
    /// Lower Cholesky factor of the covariance, row by row: `n (n + 1) / 2` numbers.
    pub factor: Vec<f64>,
    /// Covariance⁻¹ × standardised results, `(n)`.
    pub alpha: Vec<f64>,
    /// Log posterior density of the hyper-parameters, up to the evidence.
    pub log_posterior: f64,
    /// How many of the study's results went in: the first so many, in the order of recording.
    pub observations: u32,
    /// How many of the study's failed points went in, likewise.
    pub failures: u32,
    /// Seed of the fit; it decides which points are kept when there are too many.
    pub seed: u64,
}

/// Why stored parts are no posterior of this study.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message beside each variant says what it means")]
pub enum PartsError {
    /// The study has fewer results or failures than the parts were made from.
    #[error("the stored posterior knows {stored} {what} but the study has {present}; fit it again")]
    AheadOfStudy { what: &'static str, stored: u32, present: usize },
    /// A list of the wrong length.
    #[error("the stored posterior has {found} {what}, not {expected}; fit it again")]
    Length { what: &'static str, found: usize, expected: usize },
    /// A number that no fit produces.
    #[error("the stored posterior has an impossible {what}; fit it again")]
    Impossible { what: &'static str },
    /// The results themselves cannot be used.
    #[error(transparent)]
    Results(#[from] FitError),
}

impl Posterior {
    /// The posterior as plain numbers.
    pub fn parts(&self) -> Parts {
        Parts {
            length_scales: self.hyper.length_scales.clone(),
            signal_variance: self.hyper.signal_variance,
            noise_variance: self.hyper.noise_variance,
            offset: self.standard.offset,
            scale: self.standard.scale,
            factor: self.factor.pack(),
            alpha: self.alpha.clone(),
            log_posterior: self.log_posterior,
            observations: self.observations,
            failures: self.failures,
            seed: self.seed,
        }
    }

    /// The posterior that [`Posterior::parts`] took apart.
    ///
    /// `observed` and `failed` are the study's, in the order of recording, and may have grown
    /// since: only the first [`Parts::observations`] and [`Parts::failures`] are used.
    pub fn from_parts(
        space: &Space,
        observed: &[Observation],
        failed: &[UnitPoint],
        parts: Parts,
    ) -> Result<Posterior, PartsError> {
        let observed = prefix("results", observed, parts.observations)?;
        let failed = prefix("failures", failed, parts.failures)?;
        let training = training(space, observed, failed, parts.seed)?;
        let (n, d) = (training.points.len(), space.parameters().len());
        let lengths = [
            ("length scales", parts.length_scales.len(), d),
            ("factor entries", parts.factor.len(), n * (n + 1) / 2),
            ("weights", parts.alpha.len(), n),
        ];
        for (what, found, expected) in lengths {
            if found != expected {
                return Err(PartsError::Length { what, found, expected });
            }
        }
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        let diagonal = (0..n).map(|i| &parts.factor[i * (i + 3) / 2]);
        let checks = [
            ("length scale", parts.length_scales.iter().all(positive)),
            ("signal variance", positive(&parts.signal_variance)),
            ("noise variance", positive(&parts.noise_variance)),
            ("scale", positive(&parts.scale)),
            ("offset", parts.offset.is_finite()),
            ("factor", parts.factor.iter().all(|v| v.is_finite()) && { diagonal }.all(positive)),
            ("weight", parts.alpha.iter().all(|v| v.is_finite())),
        ];
        if let Some((what, _)) = checks.iter().find(|(_, possible)| !possible) {
            return Err(PartsError::Impossible { what });
        }
        let factor = Factor::unpack(&parts.factor, n);
        let metric = Metric::of(space);
        let points = Columns::of(&training.points, d);
        let hyper = HyperParameters {
            length_scales: parts.length_scales,
            signal_variance: parts.signal_variance,
            noise_variance: parts.noise_variance,
        };
        if !is_of(&parts.factor, &metric, &points, &hyper) {
            return Err(PartsError::Impossible { what: "factor" });
        }
        // Not stored, because they follow from the results without a fit. Only posteriors of a value are
        // stored, and of those the bad tail is pulled in.
        let targets = standardise(&training.values, Tail::Raised).0;
        let sought = factor.solve(&seen(&metric, &targets, Tail::Raised));
        Ok(Posterior {
            metric,
            points,
            observed_rows: training.observed_rows,
            failed_rows: n - training.observed_rows,
            hyper,
            standard: Standard { offset: parts.offset, scale: parts.scale },
            factor,
            alpha: parts.alpha,
            sought,
            log_posterior: parts.log_posterior,
            observations: parts.observations,
            failures: parts.failures,
            seed: parts.seed,
        })
    }
}

/// Whether the packed factor's first column is that of the covariance below the diagonal, to which a factor may
/// have had to add: another version of the tuner may have stored it, by another kernel.
fn is_of(factor: &[f64], metric: &Metric, points: &Columns, hyper: &HyperParameters) -> bool {
    let mut distances = Distances::default();
    distances.measure(metric, &hyper.weights(), points, points.len(), &points.point(0));
    distances.covariances(hyper).enumerate().skip(1).all(|(row, covariance)| {
        let stored = factor[0] * factor[row * (row + 1) / 2];
        (stored - covariance).abs() <= COLUMN_ERROR * factor[0].powi(2)
    })
}

fn prefix<'a, T>(what: &'static str, all: &'a [T], count: u32) -> Result<&'a [T], PartsError> {
    all.get(..count as usize).ok_or(PartsError::AheadOfStudy {
        what,
        stored: count,
        present: all.len(),
    })
}
