//! Trains one recipe and prints a line per epoch: for looking at a single point of a space.
//!
//! ```text
//! cargo run --release -p whetstone --example train -- digits optimizer=rmsprop learning_rate=0.001
//! cargo run --release -p whetstone --example train -- mnist folder=data train=10000 test=2000 …
//! ```
//!
//! Every `key=value` is a hyperparameter (`recipe::Recipe::parameters` lists them), except `seed`,
//! `folder` (that of the data sets), `train` and `test` (how many images to use at most),
//! `validation` (how many training images to hold out and measure on), and `save` (a file for the
//! network).

use recipe::Recipe;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use whetstone::data::{Limits, load};
use whetstone::train::{EpochReport, Options, Stop, train};

fn main() -> ExitCode {
    whetstone::memory::keep_freed();
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let name = args.next().ok_or("name a data set first, for example `digits`")?;
    let (mut seed, mut folder, mut limits) = (1, None, Limits::default());
    let (mut validation, mut save) = (0, None);
    let mut parameters = BTreeMap::new();
    for arg in args {
        let (key, value) =
            arg.split_once('=').ok_or_else(|| format!("`{arg}` is not of the form key=value"))?;
        match key {
            "seed" => seed = value.parse()?,
            "folder" => folder = Some(PathBuf::from(value)),
            "train" => limits.train = Some(value.parse()?),
            "test" => limits.test = Some(value.parse()?),
            "validation" => validation = value.parse()?,
            "save" => save = Some(PathBuf::from(value)),
            _ => {
                // What is no JSON is a bare word, such as an optimiser's name.
                let value = serde_json::from_str(value).unwrap_or(Value::String(value.into()));
                parameters.insert(key.to_owned(), value);
            }
        }
    }
    let recipe = Recipe::from_parameters(&parameters)?;
    let data = load(&name, folder.as_deref(), limits)?.hold_out(validation)?;

    let start = Instant::now();
    println!("epoch seconds    loss   train    soft  binary  sharpness");
    let progress = &mut |report: &EpochReport| {
        let sharpness: Vec<String> = report.sharpness.iter().map(|s| format!("{s:.2}")).collect();
        println!(
            "{:>5} {:>7.1} {:>7.4} {:>6.2}% {:>6.2}% {:>6.2}%  {}",
            report.epoch,
            start.elapsed().as_secs_f64(),
            report.loss,
            100.0 * report.train_accuracy,
            100.0 * report.soft_accuracy,
            100.0 * report.binary_accuracy,
            sharpness.join(" "),
        );
    };
    let options = Options { measure_test: true, ..Options::default() };
    let trained = train(&recipe, &data, seed, options, progress, &Stop::new())?;
    println!("{:#?}", trained.outcome);
    if let Some(path) = save {
        std::fs::write(path, trained.network_to_bytes()?)?;
    }
    Ok(())
}
