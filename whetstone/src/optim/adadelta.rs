//! Adadelta with a learning rate.

use candle_core::{Result, Tensor, Var};

use super::number::Number;

/// Scales each gradient by the ratio of the typical step to the typical gradient.
///
/// With gradient g, mean square gradient a and mean square step d (both 0 at first) and the rate
/// of this update:
///
/// ```text
/// a ← rho a + (1 − rho) g²
/// u = g √(d + epsilon) / √(a + epsilon)          the new a, the old d
/// p ← p − rate · u
/// d ← rho d + (1 − rho) u²                       u before the rate
/// ```
///
/// The first |u| is about `√(epsilon / (1 − rho))`: 3.2e-3 for epsilon 1e-6 and rho 0.9. Steps
/// then grow by themselves, so that epsilon acts as a learning rate of the beginning.
///
/// Reference: M. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1
/// (<https://arxiv.org/abs/1212.5701>); the rate is Keras's addition, 1 in the paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adadelta {
    /// What both means keep at each update, in [0, 1).
    pub rho: f64,
    /// Added to both mean squares; in the unit of the squared gradient and of the squared step.
    pub epsilon: f64,
}

impl Adadelta {
    /// Running averages of each parameter: a, then d.
    pub(super) const AVERAGES: usize = 2;

    /// One update of the parameters `p` with averages `a` and `d` and gradients `g`, all of one
    /// length.
    pub(super) fn update<N: Number>(
        self,
        rate: f64,
        p: &mut [N],
        (a, d): (&mut [N], &mut [N]),
        g: &[N],
    ) {
        let [rho, rest, epsilon, rate] =
            [self.rho, 1.0 - self.rho, self.epsilon, rate].map(N::from_f64);
        for (((p, a), d), &g) in p.iter_mut().zip(a).zip(d).zip(g) {
            *a = (rho * *a + rest * g * g).flushed();
            // One root of the quotient for two roots: both sums are at least epsilon.
            let u = g * ((*d + epsilon) / (*a + epsilon)).root();
            *p -= rate * u;
            *d = (rho * *d + rest * u * u).flushed();
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
        let [a, d] = averages else {
            candle_core::bail!("Adadelta keeps two averages a parameter")
        };
        let mean = |old: &Tensor, new: &Tensor| {
            old.affine(self.rho, 0.0)? + new.sqr()?.affine(1.0 - self.rho, 0.0)?
        };
        *a = mean(a, g)?;
        let scale = ((&*d + self.epsilon)? / (&*a + self.epsilon)?)?.sqrt()?;
        let u = (g * scale)?;
        p.set(&(p.as_detached_tensor() - u.affine(rate, 0.0)?)?)?;
        *d = mean(d, &u)?;
        Ok(())
    }
}
