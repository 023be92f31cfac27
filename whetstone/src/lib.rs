//! whetstone
pub mod optim;
pub mod seed;
pub mod sharpen;
