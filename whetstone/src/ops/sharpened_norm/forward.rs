//! The forward pass over slices.

use super::Pool;
use super::grid::{Grid, Map};
use crate::ops::curve::Formula;
use crate::ops::real::Real;

/// The activation of every output pixel.
pub(super) fn forward<R: Real>(
    grid: Grid,
    map: &Map<R>,
    formula: impl Formula<R>,
    x: &[R],
) -> Vec<R> {
    let mut y = vec![R::zero(); grid.outputs() * grid.channels];
    pulp::Arch::new().dispatch(|| match grid.pool {
        Pool::None => fill::<R, _, 1>(grid, map, formula, x, &mut y),
        Pool::TwoByTwo => fill::<R, _, 4>(grid, map, formula, x, &mut y),
    });
    y
}

#[inline(always)]
fn fill<R: Real, F: Formula<R>, const N: usize>(
    grid: Grid,
    map: &Map<R>,
    formula: F,
    x: &[R],
    y: &mut [R],
) {
    let channels = grid.channels;
    let (mean, rate, shift) =
        (&map.mean[..channels], &map.rate[..channels], &map.shift[..channels]);
    for (output, y) in y.chunks_exact_mut(channels).enumerate() {
        let x = grid.under::<N>(output).map(|at| &x[at..at + channels]);
        for c in 0..channels {
            let mut largest = (x[0][c] - mean[c]) * rate[c] + shift[c];
            for x in &x[1..] {
                let z = (x[c] - mean[c]) * rate[c] + shift[c];
                largest = if z > largest { z } else { largest };
            }
            y[c] = formula.value(largest);
        }
    }
}
