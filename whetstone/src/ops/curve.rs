//! Activations at a sharpness: the curve that a layer applies right now.

use super::real::Real;
use crate::sharpen::Sharpness;
use recipe::Activation;

/// An activation at one sharpness, resolved to the formula it then is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// `clip(slope · (x − ½) + ½, 0, 1)`: the bounded ReLU while it is soft.
    Clip {
        /// Slope at ½, from 0.999 (soft) to 1000 (almost hard).
        slope: f64,
    },
    /// `1 / (1 + exp(−clip(gain · x, −40, 40)))`: the sigmoid while it is soft.
    Logistic {
        /// Four times the slope at 0, from 5.26 (soft) to 5268 (almost hard).
        gain: f64,
    },
    /// 1 from the threshold on (the threshold itself fires), 0 below; its gradient is zero
    /// everywhere, and no surrogate stands in for it.
    Step {
        /// ½ for the bounded ReLU, 0 for the sigmoid.
        threshold: f64,
    },
}

/// The band that a soft activation keeps even when almost hard (Whetstone's constant), in units of
/// its input: slopes end at its reciprocal.
const BAND_LEFT: f64 = 0.001;

/// Where the sigmoid's exponent is clipped, so that `exp` neither overflows nor is denormal.
const EXPONENT_MAX: f64 = 40.0;

impl Curve {
    /// The curve of an activation at a sharpness from 0 (soft) to 1 (the step).
    ///
    /// W. Severa et al., "Training deep neural networks for binary communication with the
    /// Whetstone method", Nature Machine Intelligence 1, 2019 — <https://arxiv.org/abs/1810.11521>.
    pub fn at(activation: Activation, sharpness: Sharpness) -> Self {
        let hard = sharpness.is_hard();
        let width = 1.0 - f64::from(sharpness.get()) + BAND_LEFT;
        match activation {
            Activation::BoundedRelu if hard => Self::Step { threshold: 0.5 },
            Activation::BoundedRelu => Self::Clip { slope: 1.0 / width },
            Activation::Sigmoid if hard => Self::Step { threshold: 0.0 },
            // The knees of the sigmoid, where its third derivative vanishes, lie at
            // ±ln(2 + √3) / gain; this gain puts them at ±width / 4.
            Activation::Sigmoid => Self::Logistic { gain: 4.0 * (2.0 + 3f64.sqrt()).ln() / width },
        }
    }

    /// Whether this is the step: what lies below it then learns nothing.
    pub fn is_step(&self) -> bool {
        matches!(self, Self::Step { .. })
    }
}

/// A curve as the kernels see it: one type each, so that each has a loop of its own.
pub(super) trait Formula<R: Real>: Copy {
    /// The curve's value at `x`.
    fn value(self, x: R) -> R;

    /// The curve's derivative at `x`.
    fn slope(self, x: R) -> R;
}

/// [`Curve::Clip`].
#[derive(Clone, Copy)]
pub(super) struct Clip<R>(R);

/// [`Curve::Logistic`].
#[derive(Clone, Copy)]
pub(super) struct Logistic<R>(R);

/// [`Curve::Step`].
#[derive(Clone, Copy)]
pub(super) struct Step<R>(R);

impl<R: Real> Clip<R> {
    pub(super) fn new(slope: f64) -> Self {
        Self(R::from_f64(slope))
    }

    #[inline(always)]
    fn line(self, x: R) -> R {
        let half = R::from_f64(0.5);
        self.0 * (x - half) + half
    }
}

impl<R: Real> Logistic<R> {
    pub(super) fn new(gain: f64) -> Self {
        Self(R::from_f64(gain))
    }
}

impl<R: Real> Step<R> {
    pub(super) fn new(threshold: f64) -> Self {
        Self(R::from_f64(threshold))
    }
}

impl<R: Real> Formula<R> for Clip<R> {
    #[inline(always)]
    fn value(self, x: R) -> R {
        let y = self.line(x);
        // Written so that NaN falls through both: a network that diverged must say so.
        let y = if y < R::zero() { R::zero() } else { y };
        if y > R::one() { R::one() } else { y }
    }

    #[inline(always)]
    fn slope(self, x: R) -> R {
        let y = self.line(x);
        // The end points belong to the ramp, as in a composition of minimum and maximum.
        if (y >= R::zero()) & (y <= R::one()) { self.0 } else { R::zero() }
    }
}

impl<R: Real> Formula<R> for Logistic<R> {
    #[inline(always)]
    fn value(self, x: R) -> R {
        let limit = R::from_f64(EXPONENT_MAX);
        let exponent = -(self.0 * x);
        let exponent = if exponent > limit { limit } else { exponent };
        let exponent = if exponent < -limit { -limit } else { exponent };
        R::one() / (R::one() + exponent.exp())
    }

    #[inline(always)]
    fn slope(self, x: R) -> R {
        let (limit, exponent) = (R::from_f64(EXPONENT_MAX), self.0 * x);
        let y = self.value(x);
        let within = (exponent <= limit) & (exponent >= -limit);
        if within { self.0 * y * (R::one() - y) } else { R::zero() }
    }
}

impl<R: Real> Formula<R> for Step<R> {
    #[inline(always)]
    fn value(self, x: R) -> R {
        if x >= self.0 { R::one() } else { R::zero() }
    }

    #[inline(always)]
    fn slope(self, _: R) -> R {
        R::zero()
    }
}
