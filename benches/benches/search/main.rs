//! How good a search is: regret after few evaluations, on a suite of mixed problems.
//!
//!     cargo bench -p benches --bench search -- --suite benches/suite

mod functions;
mod library;
mod problem;
mod run;

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use benches::median;
use clap::Parser;
use problem::Problem;
use run::Setting;
use tuner::Algorithm;

#[derive(Parser)]
struct Arguments {
    /// The suite's folder.
    #[arg(long, default_value = "benches/suite")]
    suite: PathBuf,
    /// Problems, separated by commas; all without.
    #[arg(long, value_delimiter = ',')]
    problems: Vec<String>,
    /// Seeds 0 to this one, exclusive.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Simulated workers.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Share of the trials that are lost.
    #[arg(long, default_value_t = 0.0)]
    lost: f64,
    #[arg(long, default_value = "gaussian_process")]
    algorithm: Algorithm,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut names = arguments.problems.clone();
    if names.is_empty() {
        for entry in std::fs::read_dir(&arguments.suite)? {
            if let Some(name) = entry?.file_name().to_string_lossy().strip_suffix(".json") {
                names.push(name.to_owned());
            }
        }
        names.sort();
    }
    let setting = Setting { workers: arguments.workers, lost: arguments.lost };
    let problems: Vec<Problem> =
        names.iter().map(|name| Problem::read(&arguments.suite, name)).collect::<Result<_>>()?;
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global()?;
    use rayon::prelude::*;
    let jobs: Vec<(usize, u64)> =
        (0..problems.len()).flat_map(|p| (0..arguments.seeds).map(move |seed| (p, seed))).collect();
    let begun = Instant::now();
    let results: Vec<Result<(usize, f64, f64, f64, usize)>> = jobs
        .par_iter()
        .map(|&(p, seed)| {
            let problem = &problems[p];
            let mut optimizer = library::Library::new(problem, arguments.algorithm, seed);
            let outcome = run::run(problem, seed, setting, &mut optimizer)?;
            let last = *outcome.regrets.last().expect("an evaluation");
            let auc = outcome.regrets.iter().sum::<f64>() / outcome.regrets.len() as f64;
            let near = outcome.values.iter().position(|&v| problem.regret(v) <= 0.05);
            let near = near.map_or(outcome.values.len() as f64 + 1.0, |at| at as f64 + 1.0);
            Ok((p, last, auc, near, outcome.duplicates))
        })
        .collect();
    let mut all = vec![(Vec::new(), Vec::new(), Vec::new(), 0); problems.len()];
    for result in results {
        let (p, last, auc, near, duplicates) = result?;
        all[p].0.push(last);
        all[p].1.push(auc);
        all[p].2.push(near);
        all[p].3 += duplicates;
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mut total, mut total_auc, mut variance) = (0.0, 0.0, 0.0);
    for (problem, (last, auc, near, duplicates)) in problems.iter().zip(&all) {
        let m = mean(last);
        let var =
            last.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (last.len() as f64 - 1.0).max(1.0);
        variance += var / last.len() as f64;
        total += m;
        total_auc += mean(auc);
        let worst = near.iter().copied().fold(0.0, f64::max);
        println!(
            "{:16} regret {m:.4} auc {:.3}  within 5% after {:.0} (worst {worst:.0})  dup {duplicates}",
            problem.name,
            mean(auc),
            median(near.clone()),
        );
    }
    let k = problems.len() as f64;
    println!(
        "MEAN regret {:.4} ± {:.4}  auc {:.4}   ({:.1} s)",
        total / k,
        variance.sqrt() / k,
        total_auc / k,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}
