//! Adam with epsilon outside the root.

use candle_core::{Result, Tensor, Var};

use super::number::Number;

/// Divides the running mean of gradients by the root of their running mean square.
///
/// With gradient g, mean m and mean square v (both 0 at first), the update's number t (1 at first)
/// and its rate:
///
/// ```text
/// rate_t = rate · √(1 − beta2ᵗ) / (1 − beta1ᵗ)     both means begin at zero: this makes up for it
/// m ← beta1 m + (1 − beta1) g
/// v ← beta2 v + (1 − beta2) g²
/// p ← p − rate_t · m / (√v + epsilon)
/// ```
///
/// The first step is one rate wherever g is far above epsilon / √(1 − beta2). PyTorch adds epsilon
/// after the correction instead, where it is worth √(1 − beta2ᵗ) as much at first.
///
/// Reference: D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", 2014, section 2, the
/// more efficient order of computation (<https://arxiv.org/abs/1412.6980>).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// What the mean of gradients keeps at each update, in [0, 1).
    pub beta1: f64,
    /// What the mean of squares keeps at each update, in [0, 1).
    pub beta2: f64,
    /// Keeps the divisor from zero; in the unit of the gradient.
    pub epsilon: f64,
}

impl Adam {
    /// Running averages of each parameter: m, then v.
    pub(super) const AVERAGES: usize = 2;

    /// The rate of an update that follows `updates` others, corrected for means that began at 0.
    pub(super) fn corrected(self, rate: f64, updates: u64) -> f64 {
        let t = updates as f64 + 1.0;
        rate * (1.0 - self.beta2.powf(t)).sqrt() / (1.0 - self.beta1.powf(t))
    }

    /// One update of the parameters `p` with averages `m` and `v` and gradients `g`, all of one
    /// length; the rate is corrected already.
    pub(super) fn update<N: Number>(
        self,
        rate: f64,
        p: &mut [N],
        (m, v): (&mut [N], &mut [N]),
        g: &[N],
    ) {
        let [beta1, rest1, beta2, rest2, epsilon, rate] =
            [self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2, self.epsilon, rate]
                .map(N::from_f64);
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m = (beta1 * *m + rest1 * g).flushed();
            *v = (beta2 * *v + rest2 * g * g).flushed();
            *p -= rate * *m / (v.root() + epsilon);
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
        let [m, v] = averages else { candle_core::bail!("Adam keeps two averages a parameter") };
        *m = (m.affine(self.beta1, 0.0)? + g.affine(1.0 - self.beta1, 0.0)?)?;
        *v = (v.affine(self.beta2, 0.0)? + g.sqr()?.affine(1.0 - self.beta2, 0.0)?)?;
        let step = (m.affine(rate, 0.0)? / (v.sqrt()? + self.epsilon)?)?;
        p.set(&(p.as_detached_tensor() - step)?)
    }
}
