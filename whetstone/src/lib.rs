//! Networks whose activations sharpen into thresholds, trained with candle.

pub mod ops;
pub mod sharpen;
pub mod softmax_decode;
