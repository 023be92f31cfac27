//! What `strop up` shows: the studies that are going on, and what happens to its programs.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use proto::v1::{Study, StudyState};

use crate::{print, table, words};

/// Bars on a terminal, lines elsewhere.
pub struct Status {
    is_quiet: bool,
    /// Only on a terminal.
    bars: Option<(MultiProgress, BTreeMap<String, ProgressBar>)>,
    /// What was last said of each study, so that lines tell only what is new.
    said: BTreeMap<String, String>,
    is_first: bool,
}

impl Status {
    /// Shows nothing yet; if quiet, only what happens to the programs, ever.
    pub fn new(is_quiet: bool) -> Self {
        let is_shown = print::is_terminal() && !is_quiet;
        let all = || MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let bars = is_shown.then(|| (all(), BTreeMap::new()));
        Self { is_quiet, bars, said: BTreeMap::new(), is_first: true }
    }

    /// Something happened.
    pub fn note(&self, text: &str) {
        match &self.bars {
            Some((all, _)) => {
                // A terminal that went away has no reader to tell.
                let _ = all.println(text);
            }
            None => print::lines(text),
        }
    }

    /// The studies as they stand.
    pub fn show(&mut self, studies: &[Study]) {
        if self.is_quiet {
            return;
        }
        for study in studies {
            let name = study.spec.as_ref().map_or("", |spec| &spec.name);
            let line = line(study);
            let is_new = self.said.get(name) != Some(&line);
            if is_new {
                // Studies that ended before we came are no news.
                let is_old = self.is_first && words::has_ended(study);
                let was_shown_as_bar = self.bars.is_some() && !words::has_ended(study);
                if !is_old && !was_shown_as_bar {
                    self.note(&format!("{name}: {line}"));
                }
                self.said.insert(name.to_owned(), line);
            }
            self.show_bar(name, study);
        }
        self.is_first = false;
    }

    /// Takes the bars away.
    pub fn close(&mut self) {
        if let Some((all, bars)) = &mut self.bars {
            bars.values().for_each(ProgressBar::finish_and_clear);
            let _ = all.clear();
        }
    }

    fn show_bar(&mut self, name: &str, study: &Study) {
        let Some((all, bars)) = &mut self.bars else { return };
        if words::has_ended(study) {
            if let Some(bar) = bars.remove(name) {
                bar.finish_and_clear();
                all.remove(&bar);
            }
            return;
        }
        let bar = bars.entry(name.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix:.bold} {bar:28.green} {wide_msg}")
                .expect("is well formed because it is written here")
                .progress_chars("━╸─");
            all.add(ProgressBar::new(0).with_style(style).with_prefix(name.to_owned()))
        });
        let counts = study.counts.unwrap_or_default();
        bar.set_length(study.spec.as_ref().map_or(0, |spec| spec.max_trials).into());
        bar.set_position((counts.completed + counts.pruned + counts.failed).into());
        bar.set_message(line(study));
    }
}

/// `active, 7 of 15 tried, 2 running, best 0.9125`.
fn line(study: &Study) -> String {
    let counts = study.counts.unwrap_or_default();
    let budget = study.spec.as_ref().map_or(0, |spec| spec.max_trials);
    let tried = counts.completed + counts.pruned;
    let mut parts = vec![format!("{tried} of {budget} tried")];
    if study.state() != StudyState::Active {
        parts.insert(0, words::study_state(study).to_owned());
    }
    for (n, what) in [(counts.running, "running"), (counts.failed, "failed")] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    if let Some(best) = &study.best {
        parts.push(format!("best {}", table::optional(best.value)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use proto::v1::{StudySpec, Trial, TrialCounts};

    use super::*;

    #[test]
    fn a_study_on_one_line_tells_only_what_there_is_to_tell() {
        let mut study = Study {
            spec: Some(StudySpec { max_trials: 15, ..StudySpec::default() }),
            state: StudyState::Active.into(),
            counts: Some(TrialCounts { completed: 7, running: 2, ..TrialCounts::default() }),
            ..Study::default()
        };
        assert_eq!(line(&study), "7 of 15 tried, 2 running");
        study.best = Some(Trial { value: Some(0.9125), ..Trial::default() });
        study.set_state(StudyState::Paused);
        assert_eq!(line(&study), "paused, 7 of 15 tried, 2 running, best 0.9125");
    }
}
