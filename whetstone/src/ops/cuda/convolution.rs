//! Convolutions by patches: gather them, multiply, scatter gradients back.

use super::machine::{Buffer, In, Kernel, Machine, Out, Product, count};
use candle_core::Result;
use kernels::convolution::Convolution;

/// A convolution of a batch, and how much of it is worked on at once.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Its sizes.
    pub sizes: Convolution,
    /// Numbers of patches that may lie in memory at once. An image that needs more gets more.
    pub room: usize,
}

/// A good [`Batch::room`]: 256 MiB of patches, so that even the smallest products fill a GPU.
pub const ROOM: usize = 1 << 26;

impl Batch {
    /// Numbers an image holds.
    fn image(&self) -> usize {
        self.sizes.height * self.sizes.width * self.sizes.channels
    }

    /// Windows in an image.
    fn windows(&self) -> usize {
        let [rows, columns] = self.sizes.output();
        rows * columns
    }

    /// Numbers in a patch.
    fn patch(&self) -> usize {
        self.sizes.side * self.sizes.side * self.sizes.channels
    }

    /// Whether the images are their own patches.
    fn is_plain(&self) -> bool {
        self.sizes.side == 1 && self.sizes.stride == 1
    }

    /// Images whose patches are in memory at once, at least one.
    fn chunk(&self) -> usize {
        let image = self.windows() * self.patch();
        (self.room / image.max(1)).clamp(1, self.sizes.images.max(1))
    }

    /// The first image and the number of images of each chunk.
    fn chunks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (images, chunk) = (self.sizes.images, self.chunk());
        (0..images).step_by(chunk).map(move |first| (first, chunk.min(images - first)))
    }

    /// The forward product over the patches of so many images.
    fn product(&self, images: usize) -> Product {
        Product {
            rows: images * self.windows(),
            inner: self.patch(),
            columns: self.sizes.features,
            a_transposed: false,
            b_transposed: false,
            add: false,
        }
    }

    /// The product that gives the kernel's gradient: patches transposed by `dy`.
    fn kernel_product(&self, images: usize, add: bool) -> Product {
        Product {
            rows: self.patch(),
            inner: images * self.windows(),
            columns: self.sizes.features,
            a_transposed: true,
            b_transposed: false,
            add,
        }
    }

    /// The product that gives the patches' gradient: `dy` by the kernel transposed.
    fn patch_product(&self, images: usize) -> Product {
        Product {
            rows: images * self.windows(),
            inner: self.sizes.features,
            columns: self.patch(),
            a_transposed: false,
            b_transposed: true,
            add: false,
        }
    }

    fn check(&self, lens: [usize; 3]) {
        assert_eq!(lens, self.sizes.lens());
        assert!(lens.iter().product::<usize>() > 0, "{self:?}");
    }
}

#[repr(C)]
struct Windows {
    height: u32,
    width: u32,
    channels: u32,
    side: u32,
    stride: u32,
    rows: u32,
    columns: u32,
    above: u32,
    before: u32,
}

/// Zeros before the first number of an axis: half of what the windows need beyond it, rounded down,
/// as in Keras.
fn margin(inputs: usize, outputs: usize, sizes: &Convolution) -> usize {
    ((outputs - 1) * sizes.stride + sizes.side).saturating_sub(inputs) / 2
}

impl Windows {
    fn of(batch: &Batch) -> Result<Self> {
        let sizes = &batch.sizes;
        let [rows, columns] = sizes.output();
        Ok(Self {
            height: count(sizes.height)?,
            width: count(sizes.width)?,
            channels: count(sizes.channels)?,
            side: count(sizes.side)?,
            stride: count(sizes.stride)?,
            rows: count(rows)?,
            columns: count(columns)?,
            above: count(margin(sizes.height, rows, sizes))?,
            before: count(margin(sizes.width, columns, sizes))?,
        })
    }
}

#[repr(C)]
struct Gather<'a> {
    images: In<'a, f32>,
    patches: Out<'a, f32>,
    windows: Windows,
    count: u32,
}

// SAFETY: made in `gather` alone, which checks both lengths.
unsafe impl Kernel for Gather<'_> {
    const NAME: &'static str = "gather";

    fn threads(&self) -> u32 {
        self.count
    }
}

#[repr(C)]
struct Scatter<'a> {
    patches: In<'a, f32>,
    images: Out<'a, f32>,
    windows: Windows,
    count: u32,
}

// SAFETY: made in `scatter` alone, which checks both lengths.
unsafe impl Kernel for Scatter<'_> {
    const NAME: &'static str = "scatter";

    fn threads(&self) -> u32 {
        self.count
    }
}

/// Writes the patches of whole images.
fn gather<M: Machine>(m: &M, batch: &Batch, images: In<f32>, patches: Out<f32>) -> Result<()> {
    let number = images.len() / batch.image();
    assert_eq!(images.len(), number * batch.image());
    assert_eq!(patches.len(), number * batch.windows() * batch.patch());
    let count = count(patches.len()).and_then(|all| count(images.len()).map(|_| all))?;
    m.launch(Gather { images, patches, windows: Windows::of(batch)?, count })
}

/// Adds the patches of whole images up to images.
fn scatter<M: Machine>(m: &M, batch: &Batch, patches: In<f32>, images: Out<f32>) -> Result<()> {
    let number = images.len() / batch.image();
    assert_eq!(images.len(), number * batch.image());
    assert_eq!(patches.len(), number * batch.windows() * batch.patch());
    let count = count(images.len()).and_then(|all| count(patches.len()).map(|_| all))?;
    m.launch(Scatter { patches, images, windows: Windows::of(batch)?, count })
}

/// Memory for the patches of one chunk; none where the images are their own.
fn room<M: Machine>(m: &M, batch: &Batch) -> Result<Buffer<M, f32>> {
    let images = if batch.is_plain() { 0 } else { batch.chunk() };
    Buffer::blank(m, images * batch.windows() * batch.patch())
}

/// Writes the convolution of `x` by `w` to `y`.
///
/// # Errors
///
/// If the machine fails, or an image is too large for it.
///
/// # Panics
///
/// If a length is not that of the sizes, or there is nothing to compute.
pub fn forward<M: Machine>(
    m: &M,
    batch: &Batch,
    x: In<f32>,
    w: In<f32>,
    mut y: Out<f32>,
) -> Result<()> {
    batch.check([x.len(), w.len(), y.len()]);
    if batch.is_plain() {
        return batch.product(batch.sizes.images).run(m, x, w, y);
    }
    let mut room = room(m, batch)?;
    let (per_patches, per_y) =
        (batch.windows() * batch.patch(), batch.windows() * batch.sizes.features);
    for (first, images) in batch.chunks() {
        let x = x.part(first * batch.image(), images * batch.image());
        gather(m, batch, x, room.write().part(0, images * per_patches))?;
        let patches = room.read().part(0, images * per_patches);
        batch.product(images).run(m, patches, w, y.part(first * per_y, images * per_y))?;
    }
    Ok(())
}

/// Writes the gradient by `w` to `dw`, and that by `x` to `dx` if it is wanted.
///
/// # Errors
///
/// As [`forward`].
///
/// # Panics
///
/// As [`forward`].
pub fn backward<M: Machine>(
    m: &M,
    batch: &Batch,
    x: In<f32>,
    w: In<f32>,
    dy: In<f32>,
    mut dx: Option<Out<f32>>,
    mut dw: Out<f32>,
) -> Result<()> {
    batch.check([x.len(), w.len(), dy.len()]);
    assert_eq!(dw.len(), w.len());
    assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()));
    if batch.is_plain() {
        batch.kernel_product(batch.sizes.images, false).run(m, x, dy, dw)?;
        return match dx {
            Some(dx) => batch.patch_product(batch.sizes.images).run(m, dy, w, dx),
            None => Ok(()),
        };
    }
    let mut room = room(m, batch)?;
    let (per_patches, per_y) =
        (batch.windows() * batch.patch(), batch.windows() * batch.sizes.features);
    for (first, images) in batch.chunks() {
        let (from, len) = (first * batch.image(), images * batch.image());
        let dy = dy.part(first * per_y, images * per_y);
        gather(m, batch, x.part(from, len), room.write().part(0, images * per_patches))?;
        let patches = room.read().part(0, images * per_patches);
        batch.kernel_product(images, first > 0).run(m, patches, dy, dw.lend())?;
        if let Some(dx) = &mut dx {
            let mut patches = room.write();
            let patches = patches.part(0, images * per_patches);
            batch.patch_product(images).run(m, dy, w, patches)?;
            scatter(m, batch, room.read().part(0, images * per_patches), dx.part(from, len))?;
        }
    }
    Ok(())
}
