//! [`Sharpness`]: how far an activation is from its soft curve to its threshold.

use std::fmt;

/// How far an activation is on its way from the soft curve (0) to the hard threshold (1).
///
/// A number in [0, 1], in f32 because that is what a layer compares: the threshold is taken only
/// if this value *equals* one. 0.9999999 is still a ramp, of slope 1000.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Sharpness(f32);

impl Sharpness {
    /// The soft curve with which training begins.
    pub const SOFT: Sharpness = Sharpness(0.0);

    /// The threshold.
    pub const HARD: Sharpness = Sharpness(1.0);

    /// The sharpness of this value, or `None` outside [0, 1] and for NaN.
    pub fn new(value: f32) -> Option<Sharpness> {
        (0.0..=1.0).contains(&value).then_some(Sharpness(value))
    }

    /// What a layer sees of a sharpener's f64 in [0, 1]: the nearest f32, so that from about
    /// 1 − 2.98e-8 on it is hard.
    ///
    /// # Panics
    ///
    /// If the value lies outside [0, 1].
    pub fn from_host(value: f64) -> Sharpness {
        assert!((0.0..=1.0).contains(&value), "a sharpness of {value} lies outside 0 … 1");
        Sharpness(value as f32)
    }

    /// The number, in [0, 1].
    pub fn get(self) -> f32 {
        self.0
    }

    /// Whether the activation is a threshold: exactly one.
    pub fn is_hard(self) -> bool {
        self.0 == 1.0
    }
}

impl fmt::Display for Sharpness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
