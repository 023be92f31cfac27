//! Updates of variables against the optimisers on the CPU.

use crate::numbers::{assert_near, draws, flat, normal};
use crate::processor::Processor;
use candle_core::{Device, Result, Tensor, Var};
use std::cell::Cell;
use whetstone::ops::cuda::machine::Buffer;
use whetstone::ops::cuda::rules::{Update, adadelta, adam, decay, rmsprop, sgd};
use whetstone::optim::{Adadelta, Adam, LearningRate, Optimizer, Rmsprop, Rule, Sgd};

/// A few steps of single `f32` roundings.
const TOLERANCE: f32 = 1e-6;

/// Ten updates by a rule on both sides, with gradients of all sizes, and none in every fourth.
fn compare(rule: Rule, kept: &[f64], step: impl Fn(&Processor, Update, f64) -> Result<()>) {
    let (len, mut draws) = (1001, draws(6));
    let start = normal(&mut draws, len);
    let var = Var::from_slice(&start, len, &Device::Cpu).unwrap();
    let learning_rate = LearningRate { initial: 0.05, decay: 0.01, warmup: 0 };
    let mut optimizer = Optimizer::with_rule(vec![var.clone()], rule, learning_rate).unwrap();

    let m = Processor::new(3);
    let mut p = Buffer::of(&m, &start).unwrap();
    let mut averages = Buffer::of(&m, &vec![0f32; kept.len() * len]).unwrap();
    for update in 0..10 {
        let rate = optimizer.learning_rate();
        let unrelated = Var::ones(1, candle_core::DType::F32, &Device::Cpu).unwrap();
        if update % 4 == 3 {
            optimizer.step(&unrelated.sum_all().unwrap().backward().unwrap()).unwrap();
            for (number, kept) in kept.iter().enumerate() {
                decay(&m, averages.write().part(number * len, len), *kept).unwrap();
            }
        } else {
            let mut g = normal(&mut draws, len);
            for (i, g) in g.iter_mut().enumerate() {
                *g *= [1.0, 1e-3, 1e-25, 0.0][i % 4];
            }
            let slope = Tensor::from_slice(&g, len, &Device::Cpu).unwrap();
            let gradients = var.mul(&slope).unwrap().sum_all().unwrap().backward().unwrap();
            optimizer.step(&gradients).unwrap();
            let g = Buffer::of(&m, &g).unwrap();
            let update = Update { p: p.write(), averages: averages.write(), g: g.read() };
            step(&m, update, rate).unwrap();
        }
    }
    assert_near(&p.to_vec(&m).unwrap(), &flat(&var), TOLERANCE, &format!("{rule:?}"));
    let expected: Vec<f32> = optimizer.averages(0).unwrap().iter().flat_map(flat).collect();
    assert_near(
        &averages.to_vec(&m).unwrap(),
        &expected,
        TOLERANCE,
        &format!("averages of {rule:?}"),
    );
}

#[test]
fn adadelta_agrees_with_the_cpu() {
    let (rho, epsilon) = (0.9, 1e-6);
    compare(Rule::Adadelta(Adadelta { rho, epsilon }), &[rho, rho], |m, update, rate| {
        adadelta(m, update, [rho, epsilon, rate])
    });
}

#[test]
fn rmsprop_agrees_with_the_cpu() {
    let (rho, epsilon) = (0.95, 1e-8);
    compare(Rule::Rmsprop(Rmsprop { rho, epsilon }), &[rho], |m, update, rate| {
        rmsprop(m, update, [rho, epsilon, rate])
    });
}

#[test]
fn adam_agrees_with_the_cpu() {
    let (beta1, beta2, epsilon) = (0.9f64, 0.99f64, 1e-7);
    let updates = Cell::new(0);
    compare(Rule::Adam(Adam { beta1, beta2, epsilon }), &[beta1, beta2], |m, update, rate| {
        // The updates without a gradient, every fourth, count too.
        let t = updates.get() + 1;
        updates.set(if t % 4 == 3 { t + 1 } else { t });
        let corrected = rate * (1.0 - beta2.powi(t)).sqrt() / (1.0 - beta1.powi(t));
        adam(m, update, [beta1, beta2, epsilon, corrected])
    });
}

#[test]
fn gradient_descent_agrees_with_the_cpu() {
    let momentum = 0.9;
    compare(Rule::Sgd(Sgd { momentum }), &[momentum], |m, update, rate| {
        sgd(m, update, [momentum, rate])
    });
}
