//! Calibration in a few sentences with a scatter plot, and as a picture.

use proto::v1::{Calibration, LeftOut};

use super::around;
use crate::plot::scatter::Scatter;
use crate::plot::svg::{self, Axis, Mark, PANEL, Panel};
use crate::plot::{number, ticks};
use crate::table::{self, Side};
use crate::words;

/// Characters of the plot. Taste.
const WIDTH_MAX: usize = 58;
const HEIGHT: usize = 12;
/// Results named as surprises.
const SURPRISES: usize = 5;
/// Beyond which a result is one: the 95 % interval.
const SURPRISE: f64 = 1.96;

/// For people, at most `width` columns wide.
pub fn text(study: &str, calibration: &Calibration, width: u16) -> String {
    let results = words::count(calibration.horizon, "result");
    let head = format!(
        "calibration of `{study}`, from {results}: each predicted from all the others, and measured"
    );
    let pairs: Vec<(&str, String)> = pairs(calibration);
    let points: Vec<[f64; 2]> =
        calibration.left_out.iter().map(|one| [one.value, one.mean]).collect();
    let scatter = Scatter {
        title: "predicted",
        across: "measured",
        points: &points,
        range: around(points.iter().flatten().copied()),
    };
    let plot = scatter.lines(usize::from(width).min(WIDTH_MAX), HEIGHT);
    let plot: Vec<&str> = plot.iter().map(|line| line.trim_end()).collect();
    let mut parts = vec![head, table::pairs(&pairs), plot.join("\n")];
    parts.extend(surprises(&calibration.left_out, width));
    parts.join("\n\n")
}

fn pairs(calibration: &Calibration) -> Vec<(&'static str, String)> {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let coverage = calibration.coverage.iter().map(|coverage| {
        format!("{} in the {} interval", percent(coverage.share), percent(coverage.level))
    });
    let mut pairs = vec![
        (
            "z-scores",
            format!(
                "mean {:.2}, root mean square {:.2}: {}",
                calibration.z_mean,
                calibration.z_rms,
                verdict(calibration)
            ),
        ),
        ("results", coverage.collect::<Vec<_>>().join(", ")),
        (
            "log density",
            format!(
                "{} on average, {} of a constant",
                table::short(calibration.log_density, 3),
                table::short(calibration.log_density_constant, 3)
            ),
        ),
    ];
    let raised = calibration.left_out.iter().filter(|one| one.is_raised).count();
    if raised > 0 {
        let results = words::count(raised as u32, "result");
        let text = "far worse than the others: learned and judged at the edge of the usual (*)";
        pairs.push(("tail", format!("{results} {text}")));
    }
    if let Some(folds) = &calibration.cross_validation {
        pairs.push((
            "new fits",
            format!(
                "R² {:.3} in {} folds: error {}, {} of a constant",
                folds.r2,
                folds.folds,
                table::short(folds.rmse, 4),
                table::short(folds.rmse_constant, 4)
            ),
        ));
    }
    pairs
}

/// Whether deviations are as large as the errors, as far as so many results can tell.
fn verdict(calibration: &Calibration) -> &'static str {
    let count = calibration.left_out.len().max(1) as f64;
    // Two deviations of the root mean square of so many normal numbers.
    let doubt = 2.0 / (2.0 * count).sqrt();
    match calibration.z_rms - 1.0 {
        off if off > doubt => "surer than it should be",
        off if off < -doubt => "less sure than it could be",
        _ => "as sure as it should be",
    }
}

/// The results that were predicted worst, if any was predicted badly.
fn surprises(left_out: &[LeftOut], width: u16) -> Option<String> {
    let mut worst: Vec<&LeftOut> =
        left_out.iter().filter(|one| one.z_score.abs() > SURPRISE).collect();
    worst.sort_by(|a, b| b.z_score.abs().total_cmp(&a.z_score.abs()));
    worst.truncate(SURPRISES);
    if worst.is_empty() {
        return None;
    }
    let header = ["trial", "measured", "predicted", "z-score"];
    let header = header.map(|text| (text.to_owned(), Side::Right));
    let rows = worst.iter().map(|one| {
        let mark = if one.is_raised { "*" } else { "" };
        vec![
            one.number.to_string(),
            format!("{}{mark}", table::short(one.value, 4)),
            format!("{} ± {}", table::short(one.mean, 4), table::short(one.deviation, 4)),
            format!("{:.1}", one.z_score),
        ]
    });
    let table = table::table(&header, rows.collect(), width);
    Some(format!("outside their 95 % interval, the worst first:\n{table}"))
}

/// As a picture.
pub fn svg(study: &str, calibration: &Calibration) -> String {
    let left_out = &calibration.left_out;
    let both = left_out.iter().flat_map(|one| [one.value, one.mean]);
    let range = around(both);
    let axis = |name: &str, range: [f64; 2], is_grid| Axis {
        name: name.to_owned(),
        range,
        ticks: ticks(range, 6).into_iter().map(|at| (at, number(at))).collect(),
        is_grid,
    };
    let diagonal = Mark::Dashed { from: [range[0]; 2], to: [range[1]; 2] };
    let dots = left_out.iter().map(|one| Mark::Dot {
        at: [one.value, one.mean],
        deviation: one.deviation,
        colour: 0,
    });
    let predicted = Panel {
        title: "predicted from the others".to_owned(),
        height: 1.5 * PANEL,
        x: axis("measured", range, false),
        y: axis("", range, true),
        marks: std::iter::once(diagonal).chain(dots).collect(),
        legend: vec![(0, "mean ± one deviation".to_owned())],
    };
    let last = left_out.iter().map(|one| one.number).max().unwrap_or(0).max(1);
    let across = [0.0, f64::from(last)];
    let scores = around(left_out.iter().map(|one| one.z_score).chain([-3.0, 3.0]));
    let edges = [-SURPRISE, SURPRISE]
        .map(|edge| Mark::Dashed { from: [across[0], edge], to: [across[1], edge] });
    let dots = left_out.iter().map(|one| Mark::Dot {
        at: [f64::from(one.number), one.z_score],
        deviation: 0.0,
        colour: 1,
    });
    let scores = Panel {
        title: "z-score, with the 95 % interval".to_owned(),
        height: PANEL,
        x: axis("trial", across, false),
        y: axis("", scores, true),
        marks: edges.into_iter().chain(dots).collect(),
        legend: vec![(1, format!("root mean square {:.2}", calibration.z_rms))],
    };
    let results = words::count(calibration.horizon, "result");
    svg::svg(&format!("Calibration of {study}, from {results}"), &[predicted, scores])
}

#[cfg(test)]
mod tests {
    use proto::v1::{Coverage, CrossValidation};

    use super::*;

    fn calibration(z: f64) -> Calibration {
        let one = |number: u32, z_score: f64| LeftOut {
            number,
            value: 0.5,
            is_raised: number == 3,
            mean: 0.5 - 0.1 * z_score,
            deviation: 0.1,
            z_score,
        };
        Calibration {
            horizon: 8,
            z_mean: 0.25,
            z_rms: z,
            coverage: vec![Coverage { level: 0.5, share: 0.625 }],
            log_density: 1.5,
            log_density_constant: -0.5,
            cross_validation: Some(CrossValidation {
                folds: 5,
                predicted: 5,
                r2: 0.875,
                rmse: 0.125,
                rmse_constant: 0.5,
            }),
            left_out: (0..8).map(|n| one(n, if n == 3 { -4.0 } else { 0.5 })).collect(),
        }
    }

    #[test]
    fn the_answer_says_whether_deviations_are_right_and_what_was_a_surprise() {
        let text = text("s", &calibration(1.3), 100);
        for said in [
            "mean 0.25, root mean square 1.30: as sure as it should be",
            "62 % in the 50 % interval",
            "R² 0.875 in 5 folds: error 0.1250, 0.5000 of a constant",
            "    3   0.5000*  0.9000 ± 0.1000     -4.0",
            "1 result far worse than the others",
        ] {
            assert!(text.contains(said), "no {said:?} in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        // With eight results, half more or less is beyond doubt.
        assert!(super::text("s", &calibration(1.6), 100).contains("surer than it should be"));
        assert!(super::text("s", &calibration(0.4), 100).contains("less sure than it could be"));
    }

    #[test]
    fn the_picture_has_a_dot_for_each_result_and_panel() {
        assert_eq!(svg("s", &calibration(1.0)).matches("<circle").count(), 16);
    }
}
