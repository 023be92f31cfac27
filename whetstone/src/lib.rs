//! whetstone
pub mod sharpen;
