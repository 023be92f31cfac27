//! Points drawn in braille, both axes over the same range, with the diagonal on which they would lie if
//! one told the other.

use super::dots::{Dots, MARGIN};

/// Pairs of numbers.
#[derive(Clone, Debug)]
pub struct Scatter<'a> {
    /// What is drawn upwards.
    pub title: &'a str,
    /// What is drawn to the right.
    pub across: &'a str,
    /// Across and up.
    pub points: &'a [[f64; 2]],
    /// The numbers at the ends of both axes.
    pub range: [f64; 2],
}

impl Scatter<'_> {
    /// Lines of at most `width` characters: a title, `height` lines of points, the axis below.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let columns = width.saturating_sub(MARGIN).max(1);
        let mut dots = Dots::new(columns, height);
        let right = (dots.across() - 1) as f64;
        // Every fourth dot, told from a row of points.
        for x in (0..dots.across()).step_by(4) {
            dots.set(x, dots.height(x as f64 / right.max(1.0)));
        }
        let [low, high] = self.range;
        let share = |x: f64| (x - low) / (high - low).max(f64::MIN_POSITIVE);
        for [x, y] in self.points {
            let (x, y) = (share(*x), share(*y));
            if x.is_finite() && y.is_finite() {
                // Two by two dots: one alone is lost on the diagonal.
                let x = ((x.clamp(0.0, 1.0) * right).round() as usize).min(dots.across() - 2);
                let y = dots.height(y).min(dots.down() - 2);
                for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                    dots.set(x, y);
                }
            }
        }
        let mut lines = vec![format!("{:MARGIN$}{}", "", self.title)];
        lines.extend(dots.beside_axis(self.range));
        let (first, last) = (super::number(low), super::number(high));
        let gap = columns.saturating_sub(first.chars().count() + last.chars().count());
        let across = self.across;
        lines.push(format!("{:MARGIN$}{first}{across:^gap$}{last}", ""));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_where_their_numbers_say_over_a_dotted_diagonal() {
        let points = [[0.0, 1.0], [1.0, 0.0]];
        let scatter = Scatter { title: "up", across: "across", points: &points, range: [0.0, 1.0] };
        let lines = scatter.lines(MARGIN + 4, 2);
        assert_eq!(lines[0], "        up");
        assert_eq!(lines[1..3], ["  1.00 ┤⠛⠀⡀⠀", "     0 ┤⡀⠀⠀⣤"]);
        assert_eq!(lines[3], "        0across1");
    }

    #[test]
    fn points_outside_are_drawn_at_the_edge() {
        let points = [[-5.0, 9.0], [f64::NAN, 0.5]];
        let scatter = Scatter { title: "", across: "", points: &points, range: [0.0, 1.0] };
        assert!(scatter.lines(20, 3)[1].contains("┤⠛"));
    }
}
