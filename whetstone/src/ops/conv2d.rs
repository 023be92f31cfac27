//! Convolutions that keep the image's size but for their stride, and the dense layer.

use super::real::{Real, contiguous, with_values};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};
use kernels::convolution::Convolution;

#[cfg(feature = "cuda")]
use super::cuda::tensors;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

/// Cross-correlates images with kernels, zeros beyond the edges.
///
/// | tensor | shape |
/// |--------|-------|
/// | `x`    | `(images, height, width, channels)` |
/// | `w`    | `(side, side, channels, features)` |
/// | result | `(images, ⌈height / stride⌉, ⌈width / stride⌉, features)` |
///
/// As many zeros stand before the image as behind it, or one more behind (Keras's "same").
///
/// There is no bias: every convolution here is followed by a batch norm, which takes it off again.
/// A bias is a `broadcast_add` away.
///
/// The gradient by `x` is only computed where `x` depends on a variable. Results are the same bit
/// for bit on every run, for any number of threads, on processors with the same instructions.
///
/// # Errors
///
/// If shapes or types do not match, the stride is zero, or a tensor is not contiguous.
pub fn conv2d_same(x: &Tensor, w: &Tensor, stride: usize) -> Result<Tensor> {
    x.apply_op2(w, Conv2dSame { stride })
}

/// Multiplies each row of `x`, `(rows, inputs)`, by `w`, `(inputs, outputs)`: the dense layer.
///
/// # Errors
///
/// As [`conv2d_same`].
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let (rows, inputs) = x.dims2()?;
    let (kernel_inputs, outputs) = w.dims2()?;
    let w = w.reshape((1, 1, kernel_inputs, outputs))?;
    conv2d_same(&x.reshape((rows, 1, 1, inputs))?, &w, 1)?.reshape((rows, outputs))
}

/// The gradients of [`conv2d_same`] by `x`, if that is wanted, and by `w`, from the gradient by its
/// result.
///
/// # Errors
///
/// As [`conv2d_same`].
pub fn conv2d_gradients(
    x: &Tensor,
    w: &Tensor,
    stride: usize,
    dy: &Tensor,
    want_dx: bool,
) -> Result<(Option<Tensor>, Tensor)> {
    let (dx, dw) = Conv2dSame { stride }.gradients(x, w, dy, [want_dx, true])?;
    Ok((dx, dw.expect("the gradient by the weights, because it was asked for")))
}

/// The gradients of [`linear`] likewise.
///
/// # Errors
///
/// As [`conv2d_same`].
pub fn linear_gradients(
    x: &Tensor,
    w: &Tensor,
    dy: &Tensor,
    want_dx: bool,
) -> Result<(Option<Tensor>, Tensor)> {
    let ((rows, inputs), outputs) = (x.dims2()?, w.dim(1)?);
    let (x4, w4) = (x.reshape((rows, 1, 1, inputs))?, w.reshape((1, 1, inputs, outputs))?);
    let dy = dy.reshape((rows, 1, 1, outputs))?;
    let (dx, dw) = conv2d_gradients(&x4, &w4, 1, &dy, want_dx)?;
    Ok((dx.map(|dx| dx.reshape(x.shape())).transpose()?, dw.reshape(w.shape())?))
}

/// The candle face of a convolution.
struct Conv2dSame {
    stride: usize,
}

impl Conv2dSame {
    fn sizes(&self, x: &Shape, w: &Shape) -> Result<Convolution> {
        let (images, height, width, channels) = x.dims4()?;
        let (side, across, kernel_channels, features) = w.dims4()?;
        if side != across || side == 0 {
            bail!("a kernel must be square and of at least one pixel, this one is {side}×{across}");
        }
        if channels != kernel_channels {
            bail!("the images have {channels} channels but the kernel expects {kernel_channels}");
        }
        if self.stride == 0 {
            bail!("a stride must be at least 1");
        }
        let stride = self.stride;
        Ok(Convolution { images, height, width, channels, features, side, stride })
    }

    fn forward<R: Real>(
        &self,
        x: (&CpuStorage, &Layout),
        w: (&CpuStorage, &Layout),
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(x.1.shape(), w.1.shape())?;
        let mut y = vec![R::zero(); sizes.lens()[2]];
        sizes.forward(contiguous::<R>(x.0, x.1)?, contiguous(w.0, w.1)?, &mut y);
        let [height, width] = sizes.output();
        let shape = (sizes.images, height, width, sizes.features);
        Ok((R::to_cpu_storage_owned(y), shape.into()))
    }

    fn gradients(
        &self,
        x: &Tensor,
        w: &Tensor,
        dy: &Tensor,
        wanted: [bool; 2],
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return tensors::convolve_backward(self.sizes(x.shape(), w.shape())?, x, w, dy, wanted);
        }
        match x.dtype() {
            DType::F64 => self.backward::<f64>(x, w, dy, wanted),
            _ => self.backward::<f32>(x, w, dy, wanted),
        }
    }

    fn backward<R: Real>(
        &self,
        x: &Tensor,
        w: &Tensor,
        dy: &Tensor,
        [want_dx, want_dw]: [bool; 2],
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(x.shape(), w.shape())?;
        let dy = dy.contiguous()?;
        let dx = |dy: &[R]| {
            with_values::<R, _>(w, |w| {
                let mut dx = vec![R::zero(); x.elem_count()];
                sizes.input_gradient(w, dy, &mut dx);
                Tensor::from_vec(dx, x.shape(), x.device())
            })
        };
        let dw = |dy: &[R]| {
            with_values::<R, _>(x, |x| {
                let mut dw = vec![R::zero(); w.elem_count()];
                sizes.weight_gradient(x, dy, &mut dw);
                Tensor::from_vec(dw, w.shape(), w.device())
            })
        };
        with_values::<R, _>(&dy, |dy| {
            Ok((want_dx.then(|| dx(dy)).transpose()?, want_dw.then(|| dw(dy)).transpose()?))
        })
    }
}

impl CustomOp2 for Conv2dSame {
    fn name(&self) -> &'static str {
        "conv2d-same"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        match x {
            CpuStorage::F32(_) => self.forward::<f32>((x, x_layout), (w, w_layout)),
            CpuStorage::F64(_) => self.forward::<f64>((x, x_layout), (w, w_layout)),
            _ => bail!("a convolution takes f32 or f64"),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        w: &CudaStorage,
        w_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = self.sizes(x_layout.shape(), w_layout.shape())?;
        let [height, width] = sizes.output();
        let y = tensors::convolve(sizes, (x, x_layout), (w, w_layout))?;
        Ok((y, (sizes.images, height, width, sizes.features).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, w, dy, [x.track_op(), w.track_op()])
    }
}
