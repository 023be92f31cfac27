//! What a GPU must be able to do for the operations, and how kernels get at numbers.

use candle_core::{Result, bail};
use std::marker::PhantomData;

/// A type of number that kernels know.
pub trait Element: Copy + Default + 'static {}

impl Element for f32 {}
impl Element for f64 {}
impl Element for u32 {}

/// Holds numbers, launches kernels on them, multiplies matrices; one thing after the other, in the
/// order of the calls.
pub trait Machine {
    /// A piece of its memory, given back when dropped.
    type Memory;

    /// So many bytes of memory with arbitrary contents.
    ///
    /// # Errors
    ///
    /// If there is no such memory left.
    fn blank(&self, bytes: usize) -> Result<Self::Memory>;

    /// Copies bytes into memory of that size.
    ///
    /// # Errors
    ///
    /// If the machine fails.
    fn upload(&self, bytes: &[u8], memory: &mut Self::Memory) -> Result<()>;

    /// Copies memory to bytes of that size, once everything launched so far is done.
    ///
    /// # Errors
    ///
    /// If the machine fails, or anything that was launched did.
    fn download(&self, memory: &Self::Memory, bytes: &mut [u8]) -> Result<()>;

    /// Where a piece of memory lies, in the machine's own terms.
    fn address(&self, memory: &Self::Memory) -> u64;

    /// Starts a kernel, in as many threads as it asks for or a few more.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    fn launch<K: Kernel>(&self, kernel: K) -> Result<()>;

    /// Multiplies matrices stored by columns: BLAS's `sgemm` with alpha 1.
    ///
    /// # Errors
    ///
    /// If the machine fails.
    fn gemm(&self, gemm: &Gemm, a: In<f32>, b: In<f32>, c: Out<f32>) -> Result<()>;
}

/// The arguments of a kernel: one structure.
///
/// # Safety
///
/// `NAME` is the kernel that takes this structure, `#[repr(C)]` and field by field the same there.
/// No value can be made whose kernel reads or writes outside the numbers it is given.
pub unsafe trait Kernel {
    /// Its name in the module.
    const NAME: &'static str;

    /// In how many threads it runs, at most [`THREADS_MAX`].
    fn threads(&self) -> u32;
}

/// Most threads of a launch and numbers of a tensor: neither rounding up to whole blocks nor the last
/// step of a loop then leaves 32 bits.
pub const THREADS_MAX: u32 = u32::MAX / 2;

/// A count that kernels can hold, or the reason why there are too many.
///
/// # Errors
///
/// If it is more than [`THREADS_MAX`].
pub fn count(numbers: usize) -> Result<u32> {
    match u32::try_from(numbers) {
        Ok(count) if count <= THREADS_MAX => Ok(count),
        _ => bail!("a tensor of {numbers} numbers is too large for the GPU: use smaller batches"),
    }
}

/// Numbers in a machine's memory to read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct In<'a, T> {
    address: u64,
    len: u64,
    lent: PhantomData<&'a [T]>,
}

/// Numbers in a machine's memory to write, and perhaps to read before.
#[repr(C)]
#[derive(Debug)]
pub struct Out<'a, T> {
    address: u64,
    len: u64,
    lent: PhantomData<&'a mut [T]>,
}

impl<'a, T: Element> In<'a, T> {
    /// # Safety
    ///
    /// At the address lie so many numbers of the type, which nobody writes in the lifetime.
    pub unsafe fn new(address: u64, len: usize) -> Self {
        Self { address, len: len as u64, lent: PhantomData }
    }

    /// How many numbers there are.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Where they lie.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// `len` of them, from the one at `start` on.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn part(self, start: usize, len: usize) -> Self {
        assert!(start <= self.len() && len <= self.len() - start);
        Self { address: self.address + (start * size_of::<T>()) as u64, len: len as u64, ..self }
    }
}

impl<'a, T: Element> Out<'a, T> {
    /// # Safety
    ///
    /// At the address lie so many numbers of the type, which nobody else reads or writes in the
    /// lifetime.
    pub unsafe fn new(address: u64, len: usize) -> Self {
        Self { address, len: len as u64, lent: PhantomData }
    }

    /// How many numbers there are.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Where they lie.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// All of them, for a while.
    pub fn lend(&mut self) -> Out<'_, T> {
        Out { address: self.address, len: self.len, lent: PhantomData }
    }

    /// All of them, to read, for a while.
    pub fn read(&self) -> In<'_, T> {
        In { address: self.address, len: self.len, lent: PhantomData }
    }

    /// `len` of them, from the one at `start` on, for a while.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn part(&mut self, start: usize, len: usize) -> Out<'_, T> {
        assert!(start <= self.len() && len <= self.len() - start);
        let address = self.address + (start * size_of::<T>()) as u64;
        Out { address, len: len as u64, lent: PhantomData }
    }
}

/// Numbers of one type in memory of a machine that this owns.
#[derive(Debug)]
pub struct Buffer<M: Machine, T> {
    memory: M::Memory,
    address: u64,
    len: usize,
    holds: PhantomData<T>,
}

impl<M: Machine, T: Element> Buffer<M, T> {
    /// So many numbers of arbitrary value.
    ///
    /// # Errors
    ///
    /// If the machine has no memory left.
    pub fn blank(machine: &M, len: usize) -> Result<Self> {
        // A machine need not be able to give out no memory at all.
        let memory = machine.blank(len.max(1) * size_of::<T>())?;
        let address = machine.address(&memory);
        Ok(Self { memory, address, len, holds: PhantomData })
    }

    /// These numbers.
    ///
    /// # Errors
    ///
    /// If the machine has no memory left, or fails.
    pub fn of(machine: &M, values: &[T]) -> Result<Self> {
        let mut buffer = Self::blank(machine, values.len())?;
        if !values.is_empty() {
            machine.upload(as_bytes(values), &mut buffer.memory)?;
        }
        Ok(buffer)
    }

    /// The numbers, once everything launched so far is done.
    ///
    /// # Errors
    ///
    /// If the machine fails.
    pub fn to_vec(&self, machine: &M) -> Result<Vec<T>> {
        let mut values = vec![T::default(); self.len];
        if !values.is_empty() {
            machine.download(&self.memory, as_bytes_mut(&mut values))?;
        }
        Ok(values)
    }

    /// To read.
    pub fn read(&self) -> In<'_, T> {
        // SAFETY: the memory is of this length, stays where it is while it is owned, and is
        // written through `write` alone, which borrows it mutably.
        unsafe { In::new(self.address, self.len) }
    }

    /// To write.
    pub fn write(&mut self) -> Out<'_, T> {
        // SAFETY: as in `read`, and nobody else borrows it.
        unsafe { Out::new(self.address, self.len) }
    }
}

fn as_bytes<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: the element types are plain numbers without padding, and every byte is a `u8`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

fn as_bytes_mut<T: Element>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: as in `as_bytes`, and any bits are a value of each element type.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// A product of matrices stored by rows: `out = a · b`, `(rows, inner) · (inner, columns)`.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Rows of `a` and of the result.
    pub rows: usize,
    /// Columns of `a`, rows of `b`.
    pub inner: usize,
    /// Columns of `b` and of the result.
    pub columns: usize,
    /// Whether `a` is stored as its transpose.
    pub a_transposed: bool,
    /// Whether `b` is stored as its transpose.
    pub b_transposed: bool,
    /// Whether the result is added to what `out` holds.
    pub add: bool,
}

/// `C (m × n) = op(A) · op(B) + beta · C`, all stored by columns, as BLAS has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gemm {
    /// Whether the first matrix is transposed.
    pub a_transposed: bool,
    /// Whether the second is.
    pub b_transposed: bool,
    /// Rows of the result.
    pub m: i32,
    /// Columns of the result.
    pub n: i32,
    /// The inner dimension.
    pub k: i32,
    /// Numbers from one column of the first matrix to the next.
    pub lda: i32,
    /// The same of the second.
    pub ldb: i32,
    /// The same of the result.
    pub ldc: i32,
    /// What the result's old value is multiplied by: 0 or 1.
    pub beta: f32,
}

impl Product {
    /// Has it computed.
    ///
    /// A matrix stored by rows is its transpose stored by columns, so this is `outᵀ = bᵀ · aᵀ`.
    ///
    /// # Errors
    ///
    /// If a dimension is too large for BLAS, or the machine fails.
    ///
    /// # Panics
    ///
    /// If the matrices are not of the sizes that the product names, or one is empty.
    pub fn run<M: Machine>(self, machine: &M, a: In<f32>, b: In<f32>, out: Out<f32>) -> Result<()> {
        let Self { rows, inner, columns, a_transposed, b_transposed, add } = self;
        assert!(rows * inner * columns > 0, "{self:?}");
        assert_eq!(a.len(), rows * inner);
        assert_eq!(b.len(), inner * columns);
        assert_eq!(out.len(), rows * columns);
        let [m, n, k] = [columns, rows, inner].map(i32::try_from);
        let (Ok(m), Ok(n), Ok(k)) = (m, n, k) else {
            bail!("a matrix product of {rows} × {inner} × {columns} is too large for the GPU")
        };
        let gemm = Gemm {
            a_transposed: b_transposed,
            b_transposed: a_transposed,
            m,
            n,
            k,
            lda: if b_transposed { k } else { m },
            ldb: if a_transposed { n } else { k },
            ldc: m,
            beta: if add { 1.0 } else { 0.0 },
        };
        machine.gemm(&gemm, b, a, out)
    }
}
