//! The CUDA kernels and the order of their launches, run on this machine's processor and held
//! against the CPU's own operations.
//!
//! The kernels are C as well as CUDA: a C compiler (`CC`, or `cc`) makes a library of them in which
//! a launch is a loop over its threads, in a shuffled order, with every access checked. What a
//! GPU adds to that, its arithmetic and cuBLAS, only a GPU can check: example `cuda_check`.

mod convolution;
mod decode;
mod norm;
mod numbers;
mod processor;
mod rules;
