//! What an asker waits for when no posterior is at hand: a cold fit and one suggestion, in a space like
//! the paper's second case study (22 parameters, all with a few options).
//!
//!     cargo bench -p benches --bench suggest
//!
//! 2026-11-26, AMD EPYC with AVX-512, 2 cores, medians, one thread. `append` is what a keeper does that
//! has the posterior of one result fewer; between two lessons (decision 0013) it need not learn.
//!
//! |   n | fit ms | append ms | suggest ms |
//! |----:|-------:|----------:|-----------:|
//! |  20 |    0.6 |       0.6 |        4.2 |
//! |  99 |   21.2 |       0.2 |       12.1 |
//! | 299 |  320.5 |       1.8 |       41.4 |
//! | 999 |  181.6 |      24.4 |      284.0 |
//!
//! Before the second climb of a fit began with much noise (decision 0023) a fit took 14.5 ms at 99 and 199.4 at 299.
//!
//! Main effects (decision 0022) cost nothing that is seen here: on another machine, half as fast, medians of five runs in
//! turn, 9.3, 27.5, 96 and 548 ms before and 10.0, 21.5, 95 and 583 after; 11.1, 29.9, 100 and 717 if all are categories.

use benches::median_seconds;
use tuner::{
    Algorithm, Domain, History, Observation, Options, Parameter, Space, gp::Posterior, suggest,
};

/// Options of the 22 parameters of the paper's second case study, in its order.
const OPTIONS: [usize; 22] = [5, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4, 5, 3, 2, 2, 3, 3, 2, 3];

fn main() {
    let parameters = OPTIONS
        .iter()
        .enumerate()
        .map(|(i, &options)| Parameter {
            name: format!("parameter_{i}"),
            domain: Domain::Ordinal { values: (0..options).map(|v| v as f64).collect() },
            condition: None,
            default: None,
        })
        .collect();
    let space = Space::new(parameters).expect("a valid space");
    let options = Options { algorithm: Algorithm::GaussianProcess, ..Options::default() };
    println!("{:>6} {:>12} {:>12} {:>12}", "n", "fit ms", "append ms", "suggest ms");
    for n in [20, 99, 299, 999] {
        let history = history(&space, n);
        let rounds = if n > 100 { 3 } else { 7 };
        let fit = median_seconds(rounds, || {
            Posterior::fit(&space, &history.observed, &[], 1).expect("fits");
        });
        let posterior = Posterior::fit(&space, &history.observed, &[], 1).expect("fits");
        // One result more, and what is known of the length scales still to be used.
        let fewer = &history.observed[..history.observed.len() - 1];
        let before = Posterior::fit(&space, fewer, &[], 1).expect("fits");
        let append = median_seconds(rounds, || {
            Posterior::fit_after(Some(&before), &space, &history.observed, &[], 1).expect("fits");
        });
        let ask = median_seconds(rounds, || {
            suggest(&space, &options, &history, Some(&posterior), 1, n).expect("a point is left");
        });
        println!("{n:>6} {:>12.1} {:>12.1} {:>12.1}", fit * 1e3, append * 1e3, ask * 1e3);
    }
}

/// `n` random points of the space, with a smooth function of a few parameters and an interaction.
fn history(space: &Space, n: u32) -> History {
    let random = Options { algorithm: Algorithm::Random, ..Options::default() };
    let mut history = History::default();
    for number in 0..n {
        let point = suggest(space, &random, &history, None, 9, number).expect("left").point;
        let x = &point.0;
        let value =
            -(x[0] - 0.7).powi(2) + 0.3 * x[1] * x[12] - 0.2 * (x[13] - 0.3).abs() + 0.1 * x[21];
        history.taken.insert(space, &point);
        history.observed.push(Observation { point, value });
    }
    history
}
