//! Networks of every depth: planned, built, trained a little, hardened.

use recipe::{Downsampling, EpochPolicy, NoiseLocation, Optimizer, Recipe, Sharpener};
use whetstone::data::{Dataset, Limits, load};
use whetstone::network::{Extent, Layer, Network, Plan, PlanError};
use whetstone::ops::sharpened_norm::Pool;
use whetstone::sharpen::{Adaptive, AdaptiveSettings, Sharpener as _};
use whetstone::train::{EpochReport, Options, Stop, TrainError, Trained, train};

const DIGIT: Extent = Extent { height: 8, width: 8, channels: 1 };

fn digits() -> Dataset {
    load("digits", None, Limits { train: Some(120), test: Some(60) }).unwrap()
}

fn small() -> Recipe {
    Recipe {
        optimizer: Optimizer::Adam,
        learning_rate: 3e-3,
        rho: 0.999,
        sharpening_start: 1,
        sharpening_duration: 1,
        sharpening_intermission: 0,
        conv1_filter: 3,
        conv2_filter: 3,
        conv1_features: 5,
        conv2_features: 6,
        conv3_features: 7,
        conv4_features: 8,
        conv5_features: 9,
        conv6_features: 10,
        dense_units: 20,
        dense2_units: 18,
        dense3_units: 16,
        epochs: 1,
        ..Recipe::default()
    }
}

fn run(recipe: &Recipe, data: &Dataset) -> (Trained, Vec<EpochReport>) {
    let mut reports = Vec::new();
    let watch = &mut |report: &EpochReport| reports.push(report.clone());
    let trained = train(recipe, data, 3, Options::default(), watch, &Stop::new()).unwrap();
    (trained, reports)
}

#[test]
fn layers_are_named_in_order_and_as_many_as_asked() {
    let names = |conv_blocks, dense_layers| -> String {
        let recipe = Recipe { conv_blocks, dense_layers, ..small() };
        let plan = Plan::new(&recipe, DIGIT, 10).unwrap();
        assert_eq!(plan.layers.len() as u32, recipe.sharpenable_layers());
        plan.layers.iter().map(|layer| layer.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(1, 0), "conv1 output");
    assert_eq!(names(3, 1), "conv1 conv2 conv3 dense output");
    let deepest = "conv1 conv2 conv3 conv4 conv5 conv6 dense dense2 dense3 output";
    assert_eq!(names(6, 3), deepest);
}

#[test]
fn both_ways_of_downsampling_halve_the_first_blocks() {
    let image = Extent { height: 7, width: 9, channels: 3 };
    let sides = |downsampled_blocks, downsampling| -> Vec<(usize, usize)> {
        let recipe = Recipe { downsampled_blocks, downsampling, conv_blocks: 4, ..small() };
        let plan = Plan::new(&recipe, image, 10).unwrap();
        plan.layers[..4].iter().map(|l| (l.output().height, l.output().width)).collect()
    };
    use Downsampling::{Pool, Stride};
    assert_eq!(sides(0, Pool), [(7, 9); 4]);
    assert_eq!(sides(2, Pool), [(3, 4), (1, 2), (1, 2), (1, 2)]);
    assert_eq!(sides(2, Stride), [(4, 5), (2, 3), (2, 3), (2, 3)]);
    assert_eq!(sides(6, Stride), [(4, 5), (2, 3), (1, 2), (1, 1)]);
}

#[test]
fn a_stride_saves_three_quarters_of_the_work_that_a_pool_throws_away() {
    let planned = |downsampling| {
        let recipe = Recipe { downsampling, ..small() };
        Plan::new(&recipe, DIGIT, 10).unwrap()
    };
    let (pool, stride) = (planned(Downsampling::Pool), planned(Downsampling::Stride));
    assert_eq!(pool.layers[0].multiply_adds(), 4 * stride.layers[0].multiply_adds());
    assert_eq!(pool.layers[2], stride.layers[2], "from there on they are the same");
    assert_eq!(pool.parameters(), stride.parameters());
    assert_eq!((stride.layers[0].stride, stride.layers[0].pool), (2, Pool::None));
}

#[test]
fn pools_beyond_the_last_pixel_are_refused_before_the_first_batch_and_strides_are_not() {
    let recipe = Recipe { conv_blocks: 4, downsampled_blocks: 4, ..small() };
    let refused = Plan::new(&recipe, DIGIT, 10).unwrap_err();
    assert_eq!(refused, PlanError::Vanished { layer: "conv4", height: 1, width: 1 });
    let stop = Stop::new();
    stop.ask();
    let watch = &mut |_: &EpochReport| {};
    let refused = train(&recipe, &digits(), 1, Options::default(), watch, &stop).unwrap_err();
    assert!(matches!(refused, TrainError::Recipe { .. }), "{refused}");
    assert!(refused.to_string().contains("`downsampled_blocks`"), "{refused}");
    let strided = Recipe { downsampling: Downsampling::Stride, ..recipe };
    assert_eq!(Plan::new(&strided, DIGIT, 10).unwrap().layers[3].output().height, 1);
}

#[test]
fn filters_wider_than_the_image_are_no_trouble() {
    let recipe = Recipe { conv1_filter: 11, conv3_filter: 11, ..small() };
    let (trained, _) = run(&recipe, &digits());
    assert!(trained.outcome.sharpening_finished);
}

#[test]
fn networks_of_every_shape_train_until_the_last_layer_is_hard() {
    let data = digits();
    for (conv_blocks, dense_layers, downsampled_blocks, downsampling) in [
        (1, 0, 0, Downsampling::Pool),
        (1, 0, 1, Downsampling::Stride),
        (2, 3, 2, Downsampling::Pool),
        (6, 1, 3, Downsampling::Stride),
        (6, 3, 3, Downsampling::Pool),
    ] {
        let recipe =
            Recipe { conv_blocks, dense_layers, downsampled_blocks, downsampling, ..small() };
        let (trained, reports) = run(&recipe, &data);
        let layers = recipe.sharpenable_layers() as usize;
        assert_eq!(trained.sharpness.len(), layers);
        assert_eq!(reports[0].layers.len(), layers);
        if trained.outcome.collapsed.is_none() {
            assert_eq!(trained.outcome.epochs, recipe.epochs_needed(), "{recipe:?}");
            assert!(trained.outcome.sharpening_finished);
        }
        // All layers learned something before they were frozen.
        let fresh = Network::new(trained.network.plan(), &recipe, 3).unwrap();
        for (after, before) in trained.network.layers.iter().zip(&fresh.layers) {
            let bits =
                |layer: &Layer| layer.weights.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_ne!(bits(after), bits(before), "{}", after.name);
        }
    }
}

#[test]
fn a_strided_network_learns_as_a_pooled_one_does() {
    let data = load("digits", None, Limits { train: Some(1437), test: Some(360) }).unwrap();
    for downsampling in [Downsampling::Pool, Downsampling::Stride] {
        let recipe = Recipe {
            downsampling,
            conv1_features: 16,
            conv2_features: 16,
            conv3_features: 32,
            dense_units: 48,
            epochs: 6,
            epoch_policy: EpochPolicy::Fixed,
            sharpening_start: 10,
            ..small()
        };
        let (trained, _) = run(&recipe, &data);
        let soft = trained.outcome.soft_accuracy;
        assert!(soft > 0.8, "{downsampling}: {soft}");
    }
}

#[test]
fn noise_is_drawn_where_the_recipe_says_and_only_in_the_first_dense_layer() {
    let data = digits();
    let learned = |noise_location, dense_layers| {
        let epoch_policy = EpochPolicy::Fixed;
        let recipe =
            Recipe { noise_location, noise_std: 0.3, dense_layers, epoch_policy, ..small() };
        run(&recipe, &data).1
    };
    let locations = NoiseLocation::ALL;
    let reports: Vec<_> = locations.iter().map(|&location| learned(location, 2)).collect();
    for (index, one) in reports.iter().enumerate() {
        for other in &reports[..index] {
            assert_ne!(one[0].loss, other[0].loss, "{}", locations[index]);
        }
    }
    for location in locations {
        assert_eq!(learned(*location, 0), learned(NoiseLocation::None, 0), "{location}");
    }
}

/// The norm is composed of other operations where noise parts it from its activation: without
/// noise to speak of, one update must be the same.
#[test]
fn a_parted_norm_learns_as_the_whole_one_does() {
    let data = digits();
    for (norm_center, norm_scale) in [(true, true), (false, false)] {
        let learned = |noise_location| {
            let recipe = Recipe {
                noise_location,
                noise_std: 1e-12,
                norm_center,
                norm_scale,
                optimizer: Optimizer::Sgd,
                learning_rate: 0.1,
                batch_size: 120,
                epoch_policy: EpochPolicy::Fixed,
                ..small()
            };
            let (trained, reports) = run(&recipe, &data);
            let weights = trained
                .network
                .variables()
                .into_iter()
                .flat_map(|var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            (weights.collect::<Vec<f32>>(), reports[0].loss)
        };
        let (whole, whole_loss) = learned(NoiseLocation::AfterDense);
        for location in [NoiseLocation::AfterDenseNorm, NoiseLocation::AfterDenseActivation] {
            let (parted, parted_loss) = learned(location);
            assert!((whole_loss - parted_loss).abs() < 1e-6, "{whole_loss} {parted_loss}");
            for (a, b) in whole.iter().zip(&parted) {
                assert!((a - b).abs() < 1e-5, "{location}: {a} {b}");
            }
        }
    }
}

#[test]
fn the_adaptive_sharpener_is_told_the_losses_and_obeyed() {
    let recipe = Recipe {
        sharpener: Sharpener::Adaptive,
        sharpening_start: 2,
        adaptive_rate: 0.5,
        adaptive_critical_rate: 0.5,
        adaptive_patience: 0,
        adaptive_increase: 0.05,
        epochs: 60,
        epoch_policy: EpochPolicy::Extend,
        ..small()
    };
    let data = digits();
    let (trained, reports) = run(&recipe, &data);
    // The same sharpener by hand: 120 images in batches of 32 are four batches.
    let mut by_hand = Adaptive::new(5, 4, AdaptiveSettings::from_recipe(&recipe));
    let mut paused = false;
    for report in &reports {
        (0..4).for_each(|_| by_hand.after_batch());
        by_hand.after_epoch(report.loss);
        let expected: Vec<f32> = by_hand.sharpness().into_iter().map(|s| s.get()).collect();
        assert_eq!(report.sharpness, expected, "epoch {}", report.epoch);
        assert_eq!(report.epochs_planned, 60);
        paused |= report.sharpness[0] > 0.0 && !by_hand.sharpening();
    }
    assert!(paused, "the loss never mattered");
    assert_eq!(trained.outcome.sharpening_finished, by_hand.finished());
    assert_eq!(by_hand.stop() || trained.outcome.collapsed.is_some(), reports.len() < 60);
    // A smaller budget is a hard end.
    let (short, _) = run(&Recipe { epochs: 4, ..recipe }, &data);
    assert_eq!((short.outcome.epochs, short.outcome.sharpening_finished), (4, false));
}
