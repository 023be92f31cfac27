//! What came of a training: numbers, curves, and where the files are.

use serde_json::{Value as Json, json};

use super::folder::{self, Folder};
use super::history::{EPOCH, History};
use super::request::Request;
use super::training::Ended;
use crate::plot::chart::{Chart, side_by_side};
use crate::study::grouped;
use crate::table;

/// Lines of a curve.
const HEIGHT: usize = 5;

/// For people, at most `width` columns wide.
pub fn text(request: &Request, folder: &Folder, ended: &Ended, width: u16) -> String {
    let mut parts = vec![table::pairs(&pairs(request, ended))];
    parts.extend(charts(&ended.history, width.into()));
    let shown = folder.path().display();
    parts.push(format!(
        "in `{shown}`: {}, {}, {}",
        folder::NETWORK,
        folder::EPOCHS,
        folder::CURVES
    ));
    parts.join("\n\n")
}

fn pairs(request: &Request, ended: &Ended) -> Vec<(&'static str, String)> {
    let outcome = &ended.trained.outcome;
    let part = if ended.measured_on_test { "test" } else { "validation" };
    let measured = format!("on {} {part} images", grouped(ended.measured as u128));
    let mut pairs = vec![
        (
            "training",
            format!("{}, seed {}, on {}", request.name, request.seed, request.data.dataset),
        ),
        ("binary accuracy", format!("{:.4}  {measured}", outcome.binary_accuracy)),
        ("soft accuracy", format!("{:.4}", outcome.soft_accuracy)),
    ];
    if let Some(test) = outcome.test.filter(|_| !ended.measured_on_test) {
        let images = grouped(ended.test as u128);
        let text = format!("{:.4}  on {images} test images; {:.4} soft", test.binary, test.soft);
        pairs.push(("test accuracy", text));
    }
    let (hard, layers) = hard(ended);
    let sharpening = match outcome.sharpening_finished {
        true => format!("finished: all {layers} layers are thresholds"),
        false => format!("not finished: {hard} of {layers} layers are thresholds"),
    };
    pairs.push(("sharpening", sharpening));
    if let Some(reason) = &outcome.collapsed {
        pairs.push(("ended early", reason.clone()));
    }
    let planned = request.recipe.epochs_planned();
    let epochs = match outcome.epochs {
        epochs if epochs < planned => format!("{epochs} of at most {planned}"),
        epochs => epochs.to_string(),
    };
    pairs.extend([
        ("epochs", epochs),
        ("seconds per epoch", table::short(ended.seconds_per_epoch(), 3)),
        ("parameters", grouped(outcome.parameters as u128)),
        ("multiply-adds", format!("{} for one image", grouped(outcome.multiply_adds as u128))),
    ]);
    pairs
}

/// Layers that are thresholds, and all.
fn hard(ended: &Ended) -> (usize, usize) {
    let sharpness = &ended.trained.sharpness;
    (sharpness.iter().filter(|sharpness| sharpness.get() == 1.0).count(), sharpness.len())
}

/// The curves; none if no epoch is known.
fn charts(history: &History, width: usize) -> Option<String> {
    let epochs = history.column(EPOCH);
    let epochs = [*epochs.first()? as u32, *epochs.last()? as u32];
    let [loss, soft, binary] =
        ["loss", "soft_accuracy", "binary_accuracy"].map(|name| history.column(name));
    let sharpness = history.mean_sharpness();
    let most = loss.iter().copied().filter(|loss| loss.is_finite()).fold(0.0, f64::max);
    // Both accuracies on one scale, which leaves out the tenths that neither was in.
    let least = soft.iter().chain(&binary).copied().fold(1.0, f64::min);
    let least = ((10.0 * least).floor() / 10.0).clamp(0.0, 0.9);
    let ends = [format!("epoch {}", epochs[0]), epochs[1].to_string()];
    let curves = [
        ("binary accuracy", &binary, [least, 1.0]),
        ("soft accuracy", &soft, [least, 1.0]),
        ("loss in training", &loss, [0.0, most]),
        ("mean sharpness", &sharpness, [0.0, 1.0]),
    ];
    let charts = curves.map(|(title, values, range)| {
        let last = values.last().copied().filter(|last| last.is_finite());
        let note = last.map_or_else(String::new, |last| format!("ends at {last:.4}"));
        Chart { title, note, values, deviations: &[], range, ends: ends.clone() }
    });
    Some(side_by_side(&charts, width, HEIGHT))
}

/// For programs.
pub fn json(request: &Request, folder: &Folder, ended: &Ended) -> Json {
    let outcome = &ended.trained.outcome;
    json!({
        "name": request.name,
        "seed": request.seed,
        "dataset": request.data.dataset,
        "hyperparameters": request.recipe.to_parameters(),
        "binary_accuracy": outcome.binary_accuracy,
        "soft_accuracy": outcome.soft_accuracy,
        "test_accuracy": outcome.test.map(|test| test.binary),
        "test_soft_accuracy": outcome.test.map(|test| test.soft),
        "sharpening_finished": outcome.sharpening_finished,
        "collapsed": outcome.collapsed,
        "epochs": outcome.epochs,
        "seconds_per_epoch": ended.seconds_per_epoch(),
        "parameters": outcome.parameters,
        "multiply_adds": outcome.multiply_adds,
        "folder": folder.path(),
    })
}
