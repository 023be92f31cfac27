//! Dots in braille: two by four a character.

/// The dots of one character, by row and column.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
const EMPTY: u32 = 0x2800;
/// Columns for the numbers beside the dots, and the axis.
pub const MARGIN: usize = 8;

/// A field of dots.
pub struct Dots {
    columns: usize,
    cells: Vec<u32>,
}

impl Dots {
    /// An empty field of so many characters.
    pub fn new(columns: usize, rows: usize) -> Self {
        Self { columns, cells: vec![EMPTY; columns * rows] }
    }

    /// Dots from left to right.
    pub fn across(&self) -> usize {
        2 * self.columns
    }

    /// Dots from top to bottom.
    pub fn down(&self) -> usize {
        4 * self.cells.len() / self.columns
    }

    /// Sets the dot that is `x` from the left and `y` from the top.
    pub fn set(&mut self, x: usize, y: usize) {
        self.cells[y / 4 * self.columns + x / 2] |= DOTS[y % 4][x % 2];
    }

    /// The dot that is nearest to a share of the height, from 0 at the bottom to 1.
    pub fn height(&self, share: f64) -> usize {
        ((1.0 - share.clamp(0.0, 1.0)) * (self.down() - 1) as f64).round() as usize
    }

    /// Lines of characters beside an axis with the numbers of a range at its ends.
    pub fn beside_axis(&self, [low, high]: [f64; 2]) -> Vec<String> {
        let height = self.cells.len() / self.columns;
        let lines = self.cells.chunks(self.columns).enumerate().map(|(row, cells)| {
            let label = match row {
                0 => label(high),
                row if row + 1 == height => label(low),
                _ => String::new(),
            };
            let tick = if label.is_empty() { '│' } else { '┤' };
            let dots: String = cells.iter().copied().filter_map(char::from_u32).collect();
            format!("{label:>6} {tick}{dots}")
        });
        lines.collect()
    }
}

/// A number in at most six characters.
fn label(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if (1e-2..100.0).contains(&size) => format!("{number:.2}"),
        size if (100.0..1e4).contains(&size) => format!("{number:.0}"),
        _ => format!("{number:.0e}"),
    }
}
