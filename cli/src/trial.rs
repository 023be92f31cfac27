//! `strop trial …`: look at trials, or add some of one's own.

use clap::{Args, Subcommand};
use proto::v1::{Parameter, Point, Pruning, Trial};

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::options::Options;
use crate::{json, print, table, value, words};

/// Stages in which one layer sharpens; see `EarlyStopping` in `strop/v1/study.proto`.
const STAGES_A_LAYER: f64 = 4.0;

/// People's verbs on trials.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List a study's trials.
    List {
        /// The study's name.
        study: String,
    },
    /// Show everything about one trial.
    Show {
        /// The study's name.
        study: String,
        /// The trial's number in it.
        number: u32,
    },
    /// Have a point of your choice tried next; it counts against the budget.
    Enqueue(Enqueue),
    /// Withdraw a trial: a queued one at once, a running one when its worker hears of it.
    Cancel {
        /// The study's name.
        study: String,
        /// The trial's number in it.
        number: u32,
    },
}

/// `strop trial enqueue`.
#[derive(Args, Debug)]
pub struct Enqueue {
    /// The study's name.
    study: String,
    /// The point: `learning_rate=1e-3 dense_units=256 …`. What is left out takes its default.
    #[arg(value_name = "NAME=VALUE", required = true)]
    values: Vec<String>,
}

/// Does what was asked.
pub async fn run(options: &Options, command: Command) -> Result<(), Failure> {
    let mut coordinator = Coordinator::connect(&options.url()).await?;
    match command {
        Command::List { study } => {
            let parameters = parameters(&mut coordinator, &study).await?;
            let trials = coordinator.trials(&study).await?;
            match options.json {
                true => print::json(&trials.iter().map(json::trial).collect()),
                false if trials.is_empty() => options.hint("no trials yet"),
                false => print::lines(&table::trials(&trials, &parameters, print::width())),
            }
        }
        Command::Show { study, number } => {
            let trial = coordinator.trial(&study, number).await?;
            let parameters = parameters(&mut coordinator, &study).await?;
            match options.json {
                true => print::json(&json::trial(&trial)),
                false => print::lines(&described(&trial, &parameters)),
            }
        }
        Command::Enqueue(Enqueue { study, values }) => {
            let parameters = parameters(&mut coordinator, &study).await?;
            let point = point(&parameters, &values).map_err(Failure::Usage)?;
            let trial = coordinator.enqueue(&study, point).await?;
            match options.json {
                true => print::json(&json::trial(&trial)),
                false => print::lines(&format!("queued as trial {} of `{study}`", trial.number)),
            }
        }
        Command::Cancel { study, number } => {
            let trial = coordinator.cancel_trial(&study, number).await?;
            match options.json {
                true => print::json(&json::trial(&trial)),
                false if words::is_final(&trial) => {
                    print::lines(&format!("cancelled trial {number} of `{study}`"));
                }
                false => print::lines(&format!(
                    "trial {number} of `{study}` is running; its worker is told to stop, and a value that \
                     it reports before counts"
                )),
            }
        }
    }
    Ok(())
}

async fn parameters(coordinator: &mut Coordinator, name: &str) -> Result<Vec<Parameter>, Failure> {
    let study = coordinator.study(name).await?;
    Ok(study.spec.and_then(|spec| spec.space).unwrap_or_default().parameters)
}

/// Reads `name=value …` as a point of a space.
fn point(parameters: &[Parameter], written: &[String]) -> Result<Point, String> {
    let mut point = Point::default();
    for pair in written {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(format!("`{pair}` is not NAME=VALUE"));
        };
        let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
            let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
            return Err(format!("`{name}` is not searched here: {} are", names.join(", ")));
        };
        let value = value::parse(parameter, text)
            .map_err(|allowed| format!("`{name}` cannot be `{text}`: it is one of {allowed}"))?;
        if point.values.insert(name.to_owned(), value).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
    }
    Ok(point)
}

/// Everything about one trial.
pub fn described(trial: &Trial, parameters: &[Parameter]) -> String {
    let mut pairs = vec![
        ("trial", format!("{} of `{}`", trial.number, trial.study)),
        ("state", words::trial_state(trial).to_owned()),
    ];
    if let Some(value) = trial.value {
        let kept = if trial.feasible == Some(false) { ", breaks a constraint" } else { "" };
        pairs.push(("value", format!("{}{kept}", table::short(value, 4))));
    }
    if let Some(suggestion) = &trial.suggestion {
        let mut why = suggestion.origin.clone();
        if suggestion.mean.is_some() {
            why += &format!(", predicted {}", table::predicted(trial));
        }
        if let Some(acquisition) = suggestion.acquisition {
            let what = match suggestion.origin.as_str() {
                "parzen" => "log density ratio",
                "feasibility" => "log probability of feasibility",
                _ => "log expected improvement",
            };
            why += &format!(", {what} {}", table::short(acquisition, 2));
        }
        why += &format!(", from {}", words::count(suggestion.horizon, "result"));
        pairs.push(("chosen by", why));
    }
    let mut attempts = format!("{}, {} failed", trial.attempt, trial.failures);
    if trial.resumed_from_epoch > 0 {
        let epochs = words::count(trial.resumed_from_epoch, "epoch");
        attempts += &format!(", the last went on after {epochs}");
    }
    pairs.push(("attempts", attempts));
    if !trial.worker.is_empty() {
        pairs.push(("worker", trial.worker.clone()));
    }
    if let Some(pruning) = &trial.pruning {
        pairs.push(("told to end", told(pruning)));
    }
    if !trial.failure.is_empty() {
        pairs.push(("failure", trial.failure.replace('\n', " ")));
    }
    if trial.started_at.is_some() {
        let mut when = format!("{} UTC", words::instant(trial.started_at.as_ref()));
        if let Some(seconds) = words::seconds(trial) {
            let span = std::time::Duration::from_secs_f64(seconds);
            when += &format!(", for {}", words::span(span));
        }
        pairs.push(("began", when));
    }
    if !words::is_final(trial) {
        pairs.push(("progress", format!("{:.0} %", 100.0 * trial.progress)));
    }
    let mut text = table::pairs(&pairs);
    let point: Vec<(&str, String)> = parameters
        .iter()
        .map(|parameter| {
            let name = parameter.name.as_str();
            (name, value::text_at(trial.point.as_ref(), name))
        })
        .collect();
    text += &format!("\n\n{}", table::pairs(&point));
    let (numbers, title) = match words::is_final(trial) {
        true => (&trial.measurements, "measured"),
        false => (&trial.metrics, "so far"),
    };
    if !numbers.is_empty() {
        let numbers: Vec<(&str, String)> =
            numbers.iter().map(|(name, x)| (name.as_str(), value::number(*x))).collect();
        text += &format!("\n\n{title}\n{}", table::pairs(&numbers));
    }
    text
}

/// Why a trial was told to end early.
fn told(pruning: &Pruning) -> String {
    let Pruning { rule, metric, step, stage, value, threshold, peers } = pruning;
    let by = match rule.as_str() {
        "median" => "the median of",
        _ => "the last that passes among",
    };
    let sharpness = match *stage {
        0 => String::new(),
        stage => format!(", {} layers sharp", f64::from(stage) / STAGES_A_LAYER),
    };
    format!(
        "{metric} {} after epoch {step}{sharpness} is worse than {}, {by} {}",
        table::short(*value, 4),
        table::short(*threshold, 4),
        words::count(*peers, "other trial")
    )
}

#[cfg(test)]
mod tests {
    use proto::v1::parameter::Domain;
    use proto::v1::{BoolDomain, IntDomain};

    use super::*;

    fn space() -> Vec<Parameter> {
        let named = |name: &str, domain| Parameter {
            name: name.to_owned(),
            domain: Some(domain),
            ..Parameter::default()
        };
        vec![
            named("units", Domain::Int(IntDomain { low: 1, high: 9, scale: 0 })),
            named("scale", Domain::Bool(BoolDomain {})),
        ]
    }

    fn read(written: &[&str]) -> Result<Point, String> {
        let written: Vec<String> = written.iter().map(|text| (*text).to_owned()).collect();
        point(&space(), &written)
    }

    #[test]
    fn a_point_is_read_by_name_and_typed_by_its_domain() {
        let point = read(&["scale=true", "units=7"]).unwrap();
        assert_eq!(value::text_at(Some(&point), "units"), "7");
        assert_eq!(value::text_at(Some(&point), "scale"), "true");
    }

    #[test]
    fn a_point_outside_the_space_is_refused_with_what_is_allowed() {
        let cases = [
            ("units", "not NAME=VALUE"),
            ("unit=7", "`unit` is not searched here: units, scale are"),
            ("units=10", "`units` cannot be `10`: it is one of 1 to 9, whole"),
            ("scale=maybe", "false, true"),
        ];
        for (written, expected) in cases {
            let text = read(&[written]).unwrap_err();
            assert!(text.contains(expected), "{text}");
        }
        assert!(read(&["units=1", "units=2"]).unwrap_err().contains("twice"));
    }
}
