//! What computes: the processor, or an NVIDIA GPU.
//!
//! A GPU is a [`Device`] of its own for each [`open`]: with its own stream of work and its own
//! handle to cuBLAS, so that trainings on one GPU do not wait for each other, and each gives the
//! same bits on every run.

use std::fmt;
use std::str::FromStr;

pub use candle_core::Device;

/// What shall compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The processor.
    #[default]
    Cpu,
    /// The GPU of this number, from 0.
    Cuda(usize),
}

/// Why nothing can be computed there.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// This program knows no GPUs.
    #[error(
        "{0} was asked for, but this program was built for processors only: build it with the \
         feature `cuda` (deploy/cuda-build.sh), or ask for `cpu`"
    )]
    NotBuilt(Choice),
    /// There is no such GPU, or no driver for it.
    #[error("{choice} does not answer ({said}); `nvidia-smi` shows which GPUs there are")]
    NoAnswer {
        /// What was asked for.
        choice: Choice,
        /// What the driver said.
        said: String,
    },
    /// GPU or driver are older than what this program was built for.
    #[error(
        "{choice} cannot run the kernels of this program ({said}): update its driver, or build for a \
         lower compute capability (deploy/cuda-build.sh --compute-cap)"
    )]
    Kernels {
        /// What was asked for.
        choice: Choice,
        /// What the driver said.
        said: String,
    },
}

/// A text that chooses nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no device: write `cpu`, `cuda`, or `cuda:1` for the second GPU")]
pub struct UnknownDevice(String);

impl FromStr for Choice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Choice, UnknownDevice> {
        let unknown = || UnknownDevice(text.to_owned());
        match text.split_once(':') {
            None if text == "cpu" => Ok(Choice::Cpu),
            None if text == "cuda" => Ok(Choice::Cuda(0)),
            Some(("cuda", number)) => number.parse().map(Choice::Cuda).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Cpu => f.write_str("cpu"),
            Choice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// Makes a device ready, the kernels on a GPU included.
///
/// A GPU's device does not watch over other streams: a tensor that goes from one such device to another, even of
/// the same GPU, must go by way of the processor. And memory that is freed stays with the process, for its next
/// tensors.
///
/// # Errors
///
/// [`DeviceError`], which says what to do.
pub fn open(choice: Choice) -> Result<Device, DeviceError> {
    match choice {
        Choice::Cpu => Ok(Device::Cpu),
        #[cfg(feature = "cuda")]
        Choice::Cuda(number) => {
            let device = Device::new_cuda_with_stream(number)
                .map_err(|error| DeviceError::NoAnswer { choice, said: first_line(&error) })?;
            let kernels = device.as_cuda_device().and_then(crate::ops::cuda::device::prepare);
            kernels.map_err(|error| DeviceError::Kernels { choice, said: first_line(&error) })?;
            Ok(device)
        }
        #[cfg(not(feature = "cuda"))]
        Choice::Cuda(_) => Err(DeviceError::NotBuilt(choice)),
    }
}

/// What an error says, without the backtrace that candle puts behind it.
#[cfg(feature = "cuda")]
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A device's name for the record: `cpu`, or a GPU's number and product name.
pub fn name(device: &Device) -> String {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => crate::ops::cuda::device::name(device),
        _ => "cpu".to_owned(),
    }
}

/// Allows GPUs, in the whole process, to round the factors of matrix products to 10 bits after the
/// point (TF32): several times faster from Ampere on, and no longer the result of `f32`.
pub fn allow_tf32(allowed: bool) {
    candle_core::cuda::set_gemm_reduced_precision_f32(allowed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for (text, choice) in
            [("cpu", Choice::Cpu), ("cuda:0", Choice::Cuda(0)), ("cuda:12", Choice::Cuda(12))]
        {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Choice::Cuda(0)));
        for wrong in ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "cuda:0:1"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn without_the_feature_a_gpu_is_refused_with_the_way_out() {
        let refused = open(Choice::Cuda(0)).unwrap_err().to_string();
        assert!(refused.contains("cuda:0") && refused.contains("feature `cuda`"), "{refused}");
        assert!(open(Choice::Cpu).is_ok());
    }
}
