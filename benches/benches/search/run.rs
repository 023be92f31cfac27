//! One study on one problem: one evaluation after another, or by simulated workers of unequal speed.

use std::{cmp::Reverse, collections::BinaryHeap};

use anyhow::Result;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use tuner::Point;

use crate::problem::Problem;

/// What is asked where to look next.
pub trait Optimizer {
    /// A point to evaluate, and what to quote when it is told.
    fn ask(&mut self) -> Result<(u64, Point)>;
    /// Its value.
    fn tell(&mut self, token: u64, value: f64) -> Result<()>;
    /// It was lost; no value.
    fn lose(&mut self, token: u64) -> Result<()>;
    /// The training failed; no value, and it will not be tried again.
    fn fail(&mut self, token: u64) -> Result<()>;
}

/// How evaluations are run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Simulated workers; 1: one evaluation after another.
    pub workers: usize,
    /// Share of the trials that are lost.
    pub lost: f64,
}

impl Setting {
    /// Evaluations that a study of the problem has.
    pub fn budget(self, problem: &Problem) -> u32 {
        if self.workers == 1 { problem.budget } else { problem.budget_parallel }
    }
}

/// How many times slower than the first each simulated worker is.
const SLOWNESS: [f64; 8] = [1.0, 1.3, 1.8, 3.0, 1.1, 1.5, 2.2, 4.0];

/// What came of it.
pub struct Outcome {
    /// True values in the order in which they were told; not a number where the training failed.
    pub values: Vec<f64>,
    /// What was measured of each.
    pub seen: Vec<f64>,
    /// Regret of the incumbent, the point of the best noisy value, after each.
    pub regrets: Vec<f64>,
    /// Asked again although asked before.
    pub duplicates: usize,
}

/// Runs a study to the end of the problem's budget.
pub fn run(
    problem: &Problem,
    seed: u64,
    setting: Setting,
    optimizer: &mut dyn Optimizer,
) -> Result<Outcome> {
    let budget = setting.budget(problem);
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut out: BinaryHeap<Reverse<(u64, usize, u32)>> = BinaryHeap::new();
    let mut asked: Vec<(u64, Point)> = Vec::new();
    // Trials that were given back stay within the budget: they are handed out again.
    let mut open = 0;
    let (mut values, mut results, mut regrets) = (Vec::new(), Vec::new(), Vec::new());
    let mut best = f64::NEG_INFINITY;
    let mut regret = 1.0;
    let mut duplicates = 0;
    let mut free: Vec<(u64, usize)> = (0..setting.workers).rev().map(|w| (0, w)).collect();
    loop {
        while let Some((now, worker)) = free.pop() {
            if values.len() as u32 + open >= budget {
                continue;
            }
            let (token, point) = optimizer.ask()?;
            open += 1;
            let again = |(other, at): &(u64, Point)| *other != token && *at == point;
            duplicates += usize::from(asked.iter().any(again));
            let seconds = SLOWNESS[worker % 8] * (0.4 * normal(&mut chance)).exp();
            out.push(Reverse((now + (seconds * 1e6) as u64, worker, asked.len() as u32)));
            asked.push((token, point));
        }
        let Some(Reverse((now, worker, number))) = out.pop() else { break };
        let (token, point) = &asked[number as usize];
        open -= 1;
        let noise = normal(&mut chance);
        if uniform(&mut chance) < setting.lost {
            optimizer.lose(*token)?;
        } else if problem.value(point).0.is_nan() {
            optimizer.fail(*token)?;
            // It took its time, and is no worse than what is known.
            values.push(f64::NAN);
            results.push(f64::NAN);
            regrets.push(regret);
        } else {
            let (value, deviation) = problem.value(point);
            let seen = value + deviation * noise;
            optimizer.tell(*token, seen)?;
            let oriented = if problem.maximize { seen } else { -seen };
            if oriented > best {
                (best, regret) = (oriented, problem.regret(value));
            }
            values.push(value);
            results.push(seen);
            regrets.push(regret);
        }
        free.push((now, worker));
    }
    Ok(Outcome { values, seen: results, regrets, duplicates })
}

/// A draw from [0, 1).
pub fn uniform(chance: &mut ChaCha8Rng) -> f64 {
    (chance.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn normal(chance: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (1.0 - uniform(chance), uniform(chance));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
