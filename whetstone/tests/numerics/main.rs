//! The numbers a network computes, against numbers that were not computed by this code: fixtures,
//! finite differences and graphs of candle's own operations.

mod activations;
mod convolution;
mod decoding;
mod finite;
mod fixture;
mod merge;
mod norm;
mod norm_shapes;
mod shapes;
mod tiny_net;
