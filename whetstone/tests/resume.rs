//! Trainings that are interrupted and go on, and networks that are saved and read back.

use recipe::{NoiseLocation, Optimizer, Recipe, Sharpener};
use whetstone::data::{Dataset, Limits, load};
use whetstone::evaluate::evaluate;
use whetstone::network::Network;
use whetstone::train::{
    Checkpoint, CheckpointError, EpochReport, Options, State, Stop, TrainError, Trained, Watch,
    train,
};

const SEED: u64 = 11;

fn digits() -> Dataset {
    load("digits", None, Limits { train: Some(90), test: Some(60) }).unwrap()
}

/// Eight epochs of three batches, the last of them smaller, with everything that is random.
fn small() -> Recipe {
    Recipe {
        optimizer: Optimizer::Rmsprop,
        learning_rate: 3e-3,
        decay: 1e-3,
        noise_location: NoiseLocation::AfterDense,
        noise_std: 0.5,
        sharpening_start: 2,
        sharpening_duration: 1,
        sharpening_intermission: 0,
        conv1_filter: 3,
        conv2_filter: 3,
        conv1_features: 4,
        conv2_features: 5,
        conv3_features: 6,
        dense_units: 12,
        batch_size: 40,
        epochs: 1,
        ..Recipe::default()
    }
}

/// Every state that a training can be caught in.
fn recipes() -> Vec<Recipe> {
    let optimizers = Optimizer::ALL.iter().map(|&optimizer| Recipe { optimizer, ..small() });
    let others = [
        Recipe { augment_shift: 1, augment_mirror: true, warmup_epochs: 3, ..small() },
        Recipe { noise_location: NoiseLocation::AfterDenseNorm, ..small() },
        Recipe { noise_location: NoiseLocation::AfterDenseActivation, ..small() },
        Recipe { conv_blocks: 1, dense_layers: 3, epochs: 9, ..small() },
        adaptive(),
    ];
    optimizers.chain(others).collect()
}

/// Sharpens when the loss is level: from the third epoch on, and pauses now and then.
fn adaptive() -> Recipe {
    Recipe {
        sharpener: Sharpener::Adaptive,
        adaptive_rate: 0.4,
        adaptive_critical_rate: 0.3,
        adaptive_patience: 0,
        adaptive_increase: 0.02,
        adaptive_decrease: 0.2,
        epochs: 14,
        ..small()
    }
}

/// Keeps every report and every checkpoint, as bytes.
#[derive(Default)]
struct Record {
    reports: Vec<EpochReport>,
    checkpoints: Vec<Vec<u8>>,
}

impl Watch for Record {
    fn epoch(&mut self, report: &EpochReport, state: &State<'_>) {
        self.reports.push(report.clone());
        self.checkpoints.push(state.checkpoint().unwrap().to_bytes());
    }
}

fn run(recipe: &Recipe, data: &Dataset, from: Option<&Checkpoint>) -> (Trained, Record) {
    let mut record = Record::default();
    let options = Options { from, measure_test: true, ..Options::default() };
    let trained = train(recipe, data, SEED, options, &mut record, &Stop::new()).unwrap();
    (trained, record)
}

#[test]
fn an_interrupted_training_ends_as_if_it_had_never_stopped() {
    let data = digits();
    for recipe in recipes() {
        let (straight, record) = run(&recipe, &data, None);
        assert!(record.reports.len() >= 8, "{}", record.reports.len());
        for at in 0..record.reports.len() {
            let checkpoint = Checkpoint::from_bytes(&record.checkpoints[at]).unwrap();
            assert_eq!(checkpoint.epoch() as usize, at + 1);
            assert_eq!(checkpoint.to_bytes(), record.checkpoints[at]);
            let (resumed, rest) = run(&recipe, &data, Some(&checkpoint));
            assert_eq!(rest.reports, record.reports[at + 1..], "{recipe:?} after {at}");
            // Weights, statistics, averages, sharpener and counters at every later epoch.
            assert_eq!(rest.checkpoints, record.checkpoints[at + 1..]);
            assert_eq!(resumed.outcome, straight.outcome);
            assert_eq!(resumed.network_to_bytes().unwrap(), straight.network_to_bytes().unwrap());
        }
    }
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let (data, recipe) = (digits(), small());
    let (_, record) = run(&recipe, &data, None);
    let checkpoint = Checkpoint::from_bytes(&record.checkpoints[1]).unwrap();
    let refusal = |recipe: &Recipe, data: &Dataset, seed| {
        let options = Options { from: Some(&checkpoint), ..Options::default() };
        let watch = &mut |_: &EpochReport| panic!("it went on");
        match train(recipe, data, seed, options, watch, &Stop::new()) {
            Err(TrainError::Checkpoint(error)) => error,
            other => panic!("not refused: {other:?}"),
        }
    };
    let error = refusal(&Recipe { rho: 0.5, ..small() }, &data, SEED);
    assert_eq!(
        error.to_string(),
        "the checkpoint was taken with `rho` = 0.9; this training has 0.5"
    );
    let error = refusal(&recipe, &data, SEED + 1);
    assert_eq!(error, CheckpointError::OtherSeed { found: SEED, needed: SEED + 1 });
    let fewer = load("digits", None, Limits { train: Some(89), test: Some(60) }).unwrap();
    let error = refusal(&recipe, &fewer, SEED);
    assert!(matches!(error, CheckpointError::OtherData { .. }), "{error}");
    let mut relabelled = digits();
    relabelled.train = whetstone::data::Split::new(
        (0..90).flat_map(|image| data.train.pixels(image).to_vec()).collect(),
        data.train.labels().iter().rev().copied().collect(),
        64,
        16,
    );
    let error = refusal(&recipe, &relabelled, SEED);
    assert!(matches!(error, CheckpointError::OtherData { .. }), "{error}");
}

#[test]
fn damaged_checkpoints_are_refused_and_bring_nothing_down() {
    let (_, record) = run(&small(), &digits(), None);
    let whole = &record.checkpoints[0];
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for length in (0..header).step_by(7).chain((header..whole.len()).step_by(997)) {
        Checkpoint::from_bytes(&whole[..length]).unwrap_err();
    }
    for place in (0..header).chain((header..whole.len()).step_by(101)) {
        let mut damaged = whole.clone();
        // Not bit 5, which turns 1e-6 into 1E-6.
        damaged[place] ^= [1, 2, 4, 8, 16, 64, 128][place % 7];
        Checkpoint::from_bytes(&damaged).unwrap_err();
    }
    let data = digits();
    let (trained, _) = run(&small(), &data, None);
    let network = trained.network_to_bytes().unwrap();
    let error = Checkpoint::from_bytes(&network).unwrap_err();
    assert!(error.to_string().contains("not a checkpoint"), "{error}");
}

#[test]
fn a_network_read_back_measures_the_same_to_the_last_bit() {
    let data = digits();
    for recipe in [small(), Recipe { norm_center: false, norm_scale: false, ..small() }] {
        let (trained, _) = run(&recipe, &data, None);
        let bytes = trained.network_to_bytes().unwrap();
        let saved = Network::from_bytes(&bytes).unwrap();
        assert_eq!(saved.sharpness, trained.sharpness);
        assert_eq!(saved.network.recipe(), &recipe);
        assert_eq!(saved.network.plan(), trained.network.plan());
        assert_eq!(saved.network.key, trained.network.key);
        let measured = evaluate(&saved.network, &data, &data.test, &saved.sharpness).unwrap();
        assert_eq!(Some(measured), trained.outcome.test);
        assert_eq!(saved.network.to_bytes(&saved.sharpness).unwrap(), bytes);
    }
}

#[test]
fn damaged_networks_are_refused_and_bring_nothing_down() {
    let (trained, _) = run(&small(), &digits(), None);
    let whole = trained.network_to_bytes().unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for length in (0..header).step_by(5).chain((header..whole.len()).step_by(499)) {
        Network::from_bytes(&whole[..length]).unwrap_err();
    }
    for place in (0..header).chain((header..whole.len()).step_by(53)) {
        for bit in [0, 3, 6] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << bit;
            Network::from_bytes(&damaged).unwrap_err();
        }
    }
}
