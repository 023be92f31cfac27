//! candle's tensors on a GPU, taken apart for the operations and put together again.

use super::convolution::{self, Batch, ROOM};
use super::decode;
use super::device::Gpu;
use super::fold;
use super::machine::{In, Out};
use super::norm::{self, Arguments, Gradients, Grid, Norm};
use super::rules::{self, Update};
use crate::ops::sharpened_norm::{Pool, SharpenedNorm};
use crate::ops::statistics::{Origin, Statistics};
use crate::optim::Rule;
use crate::softmax_decode::Key;
use candle_core::cuda::cudarc::driver::{CudaSlice, DevicePtr, DevicePtrMut};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, Layout, Result, Shape, Storage, Tensor, bail};
use kernels::convolution::Convolution;

/// Numbers on a GPU with their layout, as candle hands them to an operation.
pub(crate) type Stored<'a> = (&'a CudaStorage, &'a Layout);

/// The numbers of a contiguous storage.
fn numbers<'a>((storage, layout): Stored<'a>) -> Result<In<'a, f32>> {
    let slice = storage.as_cuda_slice::<f32>()?;
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the values are strided: call `contiguous()` first")
    };
    let address = slice.device_ptr(&storage.device.cuda_stream()).0;
    // SAFETY: the slice holds so many numbers, and is borrowed as long as these are.
    Ok(unsafe { In::new(address, slice.len()) }.part(start, end - start))
}

/// Lends the numbers of a contiguous tensor on a GPU to `f`.
fn with_numbers<T>(
    tensor: &Tensor,
    f: impl FnOnce(&CudaDevice, In<'_, f32>) -> Result<T>,
) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cuda(storage) => f(&storage.device, numbers((storage, layout))?),
        _ => bail!("all tensors of an operation must be on the GPU"),
    }
}

/// Numbers to come, for a result.
struct Fresh {
    device: CudaDevice,
    slice: CudaSlice<f32>,
}

impl Fresh {
    fn new(device: &CudaDevice, len: usize) -> Result<Self> {
        // SAFETY: the operation that it is made for writes every number.
        let slice = unsafe { device.alloc::<f32>(len) }?;
        Ok(Self { device: device.clone(), slice })
    }

    fn write(&mut self) -> Out<'_, f32> {
        let len = self.slice.len();
        let address = self.slice.device_ptr_mut(&self.device.cuda_stream()).0;
        // SAFETY: the slice holds so many numbers and is borrowed mutably.
        unsafe { Out::new(address, len) }
    }

    fn storage(self) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(self.slice, self.device)
    }

    fn tensor(self, shape: &Shape) -> Tensor {
        let storage = Storage::Cuda(self.storage());
        Tensor::from_storage(storage, shape.clone(), BackpropOp::none(), false)
    }
}

/// The convolution of `x` by `w`.
pub(crate) fn convolve(sizes: Convolution, x: Stored, w: Stored) -> Result<CudaStorage> {
    let batch = Batch { sizes, room: ROOM };
    let mut y = Fresh::new(&x.0.device, sizes.lens()[2])?;
    let gpu = Gpu(&x.0.device);
    convolution::forward(&gpu, &batch, numbers(x)?, numbers(w)?, y.write())?;
    Ok(y.storage())
}

/// The gradients by `x` and by `w`, those that are wanted.
pub(crate) fn convolve_backward(
    sizes: Convolution,
    x: &Tensor,
    w: &Tensor,
    dy: &Tensor,
    [want_dx, want_dw]: [bool; 2],
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let batch = Batch { sizes, room: ROOM };
    let dy = dy.contiguous()?;
    with_numbers(x, |device, xs| {
        with_numbers(w, |_, ws| {
            with_numbers(&dy, |_, dys| {
                let wanted = want_dx.then(|| Fresh::new(device, xs.len())).transpose()?;
                let (mut dx, mut dw) = (wanted, Fresh::new(device, ws.len())?);
                let dx_out = dx.as_mut().map(Fresh::write);
                convolution::backward(&Gpu(device), &batch, xs, ws, dys, dx_out, dw.write())?;
                Ok((dx.map(|dx| dx.tensor(x.shape())), want_dw.then(|| dw.tensor(w.shape()))))
            })
        })
    })
}

/// Mean and biased variance of the last axis of `x`.
pub(crate) fn statistics(x: &Tensor) -> Result<Statistics> {
    let channels = x.dim(candle_core::D::Minus1)?;
    with_numbers(x, |device, xs| {
        let (mean, variance) = norm::statistics(&Gpu(device), xs, channels)?;
        let origin = Origin::Batch { count: xs.len() / channels };
        Ok(Statistics { mean, variance, origin })
    })
}

/// The sizes a norm works on, and the shape of its result.
fn grid(norm: &SharpenedNorm, x: &Shape) -> Result<(Grid, Shape)> {
    let (images, height, width, channels) = match (x.dims(), norm.pool) {
        (&[images, channels], Pool::None) => (images, 1, 1, channels),
        (&[images, height, width, channels], _) => (images, height, width, channels),
        _ => bail!("a batch norm takes (images, height, width, channels), this is {x:?}"),
    };
    let pooled = norm.pool == Pool::TwoByTwo;
    let output = match pooled {
        true => (images, height / 2, width / 2, channels).into(),
        false => x.clone(),
    };
    if output.elem_count() == 0 {
        bail!("nothing is left of {x:?} after the pool");
    }
    for len in [norm.statistics.mean.len(), norm.statistics.variance.len()] {
        if len != channels {
            bail!("the norm has {len} channels, the values have {channels}");
        }
    }
    Ok((Grid { images, height, width, channels, pooled }, output))
}

fn for_kernels(norm: &SharpenedNorm, grid: Grid) -> Norm<'_> {
    let Statistics { mean, variance, origin } = &norm.statistics;
    let batch = match origin {
        Origin::Batch { count } => Some(*count),
        Origin::Moving => None,
    };
    Norm { grid, mean, variance, batch, epsilon: norm.epsilon, curve: norm.curve }
}

/// A sharpened norm of `x`.
pub(crate) fn sharpen(
    norm: &SharpenedNorm,
    x: Stored,
    gamma: Stored,
    beta: Stored,
) -> Result<(CudaStorage, Shape)> {
    let (grid, shape) = grid(norm, x.1.shape())?;
    let mut y = Fresh::new(&x.0.device, shape.elem_count())?;
    let gpu = Gpu(&x.0.device);
    let arguments = Arguments { x: numbers(x)?, gamma: numbers(gamma)?, beta: numbers(beta)? };
    for_kernels(norm, grid).forward(&gpu, arguments, y.write())?;
    Ok((y.storage(), shape))
}

/// The gradients of a sharpened norm by its three arguments.
pub(crate) fn sharpen_backward(
    norm: &SharpenedNorm,
    [x, gamma, beta]: [&Tensor; 3],
    dy: &Tensor,
) -> Result<[Tensor; 3]> {
    let (grid, _) = grid(norm, x.shape())?;
    let dy = dy.contiguous()?;
    with_numbers(x, |device, xs| {
        with_numbers(gamma, |_, gammas| {
            with_numbers(beta, |_, betas| {
                with_numbers(&dy, |_, dys| {
                    let mut dx = Fresh::new(device, xs.len())?;
                    let mut dgamma = Fresh::new(device, gammas.len())?;
                    let mut dbeta = Fresh::new(device, betas.len())?;
                    let arguments = Arguments { x: xs, gamma: gammas, beta: betas };
                    let gradients =
                        Gradients { x: dx.write(), gamma: dgamma.write(), beta: dbeta.write() };
                    for_kernels(norm, grid).backward(&Gpu(device), arguments, dys, gradients)?;
                    Ok([(dx, x), (dgamma, gamma), (dbeta, beta)]
                        .map(|(gradient, like)| gradient.tensor(like.shape())))
                })
            })
        })
    })
}

/// The mean cross-entropy of outputs.
pub(crate) fn loss(key: &Key, labels: &[u32], clipped: bool, x: Stored) -> Result<CudaStorage> {
    let mut mean = Fresh::new(&x.0.device, 1)?;
    let batch = decode::Batch { key, labels, x: numbers(x)?, clipped };
    decode::loss(&Gpu(&x.0.device), &batch, mean.write())?;
    Ok(mean.storage())
}

/// The cross-entropy's gradient by the outputs.
pub(crate) fn loss_backward(
    key: &Key,
    labels: &[u32],
    clipped: bool,
    x: &Tensor,
    dy: &Tensor,
) -> Result<Tensor> {
    let dy = dy.contiguous()?;
    with_numbers(x, |device, xs| {
        with_numbers(&dy, |_, dys| {
            let mut dx = Fresh::new(device, xs.len())?;
            let batch = decode::Batch { key, labels, x: xs, clipped };
            decode::gradient(&Gpu(device), &batch, dys, dx.write())?;
            Ok(dx.tensor(x.shape()))
        })
    })
}

/// How many outputs are decoded as their label.
pub(crate) fn hits(key: &Key, labels: &[u32], x: &Tensor) -> Result<usize> {
    with_numbers(x, |device, xs| {
        decode::hits(&Gpu(device), &decode::Batch { key, labels, x: xs, clipped: false })
    })
}

/// The Euclidean length of each tensor's numbers.
pub(crate) fn lengths(tensors: &[Tensor]) -> Result<Vec<f64>> {
    let Some(first) = tensors.first() else { return Ok(Vec::new()) };
    let held: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let vectors: Vec<In<f32>> = held
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cuda(storage) => numbers((storage, layout)),
            _ => bail!("all tensors of an operation must be on the GPU"),
        })
        .collect::<Result<_>>()?;
    fold::lengths(&Gpu(first.device().as_cuda_device()?), &vectors)
}

/// One update of a variable and its averages by a rule; the rate is the one that is applied.
pub(crate) fn update(
    rule: Rule,
    rate: f64,
    (storage, layout): (&mut CudaStorage, &Layout),
    averages: &Tensor,
    gradient: Stored,
) -> Result<()> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a variable must be contiguous to be updated in place")
    };
    let device = storage.device.clone();
    let gpu = Gpu(&device);
    let g = numbers(gradient)?;
    let slice = storage.as_cuda_slice_mut::<f32>()?;
    let len = slice.len();
    let address = slice.device_ptr_mut(&device.cuda_stream()).0;
    // SAFETY: the slice holds so many numbers and is borrowed mutably.
    let mut p = unsafe { Out::new(address, len) };
    let p = p.part(start, end - start);
    with_numbers(averages, |_, kept| {
        // SAFETY: the optimiser alone has this tensor, and it does one thing at a time.
        let averages = unsafe { Out::new(kept.address(), kept.len()) };
        let update = Update { p, averages, g };
        match rule {
            Rule::Adadelta(rule) => rules::adadelta(&gpu, update, [rule.rho, rule.epsilon, rate]),
            Rule::Rmsprop(rule) => rules::rmsprop(&gpu, update, [rule.rho, rule.epsilon, rate]),
            Rule::Adam(rule) => {
                rules::adam(&gpu, update, [rule.beta1, rule.beta2, rule.epsilon, rate])
            }
            Rule::Sgd(rule) => rules::sgd(&gpu, update, [rule.momentum, rate]),
        }
    })
}

/// Averages without a gradient: each keeps its share.
pub(crate) fn decay(averages: &Tensor, kept: &[f64]) -> Result<()> {
    with_numbers(averages, |device, all| {
        let each = all.len() / kept.len().max(1);
        for (number, kept) in kept.iter().enumerate() {
            let part = all.part(number * each, each);
            // SAFETY: as in `update`.
            let part = unsafe { Out::new(part.address(), part.len()) };
            rules::decay(&Gpu(device), part, *kept)?;
        }
        Ok(())
    })
}
