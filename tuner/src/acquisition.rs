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

/// The logarithm of the expected improvement, averaged over some posteriors of the same results as the
/// search sees them, each over its own incumbent: what a suggestion maximises.
///
/// Reference: J. Snoek, H. Larochelle & R. Adams, "Practical Bayesian Optimization of Machine Learning
/// Algorithms", NeurIPS 2012, section 3.1.
///
/// # Panics
///
/// If there is no posterior.
pub(crate) fn improvement_sought(posteriors: &[Posterior]) -> impl Fn(&[UnitPoint]) -> Vec<f64> {
    let incumbents: Vec<f64> = posteriors.iter().map(Posterior::incumbent_sought).collect();
    move |points| {
        let each = posteriors.iter().zip(&incumbents);
        let each: Vec<Vec<f64>> =
            each.map(|(posterior, &best)| over(best, posterior.sought(points))).collect();
        (0..points.len()).map(|i| log_mean(each.iter().map(|scores| scores[i]))).collect()
    }
}

/// The logarithm of the mean of numbers whose logarithms these are; of a single one that one, to the bit.
fn log_mean(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let (count, most) = logs
        .clone()
        .fold((0.0, f64::NEG_INFINITY), |(count, most), log| (count + 1.0, most.max(log)));
    most + (logs.map(|log| (log - most).exp()).sum::<f64>() / count).ln()
}

fn over(best: f64, (mean, sd): (Vec<f64>, Vec<f64>)) -> Vec<f64> {
    let mut scores = vec![0.0; mean.len()];
    log_expected_improvement(&mean, &sd, best, &mut scores);
    scores
}

#[cfg(test)]
mod tests {
    use super::log_mean;

    #[test]
    fn the_mean_of_one_is_itself_and_of_tiny_ones_is_no_zero() {
        for log in [-3000.7, -0.3, 12.0] {
            assert_eq!(log_mean([log].into_iter()).to_bits(), log.to_bits());
        }
        let expected = (f64::midpoint((0.2f64).exp(), (-1.4f64).exp())).ln();
        assert!((log_mean([0.2, -1.4].into_iter()) - expected).abs() < 1e-14);
        assert!((log_mean([-2000.0, -2000.0].into_iter()) + 2000.0).abs() < 1e-12);
    }
}
