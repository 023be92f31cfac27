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
    failed: Vec<UnitPoint>,
    posterior: Option<Posterior>,
    before: Option<Posterior>,
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
            failed: Vec::new(),
            posterior: None,
            before: None,
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
            let before = self.before.as_ref();
            self.posterior =
                Posterior::fit_after(before, &self.space, &self.observed, &self.failed, self.seed)
                    .ok();
        }
        let history = History {
            observed: self.observed.clone(),
            pending: self.open.values().cloned().collect(),
            failed: self.failed.clone(),
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
        self.before = self.posterior.take().or(self.before.take());
        Ok(())
    }

    fn fail(&mut self, token: u64) -> Result<()> {
        self.failed.push(self.open.remove(&token).expect("asked before it fails"));
        self.before = self.posterior.take().or(self.before.take());
        Ok(())
    }

    fn lose(&mut self, token: u64) -> Result<()> {
        self.lost.push(token);
        Ok(())
    }
}
