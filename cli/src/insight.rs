//! `strop study importance | calibration | dependence`: what a study's posterior says.

mod calibration;
mod dependence;
mod importance;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::options::Options;
use crate::{json, print};

/// A study, and where a picture of the answer goes.
#[derive(Args, Debug)]
pub struct Asked {
    /// The study's name.
    #[arg(value_name = "STUDY")]
    name: String,

    #[command(flatten)]
    picture: Picture,
}

/// The same of one hyperparameter.
#[derive(Args, Debug)]
pub struct AskedAlong {
    /// The study's name.
    #[arg(value_name = "STUDY")]
    name: String,

    /// The hyperparameter; without it, all of them.
    #[arg(value_name = "HYPERPARAMETER")]
    parameter: Option<String>,

    #[command(flatten)]
    picture: Picture,
}

#[derive(Args, Debug)]
struct Picture {
    /// Write a picture of the answer to this file, too.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Picture {
    fn write(&self, options: &Options, svg: impl FnOnce() -> String) -> Result<(), Failure> {
        let Some(path) = &self.svg else { return Ok(()) };
        let shown: &Path = path;
        std::fs::write(path, svg())
            .with_context(|| format!("could not write `{}`", shown.display()))?;
        options.hint(format!("wrote `{}`", shown.display()));
        Ok(())
    }
}

/// How much each hyperparameter matters.
pub async fn importance(
    options: &Options,
    coordinator: &mut Coordinator,
    asked: &Asked,
) -> Result<(), Failure> {
    let name = &asked.name;
    let answer = coordinator.importance(name).await?;
    match options.json {
        true => print::json(&json::importance(name, &answer)),
        false => print::lines(&importance::text(name, &answer, print::width())),
    }
    asked.picture.write(options, || importance::svg(name, &answer))
}

/// How far the posterior can be believed.
pub async fn calibration(
    options: &Options,
    coordinator: &mut Coordinator,
    asked: &Asked,
) -> Result<(), Failure> {
    let name = &asked.name;
    let answer = coordinator.calibration(name).await?;
    match options.json {
        true => print::json(&json::calibration(name, &answer)),
        false => print::lines(&calibration::text(name, &answer, print::width())),
    }
    asked.picture.write(options, || calibration::svg(name, &answer))
}

/// How the objective changes along one hyperparameter, or each of them.
pub async fn dependence(
    options: &Options,
    coordinator: &mut Coordinator,
    asked: &AskedAlong,
) -> Result<(), Failure> {
    let name = &asked.name;
    let parameter = asked.parameter.as_deref().unwrap_or_default();
    let answer = coordinator.dependence(name, parameter).await?;
    match options.json {
        true => print::json(&json::dependence(name, &answer)),
        false => print::lines(&dependence::text(name, &answer, print::width())),
    }
    asked.picture.write(options, || dependence::svg(name, &answer))
}

/// The ends of an axis for some numbers: theirs, and a little room.
fn around(numbers: impl Iterator<Item = f64>) -> [f64; 2] {
    /// Share of the range. Taste.
    const ROOM: f64 = 0.03;
    let finite = numbers.filter(|x| x.is_finite());
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    if low > high {
        return [0.0, 1.0];
    }
    let room = match high / 2.0 - low / 2.0 {
        // A flat one stands in the middle.
        0.0 => low.abs().max(1.0) * 0.1,
        half => 2.0 * ROOM * half,
    };
    [(low - room).max(f64::MIN), (high + room).min(f64::MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_all_numbers_with_room_at_both_ends() {
        let [low, high] = around([3.0, f64::NAN, 1.0].into_iter());
        assert!((low - 0.94).abs() < 1e-12 && (high - 3.06).abs() < 1e-12);
        assert_eq!(around([5.0].into_iter()), [4.5, 5.5]);
        assert_eq!(around(std::iter::empty()), [0.0, 1.0]);
        assert!(around([-1.7e308, 1.7e308].into_iter()).iter().all(|end| end.is_finite()));
    }
}
