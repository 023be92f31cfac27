//! The numbers of a run, and whether it held.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// What came of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Numbers for people, in their order.
    numbers: Vec<(String, Value)>,
    /// What did not hold.
    pub violations: Vec<String>,
}

impl Tally {
    /// Adds a number.
    pub fn number(&mut self, name: impl Into<String>, number: impl Into<Value>) {
        self.numbers.push((name.into(), number.into()));
    }

    /// Adds a span, in seconds to the hundredth.
    pub fn seconds(&mut self, name: impl Into<String>, span: Duration) {
        self.number(name, (span.as_secs_f64() * 100.0).round() / 100.0);
    }

    /// A number by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.numbers.iter().find(|(other, _)| other == name).map(|(_, number)| number)
    }

    /// What must be so; `violation` is the sentence if it is not.
    pub fn must(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(violation());
        }
    }

    /// A table, and a line for each thing that did not hold.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from("| what | number |\n|---|---:|\n");
        for (name, number) in &self.numbers {
            text.push_str(&format!("| {name} | {number} |\n"));
        }
        text.push('\n');
        for violation in &self.violations {
            text.push_str(&format!("* VIOLATED: {violation}\n"));
        }
        if self.violations.is_empty() {
            text.push_str("Everything held.\n");
        }
        text
    }

    /// One object: `numbers`, `violations` and whether it `held`.
    pub fn to_json(&self) -> Value {
        let numbers: Map<String, Value> = self.numbers.iter().cloned().collect();
        let held = self.violations.is_empty();
        json!({ "numbers": numbers, "violations": self.violations, "held": held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_shows_what_did_not_hold() {
        let mut tally = Tally::default();
        tally.number("trials", 3);
        tally.must(true, || "never said".into());
        assert!(tally.to_markdown().ends_with("| trials | 3 |\n\nEverything held.\n"));
        tally.must(false, || "I1: 2 rows".into());
        assert!(tally.to_markdown().contains("* VIOLATED: I1: 2 rows"));
        assert_eq!(tally.to_json()["held"], json!(false));
    }
}
