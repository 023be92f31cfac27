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
    let mut spent = whetstone(&[], vec![ordinal("rho", &[0.9])]);
    if let Some(Over::Whetstone(over)) = &mut spent.objective.as_mut().unwrap().kind {
        (over.train_images, over.validation_images) = (100, 100);
    }
    assert!(refusal(&coordinator, spent).await.contains("leaves none to train on"));
    let mut rare = space::external("bad", space::eight_switches(), 5);
    rare.checkpoint_epochs = 10_001;
    assert!(refusal(&coordinator, rare).await.contains("checkpoint_epochs is 10001"));
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

/// What a coordinator says that cannot start: its exit status and standard error.
fn refused_start(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = std::process::Command::new(tests::process::program("strop-coordinator"))
        .arg("serve")
        .args(arguments)
        .env_remove("DATABASE_URL")
        .env("RUST_LOG", "error")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_coordinator_that_cannot_start_says_why_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("file"), "").unwrap();
    std::fs::create_dir(path("thesis")).unwrap();
    std::fs::write(path("thesis/chapter.tex"), "").unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    let (file, thesis, empty, fresh) = (path("file"), path("thesis"), path("empty"), path("fresh"));

    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case; 6] = [
        (&["--listen", "127.0.0.1:0", "--data-dir", &file], &[], &["not a directory", "file"]),
        (&["--listen", "127.0.0.1:0", "--data-dir", &thesis], &[], &["did not create", "thesis"]),
        (&["--listen", &busy, "--data-dir", &fresh], &[], &[&busy, "--listen"]),
        (&["--listen", "0.0.0.0:0", "--data-dir", &fresh], &[], &["--insecure-bind"]),
        (
            &["--listen", "127.0.0.1:0", "--data-dir", &fresh],
            &[("PG_BIN", &empty)],
            &["PG_BIN", "apt-get install postgresql", "DATABASE_URL"],
        ),
        (
            &["--listen", "127.0.0.1:0", "--data-dir", &fresh],
            &[("DATABASE_URL", "nonsense")],
            &["DATABASE_URL", "postgres://"],
        ),
    ];
    for (arguments, environment, wanted) in cases {
        let (status, said) = refused_start(arguments, environment);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.starts_with("error: ") && said.trim_end().lines().count() == 1, "{said}");
        for word in wanted {
            assert!(said.contains(word), "{said:?} should say {word:?}");
        }
    }
    assert_eq!(std::fs::read_dir(path("thesis")).unwrap().count(), 1, "nothing was touched");
}
