//! [`Progress`]: how a training goes, on standard error.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};
use whetstone::train::EpochReport;

use crate::bar::style;
use crate::options::Options;
use crate::{table, words};

/// How often the clock of the bar moves on.
const TICK: Duration = Duration::from_secs(1);
/// From soft to a threshold.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How a training is shown while it goes on. Clones show the same.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A bar at the bottom of a terminal.
    Bar(ProgressBar),
    /// A line an epoch.
    Lines,
    /// Nothing: somebody wants the answer alone.
    Silent,
}

impl Progress {
    /// What suits the options and standard error.
    pub fn new(options: &Options) -> Progress {
        match (options.quiet || options.json, io::stderr().is_terminal()) {
            (true, _) => Progress::Silent,
            (false, false) => Progress::Lines,
            (false, true) => {
                let style =
                    style("{prefix:.bold} {bar:16.green} {pos}/{len}  {wide_msg}{elapsed:>4.dim}");
                let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
                Progress::Bar(bar.with_style(style))
            }
        }
    }

    /// A training begins that has some epochs behind it, and so many in all.
    pub fn begin(&self, name: &str, trained: u32, planned: u32) {
        if let Progress::Bar(bar) = self {
            bar.set_length(planned.into());
            bar.set_position(trained.into());
            bar.set_prefix(name.to_owned());
            bar.reset_elapsed();
            bar.enable_steady_tick(TICK);
        }
    }

    /// An epoch has ended; `pace` is how long one takes.
    pub fn epoch(&self, report: &EpochReport, pace: Duration) {
        let left = report.epochs_planned.saturating_sub(report.epoch + 1);
        let left = words::span(pace * left);
        match self {
            Progress::Bar(bar) => {
                bar.set_position(u64::from(report.epoch) + 1);
                let sharp: String = report.sharpness.iter().map(|s| level(*s)).collect();
                bar.set_message(format!("{}  sharp {sharp}  {left} left", measured(report)));
            }
            Progress::Lines => {
                let sharp: Vec<String> =
                    report.sharpness.iter().map(|s| format!("{s:.2}")).collect();
                eprintln!(
                    "epoch {:>3}/{}  {}  sharpness {}  {left} left",
                    report.epoch + 1,
                    report.epochs_planned,
                    measured(report),
                    sharp.join(" "),
                );
            }
            Progress::Silent => {}
        }
    }

    /// Something to know besides.
    pub fn note(&self, text: &str) {
        match self {
            Progress::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            Progress::Lines => eprintln!("{text}"),
            Progress::Silent => {}
        }
    }

    /// Takes away what was only for the time being.
    pub fn close(&self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn measured(report: &EpochReport) -> String {
    format!(
        "loss {}  soft {:.4}  binary {:.4}",
        table::short(report.loss, 4),
        report.soft_accuracy,
        report.binary_accuracy
    )
}

/// A sharpness as a bar; the whole one is for thresholds alone.
fn level(sharpness: f32) -> char {
    match sharpness {
        1.0 => LEVELS[7],
        s => LEVELS[((s.clamp(0.0, 1.0) * 7.0) as usize).min(6)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_threshold_fills_its_bar() {
        let bars: String = [0.0, 0.1, 0.5, 0.999, 1.0].into_iter().map(level).collect();
        assert_eq!(bars, "▁▁▄▇█");
    }
}
