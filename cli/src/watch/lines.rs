//! A study as plain lines: for files, pipes and logs.

use super::{Picture, View};
use crate::plain;
use crate::print;
use crate::words;

/// One line for every trial that ends, and one for every change of the study's state.
pub struct Lines {
    state: &'static str,
}

impl Lines {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self { state: "" }
    }
}

impl View for Lines {
    fn show(&mut self, picture: &Picture, ended: &[u32]) {
        let state = words::study_state(picture.study());
        if self.state.is_empty() {
            let budget = words::count(picture.budget(), "trial");
            print::lines(&format!("`{}` is {state}: {budget}", picture.name()));
        }
        for trial in ended.iter().filter_map(|number| picture.trial(*number)) {
            print::lines(&plain::line(&picture.line(trial)));
        }
        if !self.state.is_empty() && self.state != state {
            let best = picture.best();
            let comma = if best.is_empty() { "" } else { ", " };
            let why = match words::end_reason(picture.study()) {
                "" | "cancelled" => String::new(),
                why => format!(": {why}"),
            };
            print::lines(&format!("`{}` is {state}{why}{comma}{best}", picture.name()));
        }
        self.state = state;
    }

    fn note(&mut self, text: &str) {
        print::lines(text);
    }

    fn close(&mut self) {}
}
