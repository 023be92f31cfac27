//! The two number types that kernels compute in.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul};

use pulp::Simd;

/// `f32`, in which networks train, or `f64`, in which their gradients are checked: one kernel
/// serves both, so that a check in `f64` is a check of the very code that trains.
pub trait Number:
    Copy
    + Debug
    + Default
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Mul<Output = Self>
    + 'static
{
    /// Several numbers in one register.
    type Vector<S: Simd>: Copy;

    /// Zero.
    const ZERO: Self;

    /// How many numbers a register holds.
    fn lanes<S: Simd>() -> usize;

    /// The same number in every lane.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;

    /// `a · b + c` in every lane; rounded once where the instructions can, twice elsewhere.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

/// Registers of this size may belong to a processor without fused multiply-add, on which it would
/// be a call of the mathematics library for every number.
const PORTABLE_BYTES: usize = 16;

impl Number for f32 {
    type Vector<S: Simd> = S::f32s;

    const ZERO: f32 = 0.0;

    #[inline(always)]
    fn lanes<S: Simd>() -> usize {
        S::F32_LANES
    }

    #[inline(always)]
    fn splat<S: Simd>(simd: S, x: f32) -> S::f32s {
        simd.splat_f32s(x)
    }

    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        if size_of::<S::f32s>() == PORTABLE_BYTES {
            simd.add_f32s(simd.mul_f32s(a, b), c)
        } else {
            simd.mul_add_e_f32s(a, b, c)
        }
    }
}

impl Number for f64 {
    type Vector<S: Simd> = S::f64s;

    const ZERO: f64 = 0.0;

    #[inline(always)]
    fn lanes<S: Simd>() -> usize {
        S::F64_LANES
    }

    #[inline(always)]
    fn splat<S: Simd>(simd: S, x: f64) -> S::f64s {
        simd.splat_f64s(x)
    }

    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        if size_of::<S::f64s>() == PORTABLE_BYTES {
            simd.add_f64s(simd.mul_f64s(a, b), c)
        } else {
            simd.mul_add_e_f64s(a, b, c)
        }
    }
}
