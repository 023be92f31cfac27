//! [`Evaluate`]: what is done with a lease, and how that can end. The slot knows no more of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proto::v1;

use crate::checkpoints::Checkpoints;
use crate::halt::Halt;
use crate::progress::Progress;

/// Evaluates the point of a lease: a Whetstone training, or whatever a test says.
///
/// It runs on a thread of its own, tells its [`Progress`], goes on from what its [`Checkpoints`] found
/// and hands its states in there, and ends with [`Failure::Stopped`] soon after the [`Halt`] is
/// raised; if it is to end early and has a value already, with that. It may panic.
pub type Evaluate =
    dyn Fn(&v1::Lease, &Progress, &Checkpoints, &Halt) -> Result<Measured, Failure> + Send + Sync;

/// What an evaluation measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The objective's value, in its own unit.
    pub value: f64,
    /// Everything else, by name; at most 100 numbers.
    pub measurements: BTreeMap<String, f64>,
    /// Whether the evaluation was stopped early, so that the value is its last and not its end's.
    pub is_pruned: bool,
}

/// Why an evaluation ended without a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The halt was raised; it knows why.
    #[error("stopped on request")]
    Stopped,
    /// The point or the objective cannot be evaluated at all.
    #[error("{0}")]
    UserError(String),
    /// The loss became NaN or infinite, or the value is not a finite number.
    #[error("{0}")]
    NotANumber(String),
    /// The data set is missing or damaged on this worker.
    #[error("{0}")]
    Data(String),
    /// The accelerator or its driver failed: whatever is tried next on it fails too.
    #[error("{0}")]
    DeviceLost(String),
    /// There was not enough memory.
    #[error("{0}")]
    OutOfMemory(String),
    /// The code broke: a panic, or an error that no input should cause.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// What the coordinator is told.
    pub fn class(&self) -> v1::FailureClass {
        match self {
            // It is given back and not reported; the wire has no class for it.
            Failure::Stopped => v1::FailureClass::Unspecified,
            Failure::UserError(_) => v1::FailureClass::UserError,
            Failure::NotANumber(_) => v1::FailureClass::Nan,
            Failure::Data(_) => v1::FailureClass::Data,
            Failure::DeviceLost(_) => v1::FailureClass::DeviceLost,
            Failure::OutOfMemory(_) => v1::FailureClass::Oom,
            Failure::Broken(_) => v1::FailureClass::Panic,
        }
    }

    /// Whether it may be this machine's fault, so that the next trial may fail as well.
    pub fn is_local(&self) -> bool {
        matches!(self, Failure::Data(_) | Failure::DeviceLost(_) | Failure::Broken(_))
    }
}

/// A failure of the code, or of the device below it if the text of its error says so: CUDA's own words
/// come through in it.
pub fn broken(error: String) -> Failure {
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if says(&["CUDA_ERROR_OUT_OF_MEMORY", "cudaErrorMemoryAllocation"]) {
        Failure::OutOfMemory(error)
    } else if says(&LOST) {
        Failure::DeviceLost(error)
    } else {
        Failure::Broken(error)
    }
}

/// Errors of CUDA's driver after which a process gets nothing more done on the device; the rest are slips
/// of the code. From the list of `CUresult` in the driver's manual.
const LOST: [&str; 10] = [
    "CUDA_ERROR_DEVICE_UNAVAILABLE",
    "CUDA_ERROR_NO_DEVICE",
    "CUDA_ERROR_ECC_UNCORRECTABLE",
    "CUDA_ERROR_NVLINK_UNCORRECTABLE",
    "CUDA_ERROR_ILLEGAL_ADDRESS",
    "CUDA_ERROR_LAUNCH_TIMEOUT",
    "CUDA_ERROR_LAUNCH_FAILED",
    "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_SYSTEM_NOT_READY",
    "CUDA_ERROR_UNKNOWN",
];

/// Evaluates, and turns a panic and a value that is no number into failures.
pub fn evaluate(
    evaluate: &Evaluate,
    lease: &v1::Lease,
    progress: &Progress,
    checkpoints: &Checkpoints,
    halt: &Halt,
) -> Result<Measured, Failure> {
    // Nothing that the closure could leave half-changed is used again but its progress and its
    // states, which are handed in whole.
    let measured = catch_unwind(AssertUnwindSafe(|| evaluate(lease, progress, checkpoints, halt)))
        .unwrap_or_else(|panic| Err(broken(format!("panicked: {}", message(&*panic)))))?;
    let named = measured.measurements.iter().map(|(name, x)| (name.as_str(), *x));
    for (name, x) in std::iter::once(("value", measured.value)).chain(named) {
        if !x.is_finite() {
            return Err(Failure::NotANumber(format!("the measured `{name}` is {x}")));
        }
    }
    Ok(measured)
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(with: &Evaluate) -> Result<Measured, Failure> {
        let checkpoints = Checkpoints::new(0, None);
        evaluate(with, &v1::Lease::default(), &Progress::new(), &checkpoints, &Halt::new())
    }

    #[test]
    fn a_panic_is_a_failure_that_keeps_its_message() {
        let broken = outcome(&|_, _, _, _| panic!("index {} is out of range", 7));
        assert_eq!(broken, Err(Failure::Broken("panicked: index 7 is out of range".into())));
    }

    #[test]
    fn an_accelerator_that_went_away_is_told_from_code_that_broke() {
        let class = |text: &str| broken(text.to_owned()).class();
        let lost = "DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, \"uncorrectable ECC error\")";
        assert_eq!(class(lost), v1::FailureClass::DeviceLost);
        let full = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        assert_eq!(class(full), v1::FailureClass::Oom);
        assert_eq!(class("shape mismatch in matmul"), v1::FailureClass::Panic);
        let panicked = outcome(&|_, _, _, _| panic!("CUDA_ERROR_LAUNCH_FAILED"));
        assert!(matches!(panicked, Err(Failure::DeviceLost(_))));
    }

    #[test]
    fn a_value_that_is_no_number_is_never_reported_as_one() {
        let measured = |value, loss| {
            outcome(&move |_, _, _, _| {
                let measurements = [("loss".to_owned(), loss)].into();
                Ok(Measured { value, measurements, is_pruned: false })
            })
        };
        assert!(matches!(measured(f64::NAN, 1.0), Err(Failure::NotANumber(_))));
        assert!(matches!(measured(0.5, f64::INFINITY), Err(Failure::NotANumber(_))));
        assert!(measured(0.5, 1.0).is_ok());
    }
}
