//! [`Bucket`]: so many calls a second, and so many at once after a pause.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// A token bucket, kept as the instant at which it would be full again: one number, no clockwork.
#[derive(Debug)]
pub struct Bucket {
    full_at: Mutex<Option<Instant>>,
    /// How long a token takes to come back.
    each: Duration,
    /// How long all of them take.
    all: Duration,
}

impl Bucket {
    /// A full bucket of `burst` tokens, of which `rate` come back in a second.
    pub fn new(rate: u32, burst: u32) -> Self {
        let each = Duration::from_secs(1) / rate;
        Self { full_at: Mutex::new(None), each, all: each * burst }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// How long it takes for one to come back, if there is none.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().expect("nobody panics while holding a bucket");
        let then = full_at.map_or(now, |at| at.max(now)) + self.each;
        let lacking = then.saturating_duration_since(now + self.all);
        if lacking > Duration::ZERO {
            return Err(lacking);
        }
        *full_at = Some(then);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let bucket = Bucket::new(10, 3);
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!((0..3).filter(|_| bucket.take(at(0)).is_ok()).count(), 3);
        assert_eq!(bucket.take(at(0)), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(at(60)), Err(Duration::from_millis(40)), "a refusal costs nothing");
        assert_eq!(bucket.take(at(100)), Ok(()));
        assert!(bucket.take(at(150)).is_err());
        assert_eq!((0..9).filter(|_| bucket.take(at(60_000)).is_ok()).count(), 3, "never more");
    }
}
