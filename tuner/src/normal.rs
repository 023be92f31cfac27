//! The normal distribution where it is thin: functions that must neither underflow nor cancel.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, SQRT_2};

/// `1 / √(2π)`.
const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
/// `log √(2π)`.
const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;
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
