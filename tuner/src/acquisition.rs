//! How much a point promises: log expected improvement.

pub mod feasibility;
pub mod hypervolume;
pub(crate) mod judge;
pub(crate) mod maximise;

use crate::gp::Posterior;
use crate::normal;
use crate::space::UnitPoint;

/// Log expected improvement over `best` at each of `m` candidates.
///
/// With a normal posterior `f(xᵢ) ~ N(meanᵢ, sdᵢ²)`, writes `out[i] = log E[max(f(xᵢ) − best, 0)]`.
///
/// | argument | shape | unit |
/// |----------|-------|------|
/// | `mean`   | `(m)` | standardised objective, larger is better |
/// | `sd`     | `(m)` | the same unit; strictly positive |
/// | `best`   | scalar | the same unit: the incumbent's *posterior mean*, not its noisy value |
/// | `out`    | `(m)` | log of that unit |
///
/// The logarithm is what is maximised, not taken afterwards: plain EI is exactly zero a few tens of
/// deviations below `best`, and a search among zeros is a walk in the dark. This form is finite and
/// rising in the mean for every finite input.
///
/// Reference: S. Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian
/// Optimization", NeurIPS 2023, eq. 9 — <https://arxiv.org/abs/2310.20708>.
///
/// # Panics
///
/// If the three slices differ in length.
pub fn log_expected_improvement(mean: &[f64], sd: &[f64], best: f64, out: &mut [f64]) {
    assert_eq!(mean.len(), sd.len());
    assert_eq!(mean.len(), out.len());
    for ((out, mean), sd) in out.iter_mut().zip(mean).zip(sd) {
        *out = sd.ln() + normal::log_h((mean - best) / sd);
    }
}

/// Log expected improvement under `posterior` over its incumbent, standardised units: what is told of a
/// suggestion.
pub(crate) fn improvement(posterior: &Posterior) -> impl Fn(&[UnitPoint]) -> Vec<f64> {
    let best = posterior.incumbent();
    move |points| over(best, posterior.standardised(points))
}

/// The same of the results as the search sees them: what a suggestion maximises.
pub(crate) fn improvement_sought(posterior: &Posterior) -> impl Fn(&[UnitPoint]) -> Vec<f64> {
    let best = posterior.incumbent_sought();
    move |points| over(best, posterior.sought(points))
}

fn over(best: f64, (mean, sd): (Vec<f64>, Vec<f64>)) -> Vec<f64> {
    let mut scores = vec![0.0; mean.len()];
    log_expected_improvement(&mean, &sd, best, &mut scores);
    scores
}
