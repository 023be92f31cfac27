//! Convolutions that keep the image's size, and the dense layer as their smallest case.

use super::patches::{Window, gather, scatter_add};
use super::product::{Matrix, add_product, product};
use super::real::{Real, contiguous, with_values};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

/// Cross-correlates images with kernels: stride 1, zero padding of `(side − 1) / 2` all round.
///
/// | tensor | shape |
/// |--------|-------|
/// | `x`    | `(images, height, width, channels)` |
/// | `w`    | `(side, side, channels, features)`, side odd |
/// | result | `(images, height, width, features)` |
///
/// There is no bias: every convolution here is followed by a batch norm, which takes it off again.
/// A bias is a `broadcast_add` away.
///
/// The gradient by `x` is only computed where `x` depends on a variable. For one input the result
/// is the same bit for bit on every run: one thread, one order of summation.
///
/// # Errors
///
/// If shapes or types do not match, the side is even, or a tensor is not contiguous on the CPU.
pub fn conv2d_same(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    x.apply_op2(w, Conv2dSame)
}

/// Multiplies each row of `x`, `(rows, inputs)`, by `w`, `(inputs, outputs)`.
///
/// The dense layer. candle's own matmul would do, but takes every thread it finds.
///
/// # Errors
///
/// As [`conv2d_same`].
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let (rows, inputs) = x.dims2()?;
    let (kernel_inputs, outputs) = w.dims2()?;
    let w = w.reshape((1, 1, kernel_inputs, outputs))?;
    conv2d_same(&x.reshape((rows, 1, 1, inputs))?, &w)?.reshape((rows, outputs))
}

/// Numbers of patches worked on at once: 1 MiB of `f32`, so that the patches of one chunk are still
/// in the second-level cache when the product reads them.
const PATCHES_AT_ONCE: usize = 1 << 18;

/// The sizes of one convolution of a batch.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    images: usize,
    window: Window,
    features: usize,
}

impl Sizes {
    fn of(x: &Shape, w: &Shape) -> Result<Self> {
        let (images, height, width, channels) = x.dims4()?;
        let (side, across, kernel_channels, features) = w.dims4()?;
        if side != across || side % 2 == 0 {
            bail!("a kernel must be square with an odd side, this one is {side}×{across}");
        }
        if channels != kernel_channels {
            bail!("the images have {channels} channels but the kernel expects {kernel_channels}");
        }
        Ok(Self { images, window: Window { height, width, channels, side }, features })
    }

    /// Images per chunk, at least one.
    fn chunk(&self) -> usize {
        let image = self.window.patches() * self.window.patch_len();
        (PATCHES_AT_ONCE / image.max(1)).clamp(1, self.images.max(1))
    }

    /// Numbers an output image holds.
    fn output_len(&self) -> usize {
        self.window.patches() * self.features
    }
}

fn forward<R: Real>(sizes: Sizes, x: &[R], w: &[R]) -> Vec<R> {
    let Sizes { images, window, features } = sizes;
    let kernel = Matrix::new(w, window.patch_len(), features);
    let mut y = vec![R::zero(); images * sizes.output_len()];
    if y.is_empty() {
        return y;
    }
    if window.side == 1 {
        product(Matrix::new(x, images * window.patches(), window.channels), kernel, &mut y);
        return y;
    }
    let mut patches = vec![R::zero(); sizes.chunk() * window.patches() * window.patch_len()];
    let x = x.chunks(sizes.chunk() * window.image_len());
    for (x, y) in x.zip(y.chunks_mut(sizes.chunk() * sizes.output_len())) {
        let patches = gather_chunk(window, x, &mut patches);
        product(patches, kernel, y);
    }
    y
}

/// Gathers the patches of some images into the front of `patches`.
fn gather_chunk<'a, R: Real>(window: Window, x: &[R], patches: &'a mut [R]) -> Matrix<'a, R> {
    let per_image = window.patches() * window.patch_len();
    let images = x.len() / window.image_len();
    let patches = &mut patches[..images * per_image];
    for (image, patches) in x.chunks(window.image_len()).zip(patches.chunks_mut(per_image)) {
        gather(window, image, patches);
    }
    Matrix::new(patches, images * window.patches(), window.patch_len())
}

/// The gradients by the images (if asked for) and by the kernel.
fn backward<R: Real>(
    sizes: Sizes,
    x: &[R],
    w: &[R],
    dy: &[R],
    want_dx: bool,
) -> (Option<Vec<R>>, Vec<R>) {
    let Sizes { images, window, features } = sizes;
    let kernel = Matrix::new(w, window.patch_len(), features).transposed();
    let mut dw = vec![R::zero(); w.len()];
    let mut dx = want_dx.then(|| vec![R::zero(); x.len()]);
    if x.is_empty() || dy.is_empty() {
        return (dx, dw);
    }
    if window.side == 1 {
        let dy = Matrix::new(dy, images * window.patches(), features);
        let x = Matrix::new(x, images * window.patches(), window.channels);
        product(x.transposed(), dy, &mut dw);
        if let Some(dx) = &mut dx {
            product(dy, kernel, dx);
        }
        return (dx, dw);
    }
    let per_image = window.patches() * window.patch_len();
    let mut patches = vec![R::zero(); sizes.chunk() * per_image];
    for (chunk, dy) in dy.chunks(sizes.chunk() * sizes.output_len()).enumerate() {
        let first = chunk * sizes.chunk() * window.image_len();
        let images = dy.len() / sizes.output_len();
        let span = first..first + images * window.image_len();
        let dy = Matrix::new(dy, images * window.patches(), features);
        add_product(gather_chunk(window, &x[span.clone()], &mut patches).transposed(), dy, &mut dw);
        let Some(dx) = &mut dx else { continue };
        let patches = &mut patches[..images * per_image];
        product(dy, kernel, patches);
        let dx = dx[span].chunks_mut(window.image_len());
        for (patches, dx) in patches.chunks(per_image).zip(dx) {
            scatter_add(window, patches, dx);
        }
    }
    (dx, dw)
}

/// The candle face of a convolution.
struct Conv2dSame;

impl Conv2dSame {
    fn forward<R: Real>(
        x: (&CpuStorage, &Layout),
        w: (&CpuStorage, &Layout),
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(x.1.shape(), w.1.shape())?;
        let y = forward::<R>(sizes, contiguous(x.0, x.1)?, contiguous(w.0, w.1)?);
        let Window { height, width, .. } = sizes.window;
        let shape = (sizes.images, height, width, sizes.features);
        Ok((R::to_cpu_storage_owned(y), shape.into()))
    }

    fn backward<R: Real>(
        x: &Tensor,
        w: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::of(x.shape(), w.shape())?;
        let dy = dy.contiguous()?;
        let (dx, dw) = with_values::<R, _>(x, |xs| {
            with_values::<R, _>(w, |ws| {
                with_values::<R, _>(&dy, |dys| Ok(backward(sizes, xs, ws, dys, x.track_op())))
            })
        })?;
        let dx = dx.map(|dx| Tensor::from_vec(dx, x.shape(), x.device())).transpose()?;
        Ok((dx, Some(Tensor::from_vec(dw, w.shape(), w.device())?)))
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
            CpuStorage::F32(_) => Self::forward::<f32>((x, x_layout), (w, w_layout)),
            CpuStorage::F64(_) => Self::forward::<f64>((x, x_layout), (w, w_layout)),
            _ => bail!("a convolution takes f32 or f64"),
        }
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        match x.dtype() {
            DType::F64 => Self::backward::<f64>(x, w, dy),
            _ => Self::backward::<f32>(x, w, dy),
        }
    }
}
