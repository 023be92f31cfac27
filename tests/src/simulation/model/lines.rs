//! The whole state as lines of text, one for each row that the database should have.

use super::{Model, Outcome, Stage, State};

/// One row: what it says, and when.
#[derive(Clone, Debug)]
pub struct Line {
    /// Everything but moments.
    pub text: String,
    /// The seconds until each moment of the row, from and to.
    pub moments: Vec<(f64, f64)>,
}

impl Line {
    fn new(text: String) -> Self {
        Self { text, moments: Vec::new() }
    }
}

impl Model {
    /// All rows, in the order of their text.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![Line::new(format!("late reports {}", self.late_reports))];
        for (index, study) in self.studies.iter().enumerate() {
            lines.push(Line::new(format!(
                "study {index} {} budget={} trials={} results={} plans={}",
                study.stage.word(),
                study.rules.max_trials,
                study.trials.len(),
                study.results,
                study.plans,
            )));
            let events = study.events.iter();
            lines.extend(events.map(|event| Line::new(format!("event {index}: {event}"))));
        }
        for ((study, number), _) in self.each() {
            self.lines_of(study, number, &mut lines);
        }
        lines.sort_by(|one, other| one.text.cmp(&other.text));
        lines
    }

    fn lines_of(&self, study: usize, number: usize, lines: &mut Vec<Line>) {
        let trial = &self.studies[study].trials[number];
        let name = format!("{study}/{number}");
        let last = trial.attempts.len();
        let ahead = |at: i64, jitter: f64| {
            let seconds = (at - self.now) as f64;
            (seconds - jitter, seconds + jitter)
        };
        lines.push(Line {
            text: format!(
                "trial {name} {} attempt={last} failures={} withdrawn={}",
                trial.state.word(),
                trial.failures,
                trial.is_withdrawn,
            ),
            moments: match trial.state {
                State::Queued => vec![ahead(trial.not_before.at, trial.not_before.jitter)],
                _ => vec![],
            },
        });
        if let Some((version, horizon)) = trial.planned {
            lines.push(Line::new(format!("suggestion {name} plan={version} of={horizon}")));
        }
        for (attempt, made) in (1..).zip(&trial.attempts) {
            lines.push(Line::new(format!(
                "attempt {name}#{attempt} {} class={} worker={}",
                made.outcome.word(),
                made.class.unwrap_or("none"),
                made.worker,
            )));
            lines.extend(made.metrics.iter().map(|(step, &value)| {
                let value = quarters(value);
                Line::new(format!("metric {name}#{attempt} step={step} value={value}"))
            }));
        }
        if let Some(lease) = &trial.lease {
            lines.push(Line {
                text: format!(
                    "lease {name}#{last} worker={} slot={} withdrawn={} progress={}",
                    lease.worker,
                    lease.slot,
                    lease.is_withdrawn,
                    quarters(lease.progress),
                ),
                moments: vec![ahead(lease.expires, 0.0), ahead(lease.deadline, 0.0)],
            });
        }
        if let Some(result) = &trial.result {
            lines.push(Line::new(format!(
                "result {name}#{} place={} value={} pruned={}",
                result.attempt,
                result.place,
                quarters(result.value),
                result.is_pruned,
            )));
        }
    }
}

/// Values travel as floats and are told apart as quarters.
pub fn quarters(of: u8) -> f64 {
    f64::from(of) / 4.0
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Completed => "completed",
            State::Pruned => "pruned",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Stage::Active => "active",
            Stage::Paused => "paused",
            Stage::Completed => "completed",
            Stage::Cancelled => "cancelled",
        }
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Running => "running",
            Outcome::Completed => "completed",
            Outcome::Pruned => "pruned",
            Outcome::Failed => "failed",
            Outcome::Expired => "expired",
            Outcome::Released => "released",
            Outcome::Cancelled => "cancelled",
        }
    }
}
