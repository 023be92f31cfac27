//! whetstone
pub mod seed;
pub mod sharpen;
