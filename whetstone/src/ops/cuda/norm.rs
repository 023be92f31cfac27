//! Batch statistics; norm, pool and activation in one, with gradients.

use super::fold::{chunks, fold};
use super::machine::{Buffer, In, Kernel, Machine, Out, count};
use crate::ops::curve::Curve;
use candle_core::Result;

/// The sizes of a batch of images and of the pool over them.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Images in the batch.
    pub images: usize,
    /// Rows of an image, in pixels.
    pub height: usize,
    /// Columns of an image, in pixels.
    pub width: usize,
    /// Numbers a pixel holds.
    pub channels: usize,
    /// Whether the largest of each 2 × 2 pixels is kept; an odd last row or column is dropped.
    pub pooled: bool,
}

impl Grid {
    /// Numbers in the batch.
    fn len(&self) -> usize {
        self.images * self.height * self.width * self.channels
    }

    /// Pixels of the result, over all images.
    fn outputs(&self) -> usize {
        match self.pooled {
            true => self.images * (self.height / 2) * (self.width / 2),
            false => self.images * self.height * self.width,
        }
    }

    /// Windows of the pool, those that an odd edge cuts off among them.
    fn windows(&self) -> usize {
        match self.pooled {
            true => self.images * self.height.div_ceil(2) * self.width.div_ceil(2),
            false => self.outputs(),
        }
    }

    fn for_kernels(&self) -> Result<KernelGrid> {
        count(self.len())?;
        Ok(KernelGrid {
            images: count(self.images)?,
            height: count(self.height)?,
            width: count(self.width)?,
            channels: count(self.channels)?,
            pooled: self.pooled.into(),
        })
    }
}

/// A batch norm with its pool and activation, as [`crate::ops::sharpened_norm::SharpenedNorm`].
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// The sizes.
    pub grid: Grid,
    /// Mean of each channel.
    pub mean: &'a [f64],
    /// Variance of each channel.
    pub variance: &'a [f64],
    /// Values per channel if the statistics are those of the batch, so that a gradient flows
    /// through them.
    pub batch: Option<usize>,
    /// Added to the variance, inside the root.
    pub epsilon: f64,
    /// The activation.
    pub curve: Curve,
}

/// What a [`Norm`] reads: `x` as the grid says, `gamma` and `beta` per channel.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// The values.
    pub x: In<'a, f32>,
    /// The factors.
    pub gamma: In<'a, f32>,
    /// The offsets.
    pub beta: In<'a, f32>,
}

/// Where the gradients by the [`Arguments`] go.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// By the values.
    pub x: Out<'a, f32>,
    /// By the factors.
    pub gamma: Out<'a, f32>,
    /// By the offsets.
    pub beta: Out<'a, f32>,
}

#[repr(C)]
struct KernelGrid {
    images: u32,
    height: u32,
    width: u32,
    channels: u32,
    pooled: u32,
}

#[repr(C)]
struct KernelCurve {
    kind: u32,
    parameter: f32,
}

impl KernelCurve {
    fn of(curve: Curve) -> Self {
        let (kind, parameter) = match curve {
            Curve::Clip { slope } => (0, slope),
            Curve::Logistic { gain } => (1, gain),
            Curve::Step { threshold } => (2, threshold),
        };
        Self { kind, parameter: parameter as f32 }
    }
}

#[repr(C)]
struct Moments<'a> {
    x: In<'a, f32>,
    sums: Out<'a, f64>,
    rows: u32,
    channels: u32,
    chunks: u32,
}

// SAFETY: made in `statistics` alone, for whole rows and sums of that many chunks.
unsafe impl Kernel for Moments<'_> {
    const NAME: &'static str = "moments";

    fn threads(&self) -> u32 {
        self.chunks * self.channels
    }
}

#[repr(C)]
struct MomentsEnd<'a> {
    x: In<'a, f32>,
    sums: In<'a, f64>,
    statistics: Out<'a, f64>,
    rows: u32,
    channels: u32,
}

// SAFETY: made in `statistics` alone, for at least one row and two numbers a channel elsewhere.
unsafe impl Kernel for MomentsEnd<'_> {
    const NAME: &'static str = "moments_end";

    fn threads(&self) -> u32 {
        self.channels
    }
}

/// Mean and biased variance of each channel of `x`, `(rows, channels)`, summed in `f64`.
///
/// # Errors
///
/// If the machine fails, or `x` is too large for it.
///
/// # Panics
///
/// If `x` is empty or not a whole number of rows.
pub fn statistics<M: Machine>(m: &M, x: In<f32>, channels: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    assert!(x.len() > 0 && x.len().is_multiple_of(channels));
    count(x.len())?;
    let rows = x.len() / channels;
    let chunks = chunks(rows, channels);
    let mut sums = Buffer::blank(m, chunks * 2 * channels)?;
    m.launch(Moments {
        x,
        sums: sums.write(),
        rows: count(rows)?,
        channels: count(channels)?,
        chunks: count(chunks)?,
    })?;
    let sums = fold(m, sums, 2 * channels)?;
    let mut statistics = Buffer::blank(m, 2 * channels)?;
    m.launch(MomentsEnd {
        x,
        sums: sums.read(),
        statistics: statistics.write(),
        rows: count(rows)?,
        channels: count(channels)?,
    })?;
    let mut mean = statistics.to_vec(m)?;
    let variance = mean.split_off(channels);
    Ok((mean, variance))
}

#[repr(C)]
struct NormMap<'a> {
    statistics: In<'a, f64>,
    gamma: In<'a, f32>,
    map: Out<'a, f32>,
    epsilon: f64,
    channels: u32,
}

// SAFETY: made in `Norm::map` alone, which checks every length.
unsafe impl Kernel for NormMap<'_> {
    const NAME: &'static str = "norm_map";

    fn threads(&self) -> u32 {
        self.channels
    }
}

#[repr(C)]
struct NormForward<'a> {
    x: In<'a, f32>,
    map: In<'a, f32>,
    beta: In<'a, f32>,
    y: Out<'a, f32>,
    grid: KernelGrid,
    curve: KernelCurve,
    count: u32,
}

// SAFETY: made in `forward` alone, which checks every length.
unsafe impl Kernel for NormForward<'_> {
    const NAME: &'static str = "norm_forward";

    fn threads(&self) -> u32 {
        self.count
    }
}

#[repr(C)]
struct NormReduce<'a> {
    x: In<'a, f32>,
    map: In<'a, f32>,
    beta: In<'a, f32>,
    dy: In<'a, f32>,
    dz: Out<'a, f32>,
    sums: Out<'a, f64>,
    grid: KernelGrid,
    curve: KernelCurve,
    outputs: u32,
    chunks: u32,
}

// SAFETY: made in `backward` alone, which checks every length.
unsafe impl Kernel for NormReduce<'_> {
    const NAME: &'static str = "norm_reduce";

    fn threads(&self) -> u32 {
        self.chunks * self.grid.channels
    }
}

#[repr(C)]
struct NormBack<'a> {
    sums: In<'a, f64>,
    map: In<'a, f32>,
    back: Out<'a, f32>,
    dgamma: Out<'a, f32>,
    dbeta: Out<'a, f32>,
    per_value: f64,
    channels: u32,
}

// SAFETY: made in `backward` alone, which checks every length.
unsafe impl Kernel for NormBack<'_> {
    const NAME: &'static str = "norm_back";

    fn threads(&self) -> u32 {
        self.channels
    }
}

#[repr(C)]
struct NormSpread<'a> {
    x: In<'a, f32>,
    map: In<'a, f32>,
    beta: In<'a, f32>,
    back: In<'a, f32>,
    dz: In<'a, f32>,
    dx: Out<'a, f32>,
    grid: KernelGrid,
    count: u32,
}

// SAFETY: made in `backward` alone, which checks every length.
unsafe impl Kernel for NormSpread<'_> {
    const NAME: &'static str = "norm_spread";

    fn threads(&self) -> u32 {
        self.count
    }
}

impl Norm<'_> {
    /// Mean, inverse deviation and rate of each channel, on the machine.
    fn map<M: Machine>(&self, m: &M, arguments: &Arguments) -> Result<Buffer<M, f32>> {
        let channels = self.grid.channels;
        assert!(self.grid.outputs() * channels > 0, "{:?}", self.grid);
        assert_eq!(arguments.x.len(), self.grid.len());
        for len in
            [self.mean.len(), self.variance.len(), arguments.gamma.len(), arguments.beta.len()]
        {
            assert_eq!(len, channels);
        }
        let statistics = Buffer::of(m, &[self.mean, self.variance].concat())?;
        let mut map = Buffer::blank(m, 3 * channels)?;
        m.launch(NormMap {
            statistics: statistics.read(),
            gamma: arguments.gamma,
            map: map.write(),
            epsilon: self.epsilon,
            channels: count(channels)?,
        })?;
        Ok(map)
    }

    /// Writes `activation(pool(norm(x)))` to `y`.
    ///
    /// # Errors
    ///
    /// If the machine fails, or the batch is too large for it.
    ///
    /// # Panics
    ///
    /// If a length is not that of the grid, or nothing is left after the pool.
    pub fn forward<M: Machine>(&self, m: &M, arguments: Arguments, y: Out<f32>) -> Result<()> {
        assert_eq!(y.len(), self.grid.outputs() * self.grid.channels);
        let map = self.map(m, &arguments)?;
        let count = count(y.len())?;
        m.launch(NormForward {
            x: arguments.x,
            map: map.read(),
            beta: arguments.beta,
            y,
            grid: self.grid.for_kernels()?,
            curve: KernelCurve::of(self.curve),
            count,
        })
    }

    /// Writes the gradients; `dy` is that by the result.
    ///
    /// # Errors
    ///
    /// As [`Norm::forward`].
    ///
    /// # Panics
    ///
    /// As [`Norm::forward`].
    pub fn backward<M: Machine>(
        &self,
        m: &M,
        arguments: Arguments,
        dy: In<f32>,
        gradients: Gradients,
    ) -> Result<()> {
        let (channels, outputs) = (self.grid.channels, self.grid.outputs());
        assert_eq!(dy.len(), outputs * channels);
        assert_eq!(gradients.x.len(), self.grid.len());
        assert_eq!([gradients.gamma.len(), gradients.beta.len()], [channels; 2]);
        let map = self.map(m, &arguments)?;
        let Arguments { x, beta, .. } = arguments;

        let chunks = chunks(outputs, channels);
        let mut dz = Buffer::blank(m, outputs * channels)?;
        let mut sums = Buffer::blank(m, chunks * 2 * channels)?;
        m.launch(NormReduce {
            x,
            map: map.read(),
            beta,
            dy,
            dz: dz.write(),
            sums: sums.write(),
            grid: self.grid.for_kernels()?,
            curve: KernelCurve::of(self.curve),
            outputs: count(outputs)?,
            chunks: count(chunks)?,
        })?;
        let sums = fold(m, sums, 2 * channels)?;

        let mut back = Buffer::blank(m, 2 * channels)?;
        m.launch(NormBack {
            sums: sums.read(),
            map: map.read(),
            back: back.write(),
            dgamma: gradients.gamma,
            dbeta: gradients.beta,
            per_value: self.batch.map_or(0.0, |count| 1.0 / count as f64),
            channels: count(channels)?,
        })?;
        m.launch(NormSpread {
            x,
            map: map.read(),
            beta,
            back: back.read(),
            dz: dz.read(),
            dx: gradients.x,
            grid: self.grid.for_kernels()?,
            count: count(self.grid.windows() * channels)?,
        })
    }
}
