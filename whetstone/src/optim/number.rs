//! What the rules need of f32 and f64.

use candle_core::WithDType;

/// f32 or f64.
pub(super) trait Number: WithDType {
    /// The square root.
    fn root(self) -> Self;

    /// The number itself, or zero if it is too small to be normal.
    ///
    /// An average that only decays, as below a hard layer, would end up denormal and stay there:
    /// rounding keeps the smallest denormal times 0.9 where it is. Arithmetic on such numbers is
    /// some hundred times slower, and they mean nothing beside an epsilon of 1e-8.
    fn flushed(self) -> Self;
}

impl Number for f32 {
    fn root(self) -> Self {
        self.sqrt()
    }

    fn flushed(self) -> Self {
        if self.abs() < f32::MIN_POSITIVE { 0.0 } else { self }
    }
}

impl Number for f64 {
    fn root(self) -> Self {
        self.sqrt()
    }

    fn flushed(self) -> Self {
        if self.abs() < f64::MIN_POSITIVE { 0.0 } else { self }
    }
}
