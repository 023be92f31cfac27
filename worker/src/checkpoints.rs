//! [`Checkpoints`]: states of one training, where it can go on from and those on their way out.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

/// The state of a training after some whole epochs, as the trainer writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Epochs trained, at least 1.
    pub epoch: u32,
    /// The state.
    pub bytes: Vec<u8>,
}

/// What one attempt finds of an earlier one, and what it leaves for a later one.
///
/// A training hands in its state after every epoch and never waits. Of those handed in the newest is
/// kept; it is due for the coordinator if its epoch is a multiple of the interval, or if the worker
/// is about to let go of the trial.
#[derive(Debug)]
pub struct Checkpoints {
    every: u32,
    found: Option<Checkpoint>,
    held: Mutex<Held>,
    /// Counts what becomes due and what is done with.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Held {
    /// The newest state, unless it is due.
    newest: Option<Checkpoint>,
    /// The newest of those that are due.
    due: Option<Checkpoint>,
    /// One is being sent.
    is_sending: bool,
}

impl Checkpoints {
    /// For an attempt that finds `found`, and is to leave a state after every `every` epochs; 0: none.
    pub fn new(every: u32, found: Option<Checkpoint>) -> Checkpoints {
        Checkpoints { every, found, held: Mutex::default(), changed: watch::Sender::new(0) }
    }

    /// Where an earlier attempt came to.
    pub fn found(&self) -> Option<&Checkpoint> {
        self.found.as_ref()
    }

    /// Whether states are wanted at all: if not, nobody need make one.
    pub fn are_wanted(&self) -> bool {
        self.every > 0
    }

    /// Hands in the state after an epoch. One that is due and waits makes room for a later one.
    pub fn save(&self, checkpoint: Checkpoint) {
        if !self.are_wanted() {
            return;
        }
        let is_due = checkpoint.epoch.is_multiple_of(self.every);
        let mut held = self.held();
        match is_due {
            true => *held = Held { newest: None, due: Some(checkpoint), ..*held },
            false => held.newest = Some(checkpoint),
        }
        drop(held);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Makes the newest state due, whatever its epoch.
    pub fn hurry(&self) {
        let mut held = self.held();
        if let Some(newest) = held.newest.take() {
            held.due = Some(newest);
        }
        drop(held);
        self.changed.send_modify(|count| *count += 1);
    }

    /// The state that is due; waits for one. Whoever takes it calls [`Checkpoints::done`] before
    /// taking another.
    pub async fn take(&self) -> Checkpoint {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(due) = self.take_now() {
                return due;
            }
            changed.changed().await.expect("a count, because `self` holds the sender");
        }
    }

    fn take_now(&self) -> Option<Checkpoint> {
        let mut held = self.held();
        let due = held.due.take()?;
        held.is_sending = true;
        Some(due)
    }

    /// Whether a later state is due than the one that was taken.
    pub fn is_overtaken(&self) -> bool {
        self.held().due.is_some()
    }

    /// Notes that the state that was taken needs no further care.
    pub fn done(&self) {
        self.held().is_sending = false;
        self.changed.send_modify(|count| *count += 1);
    }

    /// Ready when nothing is due and nothing is being sent.
    pub async fn drained(&self) {
        let mut changed = self.changed.subscribe();
        while !self.is_drained() {
            changed.changed().await.expect("a count, because `self` holds the sender");
        }
    }

    fn is_drained(&self) -> bool {
        let held = self.held();
        held.due.is_none() && !held.is_sending
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no poison, because nothing panics under this lock")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after(epoch: u32) -> Checkpoint {
        Checkpoint { epoch, bytes: vec![epoch as u8; 3] }
    }

    async fn is_drained(checkpoints: &Checkpoints) -> bool {
        let soon = Duration::from_millis(20);
        tokio::time::timeout(soon, checkpoints.drained()).await.is_ok()
    }

    #[tokio::test]
    async fn every_so_many_epochs_one_is_due_and_only_the_newest_waits() {
        let checkpoints = Checkpoints::new(2, None);
        (1..=5).for_each(|epoch| checkpoints.save(after(epoch)));
        assert_eq!(checkpoints.take().await, after(4));
        assert!(!checkpoints.is_overtaken());
        assert!(!is_drained(&checkpoints).await, "one is being sent");
        checkpoints.save(after(6));
        assert!(checkpoints.is_overtaken());
        checkpoints.done();
        assert!(!is_drained(&checkpoints).await, "another waits");
        assert_eq!(checkpoints.take().await, after(6));
        checkpoints.done();
        assert!(is_drained(&checkpoints).await);
    }

    #[tokio::test]
    async fn in_a_hurry_the_newest_is_due_and_none_twice() {
        let checkpoints = Checkpoints::new(10, None);
        (1..=3).for_each(|epoch| checkpoints.save(after(epoch)));
        assert!(is_drained(&checkpoints).await, "no tenth epoch yet");
        checkpoints.hurry();
        assert_eq!(checkpoints.take().await, after(3));
        checkpoints.done();
        checkpoints.hurry();
        assert!(is_drained(&checkpoints).await, "it has been sent");
        checkpoints.save(after(10));
        checkpoints.hurry();
        assert_eq!(checkpoints.take().await, after(10));
    }

    #[tokio::test]
    async fn nothing_is_kept_where_nothing_is_wanted() {
        let checkpoints = Checkpoints::new(0, Some(after(4)));
        checkpoints.save(after(5));
        checkpoints.hurry();
        assert!(is_drained(&checkpoints).await);
        assert_eq!(checkpoints.found(), Some(&after(4)), "but one that is there is good");
    }
}
