//! The arithmetic of a training step over plain slices.
//!
//! No tensor, no graph, no allocation beyond scratch space: numbers in, numbers out, so that each
//! kernel can be tested alone and rebuilt in a second.
//!
//! # Where things are
//!
//! | module | holds |
//! |---|---|
//! | [`convolution`] | a convolution's forward pass and gradients; the dense layer is its smallest case |
//! | `correlate`, `weight_gradient` | the loops around tiles |
//! | `axis` | which inputs an output sees along one axis |
//! | [`tile`] | the innermost loop, with all `unsafe` but a call of the C library |
//! | `panels`, `patches` | copies of matrices and images in the order that tiles read |
//! | [`level`] | which vector instructions |
//! | [`number`] | `f32` and `f64` |
//! | [`memory`] | what a training asks of the allocator |
//!
//! # Threads
//!
//! Kernels spread over the threads of the rayon pool they are called in. Each number of a result is
//! summed by one thread in an order that does not depend on their number.

mod axis;
pub mod convolution;
mod correlate;
pub mod level;
pub mod memory;
pub mod number;
mod panels;
mod patches;
pub mod tile;
mod weight_gradient;
