//! The surrogate: a Gaussian process over the unit cube, conditioned on the study's results.
//!
//! Life: results → [`Posterior::fit`] → [`Posterior`], which predicts; [`Posterior::parts`] and
//! [`Posterior::from_parts`] carry it through storage without a fit, bit for bit. There is no
//! state in between: a posterior is a function of (space, results, failures, seed), so whoever
//! has the study's record can compute it again.

mod average;
mod bend;
mod cholesky;
mod effect;
pub(crate) mod estimator;
mod fit;
mod kernel;
mod kind;
mod learned;
mod metric;
mod minimise;
mod parts;
mod path;
mod prior;
mod standardise;
pub(crate) mod training;

use faer::Mat;

use crate::history::Observation;
use crate::space::{Space, UnitPoint};
use crate::stream::{Purpose, Stream};
use cholesky::Factor;
use kernel::{Columns, Distances, HyperParameters};
pub(crate) use kind::Kind;
use metric::Metric;
pub use parts::{Parts, PartsError};
use standardise::{Standard, Tail, standardise};
pub use training::RESULTS_MAX;
pub(crate) use training::learned_from;
use training::{Training, training};

/// Smallest variance that is predicted, in standardised units squared: what rounding leaves of it
/// at a point that is known.
const VARIANCE_FLOOR: f64 = 1e-10;
/// Candidates predicted at once: their covariances with 1,500 results then fill 6 MB.
const BATCH: usize = 512;

/// Why no process could be fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message beside each variant says what it means")]
pub enum FitError {
    /// Failures alone say nothing about the objective.
    #[error("there is no result to learn from; measure at least one point first")]
    NothingObserved,
    /// A point of another space.
    #[error("a point has {found} numbers where the space has {expected} parameters")]
    Dimensions { expected: usize, found: usize },
    /// A result that is infinite or not a number.
    #[error("result {number} is {value}; record it as failed instead")]
    NotFinite { number: usize, value: String },
    /// The covariance is not positive definite even with a generous diagonal; the results would
    /// have to be astronomically many at one place.
    #[error("the covariance of {points} results cannot be factored; spread the points out")]
    Singular { points: usize },
}

/// Means and deviations at `m` points, both of length `m`, in the objective's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Expected value of the objective, without noise.
    pub mean: Vec<f64>,
    /// Standard deviation of that expectation; the noise of a measurement is not in it.
    pub deviation: Vec<f64>,
}

/// What the results say about the whole space.
///
/// Hyper-parameters are learned from the results as a search sees them, `−(max z − z + 0.1)^1.5` of the
/// standardised results `z` (`z` itself where all parameters are numbers), and a second set of weights believes
/// in these. Everything that is told, predictions among it, is of the results as they are.
#[derive(Clone, Debug)]
pub struct Posterior {
    metric: Metric,
    /// First those that were measured, then those that failed, then those that are believed.
    points: Columns,
    observed_rows: usize,
    failed_rows: usize,
    hyper: HyperParameters,
    standard: Standard,
    factor: Factor,
    /// Covariance⁻¹ × standardised results.
    alpha: Vec<f64>,
    /// Covariance⁻¹ × the same results as the search sees them: [bent](bend).
    sought: Vec<f64>,
    log_posterior: f64,
    observations: u32,
    failures: u32,
    seed: u64,
}

impl Posterior {
    /// Learns the hyper-parameters by maximum a posteriori, and conditions on everything observed.
    ///
    /// `failed` points count at the worst observed value. A function of its arguments alone:
    /// nothing is carried over from earlier fits. Up to 50 results the hyper-parameters are learned
    /// from all; of more from those at the last multiple of a 25th, and from at most 300 of these.
    /// Beyond [`RESULTS_MAX`] results a subset is used. `seed` decides the subsets and the second
    /// start of the climb.
    ///
    /// # Errors
    ///
    /// [`FitError`]: nothing observed, a point of another space, a result that is not finite, or a
    /// covariance that cannot be factored.
    pub fn fit(
        space: &Space,
        observed: &[Observation],
        failed: &[UnitPoint],
        seed: u64,
    ) -> Result<Posterior, FitError> {
        Posterior::fit_after(None, space, observed, failed, seed)
    }

    /// The same, faster where `before` is the posterior of fewer results of the same study: what it
    /// has learned is taken over if it would be learned again. The result does not depend on it.
    pub fn fit_after(
        before: Option<&Posterior>,
        space: &Space,
        observed: &[Observation],
        failed: &[UnitPoint],
        seed: u64,
    ) -> Result<Posterior, FitError> {
        Posterior::fit_with(before, space, observed, failed, Tail::Raised, seed)
    }

    /// The same without pulling in the bad tail, for numbers of which it matters on which side of a
    /// bound they lie.
    pub(crate) fn fit_whole(
        before: Option<&Posterior>,
        space: &Space,
        observed: &[Observation],
        failed: &[UnitPoint],
        seed: u64,
    ) -> Result<Posterior, FitError> {
        Posterior::fit_with(before, space, observed, failed, Tail::Kept, seed)
    }

    fn fit_with(
        before: Option<&Posterior>,
        space: &Space,
        observed: &[Observation],
        failed: &[UnitPoint],
        tail: Tail,
        seed: u64,
    ) -> Result<Posterior, FitError> {
        let training = training(space, observed, failed, seed)?;
        let counts = (observed.len() as u32, failed.len() as u32);
        let alike = |before: &&Posterior| {
            let rows = (before.observed_rows, training.observed_rows);
            before.seed == seed
                && before.observed_rows == before.observations as usize
                && training.observed_rows == observed.len()
                && learned_from(rows.0) == learned_from(rows.1)
        };
        let known = before.filter(alike).map(|before| (before.hyper.clone(), before.log_posterior));
        Posterior::of(Metric::of(space), training, known, counts, tail, seed)
    }

    /// The same, over any metric.
    fn of(
        metric: Metric,
        training: Training,
        known: Option<(HyperParameters, f64)>,
        (observations, failures): (u32, u32),
        tail: Tail,
        seed: u64,
    ) -> Result<Posterior, FitError> {
        let points = Columns::of(&training.points, metric.dimensions());
        let n = points.len();
        let (hyper, log_posterior) = known.unwrap_or_else(|| learn(&metric, &training, tail, seed));
        let (targets, standard) = standardise(&training.values, tail);
        let covariance = fit::covariance(&metric, &points, &hyper);
        let singular = |_| FitError::Singular { points: n };
        let factor = Factor::new(&covariance).map_err(singular)?;
        let alpha = factor.solve(&targets);
        let sought = factor.solve(&seen(&metric, &targets, tail));
        Ok(Posterior {
            metric,
            points,
            observed_rows: training.observed_rows,
            failed_rows: n - training.observed_rows,
            hyper,
            standard,
            factor,
            alpha,
            sought,
            log_posterior,
            observations,
            failures,
            seed,
        })
    }

    /// Means and deviations of the latent function at canonical points, in objective units.
    ///
    /// # Panics
    ///
    /// If a point does not have one number for each parameter.
    pub fn predict(&self, points: &[UnitPoint]) -> Prediction {
        let (mean, deviation) = self.standardised(points);
        Prediction {
            mean: mean.iter().map(|&z| self.standard.value(z)).collect(),
            deviation: deviation.iter().map(|&z| self.standard.deviation(z)).collect(),
        }
    }

    /// How many results it was conditioned on, as [`Parts::observations`].
    pub fn observations(&self) -> u32 {
        self.observations
    }

    /// ℓ of each parameter, unit-cube units: the shorter, the more the parameter matters; of a category, the more
    /// what it does depends on the others.
    pub fn length_scales(&self) -> &[f64] {
        &self.hyper.length_scales
    }

    /// Deviation of the noise on one result, objective units.
    pub fn noise_deviation(&self) -> f64 {
        self.standard.deviation(self.hyper.noise_variance.sqrt())
    }

    /// What each result would have been predicted as without itself, in the order they stand in
    /// the process (with up to [`RESULTS_MAX`] of them the order of recording, failures last), the
    /// noise of a measurement included in the deviation. Costs no further fit.
    ///
    /// Reference: Rasmussen & Williams 2006, eq. 5.12, with the standardisation and the
    /// hyper-parameters of the full fit.
    pub fn leave_one_out(&self) -> Prediction {
        let n = self.points.len();
        let inverse = self.factor.inverse();
        // The targets are not kept, but they are A α.
        let targets = self.factor.multiply(&self.alpha);
        let mean = (0..n).map(|i| targets[i] - self.alpha[i] / inverse[(i, i)]);
        let variance = (0..n).map(|i| 1.0 / inverse[(i, i)]);
        Prediction {
            mean: mean.map(|z| self.standard.value(z)).collect(),
            deviation: variance.map(|v| self.standard.deviation(v.sqrt())).collect(),
        }
    }

    /// Means and deviations in standardised units.
    pub(crate) fn standardised(&self, points: &[UnitPoint]) -> (Vec<f64>, Vec<f64>) {
        self.weighed(&self.alpha, points)
    }

    /// Means and deviations of the results as the search sees them: [bent](bend).
    pub(crate) fn sought(&self, points: &[UnitPoint]) -> (Vec<f64>, Vec<f64>) {
        self.weighed(&self.sought, points)
    }

    fn weighed(&self, alpha: &[f64], points: &[UnitPoint]) -> (Vec<f64>, Vec<f64>) {
        let weights = self.hyper.weights();
        let n = self.points.len();
        let mut means = Vec::with_capacity(points.len());
        let mut deviations = Vec::with_capacity(points.len());
        for batch in points.chunks(BATCH) {
            let mut cross = self.cross(&weights, batch);
            for column in 0..batch.len() {
                let covariances = cross.col_as_slice(column);
                means.push((0..n).map(|i| covariances[i] * alpha[i]).sum());
            }
            self.factor.half_solve(cross.as_mut());
            for column in 0..batch.len() {
                let explained: f64 = cross.col_as_slice(column).iter().map(|v| v * v).sum();
                let variance = self.metric.variance(self.hyper.signal_variance) - explained;
                deviations.push(variance.max(VARIANCE_FLOOR).sqrt());
            }
        }
        (means, deviations)
    }

    /// The best mean among the measured and the believed points, standardised: the incumbent. Not
    /// the best result, which on a noisy objective is the luckiest. Believed points count, because
    /// what a worker is about to confirm is no improvement any more: left out, the next asker
    /// would be sent right beside the last.
    pub(crate) fn incumbent(&self) -> f64 {
        best(self.standardised(&self.incumbents()).0)
    }

    /// The same of the results as the search sees them: [bent](bend).
    pub(crate) fn incumbent_sought(&self) -> f64 {
        best(self.sought(&self.incumbents()).0)
    }

    /// The measured and the believed points.
    fn incumbents(&self) -> Vec<UnitPoint> {
        let failed = self.observed_rows..self.observed_rows + self.failed_rows;
        let rows = (0..self.points.len()).filter(|row| !failed.contains(row));
        rows.map(|row| UnitPoint(self.points.point(row))).collect()
    }

    /// The measured points, best mean of the bent results first.
    pub(crate) fn ranking(&self) -> Vec<UnitPoint> {
        let points = (0..self.observed_rows).map(|row| UnitPoint(self.points.point(row)));
        let points: Vec<UnitPoint> = points.collect();
        let means = self.sought(&points).0;
        let mut ranking: Vec<(UnitPoint, f64)> = points.into_iter().zip(means).collect();
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranking.into_iter().map(|(point, _)| point).collect()
    }

    /// A value in standardised units.
    pub(crate) fn standardise(&self, value: f64) -> f64 {
        (value - self.standard.offset) / self.standard.scale
    }

    /// Objective units per standardised unit.
    pub(crate) fn scale(&self) -> f64 {
        self.standard.scale
    }

    /// Conditions on `pending` canonical points at their own means, in place.
    ///
    /// The means stay what they are everywhere, because a process that is told what it believes
    /// learns nothing: the new weights are exactly zero, `A' (α, 0) = (y, Cᵀ α)`. The deviations
    /// shrink around the points, which is what sends the next asker elsewhere.
    ///
    /// Reference: D. Ginsbourger, R. Le Riche & L. Carraro, "Kriging is well-suited to parallelize
    /// optimization", 2010, section 4.2 (kriging believer).
    pub(crate) fn believe(&mut self, pending: &[UnitPoint]) -> Result<(), FitError> {
        if pending.is_empty() {
            return Ok(());
        }
        let weights = self.hyper.weights();
        let cross = self.cross(&weights, pending);
        let among = Columns::of(pending, self.metric.dimensions());
        let corner = fit::covariance(&self.metric, &among, &self.hyper);
        let points = self.points.len() + pending.len();
        self.factor.extend(cross, corner).map_err(|_| FitError::Singular { points })?;
        for point in pending {
            self.points.push(&point.0);
            self.alpha.push(0.0);
            self.sought.push(0.0);
        }
        Ok(())
    }

    /// Covariances of the latent function between the rows and `points`, n × m.
    fn cross(&self, weights: &[f64], points: &[UnitPoint]) -> Mat<f64> {
        let mut cross = Mat::zeros(self.points.len(), points.len());
        let mut distances = Distances::default();
        for (column, point) in points.iter().enumerate() {
            assert_eq!(
                point.0.len(),
                self.metric.dimensions(),
                "a point has one number for each parameter"
            );
            let out = cross.col_as_slice_mut(column);
            distances.measure(&self.metric, weights, &self.points, out.len(), &point.0);
            for (out, covariance) in out.iter_mut().zip(distances.covariances(&self.hyper)) {
                *out = covariance;
            }
        }
        cross
    }
}

fn best(means: Vec<f64>) -> f64 {
    means.into_iter().fold(f64::NEG_INFINITY, f64::max)
}

/// The most credible hyper-parameters given a training's lesson, and their log posterior density.
fn learn(metric: &Metric, training: &Training, tail: Tail, seed: u64) -> (HyperParameters, f64) {
    let (points, values) = training.lesson(seed);
    let mut stream = Stream::new(seed, points.len() as u64, Purpose::Fit);
    let points = Columns::of(points, metric.dimensions());
    let targets = seen(metric, &standardise(&values, tail).0, tail);
    let fitted = fit::fit(metric, &points, &targets, &mut stream);
    (fitted.hyper, fitted.log_posterior)
}

/// Standardised results as the search sees them. On numbers alone, and where it matters on which side of a bound they
/// lie, they are what they are.
fn seen(metric: &Metric, targets: &[f64], tail: Tail) -> Vec<f64> {
    match metric.kind().power().filter(|_| tail == Tail::Raised) {
        Some(power) => bend::bent(targets, power),
        None => targets.to_vec(),
    }
}
