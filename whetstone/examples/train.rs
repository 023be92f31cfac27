//! Trains one recipe and prints an epoch a line: `train digits learning_rate=0.001 epochs=20`.

use std::collections::BTreeMap;
use whetstone::train::{Stop, train};

fn main() {
    let mut args = std::env::args().skip(1);
    let _name = args.next();
    let mut seed = 1u64;
    let mut parameters = BTreeMap::new();
    for arg in args {
        let (name, value) = arg.split_once('=').unwrap();
        if name == "seed" {
            seed = value.parse().unwrap();
            continue;
        }
        let value = serde_json::from_str(value).unwrap_or(serde_json::Value::String(value.into()));
        parameters.insert(name.to_owned(), value);
    }
    let recipe = recipe::Recipe::from_parameters(&parameters).unwrap();
    let data = whetstone::data::load("digits", None, Default::default()).unwrap();
    let start = std::time::Instant::now();
    let outcome = train(
        &recipe,
        &data,
        seed,
        &mut |r| {
            println!(
                "{:>3} {:>8.2}s loss {:.4} train {:.4} soft {:.4} binary {:.4} {:?}",
                r.epoch,
                start.elapsed().as_secs_f64(),
                r.loss,
                r.train_accuracy,
                r.soft_accuracy,
                r.binary_accuracy,
                r.sharpness
            );
        },
        &Stop::new(),
    );
    println!("{outcome:?}");
}
