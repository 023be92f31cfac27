//! What a study makes good, as the axes of a picture.

use proto::v1::objective::Kind;
use proto::v1::{Direction, StudySpec, Trial};

use super::readable;

/// What the protocol calls the objective's value.
const VALUE: &str = "value";
/// From this ratio of the largest to the smallest on, a picture has a logarithmic axis. Taste.
const LOG_FROM: f64 = 30.0;
/// Share of the range that is left free at both ends.
const MARGIN: f64 = 0.04;

/// One objective.
#[derive(Clone, Debug)]
pub struct Axis {
    /// `value`, or the measurement.
    pub name: String,
    /// What people call it: the metric of a network, where the value is one.
    pub label: String,
    /// Which way is better.
    pub direction: Direction,
}

/// The objectives of a study, its value first.
pub fn axes(spec: &StudySpec) -> Vec<Axis> {
    let label = match spec.objective.as_ref().and_then(|objective| objective.kind.as_ref()) {
        Some(Kind::Whetstone(whetstone)) => whetstone.metric.clone(),
        _ => VALUE.to_owned(),
    };
    let value = Axis { name: VALUE.to_owned(), label, direction: spec.direction() };
    let also = spec.also.iter().map(|further| Axis {
        name: further.measurement.clone(),
        label: further.measurement.clone(),
        direction: further.direction(),
    });
    std::iter::once(value).chain(also).collect()
}

impl Axis {
    /// What a trial reached; `None` without a result.
    pub fn of(&self, trial: &Trial) -> Option<f64> {
        match self.name == VALUE {
            true => trial.value,
            false => trial.value.and(trial.measurements.get(&self.name).copied()),
        }
    }

    /// A number on it, for people.
    pub fn number(&self, x: f64) -> String {
        readable(x)
    }

    /// What stands beside the axis.
    pub fn title(&self, span: &Span) -> String {
        let better = match self.direction {
            Direction::Minimize => "less is better",
            Direction::Maximize | Direction::Unspecified => "more is better",
        };
        let log = if span.is_log { ", log" } else { "" };
        format!("{} ({better}{log})", self.label)
    }
}

/// What a picture shows of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Span {
    /// Around all the numbers, of which there is at least one.
    pub fn around(numbers: impl Iterator<Item = f64> + Clone) -> Span {
        let low = numbers.clone().fold(f64::INFINITY, f64::min);
        let high = numbers.fold(f64::NEG_INFINITY, f64::max);
        let is_log = low > 0.0 && high / low >= LOG_FROM;
        let (low, high) = if is_log { (low.ln(), high.ln()) } else { (low, high) };
        // Halves, because the range of two doubles may be no double.
        let half = high / 2.0 - low / 2.0;
        let aside = if half > 0.0 { 2.0 * MARGIN * half } else { low.abs().max(1.0) * MARGIN };
        Span { low: (low - aside).max(f64::MIN), high: (high + aside).min(f64::MAX), is_log }
    }

    /// Where a number lies, from 0 to 1.
    pub fn share(&self, x: f64) -> f64 {
        let x = if self.is_log { x.ln() } else { x };
        let (x, low, high) = (x / 2.0, self.low / 2.0, self.high / 2.0);
        ((x - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// The number at a share.
    pub fn at(&self, share: f64) -> f64 {
        let x = self.low * (1.0 - share) + self.high * share;
        if self.is_log { x.exp() } else { x }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_all_numbers_and_is_logarithmic_where_they_are_far_apart() {
        let linear = Span::around([2.0, 5.0, 3.0].into_iter());
        assert!(!linear.is_log && linear.share(2.0) > 0.0 && linear.share(5.0) < 1.0);
        assert!((linear.share(3.5) - 0.5).abs() < 1e-12);
        let log = Span::around([10.0, 1_000.0].into_iter());
        assert!(log.is_log && (log.share(100.0) - 0.5).abs() < 1e-12);
        assert!((log.at(0.5) - 100.0).abs() < 1e-9);
        for numbers in [[0.0, 0.0], [7.0, 7.0], [-1e308, 1e308]] {
            let span = Span::around(numbers.into_iter());
            assert!(numbers.iter().all(|x| (0.0..=1.0).contains(&span.share(*x))), "{span:?}");
        }
    }
}
