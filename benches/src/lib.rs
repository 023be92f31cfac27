//! Measurements of what must be fast. Each file in `benches/` has its command and its last numbers at
//! the head; nothing here is a test, because a timing is none.

use std::time::Instant;

/// The middle of some values, of an even number the upper of the two.
///
/// # Panics
///
/// If there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Median seconds of `rounds` runs, after one that warms up.
pub fn median_seconds(rounds: usize, mut run: impl FnMut()) -> f64 {
    run();
    let seconds = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64()
        })
        .collect();
    median(seconds)
}
