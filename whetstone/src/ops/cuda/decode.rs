//! Votes of the output neurons, the loss they make, its gradient, and hits.

use super::fold::fold;
use super::machine::{Buffer, In, Kernel, Machine, Out, count};
use crate::softmax_decode::Key;
use candle_core::Result;

/// The outputs of a batch with what they should say.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Which neurons speak for which class.
    pub key: &'a Key,
    /// The class of each image.
    pub labels: &'a [u32],
    /// The outputs, `(images, neurons)`.
    pub x: In<'a, f32>,
    /// Whether probabilities are clipped first, as in Keras.
    pub clipped: bool,
}

/// Key and labels on the machine, in one piece so that one copy brings them there.
struct Tables<M: Machine> {
    words: Buffer<M, u32>,
    images: usize,
    width: usize,
    classes: usize,
    /// Pairs of a neuron and a class that it speaks for.
    pairs: usize,
}

impl<M: Machine> Tables<M> {
    fn of(m: &M, batch: &Batch) -> Result<Self> {
        let Batch { key, labels, .. } = batch;
        let (width, classes) = (key.width(), key.classes());
        assert!(!labels.is_empty() && width > 0 && classes > 0);
        assert_eq!(batch.x.len(), labels.len() * width);
        assert!(labels.iter().all(|label| (*label as usize) < classes));
        count(labels.len() * width.max(classes))?;

        let mut classes_of = vec![Vec::new(); width];
        for class in 0..classes {
            for &neuron in key.neurons(class) {
                classes_of[neuron].push(class as u32);
            }
        }
        let neurons = (0..classes).map(|class| key.neurons(class).iter().map(|n| *n as u32));
        let mut words = Vec::new();
        append_lists(&mut words, neurons);
        append_lists(&mut words, classes_of.into_iter().map(Vec::into_iter));
        words.extend(*labels);
        let pairs = (words.len() - labels.len() - width - classes - 2) / 2;
        Ok(Self { words: Buffer::of(m, &words)?, images: labels.len(), width, classes, pairs })
    }

    /// Where the neurons of each class begin, and the neurons.
    fn neurons(&self) -> (In<'_, u32>, In<'_, u32>) {
        let starts = self.classes + 1;
        (self.words.read().part(0, starts), self.words.read().part(starts, self.pairs))
    }

    /// Where the classes of each neuron begin, and the classes.
    fn classes_of(&self) -> (In<'_, u32>, In<'_, u32>) {
        let (first, starts) = (self.classes + 1 + self.pairs, self.width + 1);
        let words = self.words.read();
        (words.part(first, starts), words.part(first + starts, self.pairs))
    }

    fn labels(&self) -> In<'_, u32> {
        let words = self.words.read();
        words.part(words.len() - self.images, self.images)
    }

    fn images(&self) -> Result<u32> {
        count(self.images)
    }

    fn classes(&self) -> Result<u32> {
        count(self.classes)
    }
}

/// Appends where each list begins, and where the last ends, and then the lists.
fn append_lists<L: ExactSizeIterator<Item = u32>>(
    words: &mut Vec<u32>,
    lists: impl Iterator<Item = L>,
) {
    let mut numbers = Vec::new();
    words.push(0);
    for list in lists {
        numbers.extend(list);
        words.push(numbers.len() as u32);
    }
    words.extend(numbers);
}

#[repr(C)]
struct Votes<'a> {
    x: In<'a, f32>,
    starts: In<'a, u32>,
    neurons: In<'a, u32>,
    votes: Out<'a, f64>,
    images: u32,
    width: u32,
    classes: u32,
}

// SAFETY: made in `votes` alone from tables that were checked.
unsafe impl Kernel for Votes<'_> {
    const NAME: &'static str = "votes";

    fn threads(&self) -> u32 {
        self.images * self.classes
    }
}

#[repr(C)]
struct Losses<'a> {
    votes: In<'a, f64>,
    labels: In<'a, u32>,
    losses: Out<'a, f64>,
    images: u32,
    classes: u32,
    clipped: u32,
}

// SAFETY: made in `loss` alone from tables that were checked.
unsafe impl Kernel for Losses<'_> {
    const NAME: &'static str = "losses";

    fn threads(&self) -> u32 {
        self.images
    }
}

#[repr(C)]
struct LossMean<'a> {
    sum: In<'a, f64>,
    mean: Out<'a, f32>,
    images: u32,
}

// SAFETY: made in `loss` alone, with one number each.
unsafe impl Kernel for LossMean<'_> {
    const NAME: &'static str = "loss_mean";

    fn threads(&self) -> u32 {
        1
    }
}

#[repr(C)]
struct VoteErrors<'a> {
    votes: Out<'a, f64>,
    labels: In<'a, u32>,
    images: u32,
    classes: u32,
    clipped: u32,
}

// SAFETY: made in `gradient` alone from tables that were checked.
unsafe impl Kernel for VoteErrors<'_> {
    const NAME: &'static str = "vote_errors";

    fn threads(&self) -> u32 {
        self.images
    }
}

#[repr(C)]
struct VoteGradient<'a> {
    errors: In<'a, f64>,
    starts: In<'a, u32>,
    classes_of: In<'a, u32>,
    dy: In<'a, f32>,
    dx: Out<'a, f32>,
    images: u32,
    width: u32,
    classes: u32,
}

// SAFETY: made in `gradient` alone from tables that were checked.
unsafe impl Kernel for VoteGradient<'_> {
    const NAME: &'static str = "vote_gradient";

    fn threads(&self) -> u32 {
        self.images * self.width
    }
}

#[repr(C)]
struct VoteHits<'a> {
    votes: In<'a, f64>,
    labels: In<'a, u32>,
    hits: Out<'a, u32>,
    images: u32,
    classes: u32,
}

// SAFETY: made in `hits` alone from tables that were checked.
unsafe impl Kernel for VoteHits<'_> {
    const NAME: &'static str = "vote_hits";

    fn threads(&self) -> u32 {
        self.images
    }
}

fn votes<M: Machine>(m: &M, tables: &Tables<M>, x: In<f32>) -> Result<Buffer<M, f64>> {
    let mut votes = Buffer::blank(m, tables.images * tables.classes)?;
    let (starts, neurons) = tables.neurons();
    m.launch(Votes {
        x,
        starts,
        neurons,
        votes: votes.write(),
        images: tables.images()?,
        width: count(tables.width)?,
        classes: tables.classes()?,
    })?;
    Ok(votes)
}

/// Writes the mean cross-entropy to `mean`, one number.
///
/// # Errors
///
/// If the machine fails, or the batch is too large for it.
///
/// # Panics
///
/// If a length does not fit, a label is no class, or there is nothing to decode.
pub fn loss<M: Machine>(m: &M, batch: &Batch, mean: Out<f32>) -> Result<()> {
    assert_eq!(mean.len(), 1);
    let tables = Tables::of(m, batch)?;
    let votes = votes(m, &tables, batch.x)?;
    let mut losses = Buffer::blank(m, tables.images)?;
    m.launch(Losses {
        votes: votes.read(),
        labels: tables.labels(),
        losses: losses.write(),
        images: tables.images()?,
        classes: tables.classes()?,
        clipped: batch.clipped.into(),
    })?;
    let sum = fold(m, losses, 1)?;
    m.launch(LossMean { sum: sum.read(), mean, images: tables.images()? })
}

/// Writes the loss's gradient by the outputs to `dx`, times `dy`, one number.
///
/// # Errors
///
/// As [`loss`].
///
/// # Panics
///
/// As [`loss`].
pub fn gradient<M: Machine>(m: &M, batch: &Batch, dy: In<f32>, dx: Out<f32>) -> Result<()> {
    assert_eq!((dy.len(), dx.len()), (1, batch.x.len()));
    let tables = Tables::of(m, batch)?;
    let mut votes = votes(m, &tables, batch.x)?;
    m.launch(VoteErrors {
        votes: votes.write(),
        labels: tables.labels(),
        images: tables.images()?,
        classes: tables.classes()?,
        clipped: batch.clipped.into(),
    })?;
    let (starts, classes_of) = tables.classes_of();
    m.launch(VoteGradient {
        errors: votes.read(),
        starts,
        classes_of,
        dy,
        dx,
        images: tables.images()?,
        width: count(tables.width)?,
        classes: tables.classes()?,
    })
}

/// How many outputs are decoded as their label.
///
/// # Errors
///
/// As [`loss`].
///
/// # Panics
///
/// As [`loss`].
pub fn hits<M: Machine>(m: &M, batch: &Batch) -> Result<usize> {
    let tables = Tables::of(m, batch)?;
    let votes = votes(m, &tables, batch.x)?;
    let mut hits = Buffer::blank(m, tables.images)?;
    m.launch(VoteHits {
        votes: votes.read(),
        labels: tables.labels(),
        hits: hits.write(),
        images: tables.images()?,
        classes: tables.classes()?,
    })?;
    Ok(hits.to_vec(m)?.into_iter().map(|hit| hit as usize).sum())
}
