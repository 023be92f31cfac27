use proto::v1::parameter::Domain;

use super::*;

const STUDIES: [(&str, &str); 6] = [
    ("case-one", include_str!("../../../studies/case-one.toml")),
    ("case-two", include_str!("../../../studies/case-two.toml")),
    ("digits", include_str!("../../../studies/digits.toml")),
    ("fashion-mnist", include_str!("../../../studies/fashion-mnist.toml")),
    ("topology", include_str!("../../../studies/topology.toml")),
    ("tradeoff", include_str!("../../../studies/tradeoff.toml")),
];

const GOOD: &str = r#"name = "s"
max_trials = 3
[objective]
kind = "whetstone"
dataset = "digits"
[objective.fixed]
epochs = 4
[[parameter]]
name = "noise_location"
categorical = ["none", "after_dense"]
[[parameter]]
name = "noise_std"
float = [0.1, 0.5]
scale = "log"
default = 0.2
when = { parameter = "noise_location", in = ["after_dense"] }
"#;

fn spec(text: &str) -> StudySpec {
    parse(text, "s.toml", &Overrides::default()).unwrap()
}

fn error(text: &str) -> String {
    parse(text, "s.toml", &Overrides::default()).unwrap_err().to_string()
}

/// The error after one replacement in a good file.
fn error_with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old));
    error(&GOOD.replacen(old, new, 1))
}

fn preset(name: &str) -> StudySpec {
    let (_, text) = STUDIES.iter().find(|(stem, _)| *stem == name).unwrap();
    spec(text)
}

#[test]
fn every_preset_is_in_order_and_named_like_its_file() {
    for (name, _) in STUDIES {
        assert_eq!(preset(name).name, name);
    }
}

#[test]
fn the_papers_spaces_have_as_many_points_as_the_paper_says() {
    let one = preset("case-one");
    assert_eq!(size(one.space.as_ref().unwrap()), Some(256));
    let start = (2, proto::v1::StartDesign::Random);
    assert_eq!((one.max_trials, (one.start_points, one.start_design())), (15, start));
    let two = preset("case-two");
    assert_eq!(two.space.as_ref().unwrap().parameters.len(), 22);
    assert_eq!(size(two.space.as_ref().unwrap()), Some(398_131_200));
    assert_eq!((two.max_trials, (two.start_points, two.start_design())), (30, start));
}

#[test]
fn every_corner_of_every_preset_is_a_recipe() {
    use proto::v1::value::Kind as K;
    use serde_json::Value as Json;
    let json = |value: &Value| match value.kind.clone().unwrap() {
        K::Boolean(b) => Json::from(b),
        K::Integer(n) => Json::from(n),
        K::Number(x) => Json::from(x),
        K::Text(name) => Json::from(name),
    };
    for (name, _) in STUDIES {
        let spec = preset(name);
        let Some(Kind::Whetstone(objective)) = spec.objective.unwrap().kind else { panic!() };
        let base: std::collections::BTreeMap<String, Json> =
            objective.fixed.iter().map(|(key, value)| (key.clone(), json(value))).collect();
        recipe::Recipe::from_parameters(&base).unwrap();
        for parameter in spec.space.unwrap().parameters {
            let options: Vec<Json> = match parameter.domain.unwrap() {
                Domain::Ordinal(d) => d.values.into_iter().map(Json::from).collect(),
                Domain::Categorical(d) => d.choices.into_iter().map(Json::from).collect(),
                Domain::Bool(_) => vec![Json::from(false), Json::from(true)],
                Domain::Int(d) => vec![Json::from(d.low), Json::from(d.high)],
                Domain::Float(d) => vec![Json::from(d.low), Json::from(d.high)],
            };
            for option in options {
                let mut point = base.clone();
                point.insert(parameter.name.clone(), option);
                let made = recipe::Recipe::from_parameters(&point);
                assert!(made.is_ok(), "{name}: {:?}", made.unwrap_err());
            }
        }
    }
}

#[test]
fn a_good_file_means_what_it_says() {
    let spec = spec(GOOD);
    let parameters = &spec.space.as_ref().unwrap().parameters;
    let Some(Domain::Float(range)) = &parameters[1].domain else { panic!() };
    assert_eq!((range.low, range.high), (0.1, 0.5));
    assert_eq!(range.scale(), proto::v1::Scale::Log);
    let condition = parameters[1].condition.as_ref().unwrap();
    assert_eq!(condition.parameter, "noise_location");
    assert_eq!(crate::value::text(&condition.values[0]), "after_dense");
    let Some(Kind::Whetstone(objective)) = spec.objective.unwrap().kind else { panic!() };
    assert_eq!(objective.metric, "binary_accuracy");
    assert_eq!(crate::value::text(&objective.fixed["epochs"]), "4");
}

#[test]
fn the_command_line_wins_over_the_file() {
    let overrides =
        Overrides { name: Some("other".to_owned()), max_trials: Some(7), seed: Some(u64::MAX) };
    let spec = parse(&GOOD.replace("name = \"s\"\n", ""), "s.toml", &overrides).unwrap();
    assert_eq!((spec.name.as_str(), spec.max_trials, spec.seed), ("other", 7, u64::MAX));
}

#[test]
fn validation_images_and_checkpoints_are_read_and_absent_mean_none() {
    let whetstone = |spec: &StudySpec| match spec.objective.clone().unwrap().kind {
        Some(Kind::Whetstone(objective)) => objective,
        other => panic!("{other:?}"),
    };
    let plain = spec(GOOD);
    assert_eq!((plain.checkpoint_epochs, whetstone(&plain).validation_images), (0, 0));
    let text = GOOD.replacen("max_trials", "checkpoint_epochs = 5\nmax_trials", 1).replacen(
        "dataset",
        "validation_images = 300\ndataset",
        1,
    );
    let spec = spec(&text);
    assert_eq!((spec.checkpoint_epochs, whetstone(&spec).validation_images), (5, 300));
}

#[test]
fn rules_for_the_end_are_read_and_absent_mean_none() {
    let plain = spec(GOOD);
    assert_eq!((plain.early_stopping, plain.stop_when_gain_below), (None, 0.0));
    let rules = "stop_when_gain_below = 1e-3\n[early_stopping]\nrule = \"successive_halving\"\n\
                 metric = \"soft_accuracy\"\nmin_trials = 4\nmin_steps = 2\nreduction = 4\n[objective]";
    let spec = spec(&GOOD.replacen("[objective]", rules, 1));
    assert_eq!(spec.stop_when_gain_below, 1e-3);
    let by = spec.early_stopping.unwrap();
    assert_eq!(by.rule(), proto::v1::StoppingRule::SuccessiveHalving);
    assert_eq!((by.metric.as_str(), by.min_trials, by.min_steps), ("soft_accuracy", 4, 2));
    assert_eq!(by.reduction, 4);

    let external = "name = \"s\"\nmax_trials = 3\n[early_stopping]\nrule = \"median\"\n\
                    [objective]\nkind = \"external\"\n[[parameter]]\nname = \"a\"\nint = [1, 9]\n";
    assert!(error(external).starts_with("s.toml:3: `metric` is missing"), "{}", error(external));
}

#[test]
fn the_papers_studies_measure_on_the_test_images_and_others_do_not() {
    for (name, _) in STUDIES {
        let Some(Kind::Whetstone(objective)) = preset(name).objective.unwrap().kind else {
            panic!()
        };
        let is_the_papers = name.starts_with("case-");
        assert_eq!(objective.validation_images == 0, is_the_papers, "{name}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_what_is_allowed() {
    let text = error_with("max_trials = 3", "max_trails = 3");
    assert!(text.starts_with("s.toml:2: unknown field `max_trails`, expected one of"), "{text}");
    assert!(text.contains("`max_trials`"), "{text}");
    let text = error_with("scale = \"log\"", "scael = \"log\"");
    assert!(text.starts_with("s.toml:14: unknown field `scael`"), "{text}");
    let text = error_with("dataset =", "data =");
    assert!(text.starts_with("s.toml:5: unknown field `data`"), "{text}");
}

#[test]
fn a_wrong_type_is_named_with_its_line_and_key() {
    let text = error_with("max_trials = 3", "max_trials = \"3\"");
    assert!(text.starts_with("s.toml:2: `max_trials`: invalid type"), "{text}");
    let text = error_with("max_trials = 3", "max_trials = -3");
    assert!(text.starts_with("s.toml:2: `max_trials`: invalid value"), "{text}");
}

#[test]
fn what_is_missing_is_named() {
    assert!(error_with("name = \"s\"\n", "").contains("`name` is missing"));
    assert!(error_with("max_trials = 3\n", "").contains("`max_trials` is missing"));
    assert!(error_with("dataset = \"digits\"\n", "").starts_with("s.toml:3: `dataset` is missing"));
    assert!(error("name = \"s\"\nmax_trials = 1\n").contains("missing field `objective`"));
    let bare = "name=\"s\"\nmax_trials=1\n[objective]\nkind=\"external\"\n";
    assert!(error(bare).contains("there is no [[parameter]]"));
}

#[test]
fn every_bad_value_gets_one_line_that_says_what_would_be_right() {
    let float = "float = [0.1, 0.5]";
    let cases = [
        ("max_trials = 3", "max_trials = 0", "s.toml:2: `max_trials` = 0 must be from 1 to"),
        ("name = \"s\"", "name = \"-s\"", "s.toml:1: `name` = \"-s\" must start with"),
        ("\"whetstone\"", "\"wetstone\"", "s.toml:4: `kind` = \"wetstone\" is unknown"),
        ("\"digits\"", "\"digit\"", "\"digits\", \"mnist\""),
        ("epochs = 4", "epochs = [4]", "s.toml:7: `epochs` must be a number"),
        ("epochs = 4", "noise_std = 4", "s.toml:7: `noise_std` is both fixed and searched"),
        ("kind =", "labels = { a = \"b\" }\nkind =", "`labels` belongs to an objective of kind"),
        ("noise_std", "Noise", "s.toml:12: parameter `Noise`: the name must be lower-case"),
        ("name = \"noise_std\"", "name = \"noise_location\"", "another of this name above"),
        (float, "", "parameter `noise_std`: needs exactly one of `ordinal`"),
        (float, "float = [0.1, 0.5]\nint = [1, 2]", "has both `float` and `int`"),
        (float, "float = [0.5, 0.1]", "s.toml:13: parameter `noise_std`: `float` must be two"),
        (float, "float = [0.1]", "[low, high]"),
        (float, "float = [0.0, 0.5]", "must begin above 0, because the scale is \"log\""),
        (float, "int = [0, 5]", "must begin above 0"),
        (float, "int = [5, 4]", "the lower number first"),
        (float, "ordinal = [0.1]", "`scale` goes with `float` or `int`, not `ordinal`"),
        ("float = [0.1, 0.5]\nscale = \"log\"", "ordinal = [1, 1]", "rise strictly"),
        ("float = [0.1, 0.5]\nscale = \"log\"", "ordinal = []", "1 to 1024 numbers"),
        ("float = [0.1, 0.5]\nscale = \"log\"", "bool = false", "`bool` must be true"),
        ("scale = \"log\"", "scale = \"cubic\"", "`scale` = \"cubic\" is unknown"),
        ("[\"none\", \"after_dense\"]", "[\"none\", \"none\"]", "lists \"none\" twice"),
        ("default = 0.2", "default = 2", "`default` must be one of 0.1 to 0.5, by ratios, not 2"),
        ("parameter = \"noise_location\"", "parameter = \"x\"", "no parameter above has that name"),
        ("in = [\"after_dense\"]", "in = [\"before\"]", "must be one of none, after_dense, not"),
        ("in = [\"after_dense\"]", "in = []", "must list one or more values"),
        ("max_trials = 3", "max_trials = 3\nalgorithm = \"grid\"", "a grid has no points on"),
        (
            "dataset",
            "train_images = 9\nvalidation_images = 9\ndataset",
            "s.toml:6: `validation_images` = 9 must be from 0 to 8",
        ),
        (
            "max_trials = 3",
            "max_trials = 3\ncheckpoint_epochs = 10001",
            "`checkpoint_epochs` = 10001 must be from 0 to 10000",
        ),
        (
            "max_trials = 3",
            "max_trials = 3\nalgorithm = \"gp\"",
            "\"gaussian_process\", \"random\"",
        ),
        (
            "max_trials = 3",
            "max_trials = 3\nalgorithm = \"tpe\"\nstart_design = \"lhs\"",
            "`start_design` = \"lhs\" is unknown: it must be one of \"latin_hypercube\", \"sobol\" or \"random\"",
        ),
        ("max_trials = 3", "max_trials = 3\ndirection = \"up\"", "\"maximize\" or \"minimize\""),
        (
            "[objective]",
            "[early_stopping]\nrule = \"mean\"\n[objective]",
            "s.toml:4: `rule` = \"mean\" is unknown: it must be one of \"median\"",
        ),
        (
            "[objective]",
            "[early_stopping]\nrule = \"median\"\nmetric = \"loss\"\n[objective]",
            "s.toml:5: `metric` = \"loss\" is unknown",
        ),
        (
            "[objective]",
            "[early_stopping]\nrule = \"median\"\nreduction = 3\n[objective]",
            "s.toml:5: `reduction` belongs to the rule \"successive_halving\"",
        ),
        (
            "[objective]",
            "[early_stopping]\nrule = \"median\"\n[[constraint]]\nmeasurement = \"parameters\"\n\
             at_most = 9\n[objective]",
            "s.toml:3: `early_stopping` does not go with further objectives",
        ),
        (
            "max_trials = 3",
            "max_trials = 3\nstop_when_gain_below = 0.0",
            "s.toml:3: `stop_when_gain_below` = 0 must be above 0",
        ),
        (
            "max_trials = 3",
            "max_trials = 3\nstop_when_gain_below = 0.1\nalgorithm = \"random\"",
            "needs the algorithm \"gaussian_process\"",
        ),
    ];
    for (old, new, expected) in cases {
        let text = error_with(old, new);
        assert!(text.contains(expected), "for `{new}`: {text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn a_space_too_large_to_count_or_infinite_has_no_size() {
    assert_eq!(size(spec(GOOD).space.as_ref().unwrap()), None);
    let wide = "name=\"s\"\nmax_trials=1\n[objective]\nkind=\"external\"\n".to_owned()
        + &(0..3)
            .map(|i| format!("[[parameter]]\nname=\"p{i}\"\nint=[{}, {}]\n", i64::MIN, i64::MAX))
            .collect::<String>();
    assert_eq!(size(spec(&wide).space.as_ref().unwrap()), None);
}

#[test]
fn the_data_sets_offered_are_those_that_a_training_may_use() {
    assert_eq!(DATASETS, recipe::DATASETS);
}

#[test]
fn further_objectives_and_constraints_are_read_as_they_are_written() {
    use proto::v1::Direction;
    use proto::v1::constraint::Bound;
    let spec = preset("tradeoff");
    assert_eq!(spec.reference, Some(0.5));
    assert_eq!(spec.also.len(), 1);
    assert_eq!(spec.also[0].measurement, "multiply_adds");
    assert_eq!(spec.also[0].direction(), Direction::Minimize);
    assert_eq!(spec.also[0].reference, Some(200_000.0));
    assert_eq!(spec.constraints.len(), 1);
    assert_eq!(spec.constraints[0].bound, Some(Bound::AtMost(20_000.0)));
}

#[test]
fn a_wrong_goal_is_told_with_its_line_and_the_way_out() {
    let with = |goals: &str| {
        error(&GOOD.replacen("[objective.fixed]", &format!("{goals}\n[objective.fixed]"), 1))
    };
    let also = |rest: &str| with(&format!("[[objective.also]]\n{rest}"));
    let cases = [
        (
            also("measurement = \"multiply_add\"\ndirection = \"minimize\""),
            "s.toml:7",
            "`multiply_adds`",
        ),
        (
            also("measurement = \"parameters\""),
            "s.toml:6",
            "\"minimize\" or \"maximize\" parameters?",
        ),
        (
            also("measurement = \"epochs\"\ndirection = \"down\""),
            "s.toml:8",
            "\"maximize\" or \"minimize\"",
        ),
        (
            also("measurement = \"binary_accuracy\"\ndirection = \"maximize\""),
            "s.toml:7",
            "the value itself",
        ),
        (
            also("measurement = \"epochs\"\ndirection = \"minimize\"\nreference = nan"),
            "s.toml:9",
            "finite",
        ),
        (also("name = \"epochs\""), "s.toml:7", "unknown field `name`"),
        (with("reference = 0.5"), "s.toml:6", "[[objective.also]]"),
    ];
    for (message, line, text) in cases {
        assert!(message.starts_with(line) && message.contains(text), "{message}");
    }
    let bounded = |rest: &str| error(&format!("{GOOD}[[constraint]]\n{rest}"));
    let cases = [
        (bounded("measurement = \"value\""), "needs `at_most` or `at_least`"),
        (bounded("measurement = \"value\"\nat_most = 1\nat_least = 0"), "write two constraints"),
        (bounded("measurement = \"epoch\"\nat_most = 9"), "`epochs`"),
        (bounded("measurement = \"epochs\"\nat_most = inf"), "finite"),
    ];
    for (message, text) in cases {
        assert!(message.contains(text), "{message}");
    }
    let twice =
        "[[objective.also]]\nmeasurement = \"epochs\"\ndirection = \"minimize\"\n".repeat(2);
    assert!(with(&twice).contains("twice"));
    let external =
        GOOD.replace("kind = \"whetstone\"\ndataset = \"digits\"", "kind = \"external\"").replace(
            "[objective.fixed]\nepochs = 4",
            "[[objective.also]]\nmeasurement = \"joules\"\ndirection = \"minimize\"",
        );
    assert_eq!(spec(&external).also[0].measurement, "joules", "what others report nobody knows");
}

#[test]
fn a_priority_is_from_minus_to_plus_a_hundred() {
    let with =
        |n: &str| GOOD.replacen("max_trials = 3", &format!("max_trials = 3\npriority = {n}"), 1);
    assert_eq!(spec(&with("-100")).priority, -100);
    assert_eq!(spec(GOOD).priority, 0);
    assert_eq!(error(&with("101")), "s.toml:3: `priority` = 101 must be from -100 to 100");
}
