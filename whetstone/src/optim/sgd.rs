//! Gradient descent with momentum.

use candle_core::{Result, Tensor, Var};

use super::number::Number;

/// Goes down the gradient, and keeps going.
///
/// With gradient g, velocity v (0 at first) and the rate of this update:
///
/// ```text
/// v ← momentum v − rate · g
/// p ← p + v
/// ```
///
/// The rate is inside the velocity, so that a rate that falls slows down only what comes; PyTorch
/// has it outside. In a constant slope steps grow to rate / (1 − momentum).
///
/// Reference: B. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR
/// Computational Mathematics and Mathematical Physics 4(5), 1964.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// What the velocity keeps at each update, in [0, 1).
    pub momentum: f64,
}

impl Sgd {
    /// Running averages of each parameter: v.
    pub(super) const AVERAGES: usize = 1;

    /// One update of the parameters `p` with velocities `v` and gradients `g`, all of one length.
    pub(super) fn update<N: Number>(self, rate: f64, p: &mut [N], v: &mut [N], g: &[N]) {
        let [momentum, rate] = [self.momentum, rate].map(N::from_f64);
        for ((p, v), &g) in p.iter_mut().zip(v).zip(g) {
            *v = (momentum * *v - rate * g).flushed();
            *p += *v;
        }
    }

    /// The same update, composed of tensor operations.
    pub(super) fn compose(
        self,
        rate: f64,
        p: &Var,
        averages: &mut [Tensor],
        g: &Tensor,
    ) -> Result<()> {
        let [v] = averages else { candle_core::bail!("SGD keeps one velocity a parameter") };
        *v = (v.affine(self.momentum, 0.0)? - g.affine(rate, 0.0)?)?;
        p.set(&(p.as_detached_tensor() + &*v)?)
    }
}
