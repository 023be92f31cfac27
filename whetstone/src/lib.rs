//! Networks whose activations sharpen into thresholds, trained with candle.

pub mod data;
pub mod evaluate;
pub mod merge;
pub mod network;
pub mod ops;
pub mod optim;
pub mod seed;
pub mod sharpen;
pub mod softmax_decode;
pub mod train;
