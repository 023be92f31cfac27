//! Glorot's uniform initial weights.

use super::Stream;

/// How many inputs feed one output of a layer, and how many outputs one input feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fans {
    /// Inputs that feed one output.
    pub fan_in: usize,
    /// Outputs that one input feeds.
    pub fan_out: usize,
}

impl Fans {
    /// The fans of a kernel: dense `[in, out]` or convolution `[height, width, in, out]`. In
    /// general the last two axes are channels, and the axes before them are the window.
    ///
    /// # Panics
    ///
    /// If the kernel has fewer than two axes.
    pub fn of(kernel: &[usize]) -> Fans {
        let [window @ .., inputs, outputs] = kernel else {
            panic!("a kernel has at least an input and an output axis, but its shape is {kernel:?}")
        };
        let window: usize = window.iter().product();
        Fans { fan_in: window * inputs, fan_out: window * outputs }
    }

    /// The bound of the uniform distribution: `√(6 / (fan_in + fan_out))`.
    ///
    /// X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    /// networks", AISTATS 2010, eq. 16.
    pub fn glorot_limit(self) -> f64 {
        (6.0 / (self.fan_in + self.fan_out) as f64).sqrt()
    }
}

/// Initial weights of a kernel of this shape, in row-major order: uniform on ± the
/// [limit](Fans::glorot_limit).
///
/// # Panics
///
/// If the kernel has fewer than two axes.
pub fn glorot_uniform(kernel: &[usize], stream: &mut Stream) -> Vec<f32> {
    let limit = Fans::of(kernel).glorot_limit();
    let count = kernel.iter().product();
    (0..count).map(|_| ((2.0 * stream.uniform() - 1.0) * limit) as f32).collect()
}
