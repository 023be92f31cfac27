//! Windows and epochs against values worked out independently for the paper's schedules.

use recipe::schedule::{epochs_needed, windows};
use recipe::{EpochPolicy, Recipe};
use serde_json::Value;

fn fixtures() -> Value {
    serde_json::from_str(include_str!("fixtures/schedule.json")).unwrap()
}

fn whole(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn pairs(value: &Value) -> Vec<(u32, u32)> {
    let pairs = value.as_array().unwrap();
    pairs.iter().map(|pair| (whole(&pair[0]), whole(&pair[1]))).collect()
}

fn recipe(start: u32, duration: u32, intermission: u32) -> Recipe {
    Recipe {
        sharpening_start: start,
        sharpening_duration: duration,
        sharpening_intermission: intermission,
        ..Recipe::default()
    }
}

#[test]
fn windows_and_epochs_follow_from_start_duration_and_intermission() {
    for case in fixtures()["gen_schedule"].as_array().unwrap() {
        let [layers, start, duration, intermission] =
            [0, 1, 2, 3].map(|index| whole(&case["args"][index]));
        let windows = windows(layers, start, duration, intermission);
        assert_eq!(windows, pairs(&case["schedule"]));
        assert_eq!(windows.last().unwrap().1, whole(&case["last_stop"]));
        assert_eq!(
            epochs_needed(layers, start, duration, intermission),
            whole(&case["epochs_needed_reference"])
        );
        if layers == Recipe::default().sharpenable_layers() {
            let recipe = recipe(start, duration, intermission);
            assert_eq!(recipe.schedule(), windows);
            assert_eq!(recipe.epochs_needed(), whole(&case["epochs_needed_reference"]));
        }
    }
}

#[test]
fn the_papers_optima_need_more_epochs_than_the_paper_ran() {
    let group = &fixtures()["paper_schedule_vs_50_epochs"];
    let mut at_five_layers = 0;
    for case in group["table_IV"].as_array().unwrap() {
        let [layers, start, duration, intermission] =
            ["assumed_spiking_layers", "start", "duration", "intermission"]
                .map(|name| whole(&case[name]));
        let needed = epochs_needed(layers, start, duration, intermission);
        assert_eq!(needed, whole(&case["epochs_needed"]));
        assert_eq!(needed <= 50, case["finished"].as_bool().unwrap());
        assert_eq!(windows(layers, start, duration, intermission), pairs(&case["schedule"]));
        if layers == 5 {
            at_five_layers += 1;
            let recipe = recipe(start, duration, intermission);
            assert_eq!(recipe.epochs_planned(), needed, "extended beyond the 50 asked for");
            let fixed = Recipe { epoch_policy: EpochPolicy::Fixed, ..recipe };
            assert_eq!(fixed.epochs_planned(), 50);
        }
    }
    assert_eq!(at_five_layers, 4);

    for case in group["table_II_if_50_epochs_and_5_layers"].as_array().unwrap() {
        let [start, duration, intermission] = [0, 1, 2].map(|index| whole(&case["sched"][index]));
        let recipe = recipe(start, duration, intermission);
        assert_eq!(recipe.epochs_needed(), whole(&case["epochs_needed_L5"]));
        assert_eq!(recipe.epochs_needed().min(50), whole(&case["epochs_run"]));
    }
}

#[test]
fn few_of_the_searched_schedules_finish_within_fifty_epochs() {
    let fixtures = fixtures();
    let by_layers =
        &fixtures["paper_schedule_vs_50_epochs"]["case2_combos_finishing_within_50_by_layers"];
    for layers in 1..=8 {
        let mut finishing = Vec::new();
        for start in [20, 25, 30] {
            for duration in 4..=7 {
                for intermission in 1..=5 {
                    if epochs_needed(layers, start, duration, intermission) <= 50 {
                        finishing.push(vec![start, duration, intermission]);
                    }
                }
            }
        }
        let case = &by_layers[layers.to_string()];
        assert_eq!(finishing.len() as u32, whole(&case["finish_within_50"]), "{layers} layers");
        if let Some(list) = case["list"].as_array() {
            let listed: Vec<Vec<u32>> = list
                .iter()
                .map(|combination| combination.as_array().unwrap().iter().map(whole).collect())
                .collect();
            assert_eq!(finishing, listed);
        }
    }
}

#[test]
fn the_policy_decides_between_the_budget_and_the_schedule() {
    let mut recipe = Recipe { epochs: 200, ..recipe(2, 1, 0) };
    assert_eq!(recipe.epochs_needed(), 8);
    assert_eq!(recipe.epochs_planned(), 200, "a longer budget is not cut by the plan");
    recipe.epochs = 5;
    assert_eq!(recipe.epochs_planned(), 8);
    recipe.epoch_policy = EpochPolicy::Fixed;
    assert_eq!(recipe.epochs_planned(), 5);
}

#[test]
fn deeper_networks_need_longer_schedules_and_the_adaptive_sharpener_none() {
    let deep = Recipe { conv_blocks: 5, dense_layers: 2, epochs: 1, ..recipe(2, 3, 1) };
    // 2 + 8 · 3 + 7 · 1 + 1
    assert_eq!((deep.epochs_needed(), deep.epochs_planned()), (34, 34));
    assert_eq!(*deep.schedule().last().unwrap(), (30, 33));
    for epoch_policy in [EpochPolicy::Extend, EpochPolicy::Fixed] {
        let sharpener = recipe::Sharpener::Adaptive;
        let adaptive = Recipe { sharpener, epoch_policy, epochs: 12, ..deep.clone() };
        assert_eq!(adaptive.epochs_planned(), 12);
    }
}

#[test]
fn without_a_layer_training_takes_one_epoch() {
    assert_eq!(windows(0, 5, 3, 2), []);
    assert_eq!(epochs_needed(0, 5, 3, 2), 1);
}
