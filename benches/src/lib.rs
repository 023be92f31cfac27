//! Measurements of what must be fast. Each file in `benches/` has its command and its last numbers at
//! the head; nothing here is a test, because a timing is none.

use std::time::Instant;

/// Median seconds of `rounds` runs, after one that warms up.
pub fn median_seconds(rounds: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut seconds: Vec<f64> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[rounds / 2]
}
