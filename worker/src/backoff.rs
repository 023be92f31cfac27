//! [`Backoff`]: how long to wait before knocking again.

use std::time::Duration;

use crate::jitter::Jitter;

/// First wait: long enough for a coordinator to be replaced by one that already listens. Taste.
const FIRST: Duration = Duration::from_millis(200);

/// Longest wait: a returning coordinator sees every worker within it. Taste.
const LONGEST: Duration = Duration::from_secs(10);

/// Waits that double from `FIRST` to `LONGEST`, each drawn from the upper half of its range.
#[derive(Debug)]
pub struct Backoff {
    longest: Duration,
    jitter: Jitter,
}

impl Backoff {
    /// A series of waits, its jitter drawn from `seed`.
    pub fn new(seed: u64) -> Backoff {
        Backoff { longest: FIRST, jitter: Jitter::new(seed) }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let wait = self.jitter.upper_half(self.longest);
        self.longest = (self.longest * 2).min(LONGEST);
        wait
    }

    /// Begins anew with short waits: the coordinator has answered. The jitter goes on.
    pub fn reset(&mut self) {
        self.longest = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_fall_back_after_an_answer() {
        let mut backoff = Backoff::new(1);
        let waits: Vec<_> = (0..12).map(|_| backoff.wait()).collect();
        assert!(waits[0] <= FIRST && waits[3] > FIRST * 3, "{waits:?}");
        assert!(waits[8..].iter().all(|w| (LONGEST / 2..=LONGEST).contains(w)), "{waits:?}");
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
