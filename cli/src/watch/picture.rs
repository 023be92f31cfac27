//! What the updates of a study add up to.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::v1::{Parameter, Study, StudySpec, Trial, TrialState, WatchStudyResponse};

use crate::table;
use crate::{value, words};

/// A study and all of its trials as last heard of.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    study: Study,
    trials: BTreeMap<u32, Trial>,
}

impl Picture {
    /// Adds an update; the numbers of the trials that have ended since, by when they did.
    pub fn add(&mut self, update: WatchStudyResponse) -> Vec<u32> {
        if let Some(study) = update.study {
            self.study = study;
        }
        let mut ended = Vec::new();
        for trial in update.trials {
            let was_final = self.trials.get(&trial.number).is_some_and(words::is_final);
            // A stream that began anew tells everything again, and end states are final.
            if !was_final {
                if words::is_final(&trial) {
                    let at = trial.finished_at.map(|at| (at.seconds, at.nanos));
                    ended.push((at, trial.number));
                }
                self.trials.insert(trial.number, trial);
            }
        }
        ended.sort_unstable();
        ended.into_iter().map(|(_, number)| number).collect()
    }

    /// The study.
    pub fn study(&self) -> &Study {
        &self.study
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.study.spec.as_ref().map_or("", |spec| &spec.name)
    }

    /// What it searches.
    pub fn parameters(&self) -> &[Parameter] {
        let space = self.study.spec.as_ref().and_then(|spec| spec.space.as_ref());
        space.map_or(&[], |space| &space.parameters)
    }

    /// One trial.
    pub fn trial(&self, number: u32) -> Option<&Trial> {
        self.trials.get(&number)
    }

    /// The trials that a worker holds.
    pub fn running(&self) -> impl Iterator<Item = &Trial> {
        self.trials.values().filter(|trial| trial.state() == TrialState::Running)
    }

    /// Trials that will be tried in all: the budget, or the space if that is smaller.
    pub fn budget(&self) -> u32 {
        let budget = self.study.spec.as_ref().map_or(0, |spec| spec.max_trials);
        self.study.space_size.parse().unwrap_or(budget).min(budget)
    }

    /// Trials that have reached an end of any kind.
    pub fn ended(&self) -> u32 {
        self.study.counts.map_or(0, |c| c.completed + c.pruned + c.failed + c.cancelled)
    }

    /// `best 0.9125 (trial 5)`, or nothing before the first result. With further objectives it is the
    /// best value alone, and says so; with constraints the best that keeps them.
    pub fn best(&self) -> String {
        let spec = self.study.spec.as_ref();
        let has = |count: fn(&StudySpec) -> usize| spec.is_some_and(|spec| count(spec) > 0);
        let what = if has(|spec| spec.also.len()) { "best value" } else { "best" };
        match &self.study.best {
            Some(best) => {
                format!("{what} {} (trial {})", table::optional(best.value), best.number)
            }
            None if has(|spec| spec.constraints.len())
                && self.study.counts.is_some_and(|counts| counts.completed > 0) =>
            {
                "nothing feasible yet".to_owned()
            }
            None => String::new(),
        }
    }

    /// How long the rest will take if trials go on as they went, with as many at once as now.
    pub fn time_left(&self) -> Option<Duration> {
        let spans: Vec<f64> = self
            .trials
            .values()
            .filter(|trial| trial.state() == TrialState::Completed)
            .filter_map(words::seconds)
            .collect();
        if spans.is_empty() {
            return None;
        }
        let mean = spans.iter().sum::<f64>() / spans.len() as f64;
        let done: f64 = self.running().map(|trial| trial.progress.clamp(0.0, 1.0)).sum();
        let left = f64::from(self.budget().saturating_sub(self.ended())) - done;
        let at_once = self.running().count().max(1) as f64;
        Duration::try_from_secs_f64(mean * left.max(0.0) / at_once).ok()
    }

    /// A trial that ended, on one line.
    pub fn line(&self, trial: &Trial) -> String {
        let mut parts = vec![format!("trial {:>3}", trial.number)];
        if trial.state() != TrialState::Completed {
            parts.push(words::trial_state(trial).to_owned());
        }
        if !trial.failure.is_empty() && trial.value.is_none() {
            let failure = trial.failure.lines().next().unwrap_or_default();
            parts.push(format!("({failure})"));
        }
        match trial.measurements.contains_key(table::BINARY) {
            true => {
                parts.push(format!("soft {}", table::measured(trial, table::SOFT)));
                parts.push(format!("binary {}", table::measured(trial, table::BINARY)));
            }
            false if trial.value.is_some() => parts.push(table::optional(trial.value)),
            false => {}
        }
        let also = self.study.spec.iter().flat_map(|spec| &spec.also);
        parts.extend(also.filter_map(|further| {
            let number = trial.measurements.get(&further.measurement)?;
            Some(format!("{} {}", further.measurement, value::number(*number)))
        }));
        if trial.feasible == Some(false) {
            parts.push("infeasible".to_owned());
        }
        parts.push(format!("{:>6}", format!("{}s", table::duration(trial))));
        let mut why = table::why(trial).to_owned();
        let is_predicted = trial.suggestion.as_ref().is_some_and(|s| s.mean.is_some());
        if is_predicted && !words::is_start(trial) {
            why = format!("predicted {}", table::predicted(trial));
        }
        parts.push(format!("{why:<21}"));
        let values = self.parameters().iter().map(|parameter| {
            let text = value::text_at(trial.point.as_ref(), &parameter.name);
            format!("{}={text}", parameter.name)
        });
        parts.push(values.filter(|text| !text.ends_with("=–")).collect::<Vec<_>>().join(" "));
        parts.join("  ").trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::{StudySpec, TrialCounts};

    use super::*;

    fn trial(number: u32, state: TrialState, seconds: i64) -> Trial {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let finished_at = (state != TrialState::Running).then(|| at(100 + seconds)).flatten();
        Trial {
            number,
            state: state.into(),
            started_at: at(100),
            finished_at,
            progress: 0.5,
            ..Trial::default()
        }
    }

    fn update(trials: Vec<Trial>) -> WatchStudyResponse {
        let ended = trials.iter().filter(|trial| words::is_final(trial)).count() as u32;
        WatchStudyResponse {
            study: Some(Study {
                spec: Some(StudySpec { max_trials: 6, ..StudySpec::default() }),
                counts: Some(TrialCounts { completed: ended, ..TrialCounts::default() }),
                ..Study::default()
            }),
            trials,
        }
    }

    #[test]
    fn a_trial_ends_once_even_if_the_stream_begins_anew() {
        use TrialState::{Completed, Running};
        let mut picture = Picture::default();
        assert!(picture.add(update(vec![trial(0, Running, 0), trial(1, Running, 0)])).is_empty());
        let both = vec![trial(0, Completed, 9), trial(1, Completed, 4)];
        assert_eq!(picture.add(update(both.clone())), [1, 0], "in the order in which they ended");
        assert!(picture.add(update(both)).is_empty());
    }

    #[test]
    fn the_time_left_counts_what_running_trials_have_done() {
        use TrialState::{Completed, Running};
        let mut picture = Picture::default();
        let running = vec![trial(2, Running, 0), trial(3, Running, 0)];
        picture.add(update(running.clone()));
        assert_eq!(picture.time_left(), None);
        let mut all = vec![trial(0, Completed, 10), trial(1, Completed, 20)];
        all.extend(running);
        picture.add(update(all));
        // Four of six are left, two of them half done: three times 15 s, two at a time.
        assert_eq!(picture.time_left(), Some(Duration::from_secs_f64(22.5)));
    }

    #[test]
    fn the_budget_is_no_more_than_the_space_has_points() {
        let mut picture = Picture::default();
        let mut update = update(Vec::new());
        update.study.as_mut().unwrap().space_size = "4".to_owned();
        picture.add(update);
        assert_eq!(picture.budget(), 4);
    }
}
