//! Studies that were written to files, side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::Deserialize;

use crate::problem::Problem;

/// Draws of the bootstrap.
const DRAWS: usize = 10_000;

/// What is read of a study.
#[derive(Deserialize)]
struct Study {
    problem: String,
    seed: u64,
    workers: usize,
    /// Share of the trials that were lost.
    fail: f64,
    /// Whether the optimum was moved.
    #[serde(default)]
    moved: bool,
    /// True value and result; neither where the training failed.
    evals: Vec<(Option<f64>, Option<f64>)>,
}

/// Regret at the end by problem and seed.
type Regrets = BTreeMap<String, BTreeMap<u64, f64>>;

/// Workers, the share of the trials that were lost, and whether the optimum was moved.
type Run = (usize, f64, bool);

/// Prints regrets by problem, the mean rank, and how each file compares with the first, over the problems and
/// seeds that all have.
///
/// The intervals are of 95 %, from a bootstrap that draws seeds within each problem and takes the same ones
/// of both.
pub fn print(files: &[PathBuf], suite: &Path, problems: &[Problem]) -> Result<()> {
    let mut run = None;
    let all: Vec<Regrets> =
        files.iter().map(|file| read(file, suite, problems, &mut run)).collect::<Result<_>>()?;
    let shared = shared(&all);
    ensure!(!shared.is_empty(), "the files have no study of the same problem and seed");
    let names: Vec<String> = files
        .iter()
        .map(|file| file.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    println!("| problem | seeds | {} |", names.join(" | "));
    println!("|---|--:|{}", "--:|".repeat(files.len()));
    let mut ranks = vec![0.0; files.len()];
    let mut means = vec![0.0; files.len()];
    for (problem, seeds) in &shared {
        let row: Vec<f64> =
            all.iter().map(|of| mean(seeds.iter().map(|seed| of[problem][seed]))).collect();
        for (place, regret) in row.iter().enumerate() {
            means[place] += regret / shared.len() as f64;
            let better = row.iter().filter(|other| *other < regret).count() as f64;
            let alike = row.iter().filter(|other| *other == regret).count() as f64;
            ranks[place] += (better + (alike + 1.0) / 2.0) / shared.len() as f64;
        }
        println!("| `{problem}` | {} | {} |", seeds.len(), cells(&row, 3));
    }
    println!("| mean | | {} |", cells(&means, 3));
    println!("| mean rank | | {} |", cells(&ranks, 2));
    println!();
    for (name, other) in names.iter().zip(&all).skip(1) {
        let (ratio, low, high) = ratio(&all[0], other, &shared);
        println!("{} / {name}: {ratio:.2} [{low:.2}, {high:.2}]", names[0]);
    }
    Ok(())
}

/// Studies that were not run as those that were read before are refused: nothing can be told by them.
fn read(file: &Path, suite: &Path, problems: &[Problem], run: &mut Option<Run>) -> Result<Regrets> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let mut regrets = Regrets::new();
    for line in text.lines() {
        let study: Study =
            serde_json::from_str(line).with_context(|| format!("understand {}", file.display()))?;
        let Some(problem) = problems.iter().find(|problem| problem.name == study.problem) else {
            continue;
        };
        let its = (study.workers, study.fail, study.moved);
        ensure!(
            *run.get_or_insert(its) == its,
            "a study in {} had another --workers, --lost or --moved than those before it",
            file.display()
        );
        let moved = match study.moved {
            true => Some(Problem::read_moved(suite, &study.problem, study.seed)?),
            false => None,
        };
        let problem = moved.as_ref().unwrap_or(problem);
        let sign = if problem.maximize { 1.0 } else { -1.0 };
        let measured = study.evals.iter().filter_map(|&(value, seen)| Some((value?, seen?)));
        let best =
            measured.reduce(|best, next| if sign * next.1 > sign * best.1 { next } else { best });
        let regret = best.map_or(1.0, |(value, _)| problem.regret(value));
        let twice = regrets.entry(study.problem).or_default().insert(study.seed, regret);
        ensure!(
            twice.is_none(),
            "{} has seed {} of {} twice",
            file.display(),
            study.seed,
            problem.name
        );
    }
    Ok(regrets)
}

/// The seeds that all have, by problem.
fn shared(all: &[Regrets]) -> BTreeMap<String, Vec<u64>> {
    let mut shared = BTreeMap::new();
    for (problem, studies) in &all[0] {
        let in_all = |seed: &&u64| {
            all.iter().all(|of| of.get(problem).is_some_and(|studies| studies.contains_key(seed)))
        };
        let seeds: BTreeSet<u64> = studies.keys().filter(in_all).copied().collect();
        if !seeds.is_empty() {
            shared.insert(problem.clone(), seeds.into_iter().collect());
        }
    }
    shared
}

/// Mean regret of the one over that of the other, and where it lies.
fn ratio(ours: &Regrets, theirs: &Regrets, shared: &BTreeMap<String, Vec<u64>>) -> (f64, f64, f64) {
    let mut chance = ChaCha8Rng::seed_from_u64(0);
    let of = |drawn: &mut dyn FnMut(&[u64], usize) -> u64| {
        let (mut one, mut other) = (0.0, 0.0);
        for (problem, seeds) in shared {
            for place in 0..seeds.len() {
                let seed = drawn(seeds, place);
                one += ours[problem][&seed] / seeds.len() as f64;
                other += theirs[problem][&seed] / seeds.len() as f64;
            }
        }
        one / other
    };
    let found = of(&mut |seeds, place| seeds[place]);
    let mut draws: Vec<f64> = (0..DRAWS)
        .map(|_| of(&mut |seeds, _| seeds[(chance.next_u64() % seeds.len() as u64) as usize]))
        .collect();
    draws.sort_by(f64::total_cmp);
    let at = |share: f64| draws[(share * (DRAWS - 1) as f64).round() as usize];
    (found, at(0.025), at(0.975))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn cells(row: &[f64], digits: usize) -> String {
    let cells: Vec<String> = row.iter().map(|number| format!("{number:.digits$}")).collect();
    cells.join(" | ")
}
