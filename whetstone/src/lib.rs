//! whetstone
pub mod data;
pub mod optim;
pub mod seed;
pub mod sharpen;
