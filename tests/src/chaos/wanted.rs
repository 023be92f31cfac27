//! What people asked for and were promised.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

/// What became of a study, as people were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Study {
    /// Budgets that it was given, one after the other. An answer may have been lost, so that any of
    /// them may hold.
    pub budgets: BTreeSet<u32>,
    /// It was cancelled.
    pub cancelled: bool,
}

/// All that was promised, and what was answered against the protocol.
#[derive(Debug, Default)]
pub struct Wanted {
    studies: Mutex<BTreeMap<String, Study>>,
    wrong: Mutex<Vec<String>>,
}

impl Wanted {
    /// Changes what is known of a study.
    pub fn study(&self, name: &str, change: impl FnOnce(&mut Study)) {
        let mut studies = self.studies.lock().expect("nobody panics with it");
        change(studies.entry(name.to_owned()).or_default());
    }

    /// All studies by name.
    pub fn studies(&self) -> BTreeMap<String, Study> {
        self.studies.lock().expect("nobody panics with it").clone()
    }

    /// Notes an answer that the protocol does not allow.
    pub fn wrong(&self, what: String) {
        self.wrong.lock().expect("nobody panics with it").push(what);
    }

    /// All such answers.
    pub fn all_wrong(&self) -> Vec<String> {
        self.wrong.lock().expect("nobody panics with it").clone()
    }
}
