//! Those who report and those who ask come in step, the better the busier a replica is.
//!
//! Recording results and publishing a plan lock the same study. Left to themselves two halves of the workers take
//! turns at it, each waiting for the other's commit; in step they share every commit. So whoever records
//! waits for the plan that is being published, whoever plans for the results that are being recorded, and both
//! for those who are about to come; never for long.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc},
    time::{Instant, timeout, timeout_at},
};

/// How long those who are about to come are waited for.
const GATHER: Duration = Duration::from_millis(2);

/// How long a turn is waited for: the database keeps the order, this only keeps company.
const TURN: Duration = Duration::from_millis(10);

/// One replica's.
#[derive(Default)]
pub struct Rhythm {
    /// Held by whoever records; shared by those who publish.
    turn: RwLock<()>,
    /// Results that came together the last time, or trials that were handed out together since.
    reports: AtomicUsize,
    /// Results that were recorded and after which nobody has asked yet.
    asks: AtomicUsize,
}

impl Rhythm {
    /// Keeps plans from being published while results are recorded; without it after a moment.
    pub async fn to_record(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        timeout(TURN, self.turn.write()).await.ok()
    }

    /// Keeps results from being recorded while a plan is published; without it after a moment.
    pub async fn to_publish(&self) -> Option<RwLockReadGuard<'_, ()>> {
        timeout(TURN, self.turn.read()).await.ok()
    }

    /// So many results were recorded: as many will ask.
    pub fn recorded(&self, results: usize) {
        self.reports.store(results, Relaxed);
        self.asks.fetch_add(results, Relaxed);
    }

    /// So many trials were handed out: short ones are reported together, too.
    pub fn published(&self, trials: usize) {
        self.reports.fetch_max(trials, Relaxed);
    }

    /// How many are about to ask.
    pub fn expected_asks(&self) -> usize {
        self.asks.load(Relaxed)
    }

    /// The reports in an inbox, `first` among them, and those that are about to come; at most `max`.
    pub async fn reports<T>(
        &self,
        first: Vec<T>,
        inbox: &mut mpsc::Receiver<T>,
        max: usize,
    ) -> Vec<T> {
        let expected = self.reports.load(Relaxed).min(max);
        gather(first, inbox, max, expected, |_| true).await
    }

    /// What is in an inbox, `first` before it, until nobody is about to ask; `max` who ask at most.
    pub async fn asks<T>(
        &self,
        first: T,
        inbox: &mut mpsc::Receiver<T>,
        max: usize,
        is_ask: impl Fn(&T) -> bool,
    ) -> Vec<T> {
        // Those whose results are just being recorded are about to ask.
        drop(self.to_publish().await);
        let expected = self.asks.load(Relaxed).min(max);
        let taken = gather(vec![first], inbox, max, expected, &is_ask).await;
        let asks = taken.iter().filter(|one| is_ask(one)).count();
        // Who has not come by now went elsewhere, or was no hurry.
        let left = if asks < expected { 0 } else { self.asks.load(Relaxed).saturating_sub(asks) };
        if asks > 0 {
            self.asks.store(left, Relaxed);
        }
        taken
    }
}

async fn gather<T>(
    mut taken: Vec<T>,
    inbox: &mut mpsc::Receiver<T>,
    max: usize,
    expected: usize,
    counts: impl Fn(&T) -> bool,
) -> Vec<T> {
    let end = Instant::now() + GATHER;
    let mut count = taken.iter().filter(|one| counts(one)).count();
    while count < max {
        let next = match inbox.try_recv() {
            Ok(next) => Some(next),
            Err(_) if (1..expected).contains(&count) => {
                timeout_at(end, inbox.recv()).await.ok().flatten()
            }
            Err(_) => None,
        };
        let Some(next) = next else { break };
        count += usize::from(counts(&next));
        taken.push(next);
    }
    taken
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;

    use super::*;

    /// Sends later than whoever waits for nobody looks, and long before whoever waits gives up.
    fn send_soon(sender: &mpsc::Sender<i32>, number: i32) -> JoinHandle<()> {
        let sender = sender.clone();
        tokio::spawn(async move {
            sender.send(number).await.unwrap();
        })
    }

    #[tokio::test]
    async fn those_who_are_about_to_come_are_waited_for_and_not_for_long() {
        let rhythm = Rhythm::default();
        let (sender, mut inbox) = mpsc::channel(8);
        // On one thread a task runs only when this one waits.
        let late = send_soon(&sender, 2);
        assert_eq!(rhythm.reports(vec![1], &mut inbox, 8).await, [1], "nobody is waited for");
        late.await.unwrap();
        rhythm.published(3);
        let begun = Instant::now();
        assert_eq!(rhythm.reports(vec![1], &mut inbox, 8).await, [1, 2]);
        assert!(begun.elapsed() >= GATHER, "three were expected");
        rhythm.recorded(2);
        let late = send_soon(&sender, 2);
        assert_eq!(rhythm.reports(vec![1], &mut inbox, 8).await, [1, 2], "both have come");
        late.await.unwrap();
        for i in 2..9 {
            sender.send(i).await.unwrap();
        }
        assert_eq!(rhythm.reports(vec![1], &mut inbox, 3).await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn as_many_ask_as_have_reported_and_who_does_not_is_forgotten() {
        let rhythm = Rhythm::default();
        let (sender, mut inbox) = mpsc::channel(8);
        let is_even = |number: &i32| number % 2 == 0;
        rhythm.recorded(2);
        rhythm.recorded(1);
        for i in [3, 4, 6, 5] {
            sender.send(i).await.unwrap();
        }
        assert_eq!(rhythm.asks(2, &mut inbox, 8, is_even).await, [2, 3, 4, 6, 5]);
        assert_eq!(rhythm.expected_asks(), 0, "three have asked, and no fourth is expected");
        rhythm.recorded(2);
        let begun = Instant::now();
        assert_eq!(rhythm.asks(1, &mut inbox, 8, is_even).await, [1]);
        assert_eq!(rhythm.expected_asks(), 2, "who does not ask changes nothing");
        assert_eq!(rhythm.asks(2, &mut inbox, 8, is_even).await, [2]);
        assert!(begun.elapsed() >= GATHER, "another was expected");
        assert_eq!(rhythm.expected_asks(), 0, "and is so no more");
        rhythm.recorded(2);
        let late = send_soon(&sender, 4);
        assert_eq!(rhythm.asks(2, &mut inbox, 8, is_even).await, [2, 4]);
        late.await.unwrap();
    }

    #[tokio::test]
    async fn who_records_and_who_publishes_take_turns_for_a_moment() {
        let rhythm = Rhythm::default();
        let (one, other) = (rhythm.to_publish().await, rhythm.to_publish().await);
        assert!(one.is_some() && other.is_some(), "studies do not wait for each other");
        let begun = Instant::now();
        assert!(rhythm.to_record().await.is_none());
        assert!(begun.elapsed() >= TURN);
        drop((one, other));
        let recording = rhythm.to_record().await;
        assert!(recording.is_some());
        assert!(rhythm.to_publish().await.is_none());
    }
}
