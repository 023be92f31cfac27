//! The processor as a [`Machine`].

use candle_core::{Result, bail};
use libloading::{Library, Symbol};
use std::cell::RefCell;
use std::ffi::c_void;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use whetstone::ops::cuda::machine::{Gemm, Kernel};
use whetstone::ops::cuda::{In, Machine, Out};
use whetstone::seed::{Purpose, Stream, stream};

/// Runs kernels as loops, their threads in an order of its own.
pub struct Processor {
    order: RefCell<Stream>,
}

impl Processor {
    /// One whose orders of threads hang on the seed.
    pub fn new(seed: u64) -> Self {
        Self { order: RefCell::new(stream(seed, Purpose::Shuffle, 0)) }
    }
}

/// The compiled kernels.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops/cuda/kernels/kernels.cu");
        let folder = tempfile::tempdir().expect("makes a folder");
        let built = folder.path().join("kernels.so");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(&compiler)
            .args(["-x", "c", "-std=c11", "-O2", "-Wall", "-Wextra", "-ffp-contract=off"])
            .args(["-shared", "-fPIC", "-o"])
            .args([&built, &kernels])
            .arg("-lm")
            .output()
            .unwrap_or_else(|error| panic!("this test needs a C compiler ({compiler:?}): {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        // SAFETY: the library was just compiled from this crate and has no initialisers.
        unsafe { Library::new(&built) }.expect("loads the kernels")
    })
}

/// Arguments, the order of the threads, and their number.
type Run = unsafe extern "C" fn(*const c_void, *const u32, u64);

fn symbol<T>(name: &str) -> Symbol<'static, T> {
    // SAFETY: whoever asks names the type that the macro `KERNEL` gives it.
    unsafe { library().get(name.as_bytes()) }.unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Machine for Processor {
    /// Words, so that every type of number is aligned.
    type Memory = Vec<u64>;

    /// Every bit set: NaN for floats, out of range for indices.
    fn blank(&self, bytes: usize) -> Result<Vec<u64>> {
        Ok(vec![u64::MAX; bytes.div_ceil(8)])
    }

    fn upload(&self, bytes: &[u8], memory: &mut Vec<u64>) -> Result<()> {
        // SAFETY: the memory is at least as long, or the assertion fails.
        unsafe {
            assert!(bytes.len() <= memory.len() * 8);
            memory.as_mut_ptr().cast::<u8>().copy_from(bytes.as_ptr(), bytes.len());
        }
        Ok(())
    }

    fn download(&self, memory: &Vec<u64>, bytes: &mut [u8]) -> Result<()> {
        // SAFETY: as in `upload`.
        unsafe {
            assert!(bytes.len() <= memory.len() * 8);
            bytes.as_mut_ptr().copy_from(memory.as_ptr().cast(), bytes.len());
        }
        Ok(())
    }

    fn address(&self, memory: &Vec<u64>) -> u64 {
        memory.as_ptr() as u64
    }

    fn launch<K: Kernel>(&self, kernel: K) -> Result<()> {
        let size = symbol::<extern "C" fn() -> u64>(&format!("host_size_{}", K::NAME))();
        assert_eq!(size, size_of::<K>() as u64, "`{}` differs between C and Rust", K::NAME);
        if kernel.threads() == 0 {
            bail!("a GPU refuses to launch `{}` in no thread", K::NAME);
        }
        // A GPU runs whole blocks: the threads beyond the last number must do nothing.
        let mut order: Vec<u32> = (0..kernel.threads().next_multiple_of(64) + 64).collect();
        self.order.borrow_mut().shuffle(&mut order);
        let run = symbol::<Run>(&format!("host_run_{}", K::NAME));
        // SAFETY: sizes agree, and the kernel checks every access against the lengths it is given.
        unsafe { run((&raw const kernel).cast(), order.as_ptr(), order.len() as u64) };
        Ok(())
    }

    fn gemm(&self, gemm: &Gemm, a: In<f32>, b: In<f32>, mut c: Out<f32>) -> Result<()> {
        let [m, n, k] = [gemm.m, gemm.n, gemm.k].map(|x| x as usize);
        let [lda, ldb, ldc] = [gemm.lda, gemm.ldb, gemm.ldc].map(|x| x as usize);
        let (a, b, c) = (values(a), values(b), values_mut(&mut c));
        for column in 0..n {
            for row in 0..m {
                let sum: f64 = (0..k)
                    .map(|i| {
                        let a = if gemm.a_transposed { a[i + row * lda] } else { a[row + i * lda] };
                        let b = if gemm.b_transposed {
                            b[column + i * ldb]
                        } else {
                            b[i + column * ldb]
                        };
                        f64::from(a) * f64::from(b)
                    })
                    .sum();
                // BLAS does not look at the old value if it does not count; it may be NaN.
                let old = if gemm.beta == 0.0 { 0.0 } else { gemm.beta * c[row + column * ldc] };
                c[row + column * ldc] = sum as f32 + old;
            }
        }
        Ok(())
    }
}

fn values<'a>(numbers: In<'a, f32>) -> &'a [f32] {
    // SAFETY: on this machine an address is a pointer.
    unsafe { std::slice::from_raw_parts(numbers.address() as *const f32, numbers.len()) }
}

fn values_mut<'a>(numbers: &'a mut Out<'_, f32>) -> &'a mut [f32] {
    // SAFETY: as in `values`, and borrowed mutably.
    unsafe { std::slice::from_raw_parts_mut(numbers.address() as *mut f32, numbers.len()) }
}
