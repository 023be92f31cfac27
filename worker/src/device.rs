//! [`Device`]: what a slot computes on.

use rayon::ThreadPool;

/// The cores that one slot computes with.
///
/// Each slot has its own: in a shared pool, a thread that waits for its part of one training may
/// pick up the whole of another, and the first stands still until the second ends.
#[derive(Debug)]
pub struct Device {
    threads: ThreadPool,
}

/// Why there is no device.
#[derive(Debug, thiserror::Error)]
#[error("{threads} threads cannot be started; ask for fewer with --threads or --slots")]
pub struct DeviceError {
    threads: usize,
    source: rayon::ThreadPoolBuildError,
}

impl Device {
    /// A device of `threads` threads for the slot with this number.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] if the system refuses the threads.
    pub fn cpu(threads: usize, slot: u32) -> Result<Device, DeviceError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |thread| format!("train-{slot}-{thread}"))
            .build()
            .map(|pool| Device { threads: pool })
            .map_err(|source| DeviceError { threads, source })
    }

    /// Its name for the record.
    pub fn name(&self) -> &'static str {
        "cpu"
    }

    /// Computes on it, and waits for the result. A panic comes out as if there were no device.
    pub fn compute<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.threads.install(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_a_device_sees_its_threads_and_no_others() {
        let device = Device::cpu(3, 1).unwrap();
        let (threads, name) = device.compute(|| {
            (rayon::current_num_threads(), std::thread::current().name().map(str::to_owned))
        });
        assert_eq!(threads, 3);
        assert!(name.is_some_and(|name| name.starts_with("train-1-")));
    }
}
