//! The two number types that networks are computed in.

use candle_core::{Device, Tensor, WithDType};
use kernels::number::Number;
use std::ops::Neg;

/// `f32`, in which networks train, or `f64`, in which their gradients are checked.
pub trait Real: WithDType + Number + Neg<Output = Self> {
    /// `e` to this power.
    fn exp(self) -> Self;
}

impl Real for f32 {
    fn exp(self) -> Self {
        self.exp()
    }
}

impl Real for f64 {
    fn exp(self) -> Self {
        self.exp()
    }
}

/// Lends the values of a contiguous tensor to `f`, in row-major order; a copy of them if it lies on
/// another device than the CPU.
///
/// # Errors
///
/// If the tensor is of another type, cannot be copied, or is not contiguous.
pub fn with_values<R: Real, T>(
    tensor: &Tensor,
    f: impl FnOnce(&[R]) -> candle_core::Result<T>,
) -> candle_core::Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => f(contiguous(storage, layout)?),
        _ => with_values(&tensor.to_device(&Device::Cpu)?, f),
    }
}

/// The values of a contiguous CPU storage, in row-major order.
///
/// # Errors
///
/// If the storage holds another type, or its layout is not contiguous.
pub fn contiguous<'a, R: Real>(
    storage: &'a candle_core::CpuStorage,
    layout: &candle_core::Layout,
) -> candle_core::Result<&'a [R]> {
    let values = R::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("the values are strided: call `contiguous()` first"),
    }
}
