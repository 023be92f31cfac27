//! Images as matrices of patches ("im2col"), for images of few channels.

use crate::axis::Axis;
use crate::number::Number;

/// Writes the patch that each output pixel sees to a row of `patches`, zeros beyond the edge.
///
/// `image` is `(height, width, channels)`; a patch has its numbers in the order (row, column,
/// channel), that of a kernel.
pub(crate) fn gather<N: Number>(
    [rows, columns]: [&Axis; 2],
    channels: usize,
    image: &[N],
    patches: &mut [N],
) {
    let patch = rows.taps.len() * columns.taps.len() * channels;
    patches.fill(N::ZERO);
    let taps: Vec<_> = (0..columns.positions).map(|x| columns.taps_at(x)).collect();
    for y in 0..rows.positions {
        for row_tap in rows.taps_at(y) {
            let row = rows.input(y, rows.taps[row_tap]) * columns.inputs;
            for (x, taps) in taps.iter().enumerate() {
                if taps.is_empty() {
                    continue;
                }
                let from = (row + columns.input(x, columns.taps[taps.start])) * channels;
                let cell = row_tap * columns.taps.len() + taps.start;
                let to = (y * columns.positions + x) * patch + cell * channels;
                let len = taps.len() * channels;
                patches[to..to + len].copy_from_slice(&image[from..from + len]);
            }
        }
    }
}
