//! When trials and the study itself end before their time.

use proto::v1::objective::Kind;
use proto::v1::{Algorithm, EarlyStopping, Objective, StoppingRule};
use toml::Spanned;

use super::error::{Error, Source};
use super::table::EarlyStoppingTable;
use super::{one_of, within};
use crate::limits::{REDUCTION_MAX, STOPPING_STEPS_MAX, STOPPING_TRIALS_MAX};

/// What a stopping rule of a Whetstone study may compare.
const METRICS: [&str; 3] = ["binary_accuracy", "soft_accuracy", "train_accuracy"];

/// What these rules do not know how to weigh.
const FURTHER: &str = "with further objectives or constraints: leave one of the two out";

/// `[early_stopping]`, checked against the objective.
pub fn early_stopping(
    source: Source<'_>,
    table: &Spanned<EarlyStoppingTable>,
    objective: &Objective,
    has_goals: bool,
) -> Result<EarlyStopping, Error> {
    let asked = table.get_ref();
    if has_goals {
        return Err(source.at(table.span(), format!("`early_stopping` does not go {FURTHER}")));
    }
    let rules =
        [("median", StoppingRule::Median), ("successive_halving", StoppingRule::SuccessiveHalving)];
    let rule = one_of(source, "rule", &asked.rule, &rules)?;
    let metric = match (&objective.kind, &asked.metric) {
        (Some(Kind::External(_)), None) => {
            let text = "`metric` is missing: name one that the study's workers report";
            return Err(source.at(table.span(), text));
        }
        (Some(Kind::External(_)), Some(metric)) => metric.get_ref().clone(),
        (_, None) => String::new(),
        (_, Some(metric)) => {
            one_of(source, "metric", metric, &METRICS.map(|name| (name, name)))?.to_owned()
        }
    };
    let number = |key: &str, value: &Option<Spanned<u32>>, low: u32, high: u32| match value {
        Some(value) => within(source, key, value, low, high),
        None => Ok(0),
    };
    if let (StoppingRule::Median, Some(reduction)) = (rule, &asked.reduction) {
        let text = "`reduction` belongs to the rule \"successive_halving\"";
        return Err(source.at(reduction.span(), text));
    }
    Ok(EarlyStopping {
        rule: rule.into(),
        metric,
        min_trials: number("min_trials", &asked.min_trials, 1, STOPPING_TRIALS_MAX)?,
        min_steps: number("min_steps", &asked.min_steps, 0, STOPPING_STEPS_MAX)?,
        reduction: number("reduction", &asked.reduction, 2, REDUCTION_MAX)?,
    })
}

/// `stop_when_gain_below`, checked against the algorithm.
pub fn gain(
    source: Source<'_>,
    gain: &Spanned<f64>,
    algorithm: Algorithm,
    has_goals: bool,
) -> Result<f64, Error> {
    let value = *gain.get_ref();
    if !value.is_finite() || value <= 0.0 {
        let text = format!("`stop_when_gain_below` = {value} must be above 0");
        return Err(source.at(gain.span(), text));
    }
    if !matches!(algorithm, Algorithm::Unspecified | Algorithm::GaussianProcess) {
        let text = "`stop_when_gain_below` needs the algorithm \"gaussian_process\"";
        return Err(source.at(gain.span(), text));
    }
    if has_goals {
        let text = format!("`stop_when_gain_below` does not go {FURTHER}");
        return Err(source.at(gain.span(), text));
    }
    Ok(value)
}
