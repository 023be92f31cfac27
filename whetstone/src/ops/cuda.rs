//! The operations on NVIDIA GPUs: kernels in CUDA C, and the order in which they are launched.
//!
//! Two things are kept apart. *What is computed* stands in `kernels/*.cuh` and in the modules here,
//! which know a GPU only as a [`Machine`]: something that holds numbers, launches kernels and
//! multiplies matrices. *How a GPU does it* stands in `device` and `tensors`, which exist with the
//! feature `cuda`. So the whole of the former runs in the tests on an ordinary processor, kernels
//! included: they are C as well as CUDA, and a plain compiler makes loops of them.
//!
//! Everything is `f32` here, contiguous, NHWC and HWIO as on the CPU; sums over many numbers are
//! `f64`, as there. Nothing is added up by atomics: partial sums lie in memory and are added in a
//! fixed order, so that one GPU gives the same bits on every run. Matrix products are cuBLAS's.
//!
//! | module | holds |
//! |---|---|
//! | [`machine`] | what a GPU must be able to do; the arguments of kernels |
//! | [`fold`](mod@fold) | sums in a fixed order; the length of a vector |
//! | [`convolution`] | patches and matrix products |
//! | [`norm`] | batch statistics; norm, pool and activation with gradients |
//! | [`decode`] | votes, loss and hits |
//! | [`rules`] | updates of variables where they lie |

pub mod convolution;
pub mod decode;
pub mod fold;
pub mod machine;
pub mod norm;
pub mod rules;

#[cfg(feature = "cuda")]
pub(crate) mod device;
#[cfg(feature = "cuda")]
pub(crate) mod tensors;

pub use machine::{In, Machine, Out};
