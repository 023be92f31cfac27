//! The functions of the suite. Each gives the true value at a point and the deviation of the noise on
//! one measurement of it. Where a training fails the value is not a number.

use std::f64::consts::{E, PI};

use anyhow::{Result, bail};
use serde_json::Value as Json;

use crate::problem::At;

pub type Function = fn(&At) -> (f64, f64);

/// The function that a suite file names.
pub fn by_name(name: &str) -> Result<Function> {
    Ok(match name {
        "branin" => branin,
        "hartmann6" => |at| (hartmann6(&at.units()), noise(at)),
        "effdim" => effective_dimensions,
        "ackley" => ackley,
        "rosenbrock" => rosenbrock,
        "levy" => levy,
        "whet8" => case_one,
        "whet22" => case_two,
        "nncond" => conditional_network,
        "table" => table,
        other => bail!("there is no function {other}"),
    })
}

fn noise(at: &At) -> f64 {
    at.arg("noise").unwrap_or(0.0)
}

fn branin(at: &At) -> (f64, f64) {
    let (a, b) = (15.0 * at.unit("x1") - 5.0, 15.0 * at.unit("x2"));
    let valley = b - 5.1 / (4.0 * PI * PI) * a * a + 5.0 / PI * a - 6.0;
    (valley * valley + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * a.cos() + 10.0, 0.0)
}

const HARTMANN_HEIGHTS: [f64; 4] = [1.0, 1.2, 3.0, 3.2];

fn hartmann<const D: usize>(u: &[f64], widths: &[[f64; D]; 4], centres: &[[f64; D]; 4]) -> f64 {
    let bump = |i: usize| {
        let far: f64 = (0..D).map(|j| widths[i][j] * (u[j] - centres[i][j]).powi(2)).sum();
        HARTMANN_HEIGHTS[i] * (-far).exp()
    };
    -(0..4).map(bump).sum::<f64>()
}

fn hartmann6(u: &[f64]) -> f64 {
    let widths = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    let centres = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    hartmann(u, &widths, &centres)
}

fn hartmann3(u: &[f64]) -> f64 {
    let widths = [[3.0, 10.0, 30.0], [0.1, 10.0, 35.0], [3.0, 10.0, 30.0], [0.1, 10.0, 35.0]];
    let centres = [
        [0.3689, 0.1170, 0.2673],
        [0.4699, 0.4387, 0.7470],
        [0.1091, 0.8732, 0.5547],
        [0.0381, 0.5743, 0.8828],
    ];
    hartmann(u, &widths, &centres)
}

/// A Hartmann function of a few of many dimensions; the others leak a little, or nothing.
fn effective_dimensions(at: &At) -> (f64, f64) {
    let units = at.units();
    let places: Vec<usize> = list(at.json("dims")).iter().map(|place| *place as usize).collect();
    let chosen: Vec<f64> = places.iter().map(|&place| units[place]).collect();
    let value = if chosen.len() == 6 { hartmann6(&chosen) } else { hartmann3(&chosen) };
    let rest = (0..units.len()).filter(|place| !places.contains(place)).map(|place| units[place]);
    let (count, sum) = rest.fold((0, 0.0), |(count, sum), unit| (count + 1, sum + unit));
    (value + at.arg("leak").unwrap_or(0.0) * sum / f64::from(count.max(1)), noise(at))
}

fn ackley(at: &At) -> (f64, f64) {
    let scale = at.arg("scale").unwrap_or(2.0);
    let shift = list(at.json("shift"));
    let z: Vec<f64> = at.units().iter().zip(&shift).map(|(u, s)| (u - s) * scale).collect();
    let n = z.len() as f64;
    let far = (z.iter().map(|z| z * z).sum::<f64>() / n).sqrt();
    let waves = z.iter().map(|z| (2.0 * PI * z).cos()).sum::<f64>() / n;
    (-20.0 * (-0.2 * far).exp() - waves.exp() + 20.0 + E, noise(at))
}

fn rosenbrock(at: &At) -> (f64, f64) {
    let v = at.numbers();
    let step = |w: &[f64]| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2);
    let value: f64 = v.windows(2).map(step).sum();
    (if at.json("log1p").as_bool() == Some(true) { value.ln_1p() } else { value }, 0.0)
}

fn levy(at: &At) -> (f64, f64) {
    let w: Vec<f64> = at.numbers().iter().map(|x| 1.0 + (x - 1.0) / 4.0).collect();
    let last = w[w.len() - 1];
    let mut value =
        (PI * w[0]).sin().powi(2) + (last - 1.0).powi(2) * (1.0 + (2.0 * PI * last).sin().powi(2));
    for t in &w[..w.len() - 1] {
        value += (t - 1.0).powi(2) * (1.0 + 10.0 * (PI * t + 1.0).sin().powi(2));
    }
    (value, noise(at))
}

/// In the shape of the paper's case study one (Table II): the learning rate decides, the rest adds up,
/// with a few interactions.
fn case_one(at: &At) -> (f64, f64) {
    let order = at.json("order").as_array().expect("a list of names");
    let bits: Vec<usize> =
        order.iter().map(|name| at.rank(name.as_str().expect("a name"))).collect();
    let (base, effects) = match bits[0] {
        0 => (at.arg("low"), list(at.json("low_eff"))),
        _ => (at.arg("high"), list(at.json("eff"))),
    };
    let mut value = base.expect("a base");
    value += effects.iter().zip(&bits[1..]).map(|(e, &bit)| e * bit as f64).sum::<f64>();
    for pair in at.json("pairs").as_array().expect("pairs") {
        let pair = list(pair);
        let (i, j) = (pair[0] as usize, pair[1] as usize);
        value += pair[2] * (bits[0] * (bits[i] ^ bits[j])) as f64;
    }
    (value, noise(at) * if bits[0] == 1 { 1.0 } else { 0.5 })
}

/// In the shape of the paper's case study two: optimiser and learning rate dominate, there are cliffs at
/// chance accuracy, main effects of ordinals, some interactions, and a parameter that matters only
/// under another.
fn case_two(at: &At) -> (f64, f64) {
    let (chance, top) = (at.arg("chance").expect("chance"), at.arg("top").expect("top"));
    let (optimizer, rate) = (at.text("opt"), at.number("lr"));
    if optimizer == "RMSprop" && rate >= 0.1 {
        return (chance, noise(at) * 0.03);
    }
    let steady = at.number("bn_scale") != 0.0 && at.number("bn_eps") == 1e-2;
    if optimizer == "RMSprop" && rate >= 0.01 && !steady {
        return (chance, noise(at) * 0.03);
    }
    if optimizer == "Adadelta" && rate <= 1e-4 && at.text("noise_loc") != "none" {
        return (chance * 1.9, noise(at) * 0.1);
    }
    let rates = at.json("base")[optimizer].as_object().expect("a base for each learning rate");
    let base = rates.iter().find(|(word, _)| word.parse() == Ok(rate)).expect("a learning rate").1;
    let mut s = base.as_f64().expect("a number");
    for (name, effect) in at.json("main").as_object().expect("main effects") {
        if at.active(name) {
            let (u, number) = (at.unit(name), |key: &str| effect[key].as_f64().expect("a number"));
            s += number("lin") * (u - 0.5) + number("quad") * (u - number("mid")).powi(2);
        }
    }
    for pair in at.json("pairs").as_array().expect("pairs") {
        let name = |i: usize| pair[i].as_str().expect("a name");
        if at.active(name(0)) && at.active(name(1)) {
            let both = (at.unit(name(0)) - 0.5) * (at.unit(name(1)) - 0.5);
            s += pair[2].as_f64().expect("a number") * both * 4.0;
        }
    }
    if at.text("noise_loc") != "none" {
        let loud =
            if at.number("noise_std") > 0.25 { at.arg("noise_std").unwrap_or(0.0) } else { 0.0 };
        s += at.arg("noise_layer").unwrap_or(0.0) - loud;
    }
    (chance + (top - chance) / (1.0 + (-s).exp()), noise(at))
}

/// The error of a network under an optimiser of one's choice: the best learning rate depends on the
/// optimiser, batch size and momentum; above it training diverges: it ends at the worst error or, without
/// one, fails.
fn conditional_network(at: &At) -> (f64, f64) {
    let (rate, decay, batch) =
        (at.number("lr").log10(), at.number("wd").log10(), at.number("batch").log2());
    let sgd = at.text("opt") == "sgd";
    let mut best = match at.text("opt") {
        "sgd" => -1.2,
        "adam" => -3.0,
        _ => -3.3,
    } + 0.15 * (batch - 6.0);
    if sgd {
        best -= (at.number("momentum") - 0.5).max(0.0);
    }
    let off = rate - best;
    if off > 1.2 {
        return (at.arg("worst").unwrap_or(f64::NAN), 0.002);
    }
    let (layers, width) = (at.number("layers"), at.number("width"));
    let mut error = 0.06 + 0.05 * (1.0 - (-off * off / 0.8).exp());
    error += 0.3 * (-off - 1.0).max(0.0).powi(2) / 9.0;
    if sgd {
        error += 0.015 * (at.number("momentum") - 0.9).powi(2) * 6.0;
    }
    error += 0.004 * (decay + 4.0 + 0.6 * (layers - 3.0)).powi(2) / 4.0;
    error += 0.02 * (layers - 3.0).abs() / 3.0 + 0.05 * (-width / 60.0).exp();
    error += match at.text("act") {
        "tanh" => 0.012,
        "gelu" => -0.004,
        _ => 0.0,
    };
    if layers >= 5.0 && at.text("norm") == "none" {
        error += 0.06;
    }
    if at.text("norm") == "batch" {
        error -= if at.number("batch") >= 32.0 { 0.01 } else { -0.03 };
    }
    let right = if width > 128.0 { 0.3 } else { 0.1 };
    (error + 0.02 * (at.number("dropout") - right).powi(2) * 4.0, noise(at))
}

/// Real trainings, from a table.
fn table(at: &At) -> (f64, f64) {
    let (mean, deviation) = at.row();
    (mean, if at.json("noisy").as_bool() == Some(true) { deviation } else { 0.0 })
}

fn list(json: &Json) -> Vec<f64> {
    json.as_array().expect("a list").iter().filter_map(Json::as_f64).collect()
}
