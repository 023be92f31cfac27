//! Problems of numbers whose optimum lies elsewhere in every study.
//!
//! A suite is few optima, and what starts in the middle of a space, or was chosen on the suite, may be lucky with
//! where they happen to lie. Functions of places on [0, 1] are mirrored in each parameter by the flip of a coin; of the
//! others, whose optimum is at 1 in each, the ranges are shifted by up to two fifths of their width.

use anyhow::{Result, bail};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::problem::Described;
use crate::run::uniform;

/// Furthest shift of a range, as a share of its width.
const SHIFT: f64 = 0.4;

/// How the optimum of a function can be moved.
enum Way {
    Mirrored,
    Shifted,
}

/// Moves the optimum, by a seed: changes ranges, and returns the parameters that are mirrored.
pub fn move_optimum(function: &str, described: &mut [Described], seed: u64) -> Result<Vec<String>> {
    // Another stream than that of the study's noise.
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    chance.set_stream(1);
    let way = match function {
        "branin" | "hartmann6" | "effdim" => Way::Mirrored,
        "rosenbrock" | "levy" => Way::Shifted,
        _ => bail!("the optimum of the function {function} cannot be moved"),
    };
    match way {
        Way::Mirrored => {
            let mut names: Vec<String> = described.iter().map(|p| p.name.clone()).collect();
            names.retain(|_| uniform(&mut chance) < 0.5);
            Ok(names)
        }
        Way::Shifted => {
            for parameter in described {
                let width = parameter.high - parameter.low;
                let by = ((2.0 * uniform(&mut chance) - 1.0) * SHIFT * width).round();
                (parameter.low, parameter.high) = (parameter.low + by, parameter.high + by);
            }
            Ok(Vec::new())
        }
    }
}
