//! How layers are doing, and trainings that end because nothing is left to hope for.

use candle_core::{Device, Tensor};
use recipe::{EpochPolicy, Optimizer, Recipe};
use whetstone::data::{Dataset, Limits, load};
use whetstone::network::Network;
use whetstone::sharpen::Sharpness;
use whetstone::train::{Checkpoint, EpochReport, Options, State, Stop, Trained, Watch, train};

fn digits(test: usize) -> Dataset {
    load("digits", None, Limits { train: Some(150), test: Some(test) }).unwrap()
}

fn small() -> Recipe {
    Recipe {
        optimizer: Optimizer::Rmsprop,
        learning_rate: 3e-3,
        sharpening_start: 2,
        sharpening_duration: 1,
        sharpening_intermission: 0,
        conv1_features: 8,
        conv2_features: 8,
        conv3_features: 8,
        dense_units: 24,
        epochs: 1,
        ..Recipe::default()
    }
}

#[derive(Default)]
struct Record {
    reports: Vec<EpochReport>,
    checkpoints: Vec<Checkpoint>,
}

impl Watch for Record {
    fn epoch(&mut self, report: &EpochReport, state: &State<'_>) {
        self.reports.push(report.clone());
        self.checkpoints.push(state.checkpoint().unwrap());
    }
}

fn run(recipe: &Recipe, data: &Dataset, from: Option<&Checkpoint>) -> (Trained, Record) {
    let mut record = Record::default();
    let options = Options { from, ..Options::default() };
    let trained = train(recipe, data, 2, options, &mut record, &Stop::new()).unwrap();
    (trained, record)
}

/// The binary outputs of every layer for the test part: its features, and its numbers by image.
fn spikes(network: &Network, data: &Dataset) -> Vec<(usize, Vec<Vec<f32>>)> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    data.test.gather(&(0..data.test.len()).collect::<Vec<_>>(), &mut pixels, &mut labels);
    let mut x = Tensor::from_vec(pixels, (labels.len(), 8, 8, 1), &Device::Cpu).unwrap();
    let curves = network.curves(&vec![Sharpness::HARD; network.layers.len()]);
    let mut layers = Vec::new();
    for (layer, curve) in network.layers.iter().zip(curves) {
        x = layer.activate(&layer.linear(&x).unwrap(), curve).unwrap();
        let rows = x.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
        layers.push((x.dim(candle_core::D::Minus1).unwrap(), rows));
    }
    layers
}

fn share(units: usize, is: impl Fn(usize) -> bool) -> f64 {
    (0..units).filter(|unit| is(*unit)).count() as f64 / units as f64
}

#[test]
fn dead_and_saturated_units_and_flips_are_those_counted_by_hand() {
    // More test images than are remembered for flips.
    let data = digits(300);
    let budget = |epochs| {
        // At such a rate some units are soon out of reach.
        let (learning_rate, epoch_policy) = (0.1, EpochPolicy::Fixed);
        let recipe = Recipe { learning_rate, epochs, epoch_policy, ..small() };
        run(&recipe, &data, None)
    };
    let ((before, _), (after, record)) = (budget(5), budget(6));
    let (before, after) = (spikes(&before.network, &data), spikes(&after.network, &data));
    let health = &record.reports[5].layers;
    let mut seen = [false; 2];
    for ((health, (_, rows_before)), (features, rows)) in health.iter().zip(&before).zip(&after) {
        let of_unit = |unit: usize| {
            rows.iter().flat_map(move |row| row.iter().skip(unit).step_by(*features).copied())
        };
        let dead = share(*features, |unit| of_unit(unit).all(|spike| spike == 0.0));
        let saturated = share(*features, |unit| of_unit(unit).all(|spike| spike == 1.0));
        assert_eq!((health.dead, health.saturated), (dead, saturated), "{}", health.name);
        seen[0] |= dead + saturated > 0.0;
        let pairs = rows_before[..256].iter().flatten().zip(rows[..256].iter().flatten());
        let (count, flipped) =
            pairs.fold((0, 0), |(count, flips), (a, b)| (count + 1, flips + usize::from(a != b)));
        assert_eq!(health.flips, Some(flipped as f64 / f64::from(count)), "{}", health.name);
        seen[1] |= flipped > 0;
    }
    assert_eq!(seen, [true, true], "else this test tells nothing");
    assert!(record.reports[0].layers.iter().all(|layer| layer.flips.is_none()));
}

#[test]
fn a_gradient_is_as_long_as_the_step_it_makes() {
    // One batch, no momentum: the step is rate times gradient.
    let recipe = Recipe {
        optimizer: Optimizer::Sgd,
        momentum: 0.0,
        decay: 0.0,
        learning_rate: 0.01,
        batch_size: 150,
        epoch_policy: EpochPolicy::Fixed,
        ..small()
    };
    let (trained, record) = run(&recipe, &digits(60), None);
    let fresh = Network::new(trained.network.plan(), &recipe, 2).unwrap();
    for (index, layer) in trained.network.layers.iter().enumerate() {
        let step = (layer.weights.as_tensor() - fresh.layers[index].weights.as_tensor()).unwrap();
        let step = step.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let length = step.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let norm = record.reports[0].layers[index].gradient_norm;
        assert!(norm > 0.0);
        assert!((length / 0.01 / norm - 1.0).abs() < 1e-3, "{}: {length} {norm}", layer.name);
    }
}

#[test]
fn below_a_hard_layer_there_is_no_gradient() {
    let (_, record) = run(&small(), &digits(60), None);
    for report in &record.reports[1..] {
        let before = &record.reports[report.epoch as usize - 1];
        for (index, layer) in report.layers.iter().enumerate() {
            let frozen = before.sharpness[index..].contains(&1.0);
            assert_eq!(layer.gradient_norm == 0.0, frozen, "{} {}", report.epoch, layer.name);
        }
    }
}

/// Steps so long that the network forgets everything with each of them.
fn hopeless() -> Recipe {
    Recipe { optimizer: Optimizer::Sgd, learning_rate: 100.0, sharpening_duration: 4, ..small() }
}

#[test]
fn a_collapsed_training_ends_early_with_an_outcome_that_says_why() {
    let data = digits(60);
    let (trained, record) = run(&hopeless(), &data, None);
    let outcome = &trained.outcome;
    let reason = outcome.collapsed.as_ref().expect("nothing can come of this");
    assert!(reason.contains("3 epochs in a row"), "{reason}");
    assert!(outcome.epochs < hopeless().epochs_needed(), "{outcome:?}");
    assert!(!outcome.sharpening_finished);
    // The counts travel with checkpoints, and the end is recognised as one.
    for (at, checkpoint) in record.checkpoints.iter().enumerate() {
        let (resumed, rest) = run(&hopeless(), &data, Some(checkpoint));
        assert_eq!(resumed.outcome, *outcome, "from {at}");
        assert_eq!(rest.reports, record.reports[at + 1..]);
    }
}

#[test]
fn a_training_that_learns_is_left_alone() {
    let (trained, _) = run(&small(), &digits(60), None);
    assert_eq!(trained.outcome.collapsed, None);
    assert_eq!(trained.outcome.epochs, small().epochs_needed());
}
