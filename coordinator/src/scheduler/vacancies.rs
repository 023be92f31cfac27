//! Slots that have just given their lease back to this replica, and so are known to hold none.
//!
//! Whoever asks for a trial is otherwise looked up first: is it to go, and does its slot hold a lease whose
//! answer was lost? Most ask in the very moment after their last report. A hint that saves these two
//! questions, never a decision: no statement lets a slot hold two leases.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use crate::trial::Asker;

/// How long a slot is taken to hold nothing, unless this replica hears otherwise. What another one is told
/// meanwhile, as that a worker is to go, is heard of so much later.
const TRUSTED: Duration = Duration::from_secs(1);

/// How long after it was noted as seen a worker is noted again. Less than what makes it look gone.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// Slots that are kept in mind.
const SLOTS_MAX: usize = 65_536;

/// One worker's place for a trial.
pub type Slot = (Uuid, i32);

/// What this replica knows of slots.
#[derive(Default)]
pub struct Vacancies {
    slots: Mutex<HashMap<Slot, Known>>,
}

struct Known {
    /// When its worker was last entered in the database as seen.
    seen_at: Instant,
    /// Since when it holds nothing.
    vacant_since: Option<Instant>,
}

impl Vacancies {
    /// Its worker has just been entered as seen, and is not to go.
    pub fn seen(&self, asker: &Asker, now: Instant) {
        let mut slots = self.slots.lock().expect("nobody panics while holding the slots");
        if slots.len() >= SLOTS_MAX {
            slots.retain(|_, known| now - known.seen_at < SEEN_EVERY);
            // Too many for a hint to be worth the memory.
            if slots.len() >= SLOTS_MAX {
                slots.clear();
            }
        }
        slots.insert((asker.worker_id, asker.slot), Known { seen_at: now, vacant_since: None });
    }

    /// Its lease has just ended, and its worker is not to go.
    pub fn vacated(&self, slot: Slot, now: Instant) {
        let mut slots = self.slots.lock().expect("nobody panics while holding the slots");
        if let Some(known) = slots.get_mut(&slot) {
            known.vacant_since = Some(now);
        }
    }

    /// Whether the slot is known to hold nothing and its worker to be no news. Only the first who asks is
    /// told so: what it is given then is not known here.
    pub fn take(&self, asker: &Asker, now: Instant) -> bool {
        let mut slots = self.slots.lock().expect("nobody panics while holding the slots");
        slots.get_mut(&(asker.worker_id, asker.slot)).is_some_and(|known| {
            let is_vacant = known.vacant_since.take().is_some_and(|since| now - since < TRUSTED);
            is_vacant && now - known.seen_at < SEEN_EVERY
        })
    }

    /// Workers were told to go: everybody is looked up again.
    pub fn forget(&self) {
        self.slots.lock().expect("nobody panics while holding the slots").clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(slot: i32) -> Asker {
        Asker {
            worker_id: Uuid::from_u128(7),
            slot,
            objectives: Vec::new(),
            studies: Vec::new(),
            label: String::new(),
            device: String::new(),
        }
    }

    fn slot(slot: i32) -> Slot {
        (Uuid::from_u128(7), slot)
    }

    #[test]
    fn a_slot_is_vacant_once_and_for_a_moment() {
        let (vacancies, now) = (Vacancies::default(), Instant::now());
        assert!(!vacancies.take(&asker(0), now), "never heard of");
        vacancies.vacated(slot(0), now);
        assert!(!vacancies.take(&asker(0), now), "its worker has not been entered here");
        vacancies.seen(&asker(0), now);
        assert!(!vacancies.take(&asker(0), now), "it may hold a lease");
        vacancies.vacated(slot(0), now);
        assert!(!vacancies.take(&asker(1), now), "another slot");
        assert!(vacancies.take(&asker(0), now));
        assert!(!vacancies.take(&asker(0), now), "it may have been given one");
        vacancies.vacated(slot(0), now);
        assert!(!vacancies.take(&asker(0), now + TRUSTED), "too long ago");
    }

    #[test]
    fn a_worker_is_entered_as_seen_again_and_heard_of_when_it_is_to_go() {
        let (vacancies, now) = (Vacancies::default(), Instant::now());
        vacancies.seen(&asker(0), now);
        vacancies.vacated(slot(0), now + SEEN_EVERY);
        assert!(!vacancies.take(&asker(0), now + SEEN_EVERY), "not noted as seen for long");
        vacancies.seen(&asker(0), now);
        vacancies.vacated(slot(0), now);
        vacancies.forget();
        assert!(!vacancies.take(&asker(0), now));
    }
}
