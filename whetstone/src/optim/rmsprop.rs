//! RMSprop with epsilon outside the root.

use candle_core::{Result, Tensor, Var};

use super::number::Number;

/// Divides each gradient by the root of its running mean square.
///
/// With gradient g, mean square a (0 at first) and the rate of this update:
///
/// ```text
/// a ← rho a + (1 − rho) g²
/// p ← p − rate · g / (√a + epsilon)
/// ```
///
/// No momentum, not centred. The first step is `rate / √(1 − rho)` wherever g is far above
/// epsilon: 3.16 rates at rho 0.9. With epsilon *inside* the root, as in Keras 3, parameters whose
/// gradients are small learn several times more slowly.
///
/// Reference: T. Hinton, "Neural networks for machine learning", Coursera lecture 6e, 2012.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rmsprop {
    /// What the mean square keeps at each update, in [0, 1).
    pub rho: f64,
    /// Keeps the divisor from zero; in the unit of the gradient.
    pub epsilon: f64,
}

impl Rmsprop {
    /// Running averages of each parameter: a.
    pub(super) const AVERAGES: usize = 1;

    /// One update of the parameters `p` with averages `a` and gradients `g`, all of one length.
    pub(super) fn update<N: Number>(self, rate: f64, p: &mut [N], a: &mut [N], g: &[N]) {
        let [rho, rest, epsilon, rate] =
            [self.rho, 1.0 - self.rho, self.epsilon, rate].map(N::from_f64);
        for ((p, a), &g) in p.iter_mut().zip(a).zip(g) {
            *a = (rho * *a + rest * g * g).flushed();
            *p -= rate * g / (a.root() + epsilon);
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
        let [a] = averages else { candle_core::bail!("RMSprop keeps one average a parameter") };
        *a = (a.affine(self.rho, 0.0)? + g.sqr()?.affine(1.0 - self.rho, 0.0)?)?;
        let step = (g.affine(rate, 0.0)? / (a.sqrt()? + self.epsilon)?)?;
        p.set(&(p.as_detached_tensor() - step)?)
    }
}
