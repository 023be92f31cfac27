//! The shape a sharpened norm works on, and its map per channel.

use super::Pool;
use crate::ops::real::Real;
use crate::ops::statistics::Statistics;
use candle_core::{Result, Shape, bail};

/// The sizes of a batch of NHWC images and of the pool over them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Whether the tensor had two axes: it then was `(images, channels)`.
    flat: bool,
    pub(super) images: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) pool: Pool,
}

impl Grid {
    pub(super) fn of(x: &Shape, pool: Pool) -> Result<Self> {
        let grid = match (x.dims(), pool) {
            (&[images, channels], Pool::None) => {
                Self { flat: true, images, height: 1, width: 1, channels, pool }
            }
            (&[images, height, width, channels], _) => {
                Self { flat: false, images, height, width, channels, pool }
            }
            _ => bail!("a batch norm takes (images, height, width, channels), this is {x:?}"),
        };
        if grid.channels == 0 || grid.outputs() == 0 {
            bail!("nothing is left of {x:?} after the pool");
        }
        Ok(grid)
    }

    /// Pixels of the result, over all images.
    pub(super) fn outputs(&self) -> usize {
        match self.pool {
            Pool::None => self.images * self.height * self.width,
            Pool::TwoByTwo => self.images * (self.height / 2) * (self.width / 2),
        }
    }

    pub(super) fn output_shape(&self) -> Shape {
        let Self { flat, images, height, width, channels, pool } = *self;
        match (flat, pool) {
            (true, _) => (images, channels).into(),
            (false, Pool::None) => (images, height, width, channels).into(),
            (false, Pool::TwoByTwo) => (images, height / 2, width / 2, channels).into(),
        }
    }

    /// Offsets in `x` of the `N` pixels under an output pixel, row by row: four with a pool, one
    /// without.
    #[inline(always)]
    pub(super) fn under<const N: usize>(&self, output: usize) -> [usize; N] {
        let (height, width) = (self.height / 2, self.width / 2);
        let first = if N == 1 {
            output
        } else {
            let (row, x) = (output / width, output % width);
            let (image, y) = (row / height, row % height);
            (image * self.height + 2 * y) * self.width + 2 * x
        };
        std::array::from_fn(|i| (first + (i / 2) * self.width + i % 2) * self.channels)
    }

    /// Calls `f` with the offset in `x` of every pixel that the pool drops.
    #[inline(always)]
    pub(super) fn for_each_dropped(&self, mut f: impl FnMut(usize)) {
        if self.pool == Pool::None {
            return;
        }
        let (rows, columns) = (self.height / 2 * 2, self.width / 2 * 2);
        for image in 0..self.images {
            for y in 0..self.height {
                let from = if y < rows { columns } else { 0 };
                for x in from..self.width {
                    f(((image * self.height + y) * self.width + x) * self.channels);
                }
            }
        }
    }
}

/// The norm per channel: `z = (x − mean) · rate + shift`.
pub(super) struct Map<R> {
    pub(super) mean: Vec<R>,
    /// 1 / √(variance + epsilon).
    pub(super) inverse_deviation: Vec<R>,
    /// gamma · inverse deviation.
    pub(super) rate: Vec<R>,
    /// beta.
    pub(super) shift: Vec<R>,
}

impl<R: Real> Map<R> {
    pub(super) fn new(
        statistics: &Statistics,
        epsilon: f64,
        gamma: &[R],
        beta: &[R],
        channels: usize,
    ) -> Result<Self> {
        let Statistics { mean, variance, .. } = statistics;
        for len in [mean.len(), variance.len(), gamma.len(), beta.len()] {
            if len != channels {
                bail!("the norm has {len} channels, the values have {channels}");
            }
        }
        let inverse = variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt());
        Ok(Self {
            mean: mean.iter().map(|mean| R::from_f64(*mean)).collect(),
            inverse_deviation: inverse.clone().map(R::from_f64).collect(),
            rate: inverse.zip(gamma).map(|(i, g)| R::from_f64(i * g.to_f64())).collect(),
            shift: beta.to_vec(),
        })
    }
}
