//! A curve drawn in braille.

use super::dots::{Dots, MARGIN};

/// One curve over evenly spaced places.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// Said at the right of the title.
    pub note: String,
    /// One number a place; what is not finite leaves a gap.
    pub values: &'a [f64],
    /// How far the curve may be off at each place, drawn as dotted lines; empty: not said.
    pub deviations: &'a [f64],
    /// The number at the bottom and the one at the top.
    pub range: [f64; 2],
    /// The first place and the last.
    pub ends: [String; 2],
}

impl Chart<'_> {
    /// Lines of exactly `width` characters: a title, `height` lines of curve, the ends.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let columns = width.saturating_sub(MARGIN).max(1);
        let gap = columns.saturating_sub(self.title.chars().count());
        let mut lines = vec![format!("{:MARGIN$}{}{:>gap$}", "", self.title, self.note)];
        lines.extend(self.dots(columns, height).beside_axis(self.range));
        let [first, last] = &self.ends;
        let gap = columns.saturating_sub(first.chars().count());
        lines.push(format!("{:MARGIN$}{first}{last:>gap$}", ""));
        lines
    }

    fn dots(&self, columns: usize, height: usize) -> Dots {
        let mut dots = Dots::new(columns, height);
        if !self.deviations.is_empty() {
            for sign in [-1.0, 1.0] {
                let edge = self.values.iter().zip(self.deviations).map(|(v, d)| v + sign * d);
                let edge: Vec<f64> = edge.collect();
                // Every third dot, told from the curve.
                for x in (0..dots.across()).step_by(3) {
                    let share = self.at(&edge, x, dots.across());
                    if let Some(share) = share.filter(|share| (0.0..=1.0).contains(share)) {
                        dots.set(x, dots.height(share));
                    }
                }
            }
        }
        let mut before = None;
        for x in 0..dots.across() {
            let y = self.at(self.values, x, dots.across()).map(|share| dots.height(share));
            if let Some(y) = y {
                // From beside where the last column was, so that the curve does not fall apart.
                let reached = match before {
                    Some(before) if before < y => before + 1..=y,
                    Some(before) if before > y => y..=before - 1,
                    _ => y..=y,
                };
                reached.for_each(|y| dots.set(x, y));
            }
            before = y;
        }
        dots
    }

    /// How high some values are at a column of dots: from 0 to 1 within the range.
    fn at(&self, values: &[f64], x: usize, across: usize) -> Option<f64> {
        let end = values.len().checked_sub(1)?;
        let at = end as f64 * x as f64 / (across - 1).max(1) as f64;
        let (left, right) = (at.floor() as usize, at.ceil() as usize);
        let share = at - left as f64;
        let value = match share {
            0.0 => values[left],
            share => values[left] * (1.0 - share) + values[right] * share,
        };
        let [low, high] = self.range;
        value.is_finite().then(|| (value - low) / (high - low).max(f64::MIN_POSITIVE))
    }
}

/// Charts side by side as `width` allows, at most two in a row.
pub fn side_by_side(charts: &[Chart<'_>], width: usize, height: usize) -> String {
    /// Below this a curve says too little. Taste.
    const WIDTH_MIN: usize = 36;
    /// And beyond this it says no more.
    const WIDTH_MAX: usize = 58;
    const GAP: usize = 2;
    let at_once = if width >= 2 * WIDTH_MIN + GAP { 2 } else { 1 };
    let width = ((width + GAP) / at_once - GAP).min(WIDTH_MAX);
    let rows = charts.chunks(at_once).map(|row| {
        let drawn: Vec<Vec<String>> = row.iter().map(|chart| chart.lines(width, height)).collect();
        let lines = (0..height + 2).map(|line| {
            let parts: Vec<&str> = drawn.iter().map(|lines| lines[line].as_str()).collect();
            parts.join(&" ".repeat(GAP)).trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    rows.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart<'a>(values: &'a [f64], deviations: &'a [f64]) -> Chart<'a> {
        let ends = ["0".to_owned(), "1".to_owned()];
        Chart { title: "t", note: String::new(), values, deviations, range: [0.0, 1.0], ends }
    }

    fn curve(values: &[f64], width: usize, height: usize) -> Vec<String> {
        chart(values, &[]).lines(width, height)
    }

    #[test]
    fn a_rising_line_goes_from_the_lower_left_to_the_upper_right() {
        let lines = curve(&[0.0, 1.0], MARGIN + 2, 1);
        assert_eq!(lines[1], "  1.00 ┤⡠⠊");
        let lines = curve(&[1.0, 1.0, 1.0], MARGIN + 2, 2);
        assert_eq!(lines[1..3], ["  1.00 ┤⠉⠉", "     0 ┤⠀⠀"]);
    }

    #[test]
    fn deviations_are_dotted_on_both_sides() {
        let lines = chart(&[0.5; 2], &[0.5; 2]).lines(MARGIN + 3, 2);
        assert_eq!(lines[1..3], ["  1.00 ┤⠁⠈⠀", "     0 ┤⡉⢉⠉"]);
        // Beyond the range nothing is drawn.
        let lines = chart(&[0.5; 2], &[0.7; 2]).lines(MARGIN + 3, 2);
        assert_eq!(lines[1..3], ["  1.00 ┤⠀⠀⠀", "     0 ┤⠉⠉⠉"]);
    }

    #[test]
    fn every_line_is_as_wide_as_asked() {
        for values in [&[0.5][..], &[0.1, f64::NAN, 0.9, 3.0], &[0.25; 200]] {
            for line in curve(values, 40, 4) {
                assert_eq!(line.chars().count(), 40, "{line}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_leaves_a_gap() {
        let lines = curve(&[f64::NAN; 3], MARGIN + 3, 1);
        assert_eq!(lines[1], "  1.00 ┤⠀⠀⠀");
    }

    #[test]
    fn a_narrow_terminal_has_one_chart_a_row() {
        let values = [0.0, 1.0];
        let charts = [chart(&values, &[]), chart(&values, &[])];
        assert_eq!(side_by_side(&charts, 60, 3).lines().count(), 11);
        let wide = side_by_side(&charts, 100, 3);
        assert_eq!(wide.lines().count(), 5);
        assert!(wide.lines().all(|line| line.chars().count() <= 100), "{wide}");
    }
}
