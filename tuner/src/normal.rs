//! The normal distribution where it is thin: functions that must neither underflow nor cancel.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, SQRT_2};

/// `1 / √(2π)`.
const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
/// `log √(2π)`.
pub(crate) const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;
/// `log √(π/2)`.
const LOG_SQRT_HALF_PI: f64 = 0.225_791_352_644_727_44;
/// `1 / √π`.
const INV_SQRT_PI: f64 = 0.564_189_583_547_756_3;

/// Density of the standard normal, `φ(z) = exp(−z²/2) / √(2π)`.
pub fn pdf(z: f64) -> f64 {
    INV_SQRT_TAU * (-0.5 * z * z).exp()
}

/// Distribution function of the standard normal, `Φ(z)`; relative error near 1e-16 on both sides.
pub fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// The scaled complement of the error function, `exp(x²) erfc(x)`.
///
/// Relative error below 1e-14 for `x ≥ −5`. Falls like `1 / (x √π)` to the right; to the left it
/// grows like `2 exp(x²)` and is infinite from about −26.6 on, as the true value has no double.
pub fn erfcx(x: f64) -> f64 {
    // From here on the series is exact to a double after six terms, and erfc nears its underflow.
    const FAR: f64 = 25.0;
    if x > FAR {
        let t = 0.5 / (x * x);
        // 1 − 1/(2x²) + 1·3/(2x²)² − … (Abramowitz & Stegun 7.1.23).
        let tail = [11.0, 9.0, 7.0, 5.0, 3.0, 1.0];
        let bracket = tail.iter().fold(1.0, |bracket, odd| 1.0 - odd * t * bracket);
        return INV_SQRT_PI / x * bracket;
    }
    // The square is split into what a double holds and the rest, because exp turns an absolute
    // error of its argument into a relative one.
    let square = x * x;
    let rest = x.mul_add(x, -square);
    square.exp() * (1.0 + rest) * libm::erfc(x)
}

/// `log(1 − exp(w))` for `w < 0`; minus infinity at 0.
///
/// Two forms, switched at `−log 2`, each used where it does not cancel (M. Mächler, "Accurately
/// computing log(1 − exp(−|a|))", 2012, eq. 7).
pub fn log1mexp(w: f64) -> f64 {
    if w > -LN_2 { (-w.exp_m1()).ln() } else { (-w.exp()).ln_1p() }
}

/// `log h(z)`, where `h(z) = φ(z) + z Φ(z)` is the expected improvement of a standard normal.
///
/// Finite and rising for every finite `z` down to about −1e154, where `z²` overflows. Three forms,
/// after S. Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian
/// Optimization", NeurIPS 2023, eq. 9 and appendix A; the far one is carried to ten terms and so
/// takes over at −15 instead of −1/√ε, before the middle one loses digits to its subtraction.
pub fn log_h(z: f64) -> f64 {
    /// Below it ten terms of the series err by less than 1e-13.
    const FAR: f64 = -15.0;

    // Near the incumbent nothing cancels.
    if z > -1.0 {
        return (pdf(z) + z * cdf(z)).ln();
    }
    let log_pdf = -0.5 * z * z - LOG_SQRT_TAU;
    if z > FAR {
        // h = φ (1 − |z| Φ/φ), and Φ/φ = √(π/2) erfcx(|z|/√2).
        let w = (-z * erfcx(-z / SQRT_2)).ln() + LOG_SQRT_HALF_PI;
        return log_pdf + log1mexp(w);
    }
    // h = φ/z² (1 − 3/z² + 3·5/z⁴ − …), by parts from the integral of Φ.
    let t = 1.0 / (z * z);
    let odds = [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0];
    let bracket = odds.iter().fold(1.0, |bracket, odd| 1.0 - odd * t * bracket);
    log_pdf - 2.0 * (-z).ln() + bracket.ln()
}

/// `log Φ(z)`, finite for every finite `z` down to about −1e154.
///
/// Above −1 nothing cancels; below, `Φ = φ √(π/2) erfcx(|z|/√2)`.
pub fn log_cdf(z: f64) -> f64 {
    if z > 0.0 {
        return (-cdf(-z)).ln_1p();
    }
    if z > -1.0 {
        return cdf(z).ln();
    }
    -0.5 * z * z - LOG_SQRT_TAU + LOG_SQRT_HALF_PI + erfcx(-z * FRAC_1_SQRT_2).ln()
}

/// `log ∫ Φ(t) dt` from `high − width` to `high`, where the two ends' [`log_h`] are at hand:
/// `log (h(high) − h(high − width))`, because `h′ = Φ`. `width` is positive.
///
/// It is the log of what is expected of a standard normal that counts from one level to another.
/// Where the two differ enough the difference is taken of the logarithms; where they do not, and
/// it would cancel, Φ is smooth over the interval and eight points of Gauss and Legendre integrate
/// it to a double's last digits.
pub(crate) fn log_h_band(log_h_high: f64, log_h_low: f64, high: f64, width: f64) -> f64 {
    /// From this ratio of the ends on, as a logarithm, the difference keeps its digits.
    const APART: f64 = 0.5;
    /// Positive nodes on [−1, 1] and their weights.
    const NODES: [(f64, f64); 4] = [
        (0.183_434_642_495_649_8, 0.362_683_783_378_362),
        (0.525_532_409_916_329, 0.313_706_645_877_887_3),
        (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
        (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
    ];
    let apart = log_h_low - log_h_high;
    if apart < -APART {
        return log_h_high + log1mexp(apart);
    }
    let half = 0.5 * width;
    let most = log_cdf(high);
    let at = |node: f64| (log_cdf(high - half + half * node) - most).exp();
    let mean: f64 = NODES.iter().map(|(node, weight)| weight * (at(*node) + at(-node))).sum();
    most + (half * mean).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Row {
        z: f64,
        log_h: f64,
        /// Left out where nobody asks for it.
        erfcx: Option<f64>,
    }

    fn table() -> Vec<Row> {
        serde_json::from_str(include_str!("../tests/fixtures/log_h.json")).unwrap()
    }

    fn assert_close(found: f64, expected: f64, relative: f64, what: &str) {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error < relative, "{what}: {found} is not {expected}, off by {error:e}");
    }

    #[test]
    fn log_h_agrees_with_sixty_digits_wherever_its_square_is_a_double() {
        let table = table();
        for row in &table {
            assert_close(log_h(row.z), row.log_h, 1e-13, &format!("log_h({})", row.z));
        }
        // Both ends, and every form by several rows.
        let rows =
            |low: f64, high: f64| table.iter().filter(|row| (low..high).contains(&row.z)).count();
        assert!(rows(-1e153, -1e152) == 1 && rows(1e300, f64::MAX) == 1);
        assert!(rows(f64::MIN, -15.0) > 10 && rows(-15.0, -1.0) > 10 && rows(-1.0, f64::MAX) > 10);
    }

    #[test]
    fn erfcx_agrees_with_sixty_digits_on_both_sides_of_its_seam() {
        for (z, expected) in table().iter().filter_map(|row| Some((row.z, row.erfcx?))) {
            let x = -z / SQRT_2;
            let error = (erfcx(x) / expected - 1.0).abs();
            assert!(error < 1e-14, "erfcx({x}) is off by {error:e}");
        }
    }

    #[test]
    fn log_h_still_rises_where_h_has_underflowed_to_zero() {
        let h = |z: f64| pdf(z) + z * cdf(z);
        assert_eq!(h(-60.0), 0.0);
        for z in [-60.0, -1e3, -1.0001e4, -1e6, -1e9, -1e150] {
            assert!(log_h(z).is_finite());
            assert!(log_h(z * 0.999) > log_h(z), "flat at {z}");
        }
    }

    #[test]
    fn the_three_forms_of_log_h_meet_without_a_step() {
        for seam in [-1.0, -15.0] {
            let step = log_h(seam + 1e-12) - log_h(seam - 1e-12);
            // The true rise over the gap is 2e-12 h'/h, which is about |z| + 2/|z|.
            assert!((0.0..2e-10).contains(&step), "a step of {step:e} at {seam}");
        }
    }

    #[test]
    fn log1mexp_keeps_its_digits_at_both_ends() {
        // 1 − exp(−1e-20) is 1e-20 to a double, and log(1 − exp(−50)) is −exp(−50).
        assert_close(log1mexp(-1e-20), 1e-20f64.ln(), 1e-15, "near 0");
        assert!((log1mexp(-50.0) / -(-50.0f64).exp() - 1.0).abs() < 1e-15);
        assert_eq!(log1mexp(0.0), f64::NEG_INFINITY);
    }

    #[test]
    fn log_cdf_agrees_with_its_plain_form_and_with_the_slope_of_log_h_s() {
        // Beyond, φ(z) has no logarithm that is exact.
        let rows = table().into_iter().filter(|row| row.z.abs() < 1e3);
        for (z, erfcx) in rows.filter_map(|row| Some((row.z, row.erfcx?))) {
            // Φ(z) = φ(z) √(π/2) erfcx(−z/√2), with the table's sixty digits of erfcx.
            let expected = -0.5 * z * z - LOG_SQRT_TAU + LOG_SQRT_HALF_PI + erfcx.ln();
            assert_close(log_cdf(z), expected, 1e-14, &format!("log_cdf({z})"));
        }
        assert!((log_cdf(10.0) / -cdf(-10.0) - 1.0).abs() < 1e-15, "and it never rounds to 0");
        assert!(log_cdf(-1e150).is_finite());
    }

    #[test]
    fn a_band_is_the_difference_of_two_h_and_bands_add_up() {
        let h = |z: f64| pdf(z) + z * cdf(z);
        let band = |low: f64, high: f64| log_h_band(log_h(high), log_h(low), high, high - low);
        for (low, high) in [(-2.0, -1.5), (-0.3, 0.2), (0.0, 5.0), (3.0, 4.5), (-4.0, 6.0)] {
            assert_close(band(low, high), (h(high) - h(low)).ln(), 1e-13, "a band");
        }
        // Far below, where h has no double: both forms, against the sum of thin bands.
        for (low, high) in [(-40.02, -40.0), (-41.0, -40.0), (-900.3, -900.0), (1.0, 1.0 + 1e-9)] {
            let thin = |i: u32| low + (high - low) * f64::from(i) / 64.0;
            let parts: Vec<f64> = (0..64).map(|i| band(thin(i), thin(i + 1))).collect();
            let most = parts.iter().copied().fold(f64::MIN, f64::max);
            let sum = most + parts.iter().map(|part| (part - most).exp()).sum::<f64>().ln();
            assert_close(band(low, high), sum, 1e-12, &format!("{low} to {high}"));
        }
        assert_close(band(1e8, 1e8 + 1.0), 0.0, 1e-15, "all of a band far below the mean");
    }
}
