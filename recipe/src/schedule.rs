//! Windows of sharpening: which layer sharpens in which epochs, and how many epochs that takes.
//!
//! One layer after another, from input to output. With a start `a`, a duration `d` and an
//! intermission `i`, all in epochs, layer `l` of `L` has the window
//!
//! ```text
//! start_l = a + l (d + i)      stop_l = start_l + d      last stop = a + L d + (L − 1) i
//! ```
//!
//! A window is compared with the 0-based index of the last *completed* epoch, so that the window
//! (start, stop) acts during the 0-based epochs `start + 1 … stop`, and training has to run one
//! epoch longer than the last stop.

/// The window (start, stop) of each of `layers` layers, in epochs, input to output.
///
/// `start ≥ 1`, `duration ≥ 1` and the sums are meant to stay far below `u32::MAX`, as the ranges
/// of the hyperparameters see to.
pub fn windows(layers: u32, start: u32, duration: u32, intermission: u32) -> Vec<(u32, u32)> {
    (0..layers)
        .map(|layer| start + layer * (duration + intermission))
        .map(|start| (start, start + duration))
        .collect()
}

/// Epochs that training must run until the last of `layers` layers is a hard threshold:
/// `a + L d + (L − 1) i + 1`, or 1 without any layer.
pub fn epochs_needed(layers: u32, start: u32, duration: u32, intermission: u32) -> u32 {
    match layers {
        0 => 1,
        _ => start + layers * duration + (layers - 1) * intermission + 1,
    }
}
