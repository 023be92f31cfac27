//! Epochs cut into batches.

use crate::seed::{Purpose, stream};

/// Batches in one epoch, the last of which may be smaller: `⌈images / batch_size⌉`.
///
/// # Panics
///
/// If `batch_size` is 0.
pub fn batches_per_epoch(images: usize, batch_size: usize) -> usize {
    assert!(batch_size > 0, "a batch holds at least one image");
    images.div_ceil(batch_size)
}

/// The order in which a 0-based epoch visits so many images; cut it by `chunks(batch_size)`.
///
/// A function of its arguments alone, so that an epoch can be repeated without those before it.
pub fn shuffled(images: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    stream(seed, Purpose::Shuffle, epoch).shuffle(&mut order);
    order
}
