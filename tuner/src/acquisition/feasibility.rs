//! Whether a point keeps what a study demands: the log probability of feasibility.

use crate::normal::log_cdf;

/// `log P(every constraint is kept)` with independent slacks `cₖ ~ N(meanₖ, sdₖ²)`, each kept if
/// it is not negative. `sd` is strictly positive; without constraints it is 0, which is certainty.
///
/// Added to a log improvement it gives the improvement that counts only where it is allowed. Alone
/// it is what to maximise while no feasible point is known, because then there is nothing to
/// improve on.
///
/// References: J. Gardner, M. Kusner, Z. Xu, K. Weinberger & J. Cunningham, "Bayesian optimization
/// with inequality constraints", ICML 2014, eq. 5 and 6; M. Gelbart, J. Snoek & R. Adams, "Bayesian
/// optimization with unknown constraints", UAI 2014, section 3.2 (before anything is feasible) —
/// <https://arxiv.org/abs/1403.5607>.
///
/// # Panics
///
/// If the slices differ in length.
pub fn log_probability(mean: &[f64], sd: &[f64]) -> f64 {
    assert_eq!(mean.len(), sd.len());
    mean.iter().zip(sd).map(|(mean, sd)| log_cdf(mean / sd)).sum()
}

/// Slacks squashed for a surrogate: `sign(c) log(1 + |c| / scale)`, where `scale` is the median
/// magnitude of the first `first` of them. The sign stays; the neighbourhood of zero, which is what decides, is
/// stretched, and what lies far on either side does not set the scale. The median makes it the same
/// whatever the unit.
///
/// Reference: D. Eriksson & M. Poloczek, "Scalable constrained Bayesian optimization", AISTATS
/// 2021, section 3 (the bilog transform) — <https://arxiv.org/abs/2002.08526>.
pub(crate) fn squashed(slacks: &[f64], first: usize) -> Vec<f64> {
    let mut magnitudes: Vec<f64> = slacks[..first].iter().map(|slack| slack.abs()).collect();
    magnitudes.sort_by(f64::total_cmp);
    let median = magnitudes.get(magnitudes.len() / 2).copied().unwrap_or(0.0);
    // All but a few lie on the bound itself.
    let scale = if median > 0.0 { median } else { magnitudes.last().copied().unwrap_or(0.0) };
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let squash = |slack: &f64| {
        let ratio = (slack.abs() / scale).min(f64::MAX);
        ratio.ln_1p().copysign(*slack)
    };
    slacks.iter().map(squash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::cdf;

    #[test]
    fn independent_chances_multiply() {
        let log = log_probability(&[0.3, -1.2, 4.0], &[0.5, 2.0, 1.0]);
        let product = cdf(0.6) * cdf(-0.6) * cdf(4.0);
        assert!((log - product.ln()).abs() < 1e-14);
        assert_eq!(log_probability(&[], &[]), 0.0);
        // Hopeless has an order too.
        assert!(log_probability(&[-60.0], &[1.0]) > log_probability(&[-61.0], &[1.0]));
    }

    #[test]
    fn squashing_keeps_order_and_sign_and_does_not_know_the_unit() {
        let slacks = [-1e12, -3.0, -0.0, 0.0, 1e-9, 2.0, 5.0];
        let squashed_slacks = squashed(&slacks, 7);
        assert!(squashed_slacks.windows(2).all(|pair| pair[0] <= pair[1]));
        for (slack, squashed) in slacks.iter().zip(&squashed_slacks) {
            assert_eq!(slack >= &0.0, squashed >= &0.0, "{slack} became {squashed}");
        }
        let in_other_unit = squashed(&slacks.map(|slack| slack * 1024.0), 7);
        assert_eq!(in_other_unit, squashed_slacks);
        assert!(squashed_slacks[0] > -30.0, "what is far out is pulled in");
        assert_eq!(squashed(&[0.0, 0.0], 2), [0.0, 0.0]);
        assert!(squashed(&[1e308, -1e308, 5e-324], 3).iter().all(|slack| slack.is_finite()));
    }
}
