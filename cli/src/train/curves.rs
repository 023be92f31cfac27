//! The curves of a training as an SVG picture: accuracy, sharpness and loss over the epochs.

use std::fmt::Write as _;

use super::history::{EPOCH, History, SHARPNESS};
use crate::svg::{COLOURS, escaped, head, number, round_up};

/// Pixels.
const WIDTH: f64 = 800.0;
const PANEL: f64 = 200.0;
/// Between two panels: the numbers of one and the title of the next.
const GAP: f64 = 58.0;
const TOP: f64 = 64.0;
const LEFT: f64 = 60.0;
/// For the legend.
const RIGHT: f64 = 190.0;
const ACROSS: f64 = WIDTH - LEFT - RIGHT;
/// A legend's line.
const LINE: f64 = 18.0;
/// Numbers along an axis, at most.
const TICKS_MAX: f64 = 10.0;

/// One curve.
struct Curve {
    name: String,
    values: Vec<f64>,
}

/// Curves over the same epochs.
struct Panel {
    title: &'static str,
    curves: Vec<Curve>,
    /// The number at the top; the bottom is 0.
    top: f64,
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
    let panels = [
        Panel {
            title: "accuracy",
            curves: vec![
                curve("binary", "binary_accuracy"),
                curve("soft", "soft_accuracy"),
                curve("in training", "train_accuracy"),
            ],
            top: 1.0,
        },
        Panel { title: "sharpness, 0 soft to 1 threshold", curves: sharpness.collect(), top: 1.0 },
        Panel {
            title: "loss in training, nats",
            curves: vec![loss],
            top: round_up(most, &[1.0, 2.0, 4.0, 6.0, 8.0]),
        },
    ];
    let epochs = history.column(EPOCH);
    let first = epochs.first().copied().unwrap_or(0.0);
    let height = TOP + panels.len() as f64 * (PANEL + GAP) - 10.0;

    let mut svg = head(WIDTH, height);
    let mut put = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    put(format!("<text x=\"{LEFT}\" y=\"26\" font-size=\"16\">{}</text>", escaped(title)));
    for (number, panel) in panels.iter().enumerate() {
        let y = TOP + number as f64 * (PANEL + GAP);
        panel.draw(y, first, epochs.len(), &mut put);
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    /// Draws the panel with its upper edge at `y`, over so many epochs from `first` on.
    fn draw(&self, y: f64, first: f64, epochs: usize, put: &mut impl FnMut(String)) {
        let (title, bottom) = (self.title, y + PANEL);
        put(format!("<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>", y - 9.0));
        for tick in 0..=4 {
            let (share, x) = (f64::from(tick) / 4.0, LEFT + ACROSS);
            let at = bottom - share * PANEL;
            put(format!(
                "<path d=\"M{LEFT} {at:.1}H{x:.1}\" stroke=\"#dddddd\" fill=\"none\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                number(share * self.top),
            ));
        }
        let across = |epoch: usize| LEFT + ACROSS * epoch as f64 / (epochs.max(2) - 1) as f64;
        for epoch in (0..epochs).step_by(step(epochs)) {
            let (x, low) = (across(epoch), bottom + 17.0);
            put(format!(
                "<path d=\"M{x:.1} {bottom:.1}v4\" stroke=\"#999999\" fill=\"none\"/>\
                 <text x=\"{x:.1}\" y=\"{low:.1}\" text-anchor=\"middle\">{}</text>",
                first + epoch as f64,
            ));
        }
        let (x, low) = (LEFT + ACROSS + 14.0, bottom + 17.0);
        put(format!("<text x=\"{x:.1}\" y=\"{low:.1}\">epoch</text>"));
        for (index, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let mut path = String::new();
            let mut verb = 'M';
            for (epoch, value) in curve.values.iter().enumerate() {
                if !value.is_finite() {
                    verb = 'M';
                    continue;
                }
                let at = bottom - PANEL * (value / self.top).clamp(0.0, 1.0);
                write!(path, "{verb}{:.1} {at:.1}", across(epoch))
                    .expect("strings take everything");
                verb = 'L';
            }
            if epochs == 1 {
                // A dot: a line needs two ends.
                path.push_str("h0.1");
            }
            put(format!(
                "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"2\" \
                 stroke-linejoin=\"round\" stroke-linecap=\"round\" fill=\"none\"/>"
            ));
            let (swatch, line) = (LEFT + ACROSS + 14.0, y + 10.0 + index as f64 * LINE);
            let last = curve.values.last().copied().filter(|last| last.is_finite());
            let last = last.map_or_else(String::new, |last| format!(" {last:.4}"));
            put(format!(
                "<path d=\"M{swatch:.1} {:.1}h18\" stroke=\"{colour}\" stroke-width=\"3\" \
                 fill=\"none\"/><text x=\"{:.1}\" y=\"{line:.1}\">{}{last}</text>",
                line - 4.0,
                swatch + 24.0,
                escaped(&curve.name),
            ));
        }
    }
}

/// Epochs from one number of the axis to the next: 1, 2 or 5 times a power of ten.
fn step(epochs: usize) -> usize {
    round_up(epochs as f64 / TICKS_MAX, &[1.0, 2.0, 5.0]).max(1.0) as usize
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::of;
    use super::*;

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
    fn axes_have_round_numbers() {
        let steps = [1, 10, 11, 20, 60, 500].map(step);
        assert_eq!(steps, [1, 1, 2, 2, 10, 50]);
    }
}
