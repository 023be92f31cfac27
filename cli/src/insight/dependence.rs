//! Partial dependence as curves and tables, and as a picture.

use proto::v1::value::Kind;
use proto::v1::{Dependence, GetDependenceResponse, Place};

use super::around;
use crate::plot::chart::Chart;
use crate::plot::svg::{self, Axis, Mark, PANEL, Panel};
use crate::plot::{number, ticks};
use crate::table::{self, Side};
use crate::{value, words};

/// Characters of a curve. Taste.
const WIDTH_MAX: usize = 66;
const HEIGHT: usize = 8;
/// Characters of an option's line.
const LINE: usize = 40;
/// Numbers with more values than this are drawn as a curve, others told one by one. Taste.
const TOLD_MAX: usize = 12;
/// How many results stand at a value, from none to the most.
const HEAPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// For people, at most `width` columns wide if names allow.
pub fn text(study: &str, answer: &GetDependenceResponse, width: u16) -> String {
    let results = words::count(answer.horizon, "result");
    let head = format!(
        "predicted value in `{study}`, from {results}, averaged over all other hyperparameters\n\
         (dotted or ─: one deviation of that average)"
    );
    let range = range(answer);
    let parts = answer.dependences.iter().map(|dependence| match is_curve(dependence) {
        true => curve(dependence, range, usize::from(width).min(WIDTH_MAX)),
        false => options(dependence, range, width),
    });
    std::iter::once(head).chain(parts).collect::<Vec<_>>().join("\n\n")
}

/// One range for all, so that they can be compared.
fn range(answer: &GetDependenceResponse) -> [f64; 2] {
    let places = answer.dependences.iter().flat_map(|dependence| &dependence.places);
    around(places.flat_map(|place| [place.mean - place.deviation, place.mean + place.deviation]))
}

fn is_curve(dependence: &Dependence) -> bool {
    let is_number = |place: &Place| {
        let kind = place.value.as_ref().and_then(|value| value.kind.as_ref());
        matches!(kind, Some(Kind::Number(_) | Kind::Integer(_)))
    };
    dependence.places.len() > TOLD_MAX && dependence.places.iter().all(is_number)
}

fn curve(dependence: &Dependence, range: [f64; 2], width: usize) -> String {
    let means: Vec<f64> = dependence.places.iter().map(|place| place.mean).collect();
    let deviations: Vec<f64> = dependence.places.iter().map(|place| place.deviation).collect();
    let end = |place: Option<&Place>| place.map(written).unwrap_or_default();
    let chart = Chart {
        title: &dependence.parameter,
        note: String::new(),
        values: &means,
        deviations: &deviations,
        range,
        ends: [end(dependence.places.first()), end(dependence.places.last())],
    };
    let mut lines = chart.lines(width, HEIGHT);
    // Under the curve, where the results are that it was drawn from.
    let columns = width.saturating_sub(8).max(1);
    let most = dependence.places.iter().map(|place| place.results).max().unwrap_or(0).max(1);
    let heaps = (0..columns).map(|column| {
        let places = dependence.places.len();
        let share = column as f64 / (columns - 1).max(1) as f64;
        let place = &dependence.places[(share * (places - 1) as f64).round() as usize];
        HEAPS[(place.results as usize * 8).div_ceil(most as usize)]
    });
    let heaps: String = heaps.collect();
    lines.push(format!("results {heaps}"));
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

fn options(dependence: &Dependence, range: [f64; 2], width: u16) -> String {
    let header = [
        (dependence.parameter.as_str(), Side::Right),
        ("mean", Side::Right),
        ("±", Side::Right),
        ("results", Side::Right),
        ("", Side::Left),
    ];
    let header = header.map(|(text, side)| (text.to_owned(), side));
    let rows = dependence.places.iter().map(|place| {
        vec![
            written(place),
            table::short(place.mean, 4),
            table::short(place.deviation, 4),
            place.results.to_string(),
            line(place, range),
        ]
    });
    table::table(&header, rows.collect(), width.max(LINE as u16 + 40))
}

/// A mean and its deviation on a line.
fn line(place: &Place, [low, high]: [f64; 2]) -> String {
    let cell = |x: f64| {
        let share = (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0).max(f64::MIN_POSITIVE);
        (share.clamp(0.0, 1.0) * (LINE - 1) as f64).round() as usize
    };
    let (left, at, right) =
        (cell(place.mean - place.deviation), cell(place.mean), cell(place.mean + place.deviation));
    let cells = (0..=right).map(|cell| match cell {
        cell if cell == at => '●',
        cell if cell < left => ' ',
        _ => '─',
    });
    cells.collect()
}

fn written(place: &Place) -> String {
    match place.value.as_ref().and_then(|value| value.kind.as_ref()) {
        // Places in a range are no numbers that anybody chose: six digits say enough.
        Some(Kind::Number(x)) if x.is_finite() => {
            value::number(format!("{x:.5e}").parse().unwrap_or(*x))
        }
        _ => place.value.as_ref().map(value::text).unwrap_or_default(),
    }
}

/// As a picture.
pub fn svg(study: &str, answer: &GetDependenceResponse) -> String {
    let range = range(answer);
    let panels: Vec<Panel> =
        answer.dependences.iter().map(|dependence| panel(dependence, range)).collect();
    let results = words::count(answer.horizon, "result");
    svg::svg(&format!("Predicted value in {study}, from {results}"), &panels)
}

fn panel(dependence: &Dependence, range: [f64; 2]) -> Panel {
    /// Values written below a curve.
    const WRITTEN: usize = 4;
    let places = &dependence.places;
    let last = places.len().saturating_sub(1);
    let at = |place: usize| place as f64;
    let (marks, shown, across): (Vec<Mark>, Vec<usize>, [f64; 2]) = match is_curve(dependence) {
        true => {
            let band = places.iter().enumerate().map(|(i, place)| {
                [at(i), place.mean - place.deviation, place.mean + place.deviation]
            });
            let curve = places.iter().enumerate().map(|(i, place)| [at(i), place.mean]);
            let marks = vec![
                Mark::Band { points: band.collect(), colour: 0 },
                Mark::Curve { points: curve.collect(), colour: 0 },
            ];
            let shown = (0..=WRITTEN).map(|i| i * last / WRITTEN);
            (marks, shown.collect(), [0.0, at(last)])
        }
        false => {
            let dots = places.iter().enumerate().map(|(i, place)| Mark::Dot {
                at: [at(i), place.mean],
                deviation: place.deviation,
                colour: 0,
            });
            let every = places.len().div_ceil(TOLD_MAX).max(1);
            let shown = (0..places.len()).step_by(every);
            (dots.collect(), shown.collect(), [-0.5, at(last) + 0.5])
        }
    };
    Panel {
        title: dependence.parameter.clone(),
        height: PANEL,
        x: Axis {
            name: String::new(),
            range: across,
            ticks: shown.into_iter().map(|i| (at(i), written(&places[i]))).collect(),
            is_grid: false,
        },
        y: Axis {
            name: String::new(),
            range,
            ticks: ticks(range, 5).into_iter().map(|at| (at, number(at))).collect(),
            is_grid: true,
        },
        marks,
        legend: vec![(0, "mean ± one deviation".to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::Value;

    use super::*;

    fn place(kind: Kind, mean: f64, results: u32) -> Place {
        Place { value: Some(Value { kind: Some(kind) }), mean, deviation: 0.25, results }
    }

    fn answer() -> GetDependenceResponse {
        let rate = (0..33).map(|i| {
            let mean = f64::from(i) / 32.0;
            place(Kind::Number(10f64.powf(4.0 * mean - 4.0)), mean, u32::from(i == 32))
        });
        let norm = [(false, 0.0), (true, 1.0)]
            .map(|(on, mean)| place(Kind::Boolean(on), mean, 3))
            .to_vec();
        let of = |parameter: &str, places| Dependence { parameter: parameter.to_owned(), places };
        GetDependenceResponse {
            horizon: 6,
            dependences: vec![of("rate", rate.collect()), of("norm", norm)],
        }
    }

    #[test]
    fn a_range_is_a_curve_over_its_results_and_options_are_rows() {
        let text = text("s", &answer(), 80);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[3].trim(), "rate");
        assert!(lines[12].starts_with("        1e-4") && lines[12].ends_with('1'), "{text}");
        assert!(lines[13].starts_with("results") && lines[13].ends_with('█'), "{text}");
        assert!(text.contains(" true  1.0000  0.2500        3 "), "{text}");
        // From −0.25 to 1.25 with room: a mean of 0 is a sixth of the way, and reaches to the start.
        let line = line(&answer().dependences[1].places[0], [-0.25, 1.25]);
        assert_eq!(line, "───────●──────");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn the_picture_has_a_panel_for_each() {
        let svg = svg("s", &answer());
        assert!(svg.contains(">rate<") && svg.contains(">norm<"));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert_eq!(svg.matches("fill-opacity").count(), 1);
        for label in [">1e-4<", ">0.01<", ">true<"] {
            assert!(svg.contains(label), "no {label} in\n{svg}");
        }
    }
}
