//! Batch norm, max-pool and a sharpened activation as one operation.
//!
//! Apart, the three are where a stock graph loses most of its time: each reads and writes the whole
//! activation several times. Together they read it twice forward and twice backward.
//!
//! The pool stands between the norm and the activation. Activations rise, so the largest value is
//! the same before and after; but before, values hardly ever tie, so the gradient has one place to
//! go. The pool works on *normalised* values, since a negative gamma turns the order round.

mod backward;
mod forward;
mod grid;

use super::curve::{Clip, Curve, Logistic, Step};
use super::real::{Real, contiguous, with_values};
use super::statistics::Statistics;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use grid::{Grid, Map};

#[cfg(feature = "cuda")]
use super::cuda::tensors;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

/// What lies between the normalised values and the activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Nothing.
    None,
    /// The largest of each 2 × 2 pixels, stride 2; an odd last row or column is dropped.
    TwoByTwo,
}

/// `activation(pool(gamma · (x − mean) / √(variance + epsilon) + beta))`.
///
/// S. Ioffe and C. Szegedy, "Batch Normalization", 2015 — <https://arxiv.org/abs/1502.03167>.
#[derive(Clone, Debug)]
pub struct SharpenedNorm {
    /// Mean and variance per channel. Those of the batch itself carry a gradient, moving ones do
    /// not.
    pub statistics: Statistics,
    /// Added to the variance, inside the root; positive.
    pub epsilon: f64,
    /// The pool before the activation.
    pub pool: Pool,
    /// The activation.
    pub curve: Curve,
}

impl SharpenedNorm {
    /// Applies it to `x`, with `gamma` and `beta` per channel.
    ///
    /// | tensor | shape |
    /// |--------|-------|
    /// | `x`    | `(images, height, width, channels)`, or `(rows, channels)` without a pool |
    /// | `gamma`, `beta` | `(channels)`: ones and zeros where the norm has no scale or centre |
    /// | result | as `x`, height and width halved (rounded down) by the pool |
    ///
    /// Of several equal largest values the first, row by row, takes the whole gradient. A step has
    /// no gradient, so with one the graph ends here and nothing below it is computed backwards.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match, or a tensor is not contiguous.
    pub fn apply(self, x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
        if self.curve.is_step() {
            x.apply_op3_no_bwd(gamma, beta, &self)
        } else {
            x.apply_op3(gamma, beta, self)
        }
    }

    /// The gradients by `x`, `gamma` and `beta`, from the gradient by the result of
    /// [`SharpenedNorm::apply`]; nothing if the activation is a step.
    ///
    /// # Errors
    ///
    /// As [`SharpenedNorm::apply`].
    pub fn gradients(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        dy: &Tensor,
    ) -> Result<Option<[Tensor; 3]>> {
        if self.curve.is_step() {
            return Ok(None);
        }
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return tensors::sharpen_backward(self, [x, gamma, beta], dy).map(Some);
        }
        let gradients = match x.dtype() {
            DType::F64 => self.backward::<f64>([x, gamma, beta], dy),
            _ => self.backward::<f32>([x, gamma, beta], dy),
        };
        gradients.map(Some)
    }

    fn forward<R: Real>(
        &self,
        x: (&CpuStorage, &Layout),
        gamma: (&CpuStorage, &Layout),
        beta: (&CpuStorage, &Layout),
    ) -> Result<(CpuStorage, Shape)> {
        let grid = Grid::of(x.1.shape(), self.pool)?;
        let (gamma, beta) = (contiguous::<R>(gamma.0, gamma.1)?, contiguous(beta.0, beta.1)?);
        let map = Map::new(&self.statistics, self.epsilon, gamma, beta, grid.channels)?;
        let x = contiguous(x.0, x.1)?;
        let y = match self.curve {
            Curve::Clip { slope } => forward::forward(grid, &map, Clip::new(slope), x),
            Curve::Logistic { gain } => forward::forward(grid, &map, Logistic::new(gain), x),
            Curve::Step { threshold } => forward::forward(grid, &map, Step::new(threshold), x),
        };
        Ok((R::to_cpu_storage_owned(y), grid.output_shape()))
    }

    fn backward<R: Real>(
        &self,
        [x, gamma, beta]: [&Tensor; 3],
        dy: &Tensor,
    ) -> Result<[Tensor; 3]> {
        let grid = Grid::of(x.shape(), self.pool)?;
        let dy = dy.contiguous()?;
        let map = with_values::<R, _>(gamma, |gamma| {
            with_values(beta, |beta| {
                Map::new(&self.statistics, self.epsilon, gamma, beta, grid.channels)
            })
        })?;
        let origin = self.statistics.origin;
        let gradients = with_values::<R, _>(x, |x| {
            with_values::<R, _>(&dy, |dy| {
                Ok(match self.curve {
                    Curve::Clip { slope } => {
                        backward::backward(grid, &map, Clip::new(slope), origin, x, dy)
                    }
                    Curve::Logistic { gain } => {
                        backward::backward(grid, &map, Logistic::new(gain), origin, x, dy)
                    }
                    Curve::Step { threshold } => {
                        backward::backward(grid, &map, Step::new(threshold), origin, x, dy)
                    }
                })
            })
        })?;
        Ok([
            Tensor::from_vec(gradients.x, x.shape(), x.device())?,
            Tensor::from_vec(gradients.gamma, gamma.shape(), gamma.device())?,
            Tensor::from_vec(gradients.beta, beta.shape(), beta.device())?,
        ])
    }
}

impl CustomOp3 for SharpenedNorm {
    fn name(&self) -> &'static str {
        "sharpened-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, gamma, beta) = ((x, x_layout), (gamma, gamma_layout), (beta, beta_layout));
        match x.0 {
            CpuStorage::F32(_) => self.forward::<f32>(x, gamma, beta),
            CpuStorage::F64(_) => self.forward::<f64>(x, gamma, beta),
            _ => bail!("a batch norm takes f32 or f64"),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        gamma: &CudaStorage,
        gamma_layout: &Layout,
        beta: &CudaStorage,
        beta_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        tensors::sharpen(self, (x, x_layout), (gamma, gamma_layout), (beta, beta_layout))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some([dx, dgamma, dbeta]) = self.gradients(x, gamma, beta, dy)? else {
            return Ok((None, None, None));
        };
        // Whoever does not depend on a variable has no use for its gradient.
        let wanted = |like: &Tensor, gradient| like.track_op().then_some(gradient);
        Ok((wanted(x, dx), wanted(gamma, dgamma), wanted(beta, dbeta)))
    }
}
