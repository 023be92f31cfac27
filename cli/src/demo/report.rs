//! What a study found, and what the search gained over points as good as random.

use std::time::Duration;

use proto::v1::{Direction, Parameter, Study, Trial, TrialState};
use serde_json::{Value as Json, json};

use crate::table::{self, BINARY, SOFT};
use crate::{json, value, words};

/// Columns of a bar of length one: an accuracy of 1.
const BAR: usize = 60;
/// From an eighth of a column to a whole one.
const EIGHTHS: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// A study that has completed.
pub struct Report<'s> {
    study: &'s Study,
    trials: &'s [Trial],
    parameters: &'s [Parameter],
    wall: Duration,
}

impl<'s> Report<'s> {
    /// Of a study and all of its trials by number; `wall` is how long it took.
    pub fn of(study: &'s Study, trials: &'s [Trial], wall: Duration) -> Self {
        let space = study.spec.as_ref().and_then(|spec| spec.space.as_ref());
        let parameters = space.map_or(&[][..], |space| &space.parameters);
        Self { study, trials, parameters, wall }
    }

    /// For people, at most `width` columns wide where the table allows it. `data_dir` is the
    /// option that a later `strop` needs to find the same database, with a space in front.
    pub fn text(&self, width: u16, data_dir: &str) -> String {
        let name = self.name();
        let mut parts = vec![
            format!(
                "\n{name}: {} in {}",
                words::count(self.trials.len() as u32, "trial"),
                words::span(self.wall)
            ),
            table::trials(self.trials, self.parameters, width),
            self.plot(),
        ];
        parts.extend(self.study.best.as_ref().map(|best| self.best(best)));
        parts.extend(self.gain());
        parts.push(format!(
            "The whole history is in the database:\n  strop{data_dir} sql \"select number, origin, \
             soft_accuracy, binary_accuracy, train_seconds, params from trials where study = \
             '{name}' order by number\""
        ));
        parts.join("\n\n")
    }

    /// For programs.
    pub fn json(&self) -> Json {
        let starts = self.values(words::is_start);
        let chosen = self.values(|trial| !words::is_start(trial));
        json!({
            "study": json::study(self.study),
            "trials": self.trials.iter().map(json::trial).collect::<Vec<_>>(),
            "wall_seconds": self.wall.as_secs_f64(),
            "start_points_median": median(&starts),
            "chosen_points_median": median(&chosen),
        })
    }

    fn name(&self) -> &str {
        self.study.spec.as_ref().map_or("", |spec| &spec.name)
    }

    /// Values of the completed trials that fit, in their order.
    fn values(&self, fits: impl Fn(&Trial) -> bool) -> Vec<f64> {
        let completed = self.trials.iter().filter(|trial| trial.state() == TrialState::Completed);
        completed.filter(|trial| fits(trial)).filter_map(|trial| trial.value).collect()
    }

    /// A bar for every trial.
    fn plot(&self) -> String {
        let mut lines = vec![
            "binary accuracy, trial by trial: ○ start point, ● chosen by the posterior".to_owned(),
        ];
        let best = self.study.best.as_ref().map(|best| best.number);
        for trial in self.trials {
            let accuracy = trial.measurements.get(BINARY).copied().or(trial.value);
            let mark = if words::is_start(trial) { '○' } else { '●' };
            let bar = accuracy.map_or_else(|| words::trial_state(trial).to_owned(), bar);
            let end = if Some(trial.number) == best { " best" } else { "" };
            let number = trial.number;
            lines.push(format!("{number:>3} {mark} {:>6} {bar}{end}", table::optional(accuracy)));
        }
        lines.join("\n")
    }

    fn best(&self, best: &Trial) -> String {
        let accuracies = match best.measurements.contains_key(BINARY) {
            true => format!(
                "binary accuracy {}, soft {}",
                table::measured(best, BINARY),
                table::measured(best, SOFT)
            ),
            false => format!("value {}", table::optional(best.value)),
        };
        let values: Vec<(&str, String)> = self
            .parameters
            .iter()
            .map(|parameter| {
                let name = parameter.name.as_str();
                (name, value::text_at(best.point.as_ref(), name))
            })
            .collect();
        let values = table::pairs(&values).replace('\n', "\n  ");
        format!("best, trial {}: {accuracies}\n  {values}", best.number)
    }

    /// Start points fill the space without knowledge of any result: what a random search of the
    /// same length would have begun with.
    fn gain(&self) -> Option<String> {
        let starts = self.values(words::is_start);
        let chosen = self.values(|trial| !words::is_start(trial));
        let best = self.study.best.as_ref()?.value?;
        let median_start = median(&starts)?;
        let row = |what: &str, values: &[f64]| {
            let is_better = |a: &&f64, b: &&f64| match self.direction() {
                Direction::Minimize => b.total_cmp(a),
                _ => a.total_cmp(b),
            };
            let best = values.iter().max_by(is_better).copied();
            format!(
                "  {what:<38} median {}, best {}  ({})",
                table::optional(median(values)),
                table::optional(best),
                words::count(values.len() as u32, "trial")
            )
        };
        Some(format!(
            "what the search gained\n{}\n{}\n  {:<38} {:+.4} from the median start point to the best",
            row("○ start points, as good as random", &starts),
            row("● chosen by the posterior", &chosen),
            "gain",
            best - median_start,
        ))
    }

    fn direction(&self) -> Direction {
        self.study.spec.as_ref().map_or(Direction::Unspecified, |spec| spec.direction())
    }
}

/// A bar for a share from 0 to 1.
fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * (8 * BAR) as f64).round() as usize;
    let mut bar = EIGHTHS[7].repeat(eighths / 8);
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.push_str(EIGHTHS[rest]);
    }
    bar
}

/// The middle value; the mean of the middle two.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[half]),
        _ => Some((sorted[half - 1] + sorted[half]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::{StudySpec, Suggestion};

    use super::*;

    fn trial(number: u32, origin: &str, binary: f64) -> Trial {
        Trial {
            number,
            state: TrialState::Completed.into(),
            value: Some(binary),
            measurements: [(BINARY.to_owned(), binary), (SOFT.to_owned(), 0.95)].into(),
            suggestion: Some(Suggestion { origin: origin.to_owned(), ..Suggestion::default() }),
            ..Trial::default()
        }
    }

    fn study(best: Trial) -> Study {
        let spec = StudySpec { name: "digits".to_owned(), ..StudySpec::default() };
        Study { spec: Some(spec), best: Some(best), ..Study::default() }
    }

    #[test]
    fn the_gain_is_from_the_median_start_point_to_the_best() {
        let trials = [
            trial(0, "start", 0.5),
            trial(1, "start", 0.25),
            trial(2, "start", 0.75),
            trial(3, "acquisition", 0.625),
            trial(4, "acquisition", 0.875),
        ];
        let study = study(trials[4].clone());
        let report = Report::of(&study, &trials, Duration::from_secs(61));
        let text = report.text(100, " --data-dir /x");
        for part in [
            "digits: 5 trials in 1m01s",
            "  ○ start points, as good as random      median 0.5000, best 0.7500  (3 trials)",
            "  ● chosen by the posterior              median 0.7500, best 0.8750  (2 trials)",
            "+0.3750 from the median start point",
            "best, trial 4: binary accuracy 0.8750, soft 0.9500",
            "strop --data-dir /x sql \"select",
            "where study = 'digits' order by number\"",
        ] {
            assert!(text.contains(part), "`{part}` is not in:\n{text}");
        }
        assert_eq!(report.json()["start_points_median"], 0.5);
    }

    #[test]
    fn bars_are_as_long_as_the_accuracy_to_an_eighth_of_a_column() {
        assert_eq!(bar(1.0).chars().count(), BAR);
        assert_eq!(bar(0.5), "█".repeat(BAR / 2));
        assert_eq!(bar(0.5 + 1.0 / (8 * BAR) as f64), "█".repeat(BAR / 2) + "▏");
        assert_eq!(bar(0.0), "");
    }

    #[test]
    fn a_failed_trial_has_its_state_for_a_bar() {
        let mut failed = trial(0, "start", 0.0);
        failed.set_state(TrialState::Failed);
        failed.value = None;
        failed.measurements.clear();
        let study = study(trial(1, "start", 0.5));
        let trials = [failed];
        let report = Report::of(&study, &trials, Duration::ZERO);
        assert!(report.plot().contains("  0 ○      – failed"), "{}", report.plot());
    }
}
