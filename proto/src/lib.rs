//! The wire, and nothing but the wire: messages and services of `strop.v1`, generated from
//! `strop/v1/*.proto`. The comments there are the reference; no logic is written by hand here.

/// Version 1 of the protocol. Changes are additive; a break makes `v2`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("strop.v1");
}

/// The encoded `FileDescriptorSet` of every message and service, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
