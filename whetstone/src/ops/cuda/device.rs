//! A GPU as a [`Machine`], by way of candle's device.

use super::machine::{Gemm, In, Kernel, Machine, Out};
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::cublas::{result, sys};
use candle_core::cuda::cudarc::driver::result as driver;
use candle_core::cuda::cudarc::driver::sys::CUmemPool_attribute;
use candle_core::cuda::cudarc::driver::{
    CudaSlice, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
};
use candle_core::{CudaDevice, Result};

/// The kernels, as the driver takes them.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Under which name candle keeps them once the driver has taken them.
const MODULE: &str = "whetstone";

/// Threads that run together; of little weight, since they share nothing.
const BLOCK: u32 = 256;

/// A GPU. All that it does is queued on the one stream that candle's device has, and so happens in
/// the order of the calls, on whatever thread they are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gpu<'a>(pub(crate) &'a CudaDevice);

/// Readies a device that has a stream of its own: hands the kernels to the driver, which translates them
/// for the GPU, and turns off what several streams at the same memory would need.
pub(crate) fn prepare(device: &CudaDevice) -> Result<()> {
    // SAFETY: what a device's tensors hold is allocated, used and freed on its one stream, in the order of
    // the calls; no other stream reads or writes it.
    unsafe { device.disable_event_tracking() };
    keep_freed(device)?;
    device.get_or_load_custom_func("fold", MODULE, PTX).map(drop)
}

/// Lets the driver keep memory that is freed for what is allocated next. Otherwise it gives it back whenever
/// somebody waits for the GPU, which a training does several times a step.
fn keep_freed(device: &CudaDevice) -> Result<()> {
    let stream = device.cuda_stream();
    let context = stream.context();
    // A GPU without pools frees at once.
    if !context.has_async_alloc() {
        return Ok(());
    }
    context.bind_to_thread().w()?;
    let number = driver::device::get(context.ordinal() as i32).w()?;
    let mut most = u64::MAX;
    // SAFETY: the device is there, its pool lives as long as the process, and this attribute is a `u64` that
    // is read before the call returns.
    unsafe {
        let pool = driver::device::get_default_mem_pool(number).w()?;
        let threshold = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        driver::mem_pool::set_attribute(pool, threshold, (&raw mut most).cast()).w()
    }
}

/// The GPU's number and its product name.
pub(crate) fn name(device: &CudaDevice) -> String {
    let stream = device.cuda_stream();
    let context = stream.context();
    let product = context.name().unwrap_or_else(|_| "of unknown make".to_owned());
    format!("cuda:{} {product}", context.ordinal())
}

/// A kernel's one argument.
#[repr(transparent)]
struct Argument<K>(K);

// SAFETY: a kernel's structure is `#[repr(C)]` and made of numbers and addresses.
unsafe impl<K: Kernel> DeviceRepr for Argument<K> {}

impl Machine for Gpu<'_> {
    type Memory = CudaSlice<u8>;

    fn blank(&self, bytes: usize) -> Result<CudaSlice<u8>> {
        // SAFETY: every bit pattern is a byte, and numbers are written before they are read.
        unsafe { self.0.alloc::<u8>(bytes) }
    }

    fn upload(&self, bytes: &[u8], memory: &mut CudaSlice<u8>) -> Result<()> {
        self.0.memcpy_htod(bytes, memory)
    }

    fn download(&self, memory: &CudaSlice<u8>, bytes: &mut [u8]) -> Result<()> {
        self.0.cuda_stream().memcpy_dtoh(memory, bytes).w()?;
        // What was launched may have failed since; only now does it show.
        self.0.cuda_stream().synchronize().w()
    }

    fn address(&self, memory: &CudaSlice<u8>) -> u64 {
        // Whoever frees the memory does so on the same stream, after all that was launched with it.
        memory.device_ptr(&self.0.cuda_stream()).0
    }

    fn launch<K: Kernel>(&self, kernel: K) -> Result<()> {
        let config = LaunchConfig {
            grid_dim: (kernel.threads().div_ceil(BLOCK), 1, 1),
            block_dim: (BLOCK, 1, 1),
            shared_mem_bytes: 0,
        };
        let function = self.0.get_or_load_custom_func(K::NAME, MODULE, PTX)?;
        let argument = Argument(kernel);
        let mut launch = function.builder();
        launch.arg(&argument);
        // SAFETY: the structure is this kernel's, and stays within its numbers (`Kernel`).
        unsafe { launch.launch(config) }.w()?;
        Ok(())
    }

    fn gemm(&self, gemm: &Gemm, a: In<f32>, b: In<f32>, c: Out<f32>) -> Result<()> {
        let Gemm { m, n, k, lda, ldb, ldc, beta, .. } = *gemm;
        let form = |transposed| match transposed {
            true => sys::cublasOperation_t::CUBLAS_OP_T,
            false => sys::cublasOperation_t::CUBLAS_OP_N,
        };
        let compute = match candle_core::cuda::gemm_reduced_precision_f32() {
            true => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            false => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
        };
        let (alpha, float) = (1f32, sys::cudaDataType_t::CUDA_R_32F);
        self.0.cuda_stream().context().bind_to_thread().w()?;
        let blas = self.0.cublas_handle();
        // SAFETY: `Product` checked that the three matrices are of these sizes, and they lie on
        // this device; alpha and beta are read before the call returns.
        unsafe {
            result::gemm_ex(
                *blas.handle(),
                form(gemm.a_transposed),
                form(gemm.b_transposed),
                m,
                n,
                k,
                (&raw const alpha).cast(),
                a.address() as *const _,
                float,
                lda,
                b.address() as *const _,
                float,
                ldb,
                (&raw const beta).cast(),
                c.address() as *mut _,
                float,
                ldc,
                compute,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .w()
    }
}
