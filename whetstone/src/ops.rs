//! The few operations a Whetstone network is made of, as candle custom operations.
//!
//! Images are NHWC, kernels HWIO, dense weights `(inputs, outputs)`; everything is contiguous, on
//! the CPU, in `f32` or `f64`. Each operation splits into a plain kernel over slices and a thin
//! candle face with its exact gradient, so that a kernel can be replaced without touching a graph.
//!
//! candle's own pooling and clamp are deliberately absent: with ties the gradient of its
//! `max_pool2d` is wrong, that of `clamp` is halved at the bounds, and thresholds tie all the time.
//!
//! Convolutions are the `kernels` crate's.

pub mod conv2d;
pub mod cuda;
pub mod curve;
pub mod real;
pub mod sharpened_norm;
pub mod statistics;
