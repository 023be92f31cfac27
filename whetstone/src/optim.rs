//! The optimisers that Whetstone networks train with and candle lacks, in the form of Keras 2.
//!
//! The form matters: where epsilon stands decides how long the first steps are, and the same
//! hyperparameters mean another training in another library. Each rule has a file of its own with
//! its formulas; here is what they share. With `t` the number of updates made before,
//!
//! ```text
//! rate(t) = learning_rate / (1 + decay · t) · min(1, (t + 1) / warmup)
//! ```
//!
//! where both decay and warm-up count updates, not epochs.
//!
//! An [`Optimizer`] owns the running averages and changes the variables where they lie: one pass
//! over parameter, averages and gradient, without a new tensor. On a GPU a kernel
//! does the same; elsewhere the formulas are composed of tensor operations.

mod adadelta;
mod adam;
mod candle;
mod in_place;
mod number;
mod rmsprop;
mod sgd;

pub use adadelta::Adadelta;
pub use adam::Adam;
pub use candle::Config;
pub use rmsprop::Rmsprop;
pub use sgd::Sgd;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use recipe::Recipe;

use in_place::Averages;

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Steps scaled by the size of earlier steps.
    Adadelta(Adadelta),
    /// Steps of about one learning rate, whatever the gradient's size.
    Rmsprop(Rmsprop),
    /// Steps of about one learning rate where gradients agree, shorter ones where they do not.
    Adam(Adam),
    /// Steps down the gradient, with momentum.
    Sgd(Sgd),
}

impl Rule {
    /// The rule that a recipe asks for.
    pub fn from_recipe(recipe: &Recipe) -> Rule {
        let Recipe { rho, momentum, optimizer_epsilon: epsilon, .. } = *recipe;
        match recipe.optimizer {
            recipe::Optimizer::Adadelta => Rule::Adadelta(Adadelta { rho, epsilon }),
            recipe::Optimizer::Rmsprop => Rule::Rmsprop(Rmsprop { rho, epsilon }),
            recipe::Optimizer::Adam => Rule::Adam(Adam { beta1: momentum, beta2: rho, epsilon }),
            recipe::Optimizer::Sgd => Rule::Sgd(Sgd { momentum }),
        }
    }

    /// What each running average keeps at an update, in the order of the formulas.
    fn kept(self) -> Vec<f64> {
        match self {
            Rule::Adadelta(Adadelta { rho, .. }) => vec![rho; Adadelta::AVERAGES],
            Rule::Rmsprop(Rmsprop { rho, .. }) => vec![rho; Rmsprop::AVERAGES],
            Rule::Adam(Adam { beta1, beta2, .. }) => vec![beta1, beta2],
            Rule::Sgd(Sgd { momentum }) => vec![momentum],
        }
    }

    /// The rate as the rule applies it in the update that follows so many others.
    fn applied(self, rate: f64, updates: u64) -> f64 {
        match self {
            Rule::Adam(rule) => rule.corrected(rate, updates),
            Rule::Adadelta(_) | Rule::Rmsprop(_) | Rule::Sgd(_) => rate,
        }
    }

    /// Running averages kept for each parameter.
    fn averages(self) -> usize {
        match self {
            Rule::Adadelta(_) => Adadelta::AVERAGES,
            Rule::Rmsprop(_) => Rmsprop::AVERAGES,
            Rule::Adam(_) => Adam::AVERAGES,
            Rule::Sgd(_) => Sgd::AVERAGES,
        }
    }
}

/// The learning rate, and how it rises and falls with the updates made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// The full rate, before decay.
    pub initial: f64,
    /// Decay per update.
    pub decay: f64,
    /// Updates over which the rate rises linearly: the first of them is made with the full rate
    /// divided by their number, the last with the full one. 0 for no warm-up.
    pub warmup: u64,
}

impl LearningRate {
    /// The rate of a recipe whose epochs have so many batches.
    pub fn from_recipe(recipe: &Recipe, batches_per_epoch: usize) -> LearningRate {
        LearningRate {
            initial: recipe.learning_rate,
            decay: recipe.decay,
            warmup: u64::from(recipe.warmup_epochs) * batches_per_epoch as u64,
        }
    }

    /// The rate of the update that follows `updates` others: `initial / (1 + decay · updates)`,
    /// times `(updates + 1) / warmup` until that is one.
    pub fn after(self, updates: u64) -> f64 {
        let decayed = self.initial / (1.0 + self.decay * updates as f64);
        match updates < self.warmup {
            true => decayed * ((updates + 1) as f64 / self.warmup as f64),
            false => decayed,
        }
    }
}

/// Variables, the rule by which they learn, and what the rule remembers of past gradients.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    learning_rate: LearningRate,
    updates: u64,
    learners: Vec<Learner>,
}

/// A variable and its running averages.
#[derive(Debug)]
struct Learner {
    var: Var,
    averages: Averages,
}

impl Optimizer {
    /// An optimiser of these variables by the rule and learning rate of a recipe whose epochs have
    /// so many batches.
    ///
    /// # Errors
    ///
    /// If a variable is neither f32 nor f64, or its device has no memory for the averages.
    pub fn new(vars: Vec<Var>, recipe: &Recipe, batches_per_epoch: usize) -> Result<Optimizer> {
        let learning_rate = LearningRate::from_recipe(recipe, batches_per_epoch);
        Optimizer::with_rule(vars, Rule::from_recipe(recipe), learning_rate)
    }

    /// An optimiser of these variables by a rule and a learning rate.
    ///
    /// # Errors
    ///
    /// If a variable is neither f32 nor f64, or its device has no memory for the averages.
    pub fn with_rule(vars: Vec<Var>, rule: Rule, learning_rate: LearningRate) -> Result<Optimizer> {
        let learners = vars
            .into_iter()
            .map(|var| {
                Averages::zeros(&var, rule.averages()).map(|averages| Learner { var, averages })
            })
            .collect::<Result<_>>()?;
        Ok(Optimizer { rule, learning_rate, updates: 0, learners })
    }

    /// Makes one update of every variable.
    ///
    /// A variable without a gradient in the store rests: it stays where it is, bit by bit, and its
    /// averages decay as by a gradient of zero. So what lies below a hard layer stays there. (In
    /// Keras momentum would push it on for some updates, with nothing to say where to.)
    ///
    /// # Errors
    ///
    /// If a gradient's type, device or shape is not that of its variable.
    pub fn step(&mut self, gradients: &GradStore) -> Result<()> {
        let rate = self.rule.applied(self.learning_rate(), self.updates);
        let kept = self.rule.kept();
        for Learner { var, averages } in &mut self.learners {
            match gradients.get(var) {
                Some(gradient) => averages.step(self.rule, rate, var, gradient)?,
                None => averages.decay(&kept)?,
            }
        }
        self.updates += 1;
        Ok(())
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.after(self.updates)
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// How many running averages each variable has.
    pub fn averages_per_variable(&self) -> usize {
        self.rule.averages()
    }

    /// Goes on after so many updates with these running averages: for each variable those that
    /// [`Optimizer::averages`] gave.
    ///
    /// # Errors
    ///
    /// If an average's number, shape or type is not what the rule keeps of its variable.
    pub fn resume(&mut self, updates: u64, averages: &[Vec<Tensor>]) -> Result<()> {
        let (variables, rows) = (self.learners.len(), averages.len());
        if variables != rows {
            candle_core::bail!("{variables} variables cannot go on with the averages of {rows}")
        }
        for (learner, averages) in self.learners.iter_mut().zip(averages) {
            learner.averages.set(&learner.var, averages, self.rule.averages())?;
        }
        self.updates = updates;
        Ok(())
    }

    /// The running averages of the variable at this index, in the order of the rule's formulas,
    /// each a copy of the variable's shape.
    ///
    /// # Errors
    ///
    /// If the device has no memory for the copies.
    ///
    /// # Panics
    ///
    /// If there is no such variable.
    pub fn averages(&self, index: usize) -> Result<Vec<Tensor>> {
        let Learner { var, averages } = &self.learners[index];
        averages.to_tensors(var)
    }
}
