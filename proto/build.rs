//! Generates the wire types and the reflection descriptor, without an installed protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTOS: [&str; 6] = [
    "strop/v1/artifact_service.proto",
    "strop/v1/insight.proto",
    "strop/v1/space.proto",
    "strop/v1/study.proto",
    "strop/v1/study_service.proto",
    "strop/v1/worker_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=strop");
    let descriptors = protox::compile(PROTOS, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // Ordered maps: the same message has the same bytes, so that a repeated request can be told.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
