//! Importance as a table with bars, and as a picture.

use proto::v1::{Effect, Importance, Share};

use crate::plot::svg::{self, Axis, Mark, Panel};
use crate::table::{self, Side};
use crate::words;

/// Characters of a bar at most. Taste.
const BAR_MAX: usize = 40;
const BAR_MIN: usize = 10;
/// Pixels of a row.
const ROW: f64 = 24.0;

/// For people, at most `width` columns wide if the names allow.
pub fn text(study: &str, importance: &Importance, width: u16) -> String {
    let results = words::count(importance.horizon, "result");
    let spread = table::short(importance.spread, 4);
    let head = match importance.spread > 0.0 {
        true => format!(
            "importance in `{study}`, from {results}: shares of what varies the predicted value over \
             the space\n(its deviation is {spread})"
        ),
        false => format!(
            "importance in `{study}`, from {results}: nothing makes a difference yet, the predicted \
             value is the same everywhere"
        ),
    };
    let sorted = sorted(importance);
    let name = sorted.iter().map(|effect| effect.parameter.chars().count()).max().unwrap_or(0);
    let taken = name.max("hyperparameter".len()) + 2 * (SHARE + 2) + 2;
    let room = usize::from(width).saturating_sub(taken).clamp(BAR_MIN, BAR_MAX);
    let header = [
        ("hyperparameter", Side::Left),
        ("first-order", Side::Right),
        ("total", Side::Right),
        ("", Side::Left),
    ];
    let header = header.map(|(text, side)| (text.to_owned(), side));
    let rows = sorted.iter().map(|effect| {
        let (first, total) = (share(effect.first), share(effect.total));
        vec![effect.parameter.clone(), said(first), said(total), bar(first, total, room)]
    });
    let table = table::table(&header, rows.collect(), u16::MAX);
    format!("{head}\n\n{table}\n\n█ by itself  ▒ together with others  ╌ one deviation more")
}

/// Characters of a share with its deviation.
const SHARE: usize = "0.000 ± 0.000".len();

fn said(share: Share) -> String {
    format!("{:.3} ± {:.3}", share.value, deviation(share))
}

/// A share's bar; full is 1.
fn bar(first: Share, total: Share, room: usize) -> String {
    let cells = |share: f64| (share.clamp(0.0, 1.0) * room as f64).round() as usize;
    // The one is never longer than the other, but estimates of them may be.
    let own = cells(first.value.min(total.value));
    let all = cells(total.value);
    let reach = cells(total.value + deviation(total));
    "█".repeat(own) + &"▒".repeat(all - own) + &"╌".repeat(reach - all)
}

/// Deviation from both causes.
fn deviation(share: Share) -> f64 {
    share.estimator.hypot(share.surrogate)
}

/// The most important first.
fn sorted(importance: &Importance) -> Vec<&Effect> {
    let mut effects: Vec<&Effect> = importance.effects.iter().collect();
    effects.sort_by(|a, b| share(b.total).value.total_cmp(&share(a.total).value));
    effects
}

fn share(share: Option<Share>) -> Share {
    share.unwrap_or_default()
}

/// As a picture.
pub fn svg(study: &str, importance: &Importance) -> String {
    let effects = sorted(importance);
    let rows = effects.len().max(1) as f64;
    let at = |row: usize| rows - 0.5 - row as f64;
    let marks = effects.iter().enumerate().flat_map(|(row, effect)| {
        let (at, first, total) = (at(row), share(effect.first), share(effect.total));
        let bar = |to, colour| Mark::Bar { from: 0.0, to, at, thick: 0.6, colour };
        let reach = deviation(total);
        let (from, to) = (total.value - reach, total.value + reach);
        [
            bar(total.value, ALL),
            bar(first.value.min(total.value), OWN),
            Mark::Whisker { from, to, at },
        ]
    });
    let shares = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, crate::plot::number(share)));
    let names = effects.iter().enumerate().map(|(row, effect)| (at(row), effect.parameter.clone()));
    let panel = Panel {
        title: "Sobol indices of the predicted value".to_owned(),
        height: ROW * rows,
        x: Axis {
            name: "share of its variance".to_owned(),
            range: [0.0, 1.0],
            ticks: shares.to_vec(),
            is_grid: true,
        },
        y: Axis { name: String::new(), range: [0.0, rows], ticks: names.collect(), is_grid: false },
        marks: marks.collect(),
        legend: vec![(OWN, "by itself".to_owned()), (ALL, "in all, ± one deviation".to_owned())],
    };
    let results = words::count(importance.horizon, "result");
    svg::svg(&format!("Importance in {study}, from {results}"), &[panel])
}

/// Colours.
const OWN: usize = 0;
const ALL: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn importance() -> Importance {
        let share = |value, surrogate| Some(Share { value, estimator: 0.0, surrogate });
        let effect = |parameter: &str, first, total| Effect {
            parameter: parameter.to_owned(),
            first: share(first, 0.05),
            total: share(total, 0.1),
        };
        Importance {
            horizon: 12,
            spread: 0.125,
            effects: vec![effect("decay", 0.1, 0.2), effect("learning_rate", 0.5, 0.8)],
        }
    }

    #[test]
    fn the_most_important_comes_first_with_a_bar_of_its_length() {
        let text = text("s", &importance(), 100);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("from 12 results") && lines[1].contains("0.1250"), "{text}");
        assert!(lines[5].starts_with("learning_rate   0.500 ± 0.050  0.800 ± 0.100  █"), "{text}");
        let count = |line: &str, cell| line.chars().filter(|c| *c == cell).count();
        assert_eq!(['█', '▒', '╌'].map(|cell| count(lines[5], cell)), [20, 12, 4], "{text}");
        assert_eq!(['█', '▒', '╌'].map(|cell| count(lines[6], cell)), [4, 4, 4], "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{text}");
        let flat = Importance { spread: 0.0, ..importance() };
        assert!(super::text("s", &flat, 100).contains("nothing makes a difference yet"));
    }

    #[test]
    fn the_picture_names_every_hyperparameter() {
        let svg = svg("s", &importance());
        assert!(svg.find(">learning_rate<").unwrap() < svg.find(">decay<").unwrap());
        assert_eq!(svg.matches("<rect").count(), 1 + 4);
    }
}
