//! A study as progress bars: one for itself, one for each running trial, ended trials above.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use proto::v1::Trial;

use super::{Picture, View};
use crate::bar::style;
use crate::{plain, print, table, words};

/// A trial's progress is a share; bars count whole steps.
const STEPS: u64 = 1_000;

/// Bars at the bottom of a terminal.
pub struct Bars {
    all: MultiProgress,
    study: ProgressBar,
    trials: BTreeMap<u32, ProgressBar>,
}

impl Bars {
    /// An empty bar for the study.
    pub fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let study = all.add(
            ProgressBar::new(0)
                .with_style(style("{prefix:.bold} {bar:28.green} {pos}/{len}  {wide_msg}")),
        );
        Self { all, study, trials: BTreeMap::new() }
    }

    fn show_running(&mut self, picture: &Picture) {
        let running: BTreeMap<u32, &Trial> =
            picture.running().map(|trial| (trial.number, trial)).collect();
        self.trials.retain(|number, bar| {
            let stays = running.contains_key(number);
            if !stays {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
            stays
        });
        for (number, trial) in running {
            let bar = self.trials.entry(number).or_insert_with(|| {
                let style = style("  {prefix} {bar:20.cyan} {percent:>3} %  {wide_msg}");
                self.all.add(ProgressBar::new(STEPS).with_style(style))
            });
            bar.set_prefix(format!("trial {number:>3}"));
            bar.set_position((trial.progress.clamp(0.0, 1.0) * STEPS as f64) as u64);
            bar.set_message(so_far(trial));
        }
    }
}

/// The last metrics of a running trial.
fn so_far(trial: &Trial) -> String {
    let metric = |label: &str, name: &str| {
        trial.metrics.get(name).map(|x| format!("{label} {}", table::short(*x, 4)))
    };
    let mut parts: Vec<String> = [metric("soft", table::SOFT), metric("binary", table::BINARY)]
        .into_iter()
        .flatten()
        .collect();
    if trial.attempt > 1 {
        parts.push(format!("attempt {}", trial.attempt));
    }
    if !trial.worker.is_empty() {
        parts.push(format!("on {}", plain::line(&trial.worker)));
    }
    parts.join("  ")
}

impl View for Bars {
    fn show(&mut self, picture: &Picture, ended: &[u32]) {
        for trial in ended.iter().filter_map(|number| picture.trial(*number)) {
            let line = plain::line(&picture.line(trial));
            let line: String = line.chars().take(print::width().into()).collect();
            // A terminal that went away has no reader to tell.
            let _ = self.all.println(line);
        }
        self.study.set_length(picture.budget().into());
        self.study.set_position(picture.ended().into());
        self.study.set_prefix(picture.name().to_owned());
        let mut message = vec![picture.best()];
        match words::study_state(picture.study()) {
            "active" => {
                let left = picture.time_left();
                message.extend(left.map(|left| format!("about {} left", words::span(left))));
            }
            state => message.push(state.to_owned()),
        }
        message.retain(|part| !part.is_empty());
        self.study.set_message(message.join("  "));
        self.show_running(picture);
    }

    fn note(&mut self, text: &str) {
        let _ = self.all.println(plain::plain(text));
    }

    fn close(&mut self) {
        for bar in self.trials.values() {
            bar.finish_and_clear();
        }
        self.study.finish_and_clear();
        let _ = self.all.clear();
    }
}
