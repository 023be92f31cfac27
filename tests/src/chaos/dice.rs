//! Seeded numbers: the same seed and name give the same ones.

use std::time::Duration;

/// A stream of random numbers, for one actor alone, so that no actor's pace disturbs another's.
///
/// SplitMix64: G. Steele et al., "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of an actor's name under a seed.
    pub fn new(seed: u64, actor: &str) -> Self {
        // FNV-1a tells names apart; the finaliser below does the rest.
        let name = actor.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(seed ^ name)
    }

    /// The next 64 bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and nobody iterates over it")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert_ne!(bound, 0);
        ((self.uniform() * bound as f64) as usize).min(bound - 1)
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// A duration from `low` to `high`.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + (high - low).mul_f64(self.uniform())
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, options: &'a [T]) -> &'a T {
        &options[self.below(options.len())]
    }

    /// Brings things into a random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_name_give_the_same_numbers_again_and_others_do_not() {
        let first = |seed, name| Dice::new(seed, name).next();
        assert_eq!(first(1, "people"), first(1, "people"));
        assert_ne!(first(1, "people"), first(1, "faults"));
        assert_ne!(first(1, "people"), first(2, "people"));
        let mut dice = Dice::new(3, "x");
        assert!((0..1_000).all(|_| dice.below(3) < 3));
    }
}
