//! Sharpeners against traces worked out independently of this code.

use std::iter;

use recipe::Recipe;
use serde_json::Value;
use whetstone::sharpen::{
    Adaptive, AdaptiveSettings, Direction, Order, ScheduleError, Scheduled, Sharpener, Sharpness,
    Simple, Window,
};

fn fixtures(group: &str) -> Value {
    let text = include_str!("fixtures/whetstone.json");
    let mut all: Value = serde_json::from_str(text).unwrap();
    all[group].take()
}

fn whole(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn windows(value: &Value) -> Vec<Window> {
    let windows = value.as_array().unwrap().iter();
    windows.map(|w| Window::new(whole(&w[0]) as u32, whole(&w[1]) as u32).unwrap()).collect()
}

/// The expected sharpness at each epoch's end, from runs of equal epochs.
fn by_epoch(runs: &Value) -> Vec<Vec<f64>> {
    let mut epochs = Vec::new();
    for run in runs.as_array().unwrap() {
        let length = whole(&run["last_epoch"]) - whole(&run["first_epoch"]) + 1;
        assert_eq!(epochs.len(), whole(&run["first_epoch"]), "runs follow one another");
        epochs.extend(iter::repeat_n(numbers(&run["sharpness"]), length));
    }
    epochs
}

fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (actual, expected) in actual.iter().zip(expected) {
        assert!((actual - expected).abs() <= tolerance, "{what}: {actual} is not {expected}");
    }
}

/// Trains nothing for at most `budget` epochs; the sharpness at the end of each that was run.
fn run(sharpener: &mut dyn Sharpener, batches: usize, budget: usize) -> Vec<Vec<f64>> {
    let mut epochs = Vec::new();
    while epochs.len() < budget && !sharpener.stop() {
        for _ in 0..batches {
            sharpener.after_batch();
        }
        sharpener.after_epoch(1.0);
        epochs.push(sharpener.host().to_vec());
    }
    epochs
}

#[test]
fn a_schedule_gives_the_expected_sharpness_at_every_epochs_end() {
    for case in fixtures("scheduled_sharpener")["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let layers = whole(&case["num_layers"]);
        let batches = whole(&case["batches_per_epoch"]);
        let evenly = ["num_layers", "start", "duration", "intermission"]
            .map(|field| whole(&case[field]) as u32);
        let evenly = Window::evenly(evenly[0], evenly[1], evenly[2], evenly[3]).unwrap();
        assert_eq!(evenly, windows(&case["schedule"]), "{name}");

        let mut sharpener = Scheduled::new(layers, &evenly, batches).unwrap();
        let epochs = run(&mut sharpener, batches, whole(&case["epoch_budget"]));
        let expected = by_epoch(&case["end_of_epoch_sharpness_runs"]);
        assert_eq!(epochs.len(), whole(&case["epochs_run"]), "{name}");
        assert_eq!(epochs.len(), expected.len(), "{name}");
        for (epoch, (actual, expected)) in epochs.iter().zip(&expected).enumerate() {
            // The expected values are printed to nine digits.
            assert_close(actual, expected, 1e-9, &format!("{name}, epoch {epoch}"));
        }
        assert_eq!(sharpener.finished(), case["finished"].as_bool().unwrap(), "{name}");
        assert_eq!(sharpener.stop(), !case["stop_training_set_at_end_of_epoch"].is_null());
    }
}

#[test]
fn a_schedule_moves_batch_by_batch_as_expected() {
    for case in fixtures("scheduled_sharpener")["batch_traces"].as_array().unwrap() {
        let windows = windows(&case["schedule"]);
        let batches = whole(&case["batches_per_epoch"]);
        let mut sharpener = Scheduled::new(windows.len(), &windows, batches).unwrap();
        for step in case["trace"].as_array().unwrap() {
            let place =
                format!("{}, epoch {}, batch {}", case["name"], step["epoch"], step["batch"]);
            assert!(!sharpener.stop(), "{place}");
            assert_close(sharpener.host(), &numbers(&step["forward_sharpness"]), 1e-12, &place);
            sharpener.after_batch();
            assert_close(sharpener.host(), &numbers(&step["after_batch"]), 1e-12, &place);
            if whole(&step["batch"]) + 1 == batches {
                sharpener.after_epoch(1.0);
            }
        }
    }
}

#[test]
fn the_papers_schedules_stand_as_computed_after_fifty_epochs() {
    let group = fixtures("paper_schedule_vs_50_epochs");
    let after_50 = |windows: &[Window], batches| {
        let mut sharpener = Scheduled::new(windows.len(), windows, batches).unwrap();
        let epochs = run(&mut sharpener, batches, 50);
        (sharpener.host().to_vec(), sharpener.finished(), epochs.len())
    };
    for case in group["table_IV"].as_array().unwrap() {
        let windows = windows(&case["schedule"]);
        let (sharpness, finished, _) = after_50(&windows, whole(&case["batches_per_epoch"]));
        // Printed to four digits.
        assert_close(&sharpness, &numbers(&case["sharpness_after_50_epochs"]), 1e-4, "table IV");
        assert_eq!(finished, case["finished"].as_bool().unwrap());
    }
    for case in group["table_II_if_50_epochs_and_5_layers"].as_array().unwrap() {
        let [start, duration, intermission] = [0, 1, 2].map(|i| whole(&case["sched"][i]) as u32);
        let windows = Window::evenly(5, start, duration, intermission).unwrap();
        // CIFAR-100: 50,000 images in batches of 32.
        let (sharpness, _, epochs) = after_50(&windows, 1563);
        assert_close(&sharpness, &numbers(&case["sharpness_after_50_L5"]), 1e-4, "table II");
        assert_eq!(epochs, whole(&case["epochs_run"]));
    }
}

#[test]
fn a_window_of_one_batch_jumps_to_hard() {
    let mut sharpener = Scheduled::new(1, &Window::evenly(1, 1, 1, 0).unwrap(), 1).unwrap();
    assert_eq!(run(&mut sharpener, 1, 10), [[0.0], [0.0], [1.0]]);
    assert!(sharpener.finished());
}

#[test]
fn impossible_schedules_are_refused() {
    assert_eq!(Window::new(0, 3), Err(ScheduleError::StartsAtZero));
    assert_eq!(Window::evenly(3, 0, 1, 0), Err(ScheduleError::StartsAtZero));
    let empty = ScheduleError::EmptyWindow { start: 4, stop: 4 };
    assert_eq!(Window::evenly(2, 4, 0, 1), Err(empty));
    assert!(Window::new(4, 3).is_err());

    let windows = Window::evenly(2, 1, 1, 0).unwrap();
    let error = Scheduled::new(3, &windows, 5).unwrap_err();
    assert_eq!(error, ScheduleError::TooFewWindows { layers: 3, windows: 2 });
    assert_eq!(
        error.to_string(),
        "3 layers sharpen but the schedule has windows for 2; give one for each"
    );
}

#[test]
fn windows_beyond_the_layers_are_ignored() {
    let windows = Window::evenly(4, 1, 1, 0).unwrap();
    let mut sharpener = Scheduled::new(1, &windows, 3).unwrap();
    assert_eq!(run(&mut sharpener, 3, 10).len(), 3, "ends with the only layer's window");
}

#[test]
fn windows_may_overlap_and_come_in_any_order() {
    let windows = [Window::new(3, 5).unwrap(), Window::new(1, 4).unwrap()];
    let mut sharpener = Scheduled::new(2, &windows, 10).unwrap();
    let epochs = run(&mut sharpener, 10, 20);
    // Epoch 4 is the second of the first window's epochs 4 … 5, and the last of 2 … 4.
    assert_close(&epochs[4], &[10.0 / 19.0, 1.0], 1e-12, "epoch 4");
    assert_eq!(epochs.len(), 6);
}

#[test]
fn a_schedule_never_softens_and_ends_whatever_the_batch_size() {
    for batches in [1, 2, 3, 7, 45, 1875] {
        let recipe = Recipe {
            sharpening_start: 2,
            sharpening_duration: 3,
            sharpening_intermission: 1,
            ..Recipe::default()
        };
        let mut sharpener = Scheduled::from_recipe(&recipe, batches).unwrap();
        let mut before = sharpener.host().to_vec();
        let mut epochs = 0;
        while !sharpener.stop() {
            for _ in 0..batches {
                sharpener.after_batch();
                for (before, now) in before.iter().zip(sharpener.host()) {
                    assert!((*before..=1.0).contains(now), "{before} then {now}");
                }
                before = sharpener.host().to_vec();
            }
            sharpener.after_epoch(1.0);
            epochs += 1;
        }
        // A layer is hard one batch before its window ends: with one batch an epoch, an epoch.
        let early = if batches == 1 { 1 } else { 0 };
        assert_eq!(epochs, recipe.epochs_needed() - early, "{batches} batches an epoch");
    }
}

#[test]
fn without_a_layer_training_stops_after_its_first_epoch() {
    let mut scheduled = Scheduled::new(0, &[], 4).unwrap();
    assert!(!scheduled.stop());
    assert_eq!(run(&mut scheduled, 4, 10).len(), 1);
    let mut simple = Simple::new(0, 3, 4, Order::BottomUp);
    assert_eq!(run(&mut simple, 4, 10).len(), 1);
    let mut adaptive = Adaptive::new(0, 4, AdaptiveSettings::default());
    assert_eq!(run(&mut adaptive, 4, 10).len(), 1);
}

#[test]
fn simple_steps_are_exact_for_every_case() {
    let group = fixtures("simple_sharpener");
    for case in group["cases"].as_array().unwrap() {
        let [layers, steps, start] =
            ["num_layers", "steps", "start_epoch"].map(|field| whole(&case[field]));
        let mut sharpener = Simple::new(layers, start as u32, steps as u32, Order::BottomUp);
        let epochs = run(&mut sharpener, 3, 1000);
        assert_eq!(epochs, by_epoch(&case["end_of_epoch_runs"]), "{layers} layers, {steps} steps");
        assert_eq!(epochs.len(), whole(&case["epochs_run"]));
        assert_eq!(epochs.len() - 1, whole(&case["stop_set_at_end_of_epoch"]));
    }
}

#[test]
fn simple_steps_never_jump_ahead_and_fall_back() {
    // The range holds every combination at which adding up fractions goes wrong.
    for layers in 1..=12_usize {
        for steps in 1..=12_u32 {
            let mut sharpener = Simple::new(layers, 0, steps, Order::BottomUp);
            let epochs = run(&mut sharpener, 1, 1000);
            assert_eq!(epochs.len(), layers * steps as usize + 1);
            for (epoch, sharpness) in epochs.iter().enumerate() {
                let taken = (epoch + 1).min(layers * steps as usize);
                let hard = sharpness.iter().filter(|s| **s == 1.0).count();
                assert_eq!(hard, taken / steps as usize, "{layers} layers, {steps} steps");
            }
        }
    }
}

#[test]
fn simple_steps_taken_together_raise_all_layers_alike() {
    let mut sharpener = Simple::new(3, 1, Simple::STEPS, Order::Uniform);
    let epochs = run(&mut sharpener, 1, 100);
    let expected: Vec<Vec<f64>> =
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.0].iter().map(|s| vec![*s; 3]).collect();
    assert_eq!(epochs, expected);
}

fn settings(args: &Value) -> AdaptiveSettings {
    let mut settings = AdaptiveSettings::default();
    for (name, value) in args.as_object().unwrap() {
        match name.as_str() {
            "num_layers" | "batches_per_epoch" => {}
            "min_init_epochs" => settings.min_init_epochs = whole(value) as u32,
            "patience" => settings.patience = whole(value) as u32,
            "first_layer_relative_rate" => {
                settings.first_layer_relative_rate = value.as_f64().unwrap();
            }
            other => panic!("the fixture sets `{other}`, which this test does not know"),
        }
    }
    settings
}

#[test]
fn the_adaptive_sharpener_follows_the_loss_as_expected() {
    for case in fixtures("adaptive_sharpener")["cases"].as_array().unwrap() {
        let args = &case["args"];
        let batches = whole(&args["batches_per_epoch"]);
        let mut sharpener = Adaptive::new(whole(&args["num_layers"]), batches, settings(args));
        for row in case["trace"].as_array().unwrap() {
            let place = format!("{args}, epoch {}", row["epoch"]);
            for _ in 0..batches {
                sharpener.after_batch();
            }
            sharpener.after_epoch(row["loss"].as_f64().unwrap());

            let trend = sharpener.trend().unwrap();
            let change = row["percent_change"].as_f64().unwrap();
            assert_close(&[trend.relative_change], &[change], 1e-12, &place);
            let (improved, degraded) = (row["improved"] == true, row["degraded"] == true);
            assert_eq!(trend.direction == Direction::Improved, improved, "{place}");
            assert_eq!(trend.direction == Direction::Degraded, degraded, "{place}");
            assert_eq!(sharpener.sharpening(), row["sharpening_after"] == true, "{place}");
            let reference = row["reference_loss"].as_f64().unwrap();
            assert_eq!(sharpener.reference_loss(), reference, "{place}");
            let waited = whole(&row["epochs_no_improvement"]);
            assert_eq!(sharpener.epochs_without_improvement() as usize, waited, "{place}");
            assert_close(sharpener.host(), &numbers(&row["sharpness"]), 1e-9, &place);
            assert_eq!(sharpener.stop(), row["stop_training"] == true, "{place}");
        }
    }
}

#[test]
fn adaptive_sharpening_together_moves_all_layers_alike() {
    let settings = AdaptiveSettings {
        min_init_epochs: 1,
        patience: 0,
        first_layer_relative_rate: 0.1,
        order: Order::Uniform,
        ..AdaptiveSettings::default()
    };
    let mut sharpener = Adaptive::new(3, 10, settings);
    let epochs = run(&mut sharpener, 10, 100);
    // Epoch 0 improves on the first reference, epoch 1 is level and switches on; then three
    // epochs of 0.25 and two of 0.126 (the last cut short), and one more to notice.
    let expected = [0.0, 0.0, 0.25, 0.5, 0.75, 0.876, 1.0];
    assert_eq!(epochs.len(), expected.len());
    for (actual, expected) in epochs.iter().zip(expected) {
        // Ten tenths of a quarter fall short of it by a rounding, and then one more batch runs
        // at the faster rate.
        assert_close(actual, &[expected; 3], 0.02, "all layers");
        assert!(actual.iter().all(|sharpness| *sharpness == actual[0]));
    }
}

/// Sharpens at a steady rate from the third epoch on, whatever the loss.
fn steady(rate: f64) -> AdaptiveSettings {
    AdaptiveSettings {
        min_init_epochs: 1,
        patience: 0,
        rate,
        critical_rate: rate,
        ..AdaptiveSettings::default()
    }
}

#[test]
fn a_layer_that_finishes_within_an_epoch_keeps_the_next_one_waiting() {
    let mut sharpener = Adaptive::new(2, 10, steady(0.4));
    let epochs = run(&mut sharpener, 10, 100);
    // The first layer is done after half of epoch 4, the second only begins in epoch 5.
    let expected =
        [[0.0, 0.0], [0.0, 0.0], [0.4, 0.0], [0.8, 0.0], [1.0, 0.0], [1.0, 0.4], [1.0, 0.8]];
    for (epoch, expected) in expected.iter().enumerate() {
        assert_close(&epochs[epoch], expected, 1e-12, &format!("epoch {epoch}"));
    }
}

#[test]
fn a_layer_is_taken_to_hard_from_within_a_thousandth() {
    for (rate, order, reached) in [
        (0.9995, Order::BottomUp, 1.0),
        (0.998, Order::BottomUp, 0.998),
        (0.9995, Order::Uniform, 0.9995),
        (1.0 - 1e-7, Order::Uniform, 1.0),
    ] {
        let mut sharpener = Adaptive::new(1, 1, AdaptiveSettings { order, ..steady(rate) });
        let epochs = run(&mut sharpener, 1, 3);
        assert_eq!(epochs[2], [reached], "{order:?} at {rate}");
    }
}

#[test]
fn a_layer_is_hard_only_if_its_f32_equals_one() {
    for case in fixtures("float32_equality_gate")["cases"].as_array().unwrap() {
        let seen = Sharpness::from_host(case["host"].as_f64().unwrap());
        let float32 = case["float32"].as_f64().unwrap();
        assert_close(&[f64::from(seen.get())], &[float32], 1e-12, "as f32");
        assert_eq!(seen.is_hard(), case["step_branch"].as_bool().unwrap());
    }
}

#[test]
fn a_sharpness_outside_zero_to_one_does_not_exist() {
    assert_eq!(Sharpness::new(0.0), Some(Sharpness::SOFT));
    assert_eq!(Sharpness::new(1.0), Some(Sharpness::HARD));
    for value in [-1e-6, 1.000001, f32::NAN, f32::INFINITY] {
        assert_eq!(Sharpness::new(value), None);
    }
}
