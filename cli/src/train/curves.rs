//! The curves of a training as an SVG picture: accuracy, sharpness and loss over the epochs.

use super::history::{EPOCH, History, SHARPNESS};
use crate::plot::svg::{self, Axis, Mark, PANEL, Panel};
use crate::plot::{number, round_up};

/// Numbers along an axis, at most.
const TICKS_MAX: f64 = 10.0;

/// One curve.
struct Curve {
    name: String,
    values: Vec<f64>,
}

/// The picture, under a title.
pub fn svg(title: &str, history: &History) -> String {
    let curve =
        |name: &str, column: &str| Curve { name: name.to_owned(), values: history.column(column) };
    let sharpness = history.layers().into_iter().map(|layer| Curve {
        name: layer.to_owned(),
        values: history.column(&format!("{SHARPNESS}{layer}")),
    });
    let loss = curve("loss", "loss");
    let most = loss.values.iter().copied().filter(|loss| loss.is_finite()).fold(0.0, f64::max);
    let accuracies = vec![
        curve("binary", "binary_accuracy"),
        curve("soft", "soft_accuracy"),
        curve("in training", "train_accuracy"),
    ];
    let epochs = history.column(EPOCH);
    let panels = [
        panel("accuracy", accuracies, 1.0, &epochs),
        panel("sharpness, 0 soft to 1 threshold", sharpness.collect(), 1.0, &epochs),
        panel(
            "loss in training, nats",
            vec![loss],
            round_up(most, &[1.0, 2.0, 4.0, 6.0, 8.0]),
            &epochs,
        ),
    ];
    svg::svg(title, &panels)
}

/// Curves over the same epochs, from 0 to `top`.
fn panel(title: &str, curves: Vec<Curve>, top: f64, epochs: &[f64]) -> Panel {
    let first = epochs.first().copied().unwrap_or(0.0);
    let last = first + (epochs.len().max(2) - 1) as f64;
    let named = |at: f64, text: String| (at, text);
    let x = Axis {
        name: "epoch".to_owned(),
        range: [first, last],
        ticks: (0..epochs.len())
            .step_by(step(epochs.len()))
            .map(|epoch| first + epoch as f64)
            .map(|epoch| named(epoch, epoch.to_string()))
            .collect(),
        is_grid: false,
    };
    let y = Axis {
        name: String::new(),
        range: [0.0, top],
        ticks: (0..=4)
            .map(|tick| f64::from(tick) / 4.0 * top)
            .map(|at| named(at, number(at)))
            .collect(),
        is_grid: true,
    };
    let legend = curves.iter().enumerate().map(|(colour, curve)| {
        let last = curve.values.last().copied().filter(|last| last.is_finite());
        let last = last.map_or_else(String::new, |last| format!(" {last:.4}"));
        (colour, format!("{}{last}", curve.name))
    });
    let legend = legend.collect();
    let marks = curves.into_iter().enumerate().map(|(colour, curve)| {
        let values = curve.values.into_iter().enumerate();
        let points = values.map(|(epoch, value)| [first + epoch as f64, value]);
        Mark::Curve { points: points.collect(), colour }
    });
    Panel { title: title.to_owned(), height: PANEL, x, y, marks: marks.collect(), legend }
}

/// Epochs from one number of the axis to the next: 1, 2 or 5 times a power of ten.
fn step(epochs: usize) -> usize {
    round_up(epochs as f64 / TICKS_MAX, &[1.0, 2.0, 5.0]).max(1.0) as usize
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::of;
    use super::*;
    use crate::plot::svg::{ACROSS, GAP, LEFT, TOP};

    #[test]
    fn every_curve_begins_and_ends_where_its_numbers_do() {
        let svg = svg("a < b", &of(3));
        assert!(svg.contains("a &lt; b"));
        let curves: Vec<&str> =
            svg.lines().filter(|line| line.contains("stroke-width=\"2\"")).collect();
        // Three accuracies, two layers, the loss.
        assert_eq!(curves.len(), 6);
        let (right, low) = (LEFT + ACROSS, TOP + PANEL);
        // Accuracy in training: 0, 0.5, 1.
        let expected = format!(
            "M{LEFT:.1} {low:.1}L{:.1} {:.1}L{right:.1} {TOP:.1}",
            (LEFT + right) / 2.0,
            (low + TOP) / 2.0
        );
        assert!(curves[2].contains(&expected), "{}", curves[2]);
        // The loss falls from the top, 2, to a third.
        let top = TOP + 2.0 * (PANEL + GAP);
        assert!(curves[5].contains(&format!("M{LEFT:.1} {top:.1}")), "{}", curves[5]);
        assert!(svg.contains(">conv1 1.0000</text>") && svg.contains(">output 0.0000</text>"));
    }

    #[test]
    fn one_epoch_is_a_dot() {
        assert!(svg("x", &of(1)).contains("h0.1\""));
    }

    #[test]
    fn epochs_are_told_at_round_steps() {
        let steps = [1, 10, 11, 20, 60, 500].map(step);
        assert_eq!(steps, [1, 1, 2, 2, 10, 50]);
    }
}
