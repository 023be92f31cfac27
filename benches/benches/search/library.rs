//! The tuner called as a library: what the coordinator does, without a coordinator.

use std::collections::BTreeMap;

use anyhow::Result;
use tuner::{
    Algorithm, History, Observation, Options, Point, Posterior, Space, UnitPoint, suggest,
};

use crate::{problem::Problem, run::Optimizer};

pub struct Library {
    space: Space,
    options: Options,
    maximize: bool,
    seed: u64,
    next: u32,
    observed: Vec<Observation>,
    open: BTreeMap<u64, UnitPoint>,
    lost: Vec<u64>,
    posterior: Option<Posterior>,
}

impl Library {
    pub fn new(problem: &Problem, algorithm: Algorithm, seed: u64) -> Library {
        Library {
            space: problem.space.clone(),
            options: Options { algorithm, ..Options::default() },
            maximize: problem.maximize,
            seed,
            next: 0,
            observed: Vec::new(),
            open: BTreeMap::new(),
            lost: Vec::new(),
            posterior: None,
        }
    }
}

impl Optimizer for Library {
    fn ask(&mut self) -> Result<(u64, Point)> {
        // A lost trial is tried again, as a lapsed lease is.
        if let Some(token) = self.lost.pop() {
            return Ok((token, self.space.decode(&self.open[&token])));
        }
        if self.options.algorithm == Algorithm::GaussianProcess
            && self.posterior.is_none()
            && self.observed.len() > 2
        {
            self.posterior = Posterior::fit(&self.space, &self.observed, &[], self.seed).ok();
        }
        let history = History {
            observed: self.observed.clone(),
            pending: self.open.values().cloned().collect(),
            ..History::default()
        };
        let chosen = suggest(
            &self.space,
            &self.options,
            &history,
            self.posterior.as_ref(),
            self.seed,
            self.next,
        )?;
        let token = u64::from(self.next);
        self.next += 1;
        self.open.insert(token, chosen.point.clone());
        Ok((token, self.space.decode(&chosen.point)))
    }

    fn tell(&mut self, token: u64, value: f64) -> Result<()> {
        let point = self.open.remove(&token).expect("asked before it is told");
        let value = if self.maximize { value } else { -value };
        self.observed.push(Observation { point, value });
        self.posterior = None;
        Ok(())
    }

    fn lose(&mut self, token: u64) -> Result<()> {
        self.lost.push(token);
        Ok(())
    }
}
