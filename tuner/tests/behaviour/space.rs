//! Spaces: what is refused, how points travel, how many there are.

use std::collections::BTreeSet;

use crate::spaces::*;
use proptest::prelude::*;
use tuner::{Domain, Parameter, Point, PointError, Scale, Space, SpaceError, UnitPoint, Value};

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn point<const N: usize>(values: [(&str, Value); N]) -> Point {
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

fn refused(parameters: impl IntoIterator<Item = Parameter>) -> String {
    let refused = Space::new(parameters.into_iter().collect()).err();
    refused.expect("this is no space").to_string()
}

#[test]
fn the_two_spaces_of_the_paper_have_the_sizes_it_prints() {
    assert_eq!(case_one().size(), Some(256));
    assert_eq!(case_one().distinct(), Some(256));
    let space = case_two();
    assert_eq!(space.parameters().len(), 22);
    assert_eq!(space.size(), Some(398_131_200));
    assert_eq!(space.distinct(), Some(298_598_400));
}

#[test]
fn every_way_to_get_a_space_wrong_is_named_with_the_parameter() {
    let cases: Vec<(Vec<Parameter>, &str)> = vec![
        (vec![], "at least one parameter"),
        (vec![boolean("a"), boolean("a")], "`a` is listed twice"),
        (vec![boolean("Learning")], "`Learning` must be a lower-case letter"),
        (vec![boolean("")], "`` must be"),
        (vec![boolean("1st")], "`1st` must be"),
        (vec![boolean("a-b")], "`a-b` must be"),
        (vec![boolean(&"x".repeat(65))], "must be a lower-case letter"),
        (vec![linear("x", 1.0, 1.0)], "`x` has the empty range [1, 1]"),
        (vec![linear("x", 2.0, 1.0)], "`x` has the empty range [2, 1]"),
        (vec![int("x", 2, 1)], "`x` has the empty range [2, 1]"),
        (vec![linear("x", f64::NAN, 1.0)], "`x` must have finite bounds"),
        (vec![linear("x", 0.0, f64::INFINITY)], "`x` must have finite bounds"),
        (vec![linear("x", -1e308, 1e308)], "`x` must have finite bounds"),
        (vec![float("x", 0.0, 1.0)], "`x` is on a log scale"),
        (
            vec![parameter("x", Domain::Int { low: 0, high: 4, scale: Scale::Log })],
            "`x` is on a log scale",
        ),
        (vec![int("x", 0, 1 << 41)], "`x` has an integer bound beyond 2^40"),
        (vec![int("x", i64::MIN, i64::MAX)], "`x` has an integer bound beyond 2^40"),
        (vec![ordinal("x", &[])], "`x` has no options"),
        (vec![category("x", &[])], "`x` has no options"),
        (vec![ordinal("x", &[1.0, 2.0, 1.0])], "`x` lists the option 1 twice"),
        (vec![ordinal("x", &[0.0, -0.0])], "twice"),
        (vec![category("x", &["a", "a"])], "`x` lists the option `a` twice"),
        (vec![ordinal("x", &[1.0, f64::NAN])], "`x` lists NaN"),
        (vec![ordinal("x", &(0..1025).map(f64::from).collect::<Vec<_>>())], "1025 options"),
        ((0..65).map(|i| boolean(&format!("x{i}"))).collect(), "at most 64 parameters"),
        (vec![when(boolean("x"), "y", &[Value::Bool(true)])], "which the space does not have"),
        (vec![when(boolean("x"), "x", &[Value::Bool(true)])], "must be listed before it"),
        (
            vec![when(boolean("x"), "y", &[Value::Bool(true)]), boolean("y")],
            "`x` depends on `y`, which must be listed before it",
        ),
        (
            vec![linear("y", 0.0, 1.0), when(boolean("x"), "y", &[Value::Float(0.5)])],
            "depend on a discrete one",
        ),
        (vec![boolean("y"), when(boolean("x"), "y", &[])], "one of no values"),
        (
            vec![category("y", &["a", "b"]), when(boolean("x"), "y", &[text("c")])],
            "`x` depends on `y`, but that is `c`, not one of [\"a\", \"b\"]",
        ),
        (
            vec![Parameter { default: Some(Value::Float(3.0)), ..linear("x", 0.0, 1.0) }],
            "the default of parameter `x` is 3, outside [0, 1]",
        ),
        (
            vec![Parameter { default: Some(text("a")), ..linear("x", 0.0, 1.0) }],
            "the default of parameter `x` must be a number, not text",
        ),
    ];
    for (parameters, expected) in cases {
        let message = refused(parameters);
        assert!(message.contains(expected), "`{message}` does not say `{expected}`");
        assert!(!message.contains('\n'));
    }
}

#[test]
fn one_option_and_one_point_are_legal() {
    let space = space([category("only", &["this"]), int("fixed", 7, 7), ordinal("k", &[3.0])]);
    assert_eq!((space.size(), space.distinct()), (Some(1), Some(1)));
    let only = space.nth(0).unwrap();
    let natural = point([("only", text("this")), ("fixed", Value::Int(7)), ("k", Value::Int(3))]);
    assert_eq!(space.decode(&only), natural);
    assert_eq!(space.encode(&natural).unwrap(), only);
    assert_eq!(space.nth(1), None);
}

#[test]
fn a_point_that_does_not_belong_is_refused_with_the_reason() {
    let space = space([
        float("rate", 0.1, 1.0),
        int("epochs", 1, 9),
        ordinal("kernel", &[3.0, 5.0]),
        category("optimiser", &["sgd", "adam"]),
        boolean("norm"),
    ]);
    let good = point([
        ("rate", Value::Int(1)),
        ("epochs", Value::Float(4.0)),
        ("kernel", Value::Float(3.0)),
        ("optimiser", text("adam")),
        ("norm", Value::Bool(true)),
    ]);
    assert!(space.encode(&good).is_ok());
    let cases = [
        ("rate", Value::Float(2.0), "parameter `rate` is 2, outside [0.1, 1]"),
        ("rate", Value::Float(f64::NAN), "parameter `rate` must be finite, not NaN"),
        ("rate", Value::Bool(true), "parameter `rate` must be a number, not a boolean"),
        ("epochs", Value::Float(1.5), "parameter `epochs` must be a whole number, not 1.5"),
        ("epochs", Value::Int(10), "parameter `epochs` is 10, outside [1, 9]"),
        ("kernel", Value::Int(4), "parameter `kernel` is 4, not one of [3.0, 5.0]"),
        (
            "optimiser",
            text("rms"),
            "parameter `optimiser` is `rms`, not one of [\"sgd\", \"adam\"]",
        ),
        ("norm", Value::Int(1), "parameter `norm` must be true or false, not a whole number"),
    ];
    for (name, value, message) in cases {
        let mut bad = good.clone();
        bad.insert(name.to_owned(), value);
        assert_eq!(space.encode(&bad).unwrap_err().to_string(), message);
    }
    let mut short = good.clone();
    short.remove("norm");
    assert_eq!(space.encode(&short), Err(PointError::Missing { name: "norm".to_owned() }));
    let mut long = good;
    long.insert("nrom".to_owned(), Value::Bool(true));
    assert_eq!(space.encode(&long), Err(PointError::Unknown { name: "nrom".to_owned() }));
}

#[test]
fn what_does_not_matter_makes_no_difference_and_is_not_shown() {
    let space = space([
        category("noise", &["none", "some"]),
        when(linear("deviation", 0.0, 1.0), "noise", &[text("some")]),
    ]);
    let quiet = point([("noise", text("none"))]);
    let with_rest = point([("noise", text("none")), ("deviation", Value::Float(99.0))]);
    assert_eq!(space.encode(&quiet), space.encode(&with_rest));
    assert_eq!(space.decode(&space.encode(&with_rest).unwrap()), quiet);
    let (a, b) = (UnitPoint(vec![0.0, 0.1]), UnitPoint(vec![0.2, 0.9]));
    assert_eq!(space.canonical(&a), space.canonical(&b));
    let loud = point([("noise", text("some"))]);
    assert!(
        matches!(space.encode(&loud), Err(PointError::Missing { name }) if name == "deviation")
    );
}

#[test]
fn a_grandchild_sleeps_when_its_grandparent_does() {
    let on = [Value::Bool(true)];
    let space = space([
        boolean("a"),
        when(boolean("b"), "a", &on),
        when(ordinal("c", &[1.0, 2.0, 3.0]), "b", &on),
    ]);
    // a off; a on and b off; a and b on with three values of c.
    assert_eq!((space.size(), space.distinct()), (Some(12), Some(5)));
    let asleep = UnitPoint(vec![0.0, 1.0, 1.0]);
    assert_eq!(space.active(&asleep), [true, false, false]);
}

#[test]
fn log_scales_put_equal_ratios_equally_far_apart() {
    let space = space([
        float("rate", 1e-4, 1.0),
        parameter("width", Domain::Int { low: 1, high: 1024, scale: Scale::Log }),
    ]);
    let middle = space.decode(&UnitPoint(vec![0.5, 0.5]));
    assert_eq!(middle["width"], Value::Int(32));
    assert!((middle["rate"].as_number().unwrap() / 1e-2 - 1.0).abs() < 1e-12);
    let ends = |unit: f64| space.decode(&UnitPoint(vec![unit, unit]));
    assert_eq!(ends(0.0), point([("rate", Value::Float(1e-4)), ("width", Value::Int(1))]));
    assert_eq!(ends(1.0), point([("rate", Value::Float(1.0)), ("width", Value::Int(1024))]));
    assert_eq!(ends(7.0), ends(1.0));
    assert_eq!(ends(f64::NAN), ends(0.0));
}

#[test]
fn ordinals_are_ranked_by_size_however_they_are_listed() {
    let space = space([ordinal("rate", &[1.0, 1e-4, 0.1])]);
    let unit = |value| space.encode(&point([("rate", Value::Float(value))])).unwrap().0[0];
    assert_eq!([unit(1e-4), unit(0.1), unit(1.0)], [0.0, 0.5, 1.0]);
}

#[test]
fn the_default_point_needs_a_default_wherever_it_matters() {
    let on = |parameter, value| Parameter { default: Some(value), ..parameter };
    let noise = || category("noise", &["none", "some"]);
    let deviation = || when(linear("deviation", 0.0, 1.0), "noise", &[text("some")]);
    let quiet = space([on(noise(), text("none")), deviation()]);
    assert_eq!(quiet.default_point(), Some(point([("noise", text("none"))])));
    assert_eq!(space([on(noise(), text("some")), deviation()]).default_point(), None);
    assert_eq!(space([noise(), deviation()]).default_point(), None);
    let loud = space([on(noise(), text("some")), on(deviation(), Value::Float(0.25))]);
    let expected = point([("noise", text("some")), ("deviation", Value::Float(0.25))]);
    assert_eq!(loud.default_point(), Some(expected));
}

#[test]
fn floats_make_a_space_uncountable_and_too_many_options_do_not_overflow() {
    assert_eq!(space([boolean("a"), linear("x", 0.0, 1.0)]).size(), None);
    assert_eq!(space([boolean("a"), linear("x", 0.0, 1.0)]).distinct(), None);
    let wide = space((0..4).map(|i| int(&format!("x{i}"), -(1 << 40), 1 << 40)));
    assert_eq!((wide.size(), wide.distinct(), wide.nth(0)), (None, None, None));
    let fits = space((0..3).map(|i| int(&format!("x{i}"), 1, 1 << 40)));
    assert_eq!(fits.distinct(), Some(1 << 120));
    let last = fits.decode(&fits.nth((1 << 120) - 1).unwrap());
    assert!(last.values().all(|value| *value == Value::Int(1 << 40)), "{last:?}");
}

#[test]
fn a_space_is_checked_again_when_it_is_read_from_json() {
    let json = r#"[
        {"name": "rate", "domain": {"kind": "float", "low": 1e-4, "high": 1, "scale": "log"}},
        {"name": "epochs", "domain": {"kind": "int", "low": 1, "high": 9}, "default": 3},
        {"name": "norm", "domain": {"kind": "bool"}},
        {"name": "momentum", "domain": {"kind": "ordinal", "values": [0.85, 0.95]},
         "condition": {"parameter": "norm", "values": [true]}}
    ]"#;
    let space: Space = serde_json::from_str(json).unwrap();
    assert_eq!(space.parameters()[1].default, Some(Value::Int(3)));
    let again: Space = serde_json::from_str(&serde_json::to_string(&space).unwrap()).unwrap();
    assert_eq!(again, space);
    let twice = r#"[{"name": "a", "domain": {"kind": "bool"}},
                    {"name": "a", "domain": {"kind": "bool"}}]"#;
    let error = serde_json::from_str::<Space>(twice).unwrap_err().to_string();
    let expected = SpaceError::DuplicateName { name: "a".to_owned() }.to_string();
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn values_are_bare_in_json() {
    let values = [Value::Bool(true), Value::Int(3), Value::Float(0.5), text("x")];
    assert_eq!(serde_json::to_string(&values).unwrap(), r#"[true,3,0.5,"x"]"#);
    let back: Vec<Value> = serde_json::from_str(r#"[true,3,0.5,"x",1.0]"#).unwrap();
    assert_eq!(back[..4], values);
    assert_eq!(back[4], Value::Float(1.0));
}

/// Any domain; `discrete` leaves out floats and keeps the options few.
fn domain(discrete: bool) -> BoxedStrategy<Domain> {
    let scale = prop_oneof![Just(Scale::Linear), Just(Scale::Log)];
    let few = prop_oneof![
        Just(Domain::Bool),
        (1usize..5).prop_map(|n| Domain::Ordinal {
            values: (0..n).map(|i| 0.1 * (i * i) as f64 - 0.2).collect(),
        }),
        (1usize..5).prop_map(|n| Domain::Categorical {
            choices: (0..n).map(|i| format!("choice {i}")).collect(),
        }),
        (1i64..4, 0i64..4, scale.clone()).prop_map(|(low, more, scale)| Domain::Int {
            low,
            high: low + more,
            scale
        }),
    ];
    if discrete {
        return few.boxed();
    }
    let many =
        prop_oneof![
            (1e-9f64..1.0, 1e-6f64..1e6, scale.clone())
                .prop_map(|(low, more, scale)| Domain::Float { low, high: low + more, scale }),
            (1i64..1000, 0i64..(1 << 39), scale).prop_map(|(low, more, scale)| Domain::Int {
                low,
                high: low + more,
                scale
            }),
        ];
    prop_oneof![few, many].boxed()
}

/// Any space of up to six parameters, about half of them conditional.
fn any_space(discrete: bool) -> impl Strategy<Value = Space> {
    let parameter = (domain(discrete), any::<prop::sample::Index>(), 0usize..2, 1u8..16);
    prop::collection::vec(parameter, 1..6).prop_map(|drawn| {
        let mut parameters: Vec<Parameter> = Vec::new();
        for (place, (domain, parent, conditional, mask)) in drawn.into_iter().enumerate() {
            let mut next = parameter_of(place, domain);
            if place > 0 && conditional == 1 {
                let parent = &parameters[parent.index(place)];
                let values: Vec<Value> = options(&parent.domain)
                    .into_iter()
                    .enumerate()
                    .filter(|(i, _)| i % 4 == 0 || mask & (1 << (i % 4)) != 0)
                    .map(|(_, value)| value)
                    .collect();
                if !values.is_empty() {
                    let parent = parent.name.clone();
                    next = when(next, &parent, &values);
                }
            }
            parameters.push(next);
        }
        space(parameters)
    })
}

fn parameter_of(place: usize, domain: Domain) -> Parameter {
    parameter(&format!("p{place}"), domain)
}

/// A few values of a discrete domain; none of a float.
fn options(domain: &Domain) -> Vec<Value> {
    match domain {
        Domain::Float { .. } => vec![],
        Domain::Int { low, high, .. } => {
            (*low..=*high).take(3).chain([*high]).map(Value::Int).collect()
        }
        Domain::Ordinal { values } => values.iter().copied().map(Value::Float).collect(),
        Domain::Categorical { choices } => choices.iter().cloned().map(Value::Text).collect(),
        Domain::Bool => vec![Value::Bool(false), Value::Bool(true)],
    }
}

fn units() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.0f64..=1.0, 6)
}

proptest! {
    #[test]
    fn a_point_comes_back_from_natural_units(space in any_space(false), units in units()) {
        let d = space.parameters().len();
        let unit = space.canonical(&UnitPoint(units[..d].to_vec()));
        let natural = space.decode(&unit);
        let back = space.encode(&natural).unwrap();
        for (parameter, (a, b)) in space.parameters().iter().zip(unit.0.iter().zip(&back.0)) {
            match parameter.domain {
                Domain::Float { .. } => prop_assert!((a - b).abs() < 1e-9, "{a} became {b}"),
                _ => prop_assert_eq!(a.to_bits(), b.to_bits()),
            }
        }
        let again = space.decode(&back);
        prop_assert!(again.keys().eq(natural.keys()));
    }

    #[test]
    fn canonical_points_stay_what_they_are(space in any_space(false), units in units()) {
        let d = space.parameters().len();
        let once = space.canonical(&UnitPoint(units[..d].to_vec()));
        let twice = space.canonical(&once);
        let bits = |point: &UnitPoint| point.0.iter().map(|u| u.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&once), bits(&twice));
        let json = serde_json::to_string(&once).unwrap();
        let read: UnitPoint = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(bits(&once), bits(&read));
    }

    #[test]
    fn counting_agrees_with_enumerating(space in any_space(true)) {
        // Every combination of options, made canonical by brute force.
        let options: Vec<usize> =
            space.parameters().iter().map(|p| count(&p.domain)).collect();
        let size: usize = options.iter().product();
        prop_assert_eq!(space.size(), Some(size as u128));
        let mut seen = BTreeSet::new();
        for mut rank in 0..size {
            let mut natural = Point::new();
            for (parameter, &n) in space.parameters().iter().zip(&options).rev() {
                natural.insert(parameter.name.clone(), all(&parameter.domain)[rank % n].clone());
                rank /= n;
            }
            let unit = space.encode(&natural).unwrap();
            seen.insert(unit.0.iter().map(|u| u.to_bits()).collect::<Vec<_>>());
        }
        let distinct = space.distinct().unwrap();
        prop_assert_eq!(seen.len() as u128, distinct);
        let listed: Vec<UnitPoint> = (0..distinct).map(|rank| space.nth(rank).unwrap()).collect();
        for point in &listed {
            prop_assert_eq!(&space.canonical(point), point);
            prop_assert!(seen.remove(&point.0.iter().map(|u| u.to_bits()).collect::<Vec<_>>()));
        }
        prop_assert!(seen.is_empty());
        prop_assert_eq!(space.nth(distinct), None);
    }

    #[test]
    fn any_space_survives_json(space in any_space(false)) {
        let json = serde_json::to_string(&space).unwrap();
        prop_assert_eq!(serde_json::from_str::<Space>(&json).unwrap(), space);
    }
}

fn count(domain: &Domain) -> usize {
    all(domain).len()
}

fn all(domain: &Domain) -> Vec<Value> {
    match domain {
        Domain::Int { low, high, .. } => (*low..=*high).map(Value::Int).collect(),
        other => options(other),
    }
}

#[test]
fn the_grid_is_in_lexicographic_order() {
    let on = [Value::Bool(true)];
    let space = space([
        boolean("a"),
        ordinal("b", &[1.0, 2.0]),
        when(category("c", &["x", "y"]), "a", &on),
    ]);
    let points: Vec<String> = (0..space.distinct().unwrap())
        .map(|rank| space.decode(&space.nth(rank).unwrap()))
        .map(|point| point.values().map(Value::to_string).collect::<Vec<_>>().join(" "))
        .collect();
    let expected = ["false 1", "false 2", "true 1 x", "true 1 y", "true 2 x", "true 2 y"];
    assert_eq!(points, expected);
}
