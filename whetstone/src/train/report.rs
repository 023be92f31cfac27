//! What a training tells: after every epoch, and at its end.

use crate::evaluate::Accuracy;
use crate::health::LayerHealth;

/// One epoch, told at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Which epoch this was, from 0.
    pub epoch: u32,
    /// The most epochs this training will take.
    pub epochs_planned: u32,
    /// Mean cross-entropy over the epoch's images, in nats, as seen in training: with noise, and
    /// with the weights of the time.
    pub loss: f64,
    /// Share of the epoch's images decoded as their label, seen likewise, in [0, 1].
    pub train_accuracy: f64,
    /// Share of the measured images (the validation part, or else the test part) decoded as their
    /// label with the sharpness below, in [0, 1].
    pub soft_accuracy: f64,
    /// The same with every activation a threshold.
    pub binary_accuracy: f64,
    /// Sharpness of each layer after the epoch, input to output, 0 (soft) to 1 (threshold).
    pub sharpness: Vec<f32>,
    /// How each layer is doing, input to output.
    pub layers: Vec<LayerHealth>,
    /// The learning rate of the next update, after decay and warm-up.
    pub learning_rate: f64,
}

/// What came of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Accuracy on the measured images (the validation part, or else the test part) with the
    /// sharpness at the end, in [0, 1].
    pub soft_accuracy: f64,
    /// The same with every activation a threshold.
    pub binary_accuracy: f64,
    /// Both accuracies on the test part at the end, if that was asked for.
    pub test: Option<Accuracy>,
    /// Whether every layer had become a threshold, so that the two are the same.
    pub sharpening_finished: bool,
    /// Why training ended before its time, as a sentence, if there was nothing left to hope for:
    /// accuracy stayed at chance while sharpening, or a hard layer no longer told images apart.
    pub collapsed: Option<String>,
    /// Epochs that were trained.
    pub epochs: u32,
    /// Trainable numbers of the network; see [`Plan::parameters`](crate::network::Plan::parameters).
    pub parameters: usize,
    /// Multiply-adds for one image, forward.
    pub multiply_adds: usize,
}
