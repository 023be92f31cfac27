//! [`Jitter`]: a little randomness, so that many workers do not knock at the same instant.

use std::time::Duration;

/// A seeded source of jitter. It spreads load and decides nothing, so eight bytes of state do.
#[derive(Clone, Debug)]
pub struct Jitter {
    state: u64,
}

impl Jitter {
    /// A source that gives the same values for the same seed.
    pub fn new(seed: u64) -> Jitter {
        Jitter { state: seed }
    }

    /// `around`, made longer or shorter by at most `share` of itself, which is from 0 to 1.
    pub fn around(&mut self, around: Duration, share: f64) -> Duration {
        around.mul_f64(1.0 + share * (2.0 * self.fraction() - 1.0))
    }

    /// A duration from half of `longest` to all of it: never at once, never quite in step.
    pub fn upper_half(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(0.5 + 0.5 * self.fraction())
    }

    /// A number from 0 to below 1.
    ///
    /// SplitMix64: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators",
    /// OOPSLA 2014, figure 16, <https://doi.org/10.1145/2714064.2660195>.
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper 53 bits, which is what a double holds exactly.
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_its_share_and_fills_it() {
        let mut jitter = Jitter::new(7);
        let second = Duration::from_secs(1);
        let drawn: Vec<_> = (0..2_000).map(|_| jitter.around(second, 0.1).as_secs_f64()).collect();
        assert!(drawn.iter().all(|s| (0.9..1.1).contains(s)));
        assert!(drawn.iter().any(|s| *s < 0.91) && drawn.iter().any(|s| *s > 1.09));
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn two_seeds_do_not_walk_in_step() {
        let (mut one, mut other) = (Jitter::new(1), Jitter::new(2));
        let minute = Duration::from_secs(60);
        assert_ne!(one.upper_half(minute), other.upper_half(minute));
    }
}
