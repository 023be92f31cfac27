//! Whole trainings on the built-in digits, kept short.

use candle_core::{Device, Tensor};
use recipe::{EpochPolicy, NoiseLocation, Optimizer, Recipe};
use whetstone::data::{Dataset, Limits, load};
use whetstone::evaluate::evaluate;
use whetstone::network::{Extent, Network, Plan};
use whetstone::optim;
use whetstone::seed::{Purpose, stream};
use whetstone::sharpen::Sharpness;
use whetstone::softmax_decode::{correct, cross_entropy};
use whetstone::train::{EpochReport, Options, Outcome, Stop, TrainError, train};

fn digits(train: usize, test: usize) -> Dataset {
    load("digits", None, Limits { train: Some(train), test: Some(test) }).unwrap()
}

/// Learns the digits in about two seconds: few features, a short schedule of thirteen epochs.
fn small() -> Recipe {
    Recipe {
        optimizer: Optimizer::Rmsprop,
        learning_rate: 3e-3,
        noise_location: NoiseLocation::AfterDense,
        noise_std: 0.5,
        conv_norm_momentum: 0.9,
        dense_norm_momentum: 0.9,
        sharpening_start: 7,
        sharpening_duration: 1,
        sharpening_intermission: 0,
        conv1_filter: 3,
        conv2_filter: 3,
        conv1_features: 16,
        conv2_features: 16,
        conv3_features: 32,
        dense_units: 48,
        epochs: 1,
        epoch_policy: EpochPolicy::Extend,
        ..Recipe::default()
    }
}

fn run(recipe: &Recipe, data: &Dataset, seed: u64) -> (Outcome, Vec<EpochReport>) {
    let mut reports = Vec::new();
    let progress = &mut |report: &EpochReport| reports.push(report.clone());
    let trained = train(recipe, data, seed, Options::default(), progress, &Stop::new()).unwrap();
    (trained.outcome, reports)
}

fn refused(recipe: &Recipe, data: &Dataset) -> TrainError {
    let watch = &mut |_: &EpochReport| {};
    train(recipe, data, 1, Options::default(), watch, &Stop::new()).unwrap_err()
}

#[test]
fn digits_are_learned_and_survive_being_made_binary() {
    let (outcome, reports) = run(&small(), &digits(1437, 360), 1);
    assert!(outcome.binary_accuracy > 0.8, "{outcome:?}");
    assert!(outcome.sharpening_finished);
    assert_eq!(outcome.soft_accuracy, outcome.binary_accuracy, "hard is hard");
    assert_eq!(outcome.epochs, small().epochs_needed());
    assert_eq!(reports.len(), outcome.epochs as usize);
    let last = reports.last().unwrap();
    assert_eq!(last.binary_accuracy, outcome.binary_accuracy);
    assert!(last.loss < reports[0].loss);
    assert!(last.train_accuracy > reports[0].train_accuracy);
}

#[test]
fn a_seed_decides_every_bit_and_another_seed_decides_otherwise() {
    let data = digits(300, 100);
    let (first, again, other) =
        (run(&small(), &data, 7), run(&small(), &data, 7), run(&small(), &data, 8));
    assert_eq!(first, again);
    assert_ne!(first.1, other.1);
}

#[test]
fn sharpness_never_falls_and_reports_count_from_zero() {
    let (_, reports) = run(&small(), &digits(200, 50), 3);
    for (epoch, report) in reports.iter().enumerate() {
        assert_eq!(report.epoch as usize, epoch);
        assert_eq!(report.epochs_planned, small().epochs_planned());
        assert!(report.sharpness.is_sorted_by(|before, after| before >= after), "bottom up");
    }
    for pair in reports.windows(2) {
        let risen = pair[0].sharpness.iter().zip(&pair[1].sharpness).all(|(a, b)| a <= b);
        assert!(risen, "{:?} then {:?}", pair[0].sharpness, pair[1].sharpness);
    }
}

#[test]
fn an_unfinished_schedule_is_measured_as_it_stands() {
    let recipe = Recipe { epochs: 9, epoch_policy: EpochPolicy::Fixed, ..small() };
    let (outcome, reports) = run(&recipe, &digits(200, 50), 3);
    assert_eq!((outcome.epochs, outcome.sharpening_finished), (9, false));
    assert_eq!(reports[8].sharpness, [1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_stop_ends_training_before_the_next_batch() {
    let stop = Stop::new();
    let asked = stop.clone();
    let mut epochs = 0;
    let progress = &mut |_: &EpochReport| {
        epochs += 1;
        asked.ask();
    };
    let stopped = train(&small(), &digits(100, 50), 1, Options::default(), progress, &stop);
    assert!(matches!(stopped, Err(TrainError::Stopped)), "{stopped:?}");
    assert_eq!(epochs, 1);
}

#[test]
fn a_loss_that_is_no_number_is_an_error_that_says_where() {
    // A step so long that the weights leave f32 and the norm divides infinity by infinity.
    let recipe = Recipe { learning_rate: 1e38, ..small() };
    let diverged = refused(&recipe, &digits(200, 50));
    assert!(matches!(diverged, TrainError::Diverged { epoch: 0, batch: 1.. }), "{diverged:?}");
    assert!(diverged.to_string().contains("learning rate"), "{diverged}");
}

#[test]
fn a_recipe_the_images_are_too_small_for_is_refused_before_training() {
    let mut data = digits(20, 10);
    (data.height, data.width) = (2, 32);
    let recipe = Recipe { batch_size: 10, ..small() };
    let refused = refused(&recipe, &data);
    assert!(matches!(refused, TrainError::Recipe { .. }), "{refused:?}");
    assert!(refused.to_string().contains("conv2"), "{refused}");
}

/// A small network with one batch of digits behind it, and that batch.
fn warmed_up(recipe: &Recipe, data: &Dataset) -> (Network, Tensor, Vec<u32>) {
    let image = Extent { height: 8, width: 8, channels: 1 };
    let mut network = Network::new(&Plan::new(recipe, image, 10).unwrap(), recipe, 4).unwrap();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    data.train.gather(&(0..32).collect::<Vec<_>>(), &mut pixels, &mut labels);
    let images = Tensor::from_vec(pixels, (32, 8, 8, 1), &Device::Cpu).unwrap();
    let soft = network.curves(&[Sharpness::SOFT; 5]);
    network.train_forward(&images, &soft, &mut stream(4, Purpose::Noise, 0)).unwrap();
    (network, images, labels)
}

fn bits(network: &Network) -> Vec<Vec<f32>> {
    let values = |var: &candle_core::Var| var.flatten_all().unwrap().to_vec1().unwrap();
    network.variables().iter().map(values).collect()
}

#[test]
fn below_a_hard_layer_parameters_stay_and_statistics_move() {
    let recipe = small();
    let data = digits(64, 32);
    let (mut network, images, labels) = warmed_up(&recipe, &data);
    let mut optimizer = optim::Optimizer::new(network.variables(), &recipe, 1).unwrap();
    let [soft, hard] = [Sharpness::SOFT, Sharpness::HARD];
    let curves = network.curves(&[hard, hard, soft, soft, soft]);
    let (before, moving) = (bits(&network), network.layers[0].moving.clone());

    let mut noise = stream(4, Purpose::Noise, 1);
    let output = network.train_forward(&images, &curves, &mut noise).unwrap();
    let loss = cross_entropy(&output, &network.key, &labels).unwrap();
    optimizer.step(&loss.backward().unwrap()).unwrap();

    let after = bits(&network);
    assert_eq!(before.len(), 15, "weights, gamma and beta of five layers");
    assert_eq!(before[..6], after[..6], "the two hard layers");
    for (before, after) in before[6..].iter().zip(&after[6..]) {
        assert_ne!(before, after, "a layer above them");
    }
    assert_ne!(network.layers[0].moving, moving);
}

#[test]
fn a_hardened_network_passes_only_zeros_and_ones() {
    // With nothing kept of the start the moving statistics are those of the one batch.
    let recipe = Recipe { conv_norm_momentum: 0.0, dense_norm_momentum: 0.0, ..small() };
    let (network, mut x, _) = warmed_up(&recipe, &digits(64, 32));
    let curves = network.curves(&[Sharpness::HARD; 5]);
    for (layer, curve) in network.layers.iter().zip(curves) {
        x = layer.activate(&layer.linear(&x).unwrap(), curve).unwrap();
        let spikes: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
        assert!(spikes.iter().all(|spike| *spike == 0.0 || *spike == 1.0), "{}", layer.name);
        assert!(spikes.contains(&0.0) && spikes.contains(&1.0), "{} carries nothing", layer.name);
    }
}

/// Layer by layer over the whole test part at once.
fn accuracy_by_hand(network: &Network, data: &Dataset, sharpness: &[Sharpness]) -> f64 {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    data.test.gather(&(0..data.test.len()).collect::<Vec<_>>(), &mut pixels, &mut labels);
    let mut x = Tensor::from_vec(pixels, (labels.len(), 8, 8, 1), &Device::Cpu).unwrap();
    for (layer, curve) in network.layers.iter().zip(network.curves(sharpness)) {
        x = layer.activate(&layer.linear(&x).unwrap(), curve).unwrap();
    }
    let outputs: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
    correct(&network.key, &outputs, &labels) as f64 / labels.len() as f64
}

#[test]
fn measuring_leaves_the_network_as_it_was_and_shares_nothing_but_work() {
    let data = digits(64, 200);
    let recipe = Recipe { conv_norm_momentum: 0.0, dense_norm_momentum: 0.0, ..small() };
    let (mut network, images, labels) = warmed_up(&recipe, &data);
    // Some learning, so that the accuracies are not all those of chance.
    let mut optimizer = optim::Optimizer::new(network.variables(), &recipe, 1).unwrap();
    let curves = network.curves(&[Sharpness::SOFT; 5]);
    for update in 1..30 {
        let mut noise = stream(4, Purpose::Noise, update);
        let output = network.train_forward(&images, &curves, &mut noise).unwrap();
        let loss = cross_entropy(&output, &network.key, &labels).unwrap();
        optimizer.step(&loss.backward().unwrap()).unwrap();
    }
    let (before, moving) = (bits(&network), network.layers[3].moving.clone());
    let [soft, hard] = [Sharpness::SOFT, Sharpness::HARD];
    let half = [hard, Sharpness::from_host(0.5), soft, soft, soft];
    let both = evaluate(&network, &data, &data.test, &half).unwrap();
    assert_eq!((bits(&network), network.layers[3].moving.clone()), (before, moving));
    // Each alone, without the shared beginning.
    assert_eq!(both.soft, accuracy_by_hand(&network, &data, &half));
    assert_eq!(both.binary, accuracy_by_hand(&network, &data, &[hard; 5]));
    assert_ne!(both.soft, both.binary, "else this test tells nothing apart");
    let hardened = evaluate(&network, &data, &data.test, &[hard; 5]).unwrap();
    assert_eq!(both.binary, hardened.binary);
    assert_eq!(hardened.soft, hardened.binary);
    let plain = evaluate(&network, &data, &data.test, &[soft; 5]).unwrap();
    assert_eq!(plain.binary, hardened.binary);
}

#[test]
fn noise_acts_in_training_only_and_without_a_location_not_at_all() {
    let data = digits(64, 100);
    let output = |recipe: &Recipe, draw: u64| {
        let (mut network, images, _) = warmed_up(recipe, &data);
        let curves = network.curves(&[Sharpness::SOFT; 5]);
        let mut noise = stream(4, Purpose::Noise, draw);
        let output = network.train_forward(&images, &curves, &mut noise).unwrap();
        output.to_vec2::<f32>().unwrap()
    };
    let noisy = small();
    assert_ne!(output(&noisy, 1), output(&noisy, 2));
    for noise_std in [0.2, 0.3] {
        let quiet = Recipe { noise_location: NoiseLocation::None, noise_std, ..small() };
        assert_eq!(output(&quiet, 1), output(&quiet, 2));
        let other = Recipe { noise_std: 0.9, ..quiet.clone() };
        assert_eq!(output(&quiet, 1), output(&other, 1), "the deviation is inert");
    }
    let (network, ..) = warmed_up(&noisy, &data);
    let measure = || evaluate(&network, &data, &data.test, &[Sharpness::SOFT; 5]).unwrap();
    assert_eq!(measure(), measure());
}

/// A step's gradients by the chain are those of candle's graph, bit for bit.
#[test]
fn gradients_of_a_step_are_those_of_candles_graph() {
    use recipe::Downsampling;
    let images = load("digits", None, Limits { train: Some(24), test: Some(10) });
    let digits = images.unwrap();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    digits.train.gather(&(0..24).collect::<Vec<_>>(), &mut pixels, &mut labels);
    let images = Tensor::from_slice(&pixels, (24, 8, 8, 1), &Device::Cpu).unwrap();
    let plain = Recipe {
        conv1_features: 5,
        conv2_features: 7,
        conv3_features: 6,
        dense_units: 9,
        noise_std: 0.3,
        ..Recipe::default()
    };
    let stride = Recipe { downsampling: Downsampling::Stride, dense_layers: 2, ..plain.clone() };
    let noisy = |noise_location| Recipe { noise_location, ..plain.clone() };
    let bare = Recipe { norm_center: false, norm_scale: false, ..plain.clone() };
    let recipes = [
        plain.clone(),
        stride,
        bare,
        noisy(NoiseLocation::AfterDense),
        noisy(NoiseLocation::AfterDenseNorm),
        noisy(NoiseLocation::AfterDenseActivation),
    ];
    for recipe in recipes {
        // Soft, partly hard, and hard above a soft layer.
        for hard in [vec![], vec![0, 1], vec![3]] {
            let plan = Plan::new(&recipe, Extent { height: 8, width: 8, channels: 1 }, 10).unwrap();
            let [mut chain, mut graph] =
                [(), ()].map(|()| Network::new(&plan, &recipe, 7).unwrap());
            let mut sharpness = vec![Sharpness::SOFT; chain.layers.len()];
            hard.iter().for_each(|layer| sharpness[*layer] = Sharpness::HARD);
            let curves = chain.curves(&sharpness);
            let noise = || stream(3, Purpose::Noise, 0);
            let ours = chain.gradients(&images, &labels, &curves, &mut noise()).unwrap();
            let output = graph.train_forward(&images, &curves, &mut noise()).unwrap();
            let loss = cross_entropy(&output, &graph.key, &labels).unwrap();
            assert_eq!(ours.loss, f64::from(loss.to_scalar::<f32>().unwrap()));
            let theirs = loss.backward().unwrap();
            let mut with_gradient = 0;
            for (a, b) in chain.variables().iter().zip(graph.variables()) {
                let flat = |store: &candle_core::backprop::GradStore, var: &candle_core::Var| {
                    let gradient = store.get(var.as_tensor());
                    gradient.map(|g| g.flatten_all().unwrap().to_vec1::<f32>().unwrap())
                };
                let (ours, theirs) = (flat(&ours.by_variable, a), flat(&theirs, &b));
                with_gradient += usize::from(ours.is_some());
                match (ours, theirs) {
                    // Parted from its norm, noise leaves candle another order of the same sums.
                    (Some(ours), Some(theirs))
                        if recipe.noise_location == NoiseLocation::AfterDenseNorm =>
                    {
                        let scale = theirs.iter().fold(1e-3f32, |most, g| most.max(g.abs()));
                        for (a, b) in ours.iter().zip(theirs) {
                            assert!((a - b).abs() < 2e-5 * scale, "{a} {b} of {scale}");
                        }
                    }
                    (ours, theirs) => assert_eq!(ours, theirs, "{recipe:?} {hard:?}"),
                }
            }
            assert!(with_gradient > 0);
        }
    }
}
