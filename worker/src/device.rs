//! [`Device`]: what a slot computes on.

use rayon::ThreadPool;
use whetstone::device;

/// The cores that one slot computes with, and its GPU if it has one.
///
/// Each slot has its own cores: in a shared pool, a thread that waits for its part of one training
/// may pick up the whole of another, and the first stands still until the second ends.
#[derive(Debug)]
pub struct Device {
    threads: ThreadPool,
    computes: device::Device,
}

/// Why there is no device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The system has no more threads.
    #[error("{threads} threads cannot be started; ask for fewer with --threads or --slots")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        source: rayon::ThreadPoolBuildError,
    },
    /// What was asked for cannot compute here.
    #[error(transparent)]
    Device(#[from] device::DeviceError),
}

impl Device {
    /// A device of `threads` threads for the slot with this number, to compute on what was chosen.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] if the system refuses the threads, or there is no such GPU.
    pub fn open(choice: device::Choice, threads: usize, slot: u32) -> Result<Device, DeviceError> {
        let computes = device::open(choice)?;
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |thread| format!("train-{slot}-{thread}"))
            .build()
            .map(|threads| Device { threads, computes })
            .map_err(|source| DeviceError::Threads { threads, source })
    }

    /// Its name for the record: `cpu`, or a GPU's number and product name.
    pub fn name(&self) -> String {
        device::name(&self.computes)
    }

    /// Computes on it, and waits for the result. A panic comes out as if there were no device.
    pub fn compute<T: Send>(&self, work: impl FnOnce(&device::Device) -> T + Send) -> T {
        self.threads.install(|| work(&self.computes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use device::Choice;

    #[test]
    fn work_on_a_device_sees_its_threads_and_no_others() {
        let device = Device::open(Choice::Cpu, 3, 1).unwrap();
        let (threads, name) = device.compute(|_| {
            (rayon::current_num_threads(), std::thread::current().name().map(str::to_owned))
        });
        assert_eq!(threads, 3);
        assert!(name.is_some_and(|name| name.starts_with("train-1-")));
        assert_eq!(device.name(), "cpu");
    }
}
