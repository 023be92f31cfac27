//! When a training has come to nothing and will not recover.
//!
//! Accuracy at chance is information for a search, so such a training ends early with an outcome
//! that says why. Two signs count, each for [`PATIENCE`] epochs in a row and only while accuracy in
//! training, where norms use the batch's own statistics, is at chance as well: the moving
//! statistics alone may lag behind for an epoch or two.
//!
//! - A hard layer passes on the same for every image. It has no gradient, nor has anything below
//!   it: no later epoch can open it again.
//! - Every layer has begun to sharpen, and both accuracies are at chance. Slow starters are spared:
//!   until then the last layer's gradient is as good as ever.

use super::report::EpochReport;
use serde::{Deserialize, Serialize};

/// Epochs in a row that a sign has to last.
const PATIENCE: u32 = 3;

/// For how many epochs in a row each sign has been seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Collapse {
    at_chance: u32,
    /// For each layer.
    constant: Vec<u32>,
}

impl Collapse {
    pub(super) fn new(layers: usize) -> Self {
        Collapse { at_chance: 0, constant: vec![0; layers] }
    }

    /// Layers that it watches.
    pub(super) fn layers(&self) -> usize {
        self.constant.len()
    }

    /// Takes note of an epoch.
    pub(super) fn note(&mut self, report: &EpochReport, classes: usize) {
        let bound = chance_bound(classes);
        let unlearned = report.train_accuracy <= bound;
        let unmeasured = report.soft_accuracy <= bound && report.binary_accuracy <= bound;
        let begun = report.sharpness.iter().all(|sharpness| *sharpness > 0.0);
        count(&mut self.at_chance, unlearned && unmeasured && begun);
        let layers = report.sharpness.iter().zip(&report.layers);
        for (epochs, (sharpness, layer)) in self.constant.iter_mut().zip(layers) {
            // Shares of whole units: far from one unless every unit counts.
            let constant = layer.dead + layer.saturated > 1.0 - 1e-9;
            count(epochs, unlearned && *sharpness == 1.0 && constant);
        }
    }

    /// Why nothing will come of the training any more, if so. `names` are those of the layers.
    pub(super) fn reason(&self, names: &[&str]) -> Option<String> {
        let constant = self.constant.iter().position(|epochs| *epochs >= PATIENCE);
        if let Some(layer) = constant {
            return Some(format!(
                "the hard layer {} passed on the same for every image, {PATIENCE} epochs in a row",
                names[layer]
            ));
        }
        (self.at_chance >= PATIENCE)
            .then(|| format!("accuracy was at chance while sharpening, {PATIENCE} epochs in a row"))
    }
}

fn count(epochs: &mut u32, seen: bool) {
    *epochs = if seen { epochs.saturating_add(1) } else { 0 };
}

/// An accuracy up to which guessing explains it: half as much again as chance, and with few
/// classes five points more.
fn chance_bound(classes: usize) -> f64 {
    let chance = 1.0 / classes.max(1) as f64;
    chance + (chance / 2.0).min(0.05)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::LayerHealth;

    fn report(accuracies: [f64; 3], sharpness: [f32; 2], dead: [f64; 2]) -> EpochReport {
        let layer = |dead| LayerHealth {
            name: "dense",
            dead,
            saturated: 0.0,
            flips: None,
            gradient_norm: 1.0,
        };
        EpochReport {
            epoch: 0,
            epochs_planned: 9,
            loss: 2.3,
            train_accuracy: accuracies[0],
            soft_accuracy: accuracies[1],
            binary_accuracy: accuracies[2],
            sharpness: sharpness.to_vec(),
            layers: dead.map(layer).to_vec(),
            learning_rate: 1.0,
        }
    }

    fn after(reports: &[EpochReport]) -> Option<String> {
        let mut collapse = Collapse::new(2);
        reports.iter().for_each(|report| collapse.note(report, 10));
        collapse.reason(&["conv1", "dense"])
    }

    #[test]
    fn chance_counts_once_all_layers_sharpen_and_three_times_in_a_row() {
        let lost = report([0.11, 0.1, 0.15], [1.0, 0.1], [0.0, 0.0]);
        let reason = after(&[lost.clone(), lost.clone(), lost.clone()]).unwrap();
        assert!(reason.contains("chance"), "{reason}");
        assert_eq!(after(&[lost.clone(), lost.clone()]), None);
        let better = report([0.11, 0.1, 0.16], [1.0, 0.1], [0.0, 0.0]);
        assert_eq!(after(&[lost.clone(), lost.clone(), better, lost.clone()]), None);
        let learning = report([0.3, 0.1, 0.1], [1.0, 0.1], [0.0, 0.0]);
        assert_eq!(after(&vec![learning; 9]), None, "the moving statistics lag behind");
        let early = report([0.1; 3], [1.0, 0.0], [0.0, 0.0]);
        assert_eq!(after(&vec![early; 9]), None, "a slow start");
    }

    #[test]
    fn a_hard_layer_that_says_nothing_is_the_end() {
        let silent = report([0.1; 3], [1.0, 0.0], [1.0, 0.2]);
        let reason = after(&vec![silent; 3]).unwrap();
        assert!(reason.contains("conv1"), "{reason}");
        let soft = report([0.1; 3], [0.9, 0.0], [1.0, 0.2]);
        assert_eq!(after(&vec![soft; 9]), None, "it may still open");
        let one_left = report([0.1; 3], [1.0, 0.0], [0.999, 0.2]);
        assert_eq!(after(&vec![one_left; 9]), None);
    }

    #[test]
    fn few_classes_leave_room_above_chance() {
        assert!((chance_bound(10) - 0.15).abs() < 1e-12);
        assert!((chance_bound(100) - 0.015).abs() < 1e-12);
        assert!((chance_bound(2) - 0.55).abs() < 1e-12);
    }
}
