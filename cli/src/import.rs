//! `strop study import`: results of another study or of a CSV file, for the posterior to learn from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use proto::v1::import_trials_request::From;
use proto::v1::{ImportTrialsResponse, ImportedTrial, ImportedTrials, Parameter, Point, StudySpec};
use serde_json::json;

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::options::Options;
use crate::{print, value, words};

/// The column of the measured value.
const VALUE: &str = "value";
/// Results in one call: of 64 parameters they are well below the protocol's limit of a message.
const AT_ONCE: usize = 200;

/// `strop study import`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("from").required(true).args(["from_study", "csv"]))]
pub struct Import {
    /// The study that learns; it must not have ended.
    #[arg(value_name = "STUDY")]
    name: String,

    /// The completed trials of this study, as far as they lie in the other's space.
    #[arg(long, value_name = "STUDY")]
    from_study: Option<String>,

    /// A file with a column for each hyperparameter and one named `value`.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Leave out rows of the file that lie outside of the space, instead of importing nothing.
    #[arg(long, requires = "csv")]
    skip_outside: bool,
}

/// Does what was asked.
pub async fn run(
    options: &Options,
    coordinator: &mut Coordinator,
    arguments: &Import,
) -> Result<(), Failure> {
    let name = &arguments.name;
    let mut total = ImportTrialsResponse::default();
    if let Some(other) = &arguments.from_study {
        total = coordinator.import(name, From::OtherStudy(other.clone()), true).await?;
    }
    if let Some(file) = &arguments.csv {
        let study = coordinator.study(name).await?;
        let wanted = Wanted::of(&study.spec.unwrap_or_default());
        let read = read(file, &wanted, arguments.skip_outside).map_err(Failure::Invalid)?;
        total.outside = read.outside;
        total.first_outside = read.first_outside;
        let source = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for trials in read.trials.chunks(AT_ONCE) {
            let trials = ImportedTrials { trials: trials.to_vec(), source: source.clone() };
            // The file was checked; a condition that it does not meet is the coordinator's to see.
            let from = From::Trials(trials);
            let answer = coordinator.import(name, from, arguments.skip_outside).await?;
            total.imported += answer.imported;
            total.outside += answer.outside;
            if total.first_outside.is_empty() {
                total.first_outside = answer.first_outside;
            }
        }
    }
    match options.json {
        true => print::json(&json!({
            "study": name,
            "imported": total.imported,
            "outside": total.outside,
            "known": total.known,
            "first_outside": Some(&total.first_outside).filter(|text| !text.is_empty()),
        })),
        false => print::lines(&told(name, &total)),
    }
    Ok(())
}

fn told(name: &str, total: &ImportTrialsResponse) -> String {
    let mut text = format!("`{name}` learns from {}", words::count(total.imported, "more result"));
    if total.known > 0 {
        text += &format!("; {} known already", total.known);
    }
    if total.outside > 0 {
        text += &format!("; {} left out, the first: {}", total.outside, total.first_outside);
    }
    text
}

/// What a file must hold.
#[derive(Debug, Default)]
struct Wanted {
    parameters: Vec<Parameter>,
    /// What the study asks for besides the value.
    measurements: Vec<String>,
}

impl Wanted {
    fn of(spec: &StudySpec) -> Self {
        let also = spec.also.iter().map(|further| &further.measurement);
        let bounds = spec.constraints.iter().map(|constraint| &constraint.measurement);
        let names: BTreeSet<&String> = also.chain(bounds).filter(|name| *name != VALUE).collect();
        Self {
            parameters: spec.space.clone().unwrap_or_default().parameters,
            measurements: names.into_iter().cloned().collect(),
        }
    }
}

/// What a file holds.
#[derive(Debug, Default)]
struct Read {
    trials: Vec<ImportedTrial>,
    outside: u32,
    first_outside: String,
}

/// Reads a file; an error names it with its line.
fn read(file: &Path, wanted: &Wanted, skip_outside: bool) -> Result<Read, String> {
    let label = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{label}: {error}"))?;
    parse(&text, &label, wanted, skip_outside)
}

/// Reads the text of a file; `label` is what errors call it.
fn parse(text: &str, label: &str, wanted: &Wanted, skip_outside: bool) -> Result<Read, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| format!("{label}:1: {error}"))?.clone();
    let columns = columns(&header, wanted).map_err(|what| format!("{label}:1: {what}"))?;
    let mut read = Read::default();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = line_of(text, error.position());
            let what = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("{len} fields under {expected_len} columns")
                }
                _ => error.to_string(),
            };
            format!("{label}:{line}: {what}")
        })?;
        let line = || line_of(text, record.position());
        match row(&record, &columns) {
            Ok(trial) => read.trials.push(trial),
            Err(Bad::Outside(what)) if skip_outside => {
                if read.outside == 0 {
                    read.first_outside = format!("line {}: {what}", line());
                }
                read.outside += 1;
            }
            Err(Bad::Outside(what) | Bad::Value(what)) => {
                return Err(format!("{label}:{}: {what}", line()));
            }
        }
    }
    match read.trials.is_empty() && read.outside == 0 {
        true => Err(format!("{label}: there is no row under the header")),
        false => Ok(read),
    }
}

/// The line, from 1, of a row. The reader's own position is that of the empty lines before it.
fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    let before = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(0);
    let rest = text.as_bytes().get(before..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let start = (before + empty).min(text.len());
    1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count()
}

/// What one column holds.
enum Column<'w> {
    Parameter(&'w Parameter),
    Value,
    Measurement(&'w str),
}

/// What each column holds.
fn columns<'w>(header: &csv::StringRecord, wanted: &'w Wanted) -> Result<Vec<Column<'w>>, String> {
    let mut columns = Vec::new();
    for (place, name) in header.iter().enumerate() {
        if header.iter().take(place).any(|other| other == name) {
            return Err(format!("there are two columns `{name}`"));
        }
        let parameter = wanted.parameters.iter().find(|parameter| parameter.name == name);
        let measurement = wanted.measurements.iter().find(|measurement| *measurement == name);
        columns.push(match (parameter, measurement) {
            (Some(parameter), _) => Column::Parameter(parameter),
            (None, _) if name == VALUE => Column::Value,
            (None, Some(measurement)) => Column::Measurement(measurement),
            (None, None) => {
                let names = wanted.parameters.iter().map(|p| p.name.as_str());
                let names = names.chain(wanted.measurements.iter().map(String::as_str));
                let names: Vec<&str> = names.collect();
                return Err(format!(
                    "`{name}` is not searched here: columns are {} and {VALUE}",
                    names.join(", ")
                ));
            }
        });
    }
    for name in std::iter::once(VALUE).chain(wanted.measurements.iter().map(String::as_str)) {
        if !header.iter().any(|column| column == name) {
            return Err(format!("there is no column `{name}`: what was measured?"));
        }
    }
    Ok(columns)
}

/// What is wrong with a row.
enum Bad {
    /// It is no point of the space.
    Outside(String),
    /// Its value is none.
    Value(String),
}

/// One row; an empty field is a parameter that is inactive, or at its default.
fn row(record: &csv::StringRecord, columns: &[Column<'_>]) -> Result<ImportedTrial, Bad> {
    let mut trial = ImportedTrial { point: Some(Point::default()), ..ImportedTrial::default() };
    // What was measured first: a row that lacks it is wrong, wherever its point lies.
    for (text, column) in record.iter().zip(columns) {
        let name = match column {
            Column::Parameter(_) => continue,
            Column::Value => VALUE,
            Column::Measurement(name) => name,
        };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        let wrong = || Bad::Value(format!("`{name}` cannot be `{text}`: it is a finite number"));
        let number = number.ok_or_else(wrong)?;
        match column {
            Column::Measurement(_) => drop(trial.measurements.insert(name.to_owned(), number)),
            _ => trial.value = number,
        }
    }
    let point = trial.point.get_or_insert_default();
    for (text, column) in record.iter().zip(columns) {
        let Column::Parameter(parameter) = column else { continue };
        if text.is_empty() {
            continue;
        }
        let name = &parameter.name;
        let value = value::parse(parameter, text).map_err(|allowed| {
            Bad::Outside(format!("`{name}` cannot be `{text}`: it is one of {allowed}"))
        })?;
        point.values.insert(name.clone(), value);
    }
    Ok(trial)
}

#[cfg(test)]
mod tests {
    use proto::v1::parameter::Domain;
    use proto::v1::{CategoricalDomain, FloatDomain};

    use super::*;

    fn space() -> Wanted {
        let named = |name: &str, domain| Parameter {
            name: name.to_owned(),
            domain: Some(domain),
            ..Parameter::default()
        };
        let choices = vec!["fine".to_owned(), "coarse, red".to_owned()];
        let parameters = vec![
            named("rate", Domain::Float(FloatDomain { low: 0.0, high: 1.0, scale: 0 })),
            named("stone", Domain::Categorical(CategoricalDomain { choices })),
        ];
        Wanted { parameters, measurements: Vec::new() }
    }

    fn parsed(text: &str) -> Result<Read, String> {
        parse(text, "r.csv", &space(), false)
    }

    #[test]
    fn a_row_is_a_point_and_its_value_in_any_order_of_columns() {
        let text = "stone, value, rate\n\"coarse, red\", 0.5, 1e-1\n, -2, 0.25\n";
        let read = parsed(text).unwrap();
        let points: Vec<_> = read.trials.iter().map(|trial| trial.point.clone().unwrap()).collect();
        assert_eq!(read.trials.iter().map(|trial| trial.value).collect::<Vec<_>>(), [0.5, -2.0]);
        assert_eq!(value::text_at(Some(&points[0]), "stone"), "coarse, red");
        assert_eq!(value::text_at(Some(&points[0]), "rate"), "0.1");
        assert!(!points[1].values.contains_key("stone"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            ("rate,stone\n0.5,fine\n", "r.csv:1: there is no column `value`"),
            (
                "rate,value,depth\n1,1,1\n",
                "r.csv:1: `depth` is not searched here: columns are rate",
            ),
            ("rate,rate,value\n1,1,1\n", "r.csv:1: there are two columns `rate`"),
            ("rate,value\n0.5,1\n2,1\n", "r.csv:3: `rate` cannot be `2`: it is one of 0 to 1"),
            ("rate,value\n0.5,1\n\n0.5,nan\n", "r.csv:4: `value` cannot be `nan`"),
            ("rate,value\n0.5,\n", "r.csv:2: `value` cannot be ``"),
            ("rate,value\n0.5,1\n0.5\n", "r.csv:3: 1 fields under 2 columns"),
            ("rate,value\n", "r.csv: there is no row"),
        ];
        for (text, expected) in cases {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn what_the_study_weighs_against_the_value_has_columns_of_its_own() {
        let also = |name: &str| proto::v1::FurtherObjective {
            measurement: name.to_owned(),
            ..Default::default()
        };
        let bound = |name: &str| proto::v1::Constraint {
            measurement: name.to_owned(),
            bound: Some(proto::v1::constraint::Bound::AtMost(1.0)),
        };
        let spec = StudySpec {
            also: vec![also("energy")],
            constraints: vec![bound("energy"), bound("value")],
            ..StudySpec::default()
        };
        let wanted = Wanted { measurements: Wanted::of(&spec).measurements, ..space() };
        let read = parse("energy,rate,value\n7,0.5,1\n", "r.csv", &wanted, false).unwrap();
        assert_eq!(read.trials[0].measurements["energy"], 7.0);
        assert_eq!(read.trials[0].value, 1.0);
        let missing = parse("rate,value\n0.5,1\n", "r.csv", &wanted, false).unwrap_err();
        assert!(missing.starts_with("r.csv:1: there is no column `energy`"), "{missing}");
    }

    #[test]
    fn rows_outside_of_the_space_are_counted_if_so_asked() {
        let text = "rate,value\n2,1\n0.5,1\n3,1\n";
        let read = parse(text, "r.csv", &space(), true).unwrap();
        assert_eq!((read.trials.len(), read.outside), (1, 2));
        assert_eq!(read.first_outside, "line 2: `rate` cannot be `2`: it is one of 0 to 1");
        // A value that is none is an error all the same.
        assert!(parse("rate,value\n2,x\n", "r.csv", &space(), true).is_err());
    }
}
