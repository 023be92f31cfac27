//! Space-filling points: Latin hypercubes, a scrambled Sobol sequence, and uniform draws.

pub(crate) mod latin;

use crate::space::{Space, UnitPoint};
use crate::stream::{Purpose, Stream};

/// Length of one sequence of `sobol_burley`; later points continue under another scramble.
const SEQUENCE: u32 = 1 << 16;

/// The `index`-th point of the space's Owen-scrambled Sobol sequence, canonical.
///
/// A function of (seed, index) alone. Any aligned run of 2ᵏ points is evenly spread in every
/// coordinate; after mapping to the options of a discrete space some of them coincide.
///
/// Reference: B. Burley, "Practical Hash-based Owen Scrambling", JCGT 9(4), 2020.
pub(crate) fn sobol(space: &Space, seed: u64, index: u32) -> UnitPoint {
    let scramble = Stream::new(seed, u64::from(index / SEQUENCE), Purpose::Design).bits();
    let dimensions = space.parameters().len() as u32;
    let uniforms: Vec<f64> = (0..dimensions)
        .map(|dimension| f64::from(sobol_burley::sample(index % SEQUENCE, dimension, scramble)))
        .collect();
    space.spread(&uniforms)
}

/// One uniform draw, canonical.
pub(crate) fn uniform(space: &Space, stream: &mut Stream) -> UnitPoint {
    let uniforms: Vec<f64> = space.parameters().iter().map(|_| stream.uniform()).collect();
    space.spread(&uniforms)
}
