//! A curve drawn in braille: two by four dots a character.

/// The dots of one character, by row and column.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
const EMPTY: u32 = 0x2800;
/// Columns for the numbers beside the curve, and the axis.
const MARGIN: usize = 8;

/// One curve over the epochs.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// One number an epoch; what is not finite leaves a gap.
    pub values: &'a [f64],
    /// The number at the bottom and the one at the top.
    pub range: [f64; 2],
    /// The first and the last epoch.
    pub epochs: [u32; 2],
}

impl Chart<'_> {
    /// Lines of exactly `width` characters: a title, `height` lines of curve, the epochs.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let columns = width.saturating_sub(MARGIN).max(1);
        let [low, high] = self.range;
        let last = self.values.last().copied().filter(|last| last.is_finite());
        let last = last.map_or_else(String::new, |last| format!("ends at {last:.4}"));
        let gap = columns.saturating_sub(self.title.chars().count());
        let mut lines = vec![format!("{:MARGIN$}{}{last:>gap$}", "", self.title)];
        for (row, dots) in self.dots(columns, height).chunks(columns).enumerate() {
            let label = match row {
                0 => label(high),
                row if row + 1 == height => label(low),
                _ => String::new(),
            };
            let tick = if label.is_empty() { '│' } else { '┤' };
            let curve: String = dots.iter().copied().filter_map(char::from_u32).collect();
            lines.push(format!("{label:>6} {tick}{curve}"));
        }
        let [first, last] = self.epochs;
        let (first, last) = (format!("epoch {first}"), last.to_string());
        let gap = columns.saturating_sub(first.len());
        lines.push(format!("{:MARGIN$}{first}{last:>gap$}", ""));
        lines
    }

    /// The characters of the curve, row by row.
    fn dots(&self, columns: usize, height: usize) -> Vec<u32> {
        let (across, down) = (2 * columns, 4 * height);
        let mut cells = vec![EMPTY; columns * height];
        let mut before = None;
        for x in 0..across {
            let y = self
                .at(x, across)
                .map(|share| ((1.0 - share) * (down - 1) as f64).round() as usize);
            if let Some(y) = y {
                // From beside where the last column was, so that the curve does not fall apart.
                let dots = match before {
                    Some(before) if before < y => before + 1..=y,
                    Some(before) if before > y => y..=before - 1,
                    _ => y..=y,
                };
                for y in dots {
                    cells[y / 4 * columns + x / 2] |= DOTS[y % 4][x % 2];
                }
            }
            before = y;
        }
        cells
    }

    /// How high the curve is at a column of dots, from 0 to 1.
    fn at(&self, x: usize, across: usize) -> Option<f64> {
        let end = self.values.len().checked_sub(1)?;
        let at = end as f64 * x as f64 / (across - 1).max(1) as f64;
        let (left, right) = (at.floor() as usize, at.ceil() as usize);
        let share = at - left as f64;
        let value = match share {
            0.0 => self.values[left],
            share => self.values[left] * (1.0 - share) + self.values[right] * share,
        };
        let [low, high] = self.range;
        value
            .is_finite()
            .then(|| ((value - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0))
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

fn label(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if (1e-2..100.0).contains(&size) => format!("{number:.2}"),
        size if (100.0..1e4).contains(&size) => format!("{number:.0}"),
        _ => format!("{number:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64], width: usize, height: usize) -> Vec<String> {
        let epochs = [0, values.len() as u32 - 1];
        Chart { title: "t", values, range: [0.0, 1.0], epochs }.lines(width, height)
    }

    #[test]
    fn a_rising_line_goes_from_the_lower_left_to_the_upper_right() {
        let lines = curve(&[0.0, 1.0], MARGIN + 2, 1);
        assert_eq!(lines[1], "  1.00 ┤⡠⠊");
        let lines = curve(&[1.0, 1.0, 1.0], MARGIN + 2, 2);
        assert_eq!(lines[1..3], ["  1.00 ┤⠉⠉", "     0 ┤⠀⠀"]);
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
        let chart = Chart { title: "t", values: &values, range: [0.0, 1.0], epochs: [0, 1] };
        let charts = [chart.clone(), chart];
        assert_eq!(side_by_side(&charts, 60, 3).lines().count(), 11);
        let wide = side_by_side(&charts, 100, 3);
        assert_eq!(wide.lines().count(), 5);
        assert!(wide.lines().all(|line| line.chars().count() <= 100), "{wide}");
    }
}
