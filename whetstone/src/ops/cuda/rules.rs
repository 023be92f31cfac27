//! Updates of variables where they lie, one kernel a rule.
//!
//! The formulas and what each average means stand with the rules in [`crate::optim`].

use super::machine::{In, Kernel, Machine, Out, count};
use candle_core::Result;

/// What an update changes and reads.
#[derive(Debug)]
pub struct Update<'a> {
    /// The variable.
    pub p: Out<'a, f32>,
    /// Its averages, one after the other.
    pub averages: Out<'a, f32>,
    /// Its gradient.
    pub g: In<'a, f32>,
}

impl Update<'_> {
    /// The variable's length.
    fn check(&self, averages: usize) -> Result<u32> {
        assert_eq!(self.p.len(), self.g.len());
        assert_eq!(self.averages.len(), averages * self.p.len());
        count(self.p.len())
    }
}

#[repr(C)]
struct Decay<'a> {
    averages: Out<'a, f32>,
    keep: f32,
    count: u32,
}

// SAFETY: made in `decay` alone, with the averages' length.
unsafe impl Kernel for Decay<'_> {
    const NAME: &'static str = "decay";

    fn threads(&self) -> u32 {
        self.count
    }
}

/// Multiplies averages by `keep`: what a gradient of zero does to them.
///
/// # Errors
///
/// If the machine fails.
pub fn decay<M: Machine>(m: &M, averages: Out<f32>, keep: f64) -> Result<()> {
    let count = count(averages.len())?;
    if count == 0 {
        return Ok(());
    }
    m.launch(Decay { averages, keep: keep as f32, count })
}

#[repr(C)]
struct Adadelta<'a> {
    p: Out<'a, f32>,
    averages: Out<'a, f32>,
    g: In<'a, f32>,
    rho: f32,
    rest: f32,
    epsilon: f32,
    rate: f32,
    count: u32,
}

// SAFETY: made in `adadelta` alone, with lengths checked.
unsafe impl Kernel for Adadelta<'_> {
    const NAME: &'static str = "adadelta";

    fn threads(&self) -> u32 {
        self.count
    }
}

/// [`crate::optim::Adadelta`], averages of squared gradients before those of squared steps.
///
/// # Errors
///
/// If the machine fails.
///
/// # Panics
///
/// If the lengths do not fit.
pub fn adadelta<M: Machine>(m: &M, update: Update, [rho, epsilon, rate]: [f64; 3]) -> Result<()> {
    let count = update.check(2)?;
    let Update { p, averages, g } = update;
    let [rho, rest, epsilon, rate] = [rho, 1.0 - rho, epsilon, rate].map(|x| x as f32);
    m.launch(Adadelta { p, averages, g, rho, rest, epsilon, rate, count })
}

#[repr(C)]
struct Rmsprop<'a> {
    p: Out<'a, f32>,
    averages: Out<'a, f32>,
    g: In<'a, f32>,
    rho: f32,
    rest: f32,
    epsilon: f32,
    rate: f32,
    count: u32,
}

// SAFETY: made in `rmsprop` alone, with lengths checked.
unsafe impl Kernel for Rmsprop<'_> {
    const NAME: &'static str = "rmsprop";

    fn threads(&self) -> u32 {
        self.count
    }
}

/// [`crate::optim::Rmsprop`], with its one average.
///
/// # Errors
///
/// If the machine fails.
///
/// # Panics
///
/// If the lengths do not fit.
pub fn rmsprop<M: Machine>(m: &M, update: Update, [rho, epsilon, rate]: [f64; 3]) -> Result<()> {
    let count = update.check(1)?;
    let Update { p, averages, g } = update;
    let [rho, rest, epsilon, rate] = [rho, 1.0 - rho, epsilon, rate].map(|x| x as f32);
    m.launch(Rmsprop { p, averages, g, rho, rest, epsilon, rate, count })
}

#[repr(C)]
struct Adam<'a> {
    p: Out<'a, f32>,
    averages: Out<'a, f32>,
    g: In<'a, f32>,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    epsilon: f32,
    rate: f32,
    count: u32,
}

// SAFETY: made in `adam` alone, with lengths checked.
unsafe impl Kernel for Adam<'_> {
    const NAME: &'static str = "adam";

    fn threads(&self) -> u32 {
        self.count
    }
}

/// Adam, averages of gradients before those of their squares; `rate` corrects both for their start.
///
/// # Errors
///
/// If the machine fails.
///
/// # Panics
///
/// If the lengths do not fit.
pub fn adam<M: Machine>(
    m: &M,
    update: Update,
    [beta1, beta2, epsilon, rate]: [f64; 4],
) -> Result<()> {
    let count = update.check(2)?;
    let Update { p, averages, g } = update;
    let [beta1, rest1, beta2, rest2, epsilon, rate] =
        [beta1, 1.0 - beta1, beta2, 1.0 - beta2, epsilon, rate].map(|x| x as f32);
    m.launch(Adam { p, averages, g, beta1, rest1, beta2, rest2, epsilon, rate, count })
}

#[repr(C)]
struct Sgd<'a> {
    p: Out<'a, f32>,
    averages: Out<'a, f32>,
    g: In<'a, f32>,
    momentum: f32,
    rate: f32,
    count: u32,
}

// SAFETY: made in `sgd` alone, with lengths checked.
unsafe impl Kernel for Sgd<'_> {
    const NAME: &'static str = "sgd";

    fn threads(&self) -> u32 {
        self.count
    }
}

/// Gradient descent with momentum, the average being the velocity.
///
/// # Errors
///
/// If the machine fails.
///
/// # Panics
///
/// If the lengths do not fit.
pub fn sgd<M: Machine>(m: &M, update: Update, [momentum, rate]: [f64; 2]) -> Result<()> {
    let count = update.check(1)?;
    let Update { p, averages, g } = update;
    let [momentum, rate] = [momentum, rate].map(|x| x as f32);
    m.launch(Sgd { p, averages, g, momentum, rate, count })
}
