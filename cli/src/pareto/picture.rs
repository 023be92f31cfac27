//! Results over two objectives, in letters.

use proto::v1::Trial;

use super::axis::{Axis, Span};

/// Columns for the numbers beside the picture.
const LABEL: usize = 10;

/// What is to be said of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It breaks a constraint.
    Infeasible,
    /// Another one beats it.
    Beaten,
    /// It is on the front.
    Front,
}

/// One result over the first two objectives.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The trial's number.
    pub number: u32,
    /// The value: upwards.
    pub y: f64,
    /// The first further objective: to the right.
    pub x: f64,
    /// How it stands.
    pub standing: Standing,
}

/// The results among the trials, those on the front last, so that they are drawn over the others.
pub fn marks(trials: &[Trial], front: &[Trial], axes: &[Axis]) -> Vec<Mark> {
    let [value, further, ..] = axes else { return Vec::new() };
    let mark = |trial: &Trial| {
        let standing = match trial.feasible {
            Some(false) => Standing::Infeasible,
            _ if front.iter().any(|other| other.number == trial.number) => Standing::Front,
            _ => Standing::Beaten,
        };
        let (y, x) = (value.of(trial)?, further.of(trial)?);
        Some(Mark { number: trial.number, y, x, standing })
    };
    let mut marks: Vec<Mark> = trials.iter().filter_map(mark).collect();
    marks.sort_by_key(|mark| mark.standing);
    marks
}

/// The picture: a title, `height` lines, the numbers below, what the letters mean.
pub fn drawn(axes: &[Axis], marks: &[Mark], width: usize, height: usize) -> String {
    let down = Span::around(marks.iter().map(|mark| mark.y));
    let across = Span::around(marks.iter().map(|mark| mark.x));
    let columns = width.saturating_sub(LABEL + 2).max(10);
    let mut cells = vec![vec![' '; columns]; height];
    for mark in marks {
        let place = |share: f64, cells: usize| (share * (cells - 1) as f64).round() as usize;
        let row = height - 1 - place(down.share(mark.y), height);
        cells[row][place(across.share(mark.x), columns)] = match mark.standing {
            Standing::Infeasible => '×',
            Standing::Beaten => '·',
            Standing::Front => '●',
        };
    }
    let mut lines = vec![format!("{:LABEL$}  {}", "", axes[0].title(&down))];
    for (row, cells) in cells.iter().enumerate() {
        let share = 1.0 - row as f64 / (height - 1).max(1) as f64;
        let label = match row {
            _ if row == 0 || row + 1 == height || row == height / 2 => {
                axes[0].number(rounded(down.at(share)))
            }
            _ => String::new(),
        };
        let tick = if label.is_empty() { '│' } else { '┤' };
        let cells: String = cells.iter().collect();
        lines.push(format!("{label:>LABEL$} {tick}{cells}").trim_end().to_owned());
    }
    lines.push(format!("{:LABEL$} └{}", "", "─".repeat(columns)));
    let (low, high) = (across.at(0.0), across.at(1.0));
    let (low, high) = (axes[1].number(rounded(low)), axes[1].number(rounded(high)));
    let gap = columns.saturating_sub(low.chars().count());
    lines.push(format!("{:LABEL$}  {low}{high:>gap$}", ""));
    let title = axes[1].title(&across);
    lines.push(format!("{:LABEL$}  {title:^columns$}", "").trim_end().to_owned());
    let has = |standing| marks.iter().any(|mark| mark.standing == standing);
    let mut key = vec!["● on the front"];
    key.extend(has(Standing::Beaten).then_some("· beaten"));
    key.extend(has(Standing::Infeasible).then_some("× breaks a constraint"));
    lines.push(format!("{:LABEL$}  {}", "", key.join("   ")));
    if axes.len() > 2 {
        lines.push(format!("{:LABEL$}  the first two of {} objectives", "", axes.len()));
    }
    lines.join("\n")
}

/// To three digits: an axis ends at no particular number.
fn rounded(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let power = 10_f64.powi(2 - x.abs().log10().floor() as i32);
    let rounded = (x * power).round() / power;
    if rounded.is_finite() { rounded } else { x }
}

#[cfg(test)]
mod tests {
    use proto::v1::Direction;

    use super::*;

    fn axis(label: &str, direction: Direction) -> Axis {
        Axis { name: label.to_owned(), label: label.to_owned(), direction }
    }

    #[test]
    fn results_lie_where_their_numbers_say_and_the_front_is_on_top() {
        let axes = [axis("value", Direction::Maximize), axis("cost", Direction::Minimize)];
        let mark = |number, y, x, standing| Mark { number, y, x, standing };
        let marks = [
            mark(0, 0.0, 4.0, Standing::Infeasible),
            mark(2, 0.0, 8.0, Standing::Beaten),
            mark(1, 1.0, 8.0, Standing::Front),
            mark(3, 0.0, 0.0, Standing::Front),
            mark(4, 0.0, 0.0, Standing::Front),
        ];
        let picture = drawn(&axes, &marks, LABEL + 2 + 11, 3);
        let lines: Vec<&str> = picture.lines().collect();
        assert_eq!(lines[0], "            value (more is better)");
        assert_eq!(lines[1], "    1.0400 ┤          ●");
        assert_eq!(lines[3], "   -0.0400 ┤●    ×    ·");
        assert!(picture.contains("cost (less is better)"), "{picture}");
        assert!(
            lines.last().unwrap().ends_with("● on the front   · beaten   × breaks a constraint")
        );
    }

    #[test]
    fn the_ends_of_an_axis_have_three_digits() {
        assert_eq!([1234.6, -0.012345, 0.0, 9.999].map(rounded), [1230.0, -0.0123, 0.0, 10.0]);
    }
}
