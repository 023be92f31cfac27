//! One Whetstone trial, really trained: what it measures, tells and refuses.

use std::collections::BTreeMap;

use proto::v1;
use proto::v1::{objective, value};
use whetstone::device::Device;
use worker::checkpoints::{Checkpoint, Checkpoints};
use worker::datasets::{Datasets, Wanted};
use worker::evaluation::{Failure, Measured};
use worker::halt::{Halt, Why};
use worker::progress::Progress;
use worker::trial::evaluate;

type Values = BTreeMap<String, v1::Value>;

fn values<const N: usize>(values: [(&str, value::Kind); N]) -> Values {
    let value = |kind| v1::Value { kind: Some(kind) };
    values.into_iter().map(|(name, kind)| (name.to_owned(), value(kind))).collect()
}

/// A network so small that an epoch takes a moment.
fn small() -> Values {
    use value::Kind::{Boolean, Integer, Number, Text};
    values([
        ("epochs", Integer(20)),
        ("epoch_policy", Text("fixed".into())),
        ("optimizer", Text("rmsprop".into())),
        ("sharpening_start", Integer(6)),
        ("sharpening_duration", Integer(1)),
        ("sharpening_intermission", Integer(0)),
        ("conv1_filter", Integer(3)),
        ("conv2_filter", Number(3.0)),
        ("conv3_filter", Integer(3)),
        ("conv1_features", Integer(8)),
        ("conv2_features", Integer(8)),
        ("conv3_features", Integer(8)),
        ("dense_units", Integer(16)),
        ("norm_scale", Boolean(true)),
    ])
}

fn whetstone(dataset: &str, metric: &str, fixed: Values) -> v1::WhetstoneObjective {
    v1::WhetstoneObjective {
        dataset: dataset.into(),
        train_images: 640,
        test_images: 100,
        metric: metric.into(),
        fixed,
        ..v1::WhetstoneObjective::default()
    }
}

fn lease(objective: v1::WhetstoneObjective, point: Values) -> v1::Lease {
    v1::Lease {
        objective: Some(v1::Objective { kind: Some(objective::Kind::Whetstone(objective)) }),
        point: Some(v1::Point { values: point }),
        seed: 5,
        ..v1::Lease::default()
    }
}

fn outcome(lease: &v1::Lease) -> Result<Measured, Failure> {
    let none = Checkpoints::new(0, None);
    evaluate(lease, &Datasets::new(None), &Device::Cpu, &Progress::new(), &none, &Halt::new())
}

fn refusal(objective: v1::WhetstoneObjective, point: Values) -> String {
    match outcome(&lease(objective, point)) {
        Err(Failure::UserError(text)) => text,
        other => panic!("not refused as the user's error: {other:?}"),
    }
}

#[tokio::test]
async fn a_trial_learns_and_tells_every_epoch() {
    let rate = values([("learning_rate", value::Kind::Number(0.003))]);
    let lease = lease(whetstone("digits", "", small()), rate);
    let progress = Progress::new();
    let measured = evaluate(
        &lease,
        &Datasets::new(None),
        &Device::Cpu,
        &progress,
        &Checkpoints::new(0, None),
        &Halt::new(),
    )
    .unwrap();

    let of = |name| measured.measurements[name];
    assert_eq!(measured.value, of("binary_accuracy"));
    assert!(measured.value > 0.3, "three times chance: {measured:?}");
    assert_eq!((of("sharpening_finished"), of("collapsed")), (1.0, 0.0));
    assert_eq!(of("soft_accuracy"), of("binary_accuracy"), "nothing is soft any more");
    assert!(of("train_seconds") > 0.0 && of("parameters") > 0.0 && of("multiply_adds") > 0.0);

    // Six epochs soft, one for each of five layers, and one to see that the last is hard.
    assert_eq!(of("epochs"), 12.0);
    assert_eq!(progress.done(), 12.0 / 20.0);
    let told = progress.metrics().take().await;
    let last: BTreeMap<_, _> = told
        .iter()
        .filter(|metric| metric.step == 11)
        .map(|metric| (metric.name.as_str(), metric.value))
        .collect();
    assert_eq!(last["binary_accuracy"], measured.value);
    assert_eq!((last["sharpness_mean"], last["sharpness_1"], last["sharpness_5"]), (1.0, 1.0, 1.0));
    let health = ["dead_conv1", "saturated_conv3", "gradient_norm_output"];
    for name in ["loss", "train_accuracy", "soft_accuracy", "learning_rate"].iter().chain(&health) {
        assert!(last.contains_key(name), "{name}");
        assert_eq!(told.iter().filter(|metric| metric.name == *name).count(), 12);
    }
}

#[test]
fn the_same_lease_gives_the_same_value_on_every_attempt() {
    let mut small = small();
    small.extend(values([("epochs", value::Kind::Integer(1))]));
    let trial = lease(whetstone("digits", "soft_accuracy", small), Values::new());
    let (first, second) = (outcome(&trial).unwrap(), outcome(&trial).unwrap());
    assert_eq!(first.value, second.value);
    assert_eq!(first.value, first.measurements["soft_accuracy"]);
}

/// Trains a lease and keeps its state after so many epochs.
fn interrupted_after(lease: &v1::Lease, epochs: u32) -> Checkpoint {
    let checkpoints = Checkpoints::new(epochs, None);
    evaluate(
        lease,
        &Datasets::new(None),
        &Device::Cpu,
        &Progress::new(),
        &checkpoints,
        &Halt::new(),
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(checkpoints.take())
}

/// What a lease reaches from a state, the duration aside, and from which epoch it went on.
fn from(lease: &v1::Lease, state: Option<Checkpoint>) -> (Measured, u32) {
    let (progress, checkpoints) = (Progress::new(), Checkpoints::new(0, state));
    let ended =
        evaluate(lease, &Datasets::new(None), &Device::Cpu, &progress, &checkpoints, &Halt::new());
    let mut measured = ended.unwrap();
    measured.measurements.remove("train_seconds");
    (measured, progress.resumed_from())
}

#[test]
fn a_trial_goes_on_from_a_state_to_the_same_result_and_without_one_if_it_is_of_no_use() {
    let short = |epochs| {
        let mut small = small();
        small.extend(values([("epochs", value::Kind::Integer(epochs))]));
        lease(whetstone("digits", "soft_accuracy", small), Values::new())
    };
    let trial = short(5);
    // Two and four are due; the later one is kept.
    let state = interrupted_after(&trial, 2);
    assert_eq!(state.epoch, 4);
    let afresh = from(&trial, None);
    assert_eq!(afresh.1, 0);
    assert_eq!(from(&trial, Some(state.clone())), (afresh.0.clone(), 4));

    let mut cut = state.clone();
    cut.bytes.truncate(1_000);
    assert_eq!(from(&trial, Some(cut)), afresh);
    let nonsense = Checkpoint { epoch: 4, bytes: b"not a state of a training".to_vec() };
    assert_eq!(from(&trial, Some(nonsense)), afresh);
    let others = interrupted_after(&short(6), 2);
    assert_eq!(from(&trial, Some(others)), afresh, "that of another recipe");
}

#[test]
fn the_test_images_are_looked_at_by_those_alone_who_may_be_the_best() {
    let mut small = small();
    small.extend(values([("epochs", value::Kind::Integer(1))]));
    let objective = whetstone("digits", "soft_accuracy", small);
    let reached = |validation_images, best_value| {
        let objective = v1::WhetstoneObjective { validation_images, ..objective.clone() };
        from(&v1::Lease { best_value, ..lease(objective, Values::new()) }, None).0
    };
    let first = reached(100, None);
    let hundredths = first.value * 100.0;
    assert!((hundredths - hundredths.round()).abs() < 1e-9, "a share of 100 images: {first:?}");
    for name in ["test_accuracy", "test_soft_accuracy"] {
        assert!((0.0..=1.0).contains(&first.measurements[name]), "{first:?}");
    }
    let tested = |measured: &Measured| measured.measurements.contains_key("test_accuracy");
    let better = reached(100, Some(first.value - 0.005));
    assert!(tested(&better));
    let equal = reached(100, Some(first.value));
    assert_eq!((tested(&equal), equal.value), (false, first.value), "the earlier one is the best");
    let without = reached(0, None);
    assert!(!tested(&without), "the value itself is that on the test images");

    let objective = v1::WhetstoneObjective { validation_images: 640, ..objective };
    let text = refusal(objective, Values::new());
    assert!(text.contains("640 validation images cannot be held out of the 640"), "{text}");
}

#[test]
fn a_halted_trial_stops_within_an_epoch() {
    let halt = Halt::new();
    halt.set(Why::Drain);
    let progress = Progress::new();
    let trial = lease(whetstone("digits", "", small()), Values::new());
    let stopped = evaluate(
        &trial,
        &Datasets::new(None),
        &Device::Cpu,
        &progress,
        &Checkpoints::new(0, None),
        &halt,
    );
    assert_eq!(stopped, Err(Failure::Stopped));
    assert_eq!(progress.done(), 0.0);
}

#[test]
fn what_cannot_be_trained_is_the_users_error_and_says_what_is_wrong() {
    use value::Kind::{Integer, Number};
    let none = Values::new;
    let digits = |fixed| whetstone("digits", "", fixed);

    let text = refusal(digits(none()), values([("learning_rte", Number(0.1))]));
    assert!(text.contains("`learning_rte`") && text.contains("`learning_rate`"), "{text}");
    let text = refusal(digits(none()), values([("batch_size", Integer(-1))]));
    assert!(text.contains("`batch_size`"), "{text}");
    let text = refusal(digits(none()), values([("rho", Number(f64::NAN))]));
    assert!(text.contains("`rho`"), "{text}");
    let text = refusal(digits(small()), values([("epochs", Integer(3))]));
    assert!(text.contains("`epochs` is searched and fixed"), "{text}");
    let text = refusal(whetstone("digits", "accuracy", none()), none());
    assert!(text.contains("`accuracy`"), "{text}");
    let text = refusal(whetstone("letters", "", none()), none());
    assert!(text.contains("`letters`"), "{text}");
}

#[test]
fn a_data_set_without_files_is_this_workers_trouble() {
    let trial = lease(whetstone("mnist", "", small()), Values::new());
    let Err(Failure::Data(text)) = outcome(&trial) else { panic!("trained without data") };
    assert!(text.contains("mnist") && text.contains("--data-folder"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let datasets = Datasets::new(Some(folder.path().to_owned()));
    let missing = evaluate(
        &trial,
        &datasets,
        &Device::Cpu,
        &Progress::new(),
        &Checkpoints::new(0, None),
        &Halt::new(),
    );
    let Err(Failure::Data(text)) = missing else { panic!("trained without data") };
    assert!(text.contains("train-images-idx3-ubyte"), "{text}");
}

#[test]
fn an_objective_that_a_worker_never_offered_is_left_to_others() {
    let external = objective::Kind::External(v1::ExternalObjective::default());
    let objective = Some(v1::Objective { kind: Some(external) });
    let trial = v1::Lease { objective, ..v1::Lease::default() };
    assert!(matches!(outcome(&trial), Err(Failure::Broken(_))));
}

#[test]
fn a_data_set_is_read_once_and_shared() {
    let datasets = Datasets::new(None);
    let digits = |train_images, validation_images| {
        let name = "digits".to_owned();
        let wanted = Wanted { name, train_images, validation_images, test_images: 0 };
        datasets.get(&wanted).unwrap()
    };
    let (first, again, other) = (digits(64, 0), digits(64, 0), digits(32, 0));
    assert!(std::sync::Arc::ptr_eq(&first, &again));
    assert_eq!((first.train.len(), other.train.len()), (64, 32));
    assert_eq!(other.test.len(), 360, "zero means all");
    let held = digits(64, 20);
    let parts = (held.train.len(), held.validation.as_ref().map(|part| part.len()));
    assert_eq!(parts, (44, Some(20)));
}

#[tokio::test]
async fn a_training_that_is_told_to_end_early_reports_its_last_whole_epoch() {
    let trial = lease(whetstone("digits", "soft_accuracy", small()), Values::new());
    let (progress, halt) = (std::sync::Arc::new(Progress::new()), Halt::new());
    let training = std::thread::spawn({
        let (progress, halt) = (progress.clone(), halt.clone());
        move || {
            let none = Checkpoints::new(0, None);
            evaluate(&trial, &Datasets::new(None), &Device::Cpu, &progress, &none, &halt)
        }
    });
    let mut told = Vec::new();
    while told.iter().map(|metric: &v1::Metric| metric.step).max() < Some(1) {
        let batch = progress.metrics().take().await;
        progress.metrics().delivered(batch.len());
        told.extend(batch);
    }
    halt.set(worker::halt::Why::Pruned);
    let measured = training.join().unwrap().unwrap();
    assert!(measured.is_pruned);
    while told.iter().filter(|metric| metric.name == "soft_accuracy").count()
        < measured.measurements["epochs"] as usize
    {
        let batch = progress.metrics().take().await;
        progress.metrics().delivered(batch.len());
        told.extend(batch);
    }
    let last = told.iter().rfind(|metric| metric.name == "soft_accuracy").unwrap();
    assert_eq!(measured.value, last.value);
    assert_eq!(measured.measurements["epochs"], f64::from(last.step + 1));
    assert!(measured.measurements["epochs"] < 12.0, "the training would have had twelve");
    assert_eq!(measured.measurements["sharpening_finished"], 0.0);
}
