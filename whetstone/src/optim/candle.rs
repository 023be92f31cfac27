//! The optimisers behind candle's own trait: any training loop written against
//! [`candle_nn::Optimizer`] takes them, this crate's among them.

use candle_core::backprop::GradStore;
use candle_core::{Result, Var};

use super::{LearningRate, Optimizer, Rule};

/// What makes an optimiser, apart from its variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// How a gradient becomes a step.
    pub rule: Rule,
    /// The learning rate, and how it rises and falls.
    pub learning_rate: LearningRate,
}

impl candle_nn::Optimizer for Optimizer {
    type Config = Config;

    fn new(vars: Vec<Var>, config: Config) -> Result<Self> {
        Optimizer::with_rule(vars, config.rule, config.learning_rate)
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        Optimizer::step(self, gradients)
    }

    /// The learning rate of the next update, decay and warm-up included.
    fn learning_rate(&self) -> f64 {
        Optimizer::learning_rate(self)
    }

    /// Sets what the learning rate decays from; the updates made so far still count.
    fn set_learning_rate(&mut self, rate: f64) {
        self.learning_rate.initial = rate;
    }
}
