//! Panels of curves, bands, dots and bars, one below the other, as an SVG picture.

use std::fmt::Write as _;

/// Pixels.
const WIDTH: f64 = 800.0;
/// Height of a panel, unless it needs more.
pub const PANEL: f64 = 200.0;
/// Between two panels: the numbers of one and the title of the next.
pub const GAP: f64 = 58.0;
pub const TOP: f64 = 64.0;
/// Left of the panels, unless their labels need more.
pub const LEFT: f64 = 60.0;
/// For the legend.
const RIGHT: f64 = 190.0;
/// Width of a panel whose labels are short.
#[cfg(test)]
pub const ACROSS: f64 = WIDTH - LEFT - RIGHT;
/// A legend's line.
const LINE: f64 = 18.0;
/// Of an ordinary letter.
const LETTER: f64 = 6.6;

/// Told apart by most eyes, on white: M. Okabe and K. Ito, "Color Universal Design", 2008, without
/// the yellow, and three more for the deepest networks.
pub const COLOURS: [&str; 10] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555", "#7b3294",
    "#8c510a", "#a6d854",
];

/// The beginning of a picture: its size, its letters, a white ground.
pub fn head(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" \
         fill=\"#333333\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    )
}

/// One side of a panel.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it is; said beside the one below a panel, and nowhere of the other.
    pub name: String,
    /// The numbers at its ends.
    pub range: [f64; 2],
    /// What is said where.
    pub ticks: Vec<(f64, String)>,
    /// Whether a line goes across the panel from each of them.
    pub is_grid: bool,
}

/// Something drawn in a panel, in the numbers of its axes; what lies outside stands on the edge.
/// Colours are told by their order.
#[derive(Clone, Debug)]
pub enum Mark {
    /// A line through points; what is not finite leaves a gap.
    Curve { points: Vec<[f64; 2]>, colour: usize },
    /// Between two lines: across, lower, upper.
    Band { points: Vec<[f64; 3]>, colour: usize },
    /// A dot, with a line as far up and down as it may be off.
    Dot { at: [f64; 2], deviation: f64, colour: usize },
    /// From one number to another, at a height, so many thick.
    Bar { from: f64, to: f64, at: f64, thick: f64, colour: usize },
    /// From one number to another, at a height: as far as an end may be off.
    Whisker { from: f64, to: f64, at: f64 },
    /// A thin dashed line.
    Dashed { from: [f64; 2], to: [f64; 2] },
}

/// One panel.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: String,
    pub height: f64,
    pub x: Axis,
    pub y: Axis,
    pub marks: Vec<Mark>,
    /// Colours and what they are.
    pub legend: Vec<(usize, String)>,
}

/// The picture, under a title.
pub fn svg(title: &str, panels: &[Panel]) -> String {
    let labels = panels.iter().flat_map(|panel| &panel.y.ticks);
    let longest = labels.map(|(_, label)| label.chars().count()).max().unwrap_or(0);
    let left = (LETTER * longest as f64 + 14.0).max(LEFT);
    let width = WIDTH - LEFT + left;
    let height = TOP + panels.iter().map(|panel| panel.height + GAP).sum::<f64>() - 10.0;
    let mut svg = head(width, height);
    let mut put = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    put(format!("<text x=\"{left}\" y=\"26\" font-size=\"16\">{}</text>", escaped(title)));
    let mut top = TOP;
    for panel in panels {
        let frame = Frame { panel, left, top, across: WIDTH - LEFT - RIGHT };
        frame.draw(&mut put);
        top += panel.height + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a panel stands in the picture.
struct Frame<'a> {
    panel: &'a Panel,
    left: f64,
    top: f64,
    across: f64,
}

impl Frame<'_> {
    fn x(&self, x: f64) -> f64 {
        self.left + self.across * share(x, self.panel.x.range)
    }

    fn y(&self, y: f64) -> f64 {
        self.bottom() - self.panel.height * share(y, self.panel.y.range)
    }

    fn right(&self) -> f64 {
        self.left + self.across
    }

    fn bottom(&self) -> f64 {
        self.top + self.panel.height
    }

    fn draw(&self, put: &mut impl FnMut(String)) {
        let (left, bottom, right) = (self.left, self.bottom(), self.right());
        put(format!(
            "<text x=\"{left}\" y=\"{:.1}\" font-weight=\"bold\">{}</text>",
            self.top - 9.0,
            escaped(&self.panel.title)
        ));
        for (y, label) in &self.panel.y.ticks {
            let at = self.y(*y);
            let line = match self.panel.y.is_grid {
                true => format!(
                    "<path d=\"M{left} {at:.1}H{right:.1}\" stroke=\"#dddddd\" fill=\"none\"/>"
                ),
                false => String::new(),
            };
            put(format!(
                "{line}<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                at + 4.0,
                escaped(label),
            ));
        }
        let low = bottom + 17.0;
        for (x, label) in &self.panel.x.ticks {
            let at = self.x(*x);
            let line = match self.panel.x.is_grid {
                true => format!("M{at:.1} {:.1}V{bottom:.1}\" stroke=\"#dddddd", self.top),
                false => format!("M{at:.1} {bottom:.1}v4\" stroke=\"#999999"),
            };
            put(format!(
                "<path d=\"{line}\" fill=\"none\"/>\
                 <text x=\"{at:.1}\" y=\"{low:.1}\" text-anchor=\"middle\">{}</text>",
                escaped(label),
            ));
        }
        let name = escaped(&self.panel.x.name);
        put(format!("<text x=\"{:.1}\" y=\"{low:.1}\">{name}</text>", right + 14.0));
        self.panel.marks.iter().for_each(|mark| put(self.mark(mark)));
        for (index, (colour, text)) in self.panel.legend.iter().enumerate() {
            let (swatch, line) = (right + 14.0, self.top + 10.0 + index as f64 * LINE);
            put(format!(
                "<path d=\"M{swatch:.1} {:.1}h18\" stroke=\"{}\" stroke-width=\"3\" \
                 fill=\"none\"/><text x=\"{:.1}\" y=\"{line:.1}\">{}</text>",
                line - 4.0,
                colour_of(*colour),
                swatch + 24.0,
                escaped(text),
            ));
        }
    }

    fn mark(&self, mark: &Mark) -> String {
        match mark {
            Mark::Curve { points, colour } => {
                let mut path = String::new();
                let mut verb = 'M';
                for [x, y] in points {
                    if !y.is_finite() {
                        verb = 'M';
                        continue;
                    }
                    write!(path, "{verb}{:.1} {:.1}", self.x(*x), self.y(*y))
                        .expect("strings take everything");
                    verb = 'L';
                }
                if points.len() == 1 {
                    // A dot: a line needs two ends.
                    path.push_str("h0.1");
                }
                format!(
                    "<path d=\"{path}\" stroke=\"{}\" stroke-width=\"2\" \
                     stroke-linejoin=\"round\" stroke-linecap=\"round\" fill=\"none\"/>",
                    colour_of(*colour)
                )
            }
            Mark::Band { points, colour } => {
                let lower = points.iter().map(|[x, lower, _]| (x, lower));
                let upper = points.iter().rev().map(|[x, _, upper]| (x, upper));
                let around =
                    lower.chain(upper).map(|(x, y)| format!("{:.1} {:.1}", self.x(*x), self.y(*y)));
                format!(
                    "<path d=\"M{}Z\" fill=\"{}\" fill-opacity=\"0.18\" stroke=\"none\"/>",
                    around.collect::<Vec<_>>().join("L"),
                    colour_of(*colour)
                )
            }
            Mark::Dot { at: [x, y], deviation, colour } => {
                let (at, colour) = (self.x(*x), colour_of(*colour));
                format!(
                    "<path d=\"M{at:.1} {:.1}V{:.1}\" stroke=\"{colour}\" \
                     stroke-opacity=\"0.5\" fill=\"none\"/>\
                     <circle cx=\"{at:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    self.y(y - deviation),
                    self.y(y + deviation),
                    self.y(*y)
                )
            }
            Mark::Bar { from, to, at, thick, colour } => {
                let (left, upper) = (self.x(from.min(*to)), self.y(at + thick / 2.0));
                format!(
                    "<rect x=\"{left:.1}\" y=\"{upper:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
                     fill=\"{}\"/>",
                    self.x(from.max(*to)) - left,
                    self.y(at - thick / 2.0) - upper,
                    colour_of(*colour)
                )
            }
            Mark::Whisker { from, to, at } => {
                let (left, right, at) = (self.x(*from), self.x(*to), self.y(*at));
                let (upper, lower) = (at - 3.0, at + 3.0);
                format!(
                    "<path d=\"M{left:.1} {upper:.1}V{lower:.1}M{left:.1} {at:.1}H{right:.1}\
                     M{right:.1} {upper:.1}V{lower:.1}\" stroke=\"#333333\" fill=\"none\"/>"
                )
            }
            Mark::Dashed { from, to } => format!(
                "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#999999\" \
                 stroke-dasharray=\"4 3\" fill=\"none\"/>",
                self.x(from[0]),
                self.y(from[1]),
                self.x(to[0]),
                self.y(to[1])
            ),
        }
    }
}

/// Where a number stands in a range: from 0 at its lower end to 1.
fn share(x: f64, [low, high]: [f64; 2]) -> f64 {
    // Halves, because the range of two doubles may be no double.
    ((x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

fn colour_of(colour: usize) -> &'static str {
    COLOURS[colour % COLOURS.len()]
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(marks: Vec<Mark>) -> Panel {
        let axis = |range| Axis { name: "x".to_owned(), range, ticks: vec![], is_grid: false };
        let title = "a < b".to_owned();
        let (x, y) = (axis([0.0, 10.0]), axis([0.0, 1.0]));
        Panel { title, height: PANEL, x, y, marks, legend: vec![(1, "c & d".to_owned())] }
    }

    #[test]
    fn marks_stand_where_their_numbers_say() {
        let (right, bottom) = (LEFT + ACROSS, TOP + PANEL);
        let cases = [
            (
                Mark::Bar { from: 0.0, to: 5.0, at: 0.5, thick: 0.5, colour: 0 },
                format!(
                    "<rect x=\"{LEFT:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"100.0\"",
                    TOP + 50.0,
                    ACROSS / 2.0
                ),
            ),
            (
                Mark::Band { points: vec![[0.0, 0.0, 1.0], [10.0, 0.0, 1.0]], colour: 0 },
                format!(
                    "M{LEFT:.1} {bottom:.1}L{right:.1} {bottom:.1}L{right:.1} {TOP:.1}L{LEFT:.1} \
                     {TOP:.1}Z"
                ),
            ),
            (
                Mark::Dot { at: [10.0, 0.5], deviation: 9.0, colour: 0 },
                format!("M{right:.1} {bottom:.1}V{TOP:.1}"),
            ),
            (
                Mark::Dashed { from: [0.0, 0.0], to: [10.0, 1.0] },
                format!("M{LEFT:.1} {bottom:.1}L{right:.1} {TOP:.1}"),
            ),
        ];
        for (mark, expected) in cases {
            let picture = svg("t", &[panel(vec![mark])]);
            assert!(picture.contains(&expected), "no {expected} in\n{picture}");
        }
    }

    #[test]
    fn words_are_escaped_and_long_labels_make_room_for_themselves() {
        let picture = svg("e > f", &[panel(vec![])]);
        for word in ["a &lt; b", "c &amp; d", "e &gt; f", "width=\"800\""] {
            assert!(picture.contains(word), "no {word} in\n{picture}");
        }
        let mut wide = panel(vec![]);
        wide.y.ticks.push((0.5, "a_hyperparameter_with_a_long_name".to_owned()));
        assert!(!svg("", &[wide]).contains("width=\"800\""));
    }
}
