//! Bad input gets one clear line, and nothing is lost.

use std::collections::BTreeMap;

use proto::v1::{
    BoolDomain, CreateStudyRequest, ExternalObjective, FloatDomain, IntDomain, Objective,
    OrdinalDomain, Parameter, Space, StudySpec, Value, WhetstoneObjective, objective::Kind as Over,
    parameter::Domain, value::Kind,
};
use tests::{Coordinator, Town, space};
use tonic::Code;

async fn refusal(coordinator: &Coordinator, spec: StudySpec) -> String {
    let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
    let status = coordinator.studies().create_study(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(!status.message().contains('\n'), "one line: {status}");
    status.message().to_owned()
}

fn with(domain: Domain, default_value: Option<Kind>) -> StudySpec {
    let parameter = Parameter {
        name: "rate".into(),
        domain: Some(domain),
        condition: None,
        default_value: default_value.map(|kind| Value { kind: Some(kind) }),
    };
    space::external("bad", Space { parameters: vec![parameter] }, 5)
}

fn whetstone(fixed: &[(&str, Kind)], parameters: Vec<Parameter>) -> StudySpec {
    let fixed = fixed
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), Value { kind: Some(kind.clone()) }))
        .collect::<BTreeMap<_, _>>();
    let objective = WhetstoneObjective { dataset: "digits".into(), fixed, ..Default::default() };
    StudySpec {
        objective: Some(Objective { kind: Some(Over::Whetstone(objective)) }),
        ..space::external("bad", Space { parameters }, 5)
    }
}

fn ordinal(name: &str, values: &[f64]) -> Parameter {
    Parameter {
        name: name.into(),
        domain: Some(Domain::Ordinal(OrdinalDomain { values: values.to_vec() })),
        condition: None,
        default_value: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_study_is_refused_with_the_thing_and_the_way_out() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let float = |low, high| Domain::Float(FloatDomain { low, high, scale: 0 });
    let mut nameless = space::external("bad", space::eight_switches(), 5);
    nameless.name = "../etc".into();
    let mut greedy = space::external("bad", space::eight_switches(), 5);
    greedy.max_trials = 0;
    let mut grid = with(float(0.0, 1.0), None);
    grid.algorithm = proto::v1::Algorithm::Grid.into();
    let mut aimless = space::external("bad", space::eight_switches(), 5);
    aimless.objective = None;
    let cases: Vec<(StudySpec, &[&str])> = vec![
        (with(float(1.0, 0.5), None), &["rate", "0.5"]),
        (with(float(0.5, f64::NAN), None), &["rate"]),
        (with(float(0.0, 1.0), Some(Kind::Number(2.0))), &["rate", "2"]),
        (with(Domain::Int(IntDomain { low: 3, high: 2, scale: 0 }), None), &["rate"]),
        (with(Domain::Ordinal(OrdinalDomain { values: vec![] }), None), &["rate"]),
        (with(Domain::Bool(BoolDomain {}), Some(Kind::Text("x".into()))), &["rate"]),
        (space::external("bad", Space::default(), 5), &["parameter"]),
        (nameless, &["../etc", "letter or digit"]),
        (greedy, &["max_trials", "from 1 to 100000"]),
        (grid, &["rate", "grid"]),
        (aimless, &["objective", "whetstone", "external"]),
        (whetstone(&[], vec![ordinal("lerning_rate", &[0.1])]), &["lerning_rate", "learning_rate"]),
        (
            whetstone(
                &[("optimiser", Kind::Text("adadelta".into()))],
                vec![ordinal("rho", &[0.9])],
            ),
            &["optimiser", "optimizer"],
        ),
        (whetstone(&[], vec![ordinal("conv1_filter", &[3.0, 4.0])]), &["conv1_filter", "4", "odd"]),
        (
            whetstone(&[("rho", Kind::Number(0.9))], vec![ordinal("rho", &[0.9])]),
            &["rho", "fixed and searched"],
        ),
    ];
    for (spec, wanted) in cases {
        let shown = format!("{spec:?}");
        let message = refusal(&coordinator, spec).await;
        for word in wanted {
            assert!(message.contains(word), "{message:?} should say {word:?}; asked {shown}");
        }
    }
    let mut unknown = whetstone(&[], vec![ordinal("rho", &[0.9])]);
    if let Some(Over::Whetstone(over)) = &mut unknown.objective.as_mut().unwrap().kind {
        over.dataset = "imagenet".into();
    }
    assert!(refusal(&coordinator, unknown).await.contains("digits, mnist"));
    assert_eq!(town.number("select count(*) from study").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accuracy_that_is_no_number_is_refused_and_the_lease_stays() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("nan", space::eight_switches(), 1)).await;
    let mut hand = coordinator.hand();
    let lease = hand.lease().await;
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let status = hand.complete(&lease, value).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("class nan"), "{status}");
        assert_eq!(
            hand.report(&lease, 0, "loss", value).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    assert_eq!(
        hand.report(&lease, 0, "Loss!", 0.1).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert!(!hand.complete(&lease, f64::MAX).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_five_mebibytes_is_refused_and_the_connection_lives() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut spec = space::external("big", space::eight_switches(), 1);
    let labels = BTreeMap::from([("text".to_owned(), "x".repeat(5 << 20))]);
    spec.objective = Some(Objective { kind: Some(Over::External(ExternalObjective { labels })) });
    let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
    let status = coordinator.studies().create_study(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(status.message().contains("1048576"), "it says the limit: {status}");
    coordinator.create(space::external("small", space::eight_switches(), 1)).await;
}
