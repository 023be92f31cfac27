//! [`History`]: every number of every epoch, in memory and as CSV.

use std::fmt::Write as _;

use whetstone::health::LayerHealth;
use whetstone::train::EpochReport;

/// Before the name of a layer: how sharp it is.
pub const SHARPNESS: &str = "sharpness_";
/// The epoch, from 0.
pub const EPOCH: &str = "epoch";
/// How long the epoch took.
pub const SECONDS: &str = "seconds";

/// The numbers of a training, one row an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    names: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

impl History {
    /// Takes down an epoch that took so many seconds.
    pub fn push(&mut self, report: &EpochReport, seconds: f64) {
        let (names, row): (Vec<_>, Vec<_>) = numbers(report, seconds).into_iter().unzip();
        // Rows of another network have no place beside this one.
        if self.names != names {
            *self = History { names, rows: Vec::new() };
        }
        self.rows.push(row);
    }

    /// The names of the layers, input to output.
    pub fn layers(&self) -> Vec<&str> {
        self.names.iter().filter_map(|name| name.strip_prefix(SHARPNESS)).collect()
    }

    /// One number of each epoch; not a number where there is none.
    pub fn column(&self, name: &str) -> Vec<f64> {
        let Some(column) = self.names.iter().position(|known| known == name) else {
            return vec![f64::NAN; self.rows.len()];
        };
        self.rows.iter().map(|row| row[column].unwrap_or(f64::NAN)).collect()
    }

    /// The mean sharpness over all layers after each epoch.
    pub fn mean_sharpness(&self) -> Vec<f64> {
        let layers = self.layers();
        let columns = layers.iter().map(|layer| self.column(&format!("{SHARPNESS}{layer}")));
        let columns: Vec<Vec<f64>> = columns.collect();
        (0..self.rows.len())
            .map(|row| columns.iter().map(|column| column[row]).sum::<f64>() / layers.len() as f64)
            .collect()
    }

    /// A line of names, then a line of numbers for each epoch; nothing where there is no number.
    /// Numbers read back as they were, to the last bit.
    pub fn to_csv(&self) -> String {
        let mut text = self.names.join(",");
        for row in &self.rows {
            text.push('\n');
            for (column, number) in row.iter().enumerate() {
                let comma = if column == 0 { "" } else { "," };
                let number = number.map_or_else(String::new, |number| number.to_string());
                write!(text, "{comma}{number}").expect("strings take everything");
            }
        }
        text.push('\n');
        text
    }

    /// Reads the first so many epochs back; `None` if they are not all there.
    pub fn from_csv(text: &str, epochs: usize) -> Option<History> {
        let mut lines = text.lines();
        let names: Vec<String> = lines.next()?.split(',').map(str::to_owned).collect();
        let number = |cell: &str| match cell {
            "" => Ok(None),
            cell => cell.parse().map(Some),
        };
        let mut rows = Vec::new();
        for (epoch, line) in lines.take(epochs).enumerate() {
            let row: Result<Vec<Option<f64>>, _> = line.split(',').map(number).collect();
            let row = row.ok().filter(|row| row.len() == names.len())?;
            if row[0] != Some(epoch as f64) {
                return None;
            }
            rows.push(row);
        }
        (names[0] == EPOCH && rows.len() == epochs).then_some(History { names, rows })
    }
}

/// Every number of an epoch under its name.
fn numbers(report: &EpochReport, seconds: f64) -> Vec<(String, Option<f64>)> {
    let mut numbers: Vec<(String, Option<f64>)> = [
        (EPOCH, f64::from(report.epoch)),
        ("loss", report.loss),
        ("train_accuracy", report.train_accuracy),
        ("soft_accuracy", report.soft_accuracy),
        ("binary_accuracy", report.binary_accuracy),
        ("learning_rate", report.learning_rate),
    ]
    .map(|(name, number)| (name.to_owned(), Some(number)))
    .into();
    let sharpness = report.layers.iter().zip(&report.sharpness).map(|(layer, sharpness)| {
        (format!("{SHARPNESS}{}", layer.name), Some(f64::from(*sharpness)))
    });
    numbers.extend(sharpness);
    for layer in &report.layers {
        // With a place for the flips that the first epoch does not have.
        let flips = Some(layer.flips.unwrap_or(f64::NAN));
        let full = LayerHealth { flips, ..layer.clone() };
        let metrics = full.metrics().into_iter();
        numbers.extend(metrics.map(|(name, x)| (name, (!x.is_nan()).then_some(x))));
    }
    numbers.push((SECONDS.to_owned(), Some(seconds)));
    numbers
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A history of two layers.
    pub fn of(epochs: u32) -> History {
        let mut history = History::default();
        for epoch in 0..epochs {
            let layer = |name| LayerHealth {
                name,
                dead: 0.1,
                saturated: 1.0 / 3.0,
                flips: (epoch > 0).then_some(0.25),
                gradient_norm: 1e-9 / f64::from(epoch + 3),
            };
            let done = f64::from(epoch) / f64::from(epochs.max(2) - 1);
            let report = EpochReport {
                epoch,
                epochs_planned: epochs,
                loss: 2.0 / f64::from(epoch + 1),
                train_accuracy: done,
                soft_accuracy: 0.9 * done,
                binary_accuracy: 0.8 * done,
                sharpness: vec![done as f32, 0.0],
                layers: vec![layer("conv1"), layer("output")],
                learning_rate: 0.1,
            };
            history.push(&report, 0.5);
        }
        history
    }

    #[test]
    fn csv_reads_back_to_the_last_bit_and_no_further_than_asked() {
        let history = of(5);
        let text = history.to_csv();
        assert_eq!(text.lines().count(), 6);
        let commas = |line: &str| line.matches(',').count();
        assert!(text.lines().all(|line| commas(line) == 16), "{text}");
        assert!(text.starts_with("epoch,loss,train_accuracy,soft_accuracy,binary_accuracy,"));
        assert!(text.lines().next().unwrap().ends_with("gradient_norm_output,seconds"), "{text}");
        assert_eq!(History::from_csv(&text, 5).unwrap(), history);
        assert_eq!(History::from_csv(&text, 3).unwrap().to_csv(), of(5).first(3).to_csv());
    }

    #[test]
    fn a_file_that_does_not_tell_every_epoch_is_of_no_use() {
        let text = of(3).to_csv();
        assert_eq!(History::from_csv(&text, 4), None);
        assert_eq!(History::from_csv("", 0), None);
        assert_eq!(History::from_csv(&text[..text.len() - 40], 3), None);
        assert_eq!(History::from_csv(&text.replacen("\n1,", "\n7,", 1), 3), None);
    }

    #[test]
    fn columns_have_a_number_for_every_epoch() {
        let history = of(3);
        assert_eq!(history.layers(), ["conv1", "output"]);
        assert_eq!(history.mean_sharpness(), [0.0, 0.25, 0.5]);
        let flips = history.column("flips_conv1");
        assert!(flips[0].is_nan() && flips[1] == 0.25);
        assert!(history.column("nothing").iter().all(|number| number.is_nan()));
    }

    impl History {
        fn first(&self, epochs: usize) -> History {
            History { names: self.names.clone(), rows: self.rows[..epochs].to_vec() }
        }
    }
}
