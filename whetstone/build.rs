//! With feature `cuda`: compiles the kernels to PTX, which the driver translates for its GPU.
//!
//! Compiled here, not where they run: an error in a kernel then shows on a machine without a GPU,
//! and nothing of CUDA's compiler has to be shipped. candle's own kernels need it here anyway.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    cuda::compile();
}

#[cfg(feature = "cuda")]
mod cuda {
    /// `KERNELS` becomes `kernels.ptx` in the build's output folder.
    const KERNELS: &str = "src/ops/cuda/kernels/kernels.cu";

    pub fn compile() {
        println!("cargo::rerun-if-changed=src/ops/cuda/kernels");
        // No fused multiply-adds: the GPU then rounds as the processor does.
        let built = cudaforge::KernelBuilder::new()
            .source_files(vec![KERNELS])
            .watch(["src/ops/cuda/kernels"])
            .arg("-O3")
            .arg("--fmad=false")
            .build_ptx();
        if let Err(error) = built {
            panic!(
                "the CUDA kernels cannot be compiled: {error}\n\
                 deploy/cuda-build.sh fetches what is needed and builds with it"
            );
        }
    }
}
