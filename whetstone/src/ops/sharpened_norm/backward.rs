//! The backward pass over slices.

use super::Pool;
use super::grid::{Grid, Map};
use crate::ops::curve::Formula;
use crate::ops::real::Real;
use crate::ops::statistics::Origin;

/// The gradients by the three arguments.
pub(super) struct Gradients<R> {
    pub(super) x: Vec<R>,
    pub(super) gamma: Vec<R>,
    pub(super) beta: Vec<R>,
}

/// With `z = gamma x̂ + beta` and `dz` the gradient behind the pool, zero but at each largest `z`:
///
/// * d beta = Σ dz, d gamma = Σ dz x̂,
/// * dx = gamma / σ · (dz − [Σ dz + x̂ Σ dz x̂] / n), the bracket only for the batch's own
///   statistics (Ioffe and Szegedy, section 3).
///
/// The first pass adds up, the second writes `dx`; both find the largest value anew, which is
/// cheaper than to keep it from the forward pass.
pub(super) fn backward<R: Real, F: Formula<R>>(
    grid: Grid,
    map: &Map<R>,
    formula: F,
    origin: Origin,
    x: &[R],
    dy: &[R],
) -> Gradients<R> {
    match grid.pool {
        Pool::None => both_passes::<R, F, 1>(grid, map, formula, origin, x, dy),
        Pool::TwoByTwo => both_passes::<R, F, 4>(grid, map, formula, origin, x, dy),
    }
}

fn both_passes<R: Real, F: Formula<R>, const N: usize>(
    grid: Grid,
    map: &Map<R>,
    formula: F,
    origin: Origin,
    x: &[R],
    dy: &[R],
) -> Gradients<R> {
    let mut sums = vec![0f64; grid.channels];
    let mut products = vec![0f64; grid.channels];
    // What arrives in front of the activation, per output pixel.
    let mut dz = vec![R::zero(); dy.len()];
    let mut dx = vec![R::zero(); x.len()];
    let arch = pulp::Arch::new();
    arch.dispatch(|| {
        add_up::<R, F, N>(grid, map, formula, x, dy, &mut dz, [&mut sums, &mut products])
    });

    let per_value = match origin {
        Origin::Batch { count } => 1.0 / count as f64,
        Origin::Moving => 0.0,
    };
    let share = |sum: &[f64], c: usize| map.rate[c].to_f64() * sum[c] * per_value;
    let back = Back {
        offset: (0..grid.channels).map(|c| R::from_f64(-share(&sums, c))).collect(),
        tilt: (0..grid.channels)
            .map(|c| R::from_f64(-share(&products, c) * map.inverse_deviation[c].to_f64()))
            .collect(),
    };
    arch.dispatch(|| spread::<R, N>(grid, map, &back, x, &dz, &mut dx));
    let to_reals = |sums: Vec<f64>| sums.into_iter().map(R::from_f64).collect();
    Gradients { x: dx, gamma: to_reals(products), beta: to_reals(sums) }
}

/// What the batch's own statistics add to every `dx`, per channel: `offset + tilt · (x − mean)`.
struct Back<R> {
    offset: Vec<R>,
    tilt: Vec<R>,
}

/// Writes `dz`, and adds up Σ dz and Σ dz x̂ per channel.
#[inline(always)]
fn add_up<R: Real, F: Formula<R>, const N: usize>(
    grid: Grid,
    map: &Map<R>,
    formula: F,
    x: &[R],
    dy: &[R],
    dz: &mut [R],
    [sums, products]: [&mut [f64]; 2],
) {
    let channels = grid.channels;
    let (mean, rate, shift, inverse) = (
        &map.mean[..channels],
        &map.rate[..channels],
        &map.shift[..channels],
        &map.inverse_deviation[..channels],
    );
    let (sums, products) = (&mut sums[..channels], &mut products[..channels]);
    let pixels = dz.chunks_exact_mut(channels).zip(dy.chunks_exact(channels));
    for (output, (dz, dy)) in pixels.enumerate() {
        let x = grid.under::<N>(output).map(|at| &x[at..at + channels]);
        for c in 0..channels {
            let mut centred = x[0][c] - mean[c];
            let mut largest = centred * rate[c] + shift[c];
            for x in &x[1..] {
                let other = x[c] - mean[c];
                let z = other * rate[c] + shift[c];
                centred = if z > largest { other } else { centred };
                largest = if z > largest { z } else { largest };
            }
            let d = dy[c] * formula.slope(largest);
            dz[c] = d;
            sums[c] += d.to_f64();
            products[c] += (d * centred * inverse[c]).to_f64();
        }
    }
}

/// Writes `dx`: the share of the statistics everywhere, and `dz` at the first largest value.
#[inline(always)]
fn spread<R: Real, const N: usize>(
    grid: Grid,
    map: &Map<R>,
    back: &Back<R>,
    x: &[R],
    dz: &[R],
    dx: &mut [R],
) {
    let channels = grid.channels;
    let (mean, rate, shift) =
        (&map.mean[..channels], &map.rate[..channels], &map.shift[..channels]);
    let (offset, tilt) = (&back.offset[..channels], &back.tilt[..channels]);
    for (output, dz) in dz.chunks_exact(channels).enumerate() {
        let at = grid.under::<N>(output);
        let x = at.map(|at| &x[at..at + channels]);
        let dx = dx
            .get_disjoint_mut(at.map(|at| at..at + channels))
            .expect("pixels of one window do not overlap because their offsets differ");
        for c in 0..channels {
            let z: [R; N] = std::array::from_fn(|i| (x[i][c] - mean[c]) * rate[c] + shift[c]);
            let mut largest = z[0];
            for z in &z[1..] {
                largest = if *z > largest { *z } else { largest };
            }
            let mut left = dz[c] * rate[c];
            for i in 0..N {
                let here = if z[i] == largest { left } else { R::zero() };
                left = if z[i] == largest { R::zero() } else { left };
                dx[i][c] = here + offset[c] + tilt[c] * (x[i][c] - mean[c]);
            }
        }
    }
    grid.for_each_dropped(|at| {
        let (x, dx) = (&x[at..at + channels], &mut dx[at..at + channels]);
        for c in 0..channels {
            dx[c] = offset[c] + tilt[c] * (x[c] - mean[c]);
        }
    });
}
