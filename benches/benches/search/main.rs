//! How good a search is: regret after 30 to 40 evaluations, on a suite of mixed problems of 2 to 25
//! dimensions (`benches/suite`).
//!
//!     cargo bench -p benches --bench search -- --seeds 10
//!     cargo bench -p benches --bench search -- --seeds 10 --workers 4 --lost 0.1
//!     cargo bench -p benches --bench search -- --coordinator http://127.0.0.1:50051
//!     cargo bench -p benches --bench search -- --seeds 10 --out strop.jsonl
//!     cargo bench -p benches --bench search -- --seeds 10 --out optuna.jsonl \
//!         --program "python3 peers/optuna_peer.py"
//!     cargo bench -p benches --bench search -- --compare strop.jsonl,optuna.jsonl
//!     cargo bench -p benches --bench search -- --seeds 96 --moved --problems hartmann6,rosen_int5
//!
//! On `failing10` the trainings that diverge fail, and have no value.
//!
//! The regret is that of the point whose noisy result was best: 0 at the optimum, 1 at a random point.
//! With `--workers`, simulated workers of unequal speed ask on a simulated clock, so that all but one
//! of them are out at each ask; `--lost` gives that share of the trials back without a result. With
//! `--coordinator` the studies run there, over gRPC; with `--program` another system is asked; without, the
//! tuner is called as a library.
//! Cargo runs it in `benches/`, to which paths are relative. Numbers are in `docs/SEARCH.md`.

mod compare;
mod functions;
mod library;
mod moved;
mod problem;
mod program;
mod run;
mod service;

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};
use benches::median;
use clap::Parser;
use problem::Problem;
use rayon::prelude::*;
use run::{Optimizer, Setting};
use serde::Serialize;
use tuner::Algorithm;

#[derive(Parser)]
struct Arguments {
    /// The suite's folder.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/suite"))]
    suite: PathBuf,
    /// Problems, separated by commas; all without.
    #[arg(long, value_delimiter = ',')]
    problems: Vec<String>,
    /// Seeds, from that of `--from`.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Simulated workers.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Share of the trials that are lost.
    #[arg(long, default_value_t = 0.0)]
    lost: f64,
    /// Move the optimum in every study; only of problems of numbers.
    #[arg(long)]
    moved: bool,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How points are chosen.
    #[arg(long, default_value = "gaussian_process")]
    algorithm: Algorithm,
    /// A coordinator to ask instead of the library.
    #[arg(long)]
    coordinator: Option<String>,
    /// Another system instead, as a command of the shell that speaks as `program.rs` says.
    #[arg(long, conflicts_with_all = ["coordinator", "algorithm"])]
    program: Option<String>,
    /// What it is called in what is written.
    #[arg(long, requires = "program", default_value = "program")]
    label: String,
    /// A file to write each study's results to as well, one JSON object a line.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Runs nothing: compares the first of some files that `--out` wrote with the others.
    #[arg(long, value_delimiter = ',')]
    compare: Vec<PathBuf>,
    /// Studies at once.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one study came to.
struct Score {
    problem: usize,
    /// Regret at the end, and its mean over the evaluations.
    last: f64,
    mean: f64,
    /// Evaluations until a point within 5 % was met; one more than there were if none was.
    near: f64,
    duplicates: usize,
    record: Record,
}

/// A study as `--out` writes it.
#[derive(Serialize)]
struct Record {
    peer: String,
    problem: String,
    mode: &'static str,
    seed: u64,
    workers: usize,
    /// Share of the trials that were lost.
    fail: f64,
    moved: bool,
    n: u32,
    dup: usize,
    /// True value and result of each evaluation, in the order in which they were told.
    evals: Vec<(f64, f64)>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let problems = problems(&arguments)?;
    if !arguments.compare.is_empty() {
        return compare::print(&arguments.compare, &arguments.suite, &problems);
    }
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global()?;
    let seeds = arguments.from..arguments.from + arguments.seeds;
    let studies: Vec<(usize, u64)> =
        (0..problems.len()).flat_map(|p| seeds.clone().map(move |seed| (p, seed))).collect();
    let begun = Instant::now();
    let scores: Vec<Score> = studies
        .par_iter()
        .map(|&(p, seed)| study(&arguments, &problems, p, seed))
        .collect::<Result<_>>()?;
    if let Some(out) = &arguments.out {
        let lines = scores.iter().map(|score| serde_json::to_string(&score.record));
        let lines = lines.collect::<Result<Vec<String>, _>>()?;
        fs::write(out, lines.join("\n") + "\n")
            .with_context(|| format!("write {}", out.display()))?;
    }
    println!(
        "{:16} {:>7} {:>7} {:>8} {:>6} {:>6}",
        "problem", "regret", "mean", "in 5 %", "worst", "again"
    );
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mut regrets, mut means, mut variance) = (Vec::new(), Vec::new(), 0.0);
    for (p, problem) in problems.iter().enumerate() {
        let of = |get: &dyn Fn(&Score) -> f64| -> Vec<f64> {
            scores.iter().filter(|score| score.problem == p).map(get).collect()
        };
        let (last, near) = (of(&|score| score.last), of(&|score| score.near));
        let spread = last.iter().map(|regret| (regret - mean(&last)).powi(2)).sum::<f64>();
        variance += spread / (last.len() as f64 - 1.0).max(1.0) / last.len() as f64;
        regrets.push(mean(&last));
        means.push(mean(&of(&|score| score.mean)));
        println!(
            "{:16} {:>7.4} {:>7.4} {:>8} {:>6} {:>6}",
            problem.name,
            mean(&last),
            means[p],
            median(near.clone()),
            near.iter().copied().fold(0.0, f64::max),
            of(&|score| score.duplicates as f64).iter().sum::<f64>(),
        );
    }
    println!(
        "{:16} {:>7.4} {:>7.4}   ± {:.4}, {:.0} s",
        "mean",
        mean(&regrets),
        mean(&means),
        variance.sqrt() / problems.len() as f64,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn problems(arguments: &Arguments) -> Result<Vec<Problem>> {
    let mut names = arguments.problems.clone();
    if names.is_empty() {
        let folder = &arguments.suite;
        for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
            let name = entry?.file_name();
            names.extend(name.to_string_lossy().strip_suffix(".json").map(str::to_owned));
        }
        names.sort();
    }
    names.iter().map(|name| Problem::read(&arguments.suite, name)).collect()
}

fn study(arguments: &Arguments, problems: &[Problem], p: usize, seed: u64) -> Result<Score> {
    let moved = match arguments.moved {
        true => Some(Problem::read_moved(&arguments.suite, &problems[p].name, seed)?),
        false => None,
    };
    let problem = moved.as_ref().unwrap_or(&problems[p]);
    let setting = Setting { workers: arguments.workers, lost: arguments.lost };
    let budget = setting.budget(problem);
    let algorithm = arguments.algorithm;
    let mut optimizer: Box<dyn Optimizer> = match (&arguments.coordinator, &arguments.program) {
        (Some(url), _) => Box::new(service::Service::new(url, problem, algorithm, budget, seed)?),
        (None, Some(command)) => {
            Box::new(program::Program::new(command, problem, setting.workers, seed)?)
        }
        (None, None) => Box::new(library::Library::new(problem, algorithm, seed)),
    };
    let outcome = run::run(problem, seed, setting, optimizer.as_mut())?;
    let near = outcome.values.iter().position(|&value| problem.regret(value) <= 0.05);
    let regrets = &outcome.regrets;
    Ok(Score {
        problem: p,
        last: *regrets.last().context("a budget of at least one evaluation")?,
        mean: regrets.iter().sum::<f64>() / regrets.len() as f64,
        near: near.unwrap_or(outcome.values.len()) as f64 + 1.0,
        duplicates: outcome.duplicates,
        record: Record {
            peer: match arguments.program {
                Some(_) => arguments.label.clone(),
                None => format!("strop-{algorithm}"),
            },
            problem: problem.name.clone(),
            mode: if arguments.workers == 1 { "seq" } else { "async" },
            seed,
            workers: arguments.workers,
            fail: arguments.lost,
            moved: arguments.moved,
            n: budget,
            dup: outcome.duplicates,
            evals: outcome.values.iter().copied().zip(outcome.seen.iter().copied()).collect(),
        },
    })
}
