//! From maps of names and values to recipes and back, with every way of being wrong.

use std::collections::BTreeMap;

use recipe::{Activation, EpochPolicy, Kind, NoiseLocation, Optimizer, Recipe, RecipeError};
use serde_json::{Value, json};

fn read(pairs: Value) -> Result<Recipe, RecipeError> {
    let Value::Object(map) = pairs else { panic!("the test passes an object") };
    Recipe::from_parameters(&map.into_iter().collect())
}

fn refusal(name: &str, value: Value) -> String {
    read(json!({ name: value.clone() }))
        .expect_err(&format!("{name} = {value} should be refused"))
        .to_string()
}

#[test]
fn an_empty_map_is_the_default_recipe() {
    assert_eq!(read(json!({})).unwrap(), Recipe::default());
}

#[test]
fn each_name_reaches_the_field_of_the_same_name() {
    // Serialising goes by the fields, reading by the table: a slip in one of them shows here.
    for (index, parameter) in Recipe::parameters().iter().enumerate() {
        let other = match parameter.kind() {
            Kind::Float { .. } => json!(0.123 + index as f64 / 1e3),
            Kind::Integer { odd: true, .. } => json!(9),
            Kind::Integer { high, .. } if high < 10 => json!(high - index as u32 % 2),
            Kind::Integer { .. } => json!(101 + index),
            Kind::Bool => json!(parameter.default_value() == json!(false)),
            Kind::Choice(names) => {
                let other = names.iter().find(|name| parameter.default_value() != **name);
                json!(other.unwrap())
            }
        };
        let recipe = read(json!({ parameter.name: other })).unwrap();
        let mut expected = serde_json::to_value(Recipe::default()).unwrap();
        assert_ne!(expected[parameter.name], other, "{} was not changed", parameter.name);
        expected[parameter.name] = other;
        assert_eq!(serde_json::to_value(recipe).unwrap(), expected);
    }
}

#[test]
fn the_table_lists_every_field_once_and_explains_it() {
    let fields = serde_json::to_value(Recipe::default()).unwrap();
    let mut fields: Vec<String> = fields.as_object().unwrap().keys().cloned().collect();
    let mut listed: Vec<String> =
        Recipe::parameters().iter().map(|parameter| parameter.name.to_owned()).collect();
    fields.sort();
    listed.sort();
    assert_eq!(listed, fields);
    for parameter in Recipe::parameters() {
        assert!(parameter.meaning.len() > 10, "{}", parameter.name);
    }
}

#[test]
fn every_default_lies_in_its_own_range() {
    for parameter in Recipe::parameters() {
        let recipe = read(json!({ parameter.name: parameter.default_value() })).unwrap();
        assert_eq!(recipe, Recipe::default());
    }
}

#[test]
fn a_recipe_written_as_parameters_reads_back_the_same() {
    let recipe = read(json!({
        "learning_rate": 0.001, "optimizer": "rmsprop", "noise_location": "after_dense",
        "norm_center": false, "conv1_filter": 7, "dense_units": 1024, "sharpener": "adaptive",
        "conv_blocks": 5, "dense_layers": 0, "downsampling": "stride", "augment_mirror": true,
        "epoch_policy": "fixed", "activation": "sigmoid", "norm_epsilon": 0.01,
    }))
    .unwrap();
    assert_eq!(recipe.optimizer, Optimizer::Rmsprop);
    assert_eq!(recipe.noise_location, NoiseLocation::AfterDense);
    assert_eq!(recipe.activation, Activation::Sigmoid);
    assert_eq!(recipe.epoch_policy, EpochPolicy::Fixed);
    let parameters = recipe.to_parameters();
    assert_eq!(parameters.len(), Recipe::parameters().len());
    assert_eq!(Recipe::from_parameters(&parameters).unwrap(), recipe);
}

#[test]
fn whole_numbers_and_fractions_of_zero_are_interchangeable() {
    let recipe = read(json!({ "learning_rate": 1, "dense_units": 256.0, "decay": 0 })).unwrap();
    assert_eq!((recipe.learning_rate, recipe.dense_units, recipe.decay), (1.0, 256, 0.0));
}

#[test]
fn an_unknown_name_is_refused_with_the_name_it_resembles() {
    let error = read(json!({ "learning_rat": 0.1 })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no hyperparameter `learning_rat`; the closest known name is `learning_rate`"
    );
    for (wrong, right) in [
        ("optimiser", "optimizer"),
        ("sharpener_start", "sharpening_start"),
        ("conv_1_filter", "conv1_filter"),
        ("Batch-Size", "batch_size"),
        ("epoch", "epochs"),
        ("norm_centre", "norm_center"),
        ("denseunits", "dense_units"),
    ] {
        match read(json!({ wrong: 1 })) {
            Err(RecipeError::UnknownName { closest, .. }) => assert_eq!(closest, right),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}

#[test]
fn a_value_out_of_range_is_refused_with_the_range() {
    assert_eq!(
        refusal("conv1_filter", json!(4)),
        "`conv1_filter` cannot be 4: it must be an odd number from 1 to 11"
    );
    assert_eq!(
        refusal("learning_rate", json!(0)),
        "`learning_rate` cannot be 0: it must be a number above 0 and at most 100"
    );
    assert_eq!(
        refusal("rho", json!(1.0)),
        "`rho` cannot be 1.0: it must be a number of at least 0 and below 1"
    );
    assert_eq!(
        refusal("optimizer", json!("nadam")),
        "`optimizer` cannot be \"nadam\": it must be \"adadelta\", \"rmsprop\", \"adam\" or \"sgd\""
    );
    assert_eq!(
        refusal("norm_scale", json!(1)),
        "`norm_scale` cannot be 1: it must be true or false"
    );
    assert_eq!(
        refusal("sharpening_start", json!(0)),
        "`sharpening_start` cannot be 0: it must be a whole number from 1 to 10000"
    );
}

#[test]
fn both_ends_of_every_range_are_where_the_table_says() {
    use std::ops::Bound::{Excluded, Included};
    let accepted = |name: &str, value: Value| read(json!({ name: value })).is_ok();
    for parameter in Recipe::parameters() {
        let name = parameter.name;
        match parameter.kind() {
            Kind::Integer { low, high, .. } => {
                assert!(accepted(name, json!(low)), "{name}");
                assert!(accepted(name, json!(high)), "{name}");
                assert!(!accepted(name, json!(i64::from(low) - 1)), "{name}");
                assert!(!accepted(name, json!(u64::from(high) + 1)), "{name}");
            }
            Kind::Float { low, high } => {
                match low {
                    Included(x) => {
                        assert!(accepted(name, json!(x)), "{name}");
                        assert!(!accepted(name, json!(x - 1e-9)), "{name}");
                    }
                    Excluded(x) => {
                        assert!(!accepted(name, json!(x)), "{name}");
                        assert!(accepted(name, json!(x + 1e-9)), "{name}");
                    }
                    _ => panic!("{name} has no lower bound"),
                }
                match high {
                    Included(x) => {
                        assert!(accepted(name, json!(x)), "{name}");
                        assert!(!accepted(name, json!(x + 1e-9)), "{name}");
                    }
                    Excluded(x) => {
                        assert!(!accepted(name, json!(x)), "{name}");
                        assert!(accepted(name, json!(x - 1e-9)), "{name}");
                    }
                    _ => panic!("{name} has no upper bound"),
                }
            }
            Kind::Bool | Kind::Choice(_) => {}
        }
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_everywhere() {
    for parameter in Recipe::parameters() {
        for value in [json!(null), json!([1]), json!({ "a": 1 }), json!("no such word")] {
            refusal(parameter.name, value);
        }
    }
    for value in [json!("0.1"), json!(true), json!(1e300)] {
        refusal("learning_rate", value);
    }
    for value in [json!(3.5), json!(-1), json!(1e18), json!("3"), json!(u64::MAX)] {
        refusal("dense_units", value);
    }
    for value in [json!("Adadelta"), json!(0), json!("")] {
        refusal("optimizer", value);
    }
}

#[test]
fn a_long_value_is_cut_in_the_error() {
    let text = refusal("rho", json!("x".repeat(5_000)));
    assert!(text.len() < 200, "{text}");
    assert!(text.contains('…'));
}

#[test]
fn the_first_wrong_name_in_alphabetical_order_is_reported() {
    let parameters: BTreeMap<String, Value> =
        [("zeta".to_owned(), json!(1)), ("alpha".to_owned(), json!(1))].into_iter().collect();
    match Recipe::from_parameters(&parameters) {
        Err(RecipeError::UnknownName { name, .. }) => assert_eq!(name, "alpha"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn words_read_and_written_are_the_same() {
    for (choice, name) in Optimizer::ALL.iter().zip(Optimizer::NAMES) {
        assert_eq!(choice.name(), *name);
        assert_eq!(choice.to_string(), *name);
        assert_eq!(serde_json::to_value(choice).unwrap(), json!(name));
    }
}

#[test]
fn noise_without_a_location_or_a_deviation_is_none() {
    assert_eq!(read(json!({ "noise_std": 0.3 })).unwrap().noise(), None);
    let placed = |std: f64| json!({ "noise_location": "after_dense", "noise_std": std });
    assert_eq!(read(placed(0.3)).unwrap().noise(), Some(0.3));
    assert_eq!(read(placed(0.0)).unwrap().noise(), None);
    let nowhere = json!({ "noise_location": "after_dense_norm", "dense_layers": 0 });
    assert_eq!(read(nowhere).unwrap().noise(), None, "there is no dense layer to disturb");
}

#[test]
fn the_network_is_as_deep_as_asked_and_the_rest_is_inert() {
    let recipe = read(json!({
        "conv_blocks": 5, "conv4_filter": 7, "conv5_features": 9, "conv6_features": 11,
        "downsampled_blocks": 4, "dense_layers": 2, "dense2_units": 33, "dense3_units": 44,
    }))
    .unwrap();
    let convolutions = recipe.convolutions();
    let of = |what: fn(&recipe::Convolution) -> u32| -> Vec<u32> {
        convolutions.iter().map(what).collect()
    };
    assert_eq!(of(|convolution| convolution.filter), [5, 5, 3, 7, 3]);
    assert_eq!(of(|convolution| convolution.features), [64, 256, 512, 512, 9]);
    assert_eq!(of(|convolution| convolution.downsampled.into()), [1, 1, 1, 1, 0]);
    assert_eq!(recipe.dense_widths(), [512, 33]);
    assert_eq!(recipe.sharpenable_layers(), 8);
    assert_eq!(recipe.schedule().len(), 8);
    let smallest = read(json!({ "conv_blocks": 1, "dense_layers": 0 })).unwrap();
    assert_eq!((smallest.sharpenable_layers(), smallest.dense_widths().len()), (2, 0));
}
