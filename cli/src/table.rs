//! Tables for terminals and files: columns, a rule under the header, no colours.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};

use proto::v1::{Parameter, Study, Trial};

use crate::plain::line;
use crate::{value, words};

/// Width of tables where there is no terminal to ask.
pub const WIDTH: u16 = 100;
/// A header is cut no further than to this many letters of each word: "sharp." is still a word.
const LETTERS_MIN: usize = 3;

const RULED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table under a header, without a line's end at its end. The last column is wrapped if the rest
/// leaves too little room within `width`.
pub fn table(header: &[(String, Side)], rows: Vec<Vec<String>>, width: u16) -> String {
    let mut table = Table::new();
    table.load_style(RULED).force_no_tty().set_width(width);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let align = |text: &str, side: Side| match side {
        Side::Left => Cell::new(text),
        Side::Right => Cell::new(text).set_alignment(CellAlignment::Right),
    };
    table.set_header(header.iter().map(|(text, side)| align(text, *side)));
    for row in rows {
        table.add_row(row.iter().zip(header).map(|(text, (_, side))| align(&line(text), *side)));
    }
    for column in table.column_iter_mut() {
        // The style puts another space between two columns.
        column.set_padding((0, 1));
    }
    let widths = table.column_max_content_widths();
    if let Some((last, rest)) = widths.split_last() {
        let taken: u16 = rest.iter().map(|width| width + 2).sum();
        // Below this a wrapped column is a worse read than an overlong line. Taste.
        let room = width.saturating_sub(taken + 1).max(20);
        if *last > room {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(taken + room + 1);
            for (column, width) in table.column_iter_mut().zip(rest) {
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + 1)));
            }
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Names and what they are, one a line.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> =
        pairs.iter().map(|(name, what)| format!("{:width$}  {}", line(name), line(what))).collect();
    lines.join("\n")
}

/// Studies, one a row.
pub fn studies(studies: &[Study], width: u16) -> String {
    let header = [
        ("study", Side::Left),
        ("state", Side::Left),
        ("tried", Side::Right),
        ("running", Side::Right),
        ("failed", Side::Right),
        ("best", Side::Right),
        ("algorithm", Side::Left),
        ("created (UTC)", Side::Left),
    ];
    let rows = studies.iter().map(|study| {
        let spec = study.spec.clone().unwrap_or_default();
        let counts = study.counts.unwrap_or_default();
        vec![
            spec.name.clone(),
            words::study_state(study).to_owned(),
            format!("{}/{}", counts.completed + counts.pruned, spec.max_trials),
            counts.running.to_string(),
            counts.failed.to_string(),
            study.best.as_ref().map_or_else(dash, |best| optional(best.value)),
            words::algorithm(spec.algorithm()).to_owned(),
            words::instant(study.created_at.as_ref()),
        ]
    });
    let header = header.map(|(text, side)| (text.to_owned(), side));
    table(&header, rows.collect(), width)
}

/// Trials, one a row: what was predicted, what came, and the searched hyperparameters.
pub fn trials(trials: &[Trial], parameters: &[Parameter], width: u16) -> String {
    let is_network = trials.iter().any(|trial| trial.measurements.contains_key(BINARY));
    let mut columns: Vec<Column> = vec![
        Column::new("#", Side::Right, trials, |trial| trial.number.to_string()),
        Column::new("why", Side::Left, trials, |trial| why(trial).to_owned()),
        Column::new("predicted", Side::Right, trials, predicted),
    ];
    if is_network {
        columns.push(Column::new("soft", Side::Right, trials, |trial| measured(trial, SOFT)));
        columns.push(Column::new("binary", Side::Right, trials, |trial| measured(trial, BINARY)));
    } else {
        columns.push(Column::new("value", Side::Right, trials, |trial| optional(trial.value)));
    }
    columns.push(Column::new("s", Side::Right, trials, duration));
    if trials.iter().any(|trial| trial.state() != proto::v1::TrialState::Completed) {
        let state = |trial: &Trial| words::trial_state(trial).to_owned();
        columns.push(Column::new("state", Side::Left, trials, state));
    }
    for parameter in parameters {
        let cell = |trial: &Trial| value::text_at(trial.point.as_ref(), &parameter.name);
        let column = Column::new(&parameter.name, Side::Right, trials, cell);
        columns.push(Column { is_cut: true, ..column });
    }
    // As many letters of each word of the headers as there is room for.
    let letters = (LETTERS_MIN..=16)
        .rev()
        .find(|letters| {
            columns.iter().map(|column| column.width(*letters) + 2).sum::<usize>()
                <= usize::from(width) + 1
        })
        .unwrap_or(LETTERS_MIN);
    let header: Vec<(String, Side)> =
        columns.iter().map(|column| (column.header(letters), column.side)).collect();
    let rows = (0..trials.len())
        .map(|row| columns.iter().map(|column| column.cells[row].clone()).collect())
        .collect();
    table(&header, rows, u16::MAX)
}

/// Names under which Whetstone trials report.
pub const SOFT: &str = "soft_accuracy";
/// Likewise; every activation a threshold.
pub const BINARY: &str = "binary_accuracy";
/// Likewise; that on the test images, where the value is measured on others.
pub const TEST: &str = "test_accuracy";

struct Column {
    name: String,
    side: Side,
    cells: Vec<String>,
    /// Whether the header may be cut.
    is_cut: bool,
}

impl Column {
    fn new(name: &str, side: Side, trials: &[Trial], cell: impl Fn(&Trial) -> String) -> Self {
        let cells = trials.iter().map(cell).collect();
        Self { name: name.to_owned(), side, cells, is_cut: false }
    }

    /// The words of the name one above the other, each cut to some letters.
    fn header(&self, letters: usize) -> String {
        let letters = if self.is_cut { letters } else { usize::MAX - 1 };
        let words: Vec<String> = self.name.split('_').map(|word| cut(word, letters)).collect();
        words.join("\n")
    }

    fn width(&self, letters: usize) -> usize {
        let header = self.header(letters);
        let lines = header.lines().chain(self.cells.iter().map(String::as_str));
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    }
}

/// A word cut to some letters, with a period that says so if that saves anything.
fn cut(word: &str, letters: usize) -> String {
    match word.chars().count() <= letters + 1 {
        true => word.to_owned(),
        false => word.chars().take(letters).chain(['.']).collect(),
    }
}

/// Why a point was chosen, in a short word.
pub fn why(trial: &Trial) -> &str {
    match trial.suggestion.as_ref().map(|suggestion| suggestion.origin.as_str()) {
        // Chosen by the posterior, for the improvement that it promised.
        Some("acquisition") => "model",
        Some(origin) => origin,
        None => "–",
    }
}

/// What the posterior said of a point: mean and deviation.
pub fn predicted(trial: &Trial) -> String {
    match trial.suggestion.as_ref().map(|s| (s.mean, s.deviation)) {
        Some((Some(mean), Some(deviation))) => {
            format!("{}±{}", short(mean, 3), short(deviation, 3))
        }
        Some((Some(mean), None)) => short(mean, 3),
        _ => dash(),
    }
}

/// One of a trial's measurements.
pub fn measured(trial: &Trial, name: &str) -> String {
    optional(trial.measurements.get(name).copied())
}

/// A number that may be absent.
pub fn optional(x: Option<f64>) -> String {
    x.map_or_else(dash, |x| short(x, 4))
}

/// Seconds a trial took.
pub fn duration(trial: &Trial) -> String {
    let seconds = trial.measurements.get("train_seconds").copied().or(words::seconds(trial));
    match seconds {
        None => dash(),
        Some(seconds) if seconds < 100.0 => format!("{seconds:.1}"),
        Some(seconds) => format!("{seconds:.0}"),
    }
}

/// A number in few characters: fixed places where it is of ordinary size.
pub fn short(x: f64, places: usize) -> String {
    match x.abs() {
        size if size == 0.0 || (1e-3..1e4).contains(&size) => format!("{x:.places$}"),
        _ => format!("{x:.2e}"),
    }
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use proto::v1::value::Kind;
    use proto::v1::{Point, Suggestion, TrialState, Value};

    use super::*;

    fn trial(number: u32, binary: f64) -> Trial {
        let value = Value { kind: Some(Kind::Number(1e-4)) };
        Trial {
            number,
            state: TrialState::Completed.into(),
            value: Some(binary),
            point: Some(Point { values: [("sharpening_intermission".to_owned(), value)].into() }),
            measurements: [
                (SOFT.to_owned(), 0.95),
                (BINARY.to_owned(), binary),
                ("train_seconds".to_owned(), 12.34),
            ]
            .into(),
            suggestion: Some(Suggestion {
                origin: "acquisition".to_owned(),
                mean: Some(0.8125),
                deviation: Some(0.03),
                ..Suggestion::default()
            }),
            ..Trial::default()
        }
    }

    fn parameters(names: &[&str]) -> Vec<Parameter> {
        names
            .iter()
            .map(|name| Parameter { name: (*name).to_owned(), ..Parameter::default() })
            .collect()
    }

    #[test]
    fn a_trials_row_tells_what_was_predicted_and_what_came() {
        let parameters = parameters(&["sharpening_intermission"]);
        let text = trials(&[trial(0, 0.5), trial(11, 0.875)], &parameters, 100);
        assert_eq!(
            text,
            " #  why      predicted    soft  binary     s    sharpening\n\
             \u{20}                                             intermission\n\
             ───────────────────────────────────────────────────────────\n\
             \u{20}0  model  0.812±0.030  0.9500  0.5000  12.3          1e-4\n\
             11  model  0.812±0.030  0.9500  0.8750  12.3          1e-4"
        );
    }

    #[test]
    fn headers_are_cut_until_many_hyperparameters_fit() {
        let names = [
            "learning_rate",
            "sharpening_start",
            "sharpening_duration",
            "sharpening_intermission",
            "conv1_features",
            "conv2_features",
            "dense_units",
            "decay",
        ];
        let text = trials(&[trial(0, 0.5)], &parameters(&names), 100);
        let width = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!((90..=100).contains(&width), "{width}:\n{text}");
        assert!(text.contains("conv1"), "a number at a word's end should survive:\n{text}");
    }

    #[test]
    fn a_long_last_column_is_wrapped_inside_the_width() {
        let header = [("name".to_owned(), Side::Left), ("values".to_owned(), Side::Left)];
        let row = vec!["x".to_owned(), "one two three four five six seven eight".to_owned()];
        let text = table(&header, vec![row], 30);
        assert!(text.lines().count() > 3, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
    }
}
