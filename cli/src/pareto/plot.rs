//! Results over two objectives, as an SVG picture.

use super::axis::{Axis, Span};
use super::picture::{Mark, Standing};
use crate::plot::number;
use crate::plot::svg::{COLOURS, escaped, head};

/// Pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 84.0;
const TOP: f64 = 48.0;
const ACROSS: f64 = WIDTH - LEFT - 24.0;
const DOWN: f64 = HEIGHT - TOP - 64.0;
/// Numbers along an axis.
const TICKS: u32 = 5;

/// The picture. The front is joined by the steps that it dominates.
pub fn svg(study: &str, axes: &[Axis], marks: &[Mark]) -> String {
    let mut svg = head(WIDTH, HEIGHT);
    let mut put = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    put(format!("<text x=\"{LEFT}\" y=\"26\" font-size=\"16\">{}</text>", escaped(study)));
    if !marks.is_empty() {
        let across = Span::around(marks.iter().map(|mark| mark.x));
        let down = Span::around(marks.iter().map(|mark| mark.y));
        let place = |mark: &Mark| {
            (LEFT + ACROSS * across.share(mark.x), TOP + DOWN * (1.0 - down.share(mark.y)))
        };
        grid(axes, &across, &down, &mut put);
        let mut front: Vec<&Mark> =
            marks.iter().filter(|m| m.standing == Standing::Front).collect();
        front.sort_by(|a, b| a.x.total_cmp(&b.x));
        // With a third objective the front is no line.
        if axes.len() == 2 && front.len() > 1 {
            let mut path = String::new();
            let rises = axes[0].direction != axes[1].direction;
            for (place, (x, y)) in front.iter().map(|mark| place(mark)).enumerate() {
                path += &match (place, rises) {
                    (0, _) => format!("M{x:.1} {y:.1}"),
                    // Where less is better to the right, a point holds until the next begins.
                    (_, true) => format!("H{x:.1}V{y:.1}"),
                    (_, false) => format!("V{y:.1}H{x:.1}"),
                };
            }
            put(format!("<path d=\"{path}\" stroke=\"{}\" fill=\"none\"/>", COLOURS[0]));
        }
        for mark in marks {
            let (x, y) = place(mark);
            let (radius, fill) = match mark.standing {
                Standing::Front => (5.0, COLOURS[0]),
                Standing::Beaten => (3.5, "#999999"),
                Standing::Infeasible => (3.5, "none"),
            };
            let stroke = match mark.standing {
                Standing::Infeasible => COLOURS[1],
                Standing::Beaten | Standing::Front => "none",
            };
            put(format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\" \
                 stroke=\"{stroke}\"><title>trial {}: {} {}, {} {}</title></circle>",
                mark.number,
                escaped(&axes[0].label),
                number(mark.y),
                escaped(&axes[1].label),
                number(mark.x),
            ));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Lines, numbers and titles of both axes.
fn grid(axes: &[Axis], across: &Span, down: &Span, put: &mut impl FnMut(String)) {
    let (right, bottom) = (LEFT + ACROSS, TOP + DOWN);
    for tick in 0..=TICKS {
        let share = f64::from(tick) / f64::from(TICKS);
        let (x, y) = (LEFT + ACROSS * share, bottom - DOWN * share);
        put(format!(
            "<path d=\"M{LEFT} {y:.1}H{right:.1}M{x:.1} {TOP}V{bottom:.1}\" stroke=\"#dddddd\" \
             fill=\"none\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            number(down.at(share)),
            bottom + 18.0,
            number(across.at(share)),
        ));
    }
    let (middle, low) = (LEFT + ACROSS / 2.0, bottom + 44.0);
    let (across, down) = (axes[1].title(across), axes[0].title(down));
    put(format!(
        "<text x=\"{middle:.1}\" y=\"{low:.1}\" text-anchor=\"middle\">{}</text>\
         <text x=\"{LEFT}\" y=\"{:.1}\">{}</text>",
        escaped(&across),
        TOP - 8.0,
        escaped(&down),
    ));
}

#[cfg(test)]
mod tests {
    use proto::v1::Direction;

    use super::*;

    #[test]
    fn every_result_is_a_dot_and_the_front_a_stair() {
        let axis = |label: &str, direction| Axis {
            name: label.to_owned(),
            label: label.to_owned(),
            direction,
        };
        let axes = [axis("a<b", Direction::Maximize), axis("cost", Direction::Minimize)];
        let mark = |number, y, x, standing| Mark { number, y, x, standing };
        let marks = [
            mark(2, 0.2, 3.0, Standing::Infeasible),
            mark(0, 0.5, 1.0, Standing::Front),
            mark(1, 0.9, 2.0, Standing::Front),
        ];
        let svg = svg("s", &axes, &marks);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("<title>trial 1: a&lt;b 0.9, cost 2</title>"), "{svg}");
        let stair = svg.lines().find(|line| line.contains("stroke=\"#0072b2\" fill")).unwrap();
        // To the right first: the cheaper point holds until the dearer one begins.
        let (h, v) = (stair.find('H').unwrap(), stair.find('V').unwrap());
        assert!(h < v, "{stair}");
    }
}
