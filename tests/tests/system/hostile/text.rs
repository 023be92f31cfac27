//! Text that is no text, in every field that takes some: refused, or kept and shown safely.

use std::{collections::BTreeMap, process::Command};

use proto::v1::{
    Algorithm, CancelStudyRequest, CancelTrialRequest, Capabilities, CategoricalDomain,
    CompleteRequest, Condition, Constraint, CreateStudyRequest, DrainWorkersRequest, EarlyStopping,
    EnqueueTrialsRequest, ExternalObjective, FailRequest, FurtherObjective, GetDependenceRequest,
    GetStudyRequest, ImportTrialsRequest, ImportedTrial, ImportedTrials, LeaseRef, LeaseRequest,
    Metric, Objective, Parameter, Point, ReleaseRequest, ReportMetricsRequest, Space, StudySpec,
    Value, WhetstoneObjective, constraint::Bound, import_trials_request::From,
    objective::Kind as Over, parameter::Domain, value::Kind,
    worker_service_client::WorkerServiceClient,
};
use tests::{Coordinator, Town, process, space};
use tonic::{Code, Status};
use uuid::Uuid;

fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "\0",
        "a\0b",
        "\u{202e}gnitrohs",
        "🦀\u{10ffff}",
        "';--",
        "'; drop table trial; --",
        "../../etc/passwd",
        "=cmd|' /C calc'!A0",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}31m",
        "two\r\nlines",
        "%s%n{}",
        "<script>alert(1)</script>",
    ]
    .map(str::to_owned)
    .to_vec();
    // As long as fits into a message, nearly.
    texts.push("ä".repeat(500_000));
    texts
}

type Refused = Result<(), Status>;

/// Calls with the text in one field each, and that field's name. One that is kept is kept under a name
/// that tells the call apart.
async fn send_everywhere(coordinator: &Coordinator, text: &str) -> Vec<(&'static str, Refused)> {
    let mut studies = coordinator.studies();
    let mut workers = WorkerServiceClient::new(coordinator.channel.clone());
    let mut said: Vec<(&'static str, Refused)> = Vec::new();
    let t = || text.to_owned();
    let fresh = || format!("s{}", Uuid::new_v4().simple());
    let word = |text: String| Value { kind: Some(Kind::Text(text)) };

    let external = |name: String| StudySpec { name, ..space::external("", one_choice("c"), 5) };
    let categorical = |choices| {
        let domain = Some(Domain::Categorical(CategoricalDomain { choices }));
        let parameters = vec![Parameter { name: "c".into(), domain, ..Default::default() }];
        StudySpec { space: Some(Space { parameters }), ..external(fresh()) }
    };
    let labels = |labels: BTreeMap<String, String>| {
        let kind = Some(Over::External(ExternalObjective { labels }));
        StudySpec { objective: Some(Objective { kind }), ..external(fresh()) }
    };
    let network = |asked: WhetstoneObjective| {
        let kind = Some(Over::Whetstone(asked));
        StudySpec { objective: Some(Objective { kind }), ..external(fresh()) }
    };
    let with_parameter = |parameter: Parameter| {
        let parameters = vec![space::switch("on"), parameter];
        StudySpec { space: Some(Space { parameters }), ..external(fresh()) }
    };
    let digits = || WhetstoneObjective { dataset: "digits".into(), ..Default::default() };
    let further = FurtherObjective { measurement: t(), ..Default::default() };
    let constraint = Constraint { measurement: t(), bound: Some(Bound::AtMost(1.0)) };
    let stopping = EarlyStopping { rule: 1, metric: t(), ..Default::default() };
    let condition = Condition { parameter: t(), values: vec![word("x".into())] };
    let specs = [
        ("name", external(t())),
        ("parameter name", with_parameter(Parameter { name: t(), ..space::switch("") })),
        (
            "condition",
            with_parameter(Parameter { condition: Some(condition), ..space::switch("b") }),
        ),
        (
            "default",
            with_parameter(Parameter { default_value: Some(word(t())), ..space::switch("b") }),
        ),
        ("choice", categorical(vec!["fine".into(), t()])),
        ("label", labels([("program".to_owned(), t())].into())),
        ("label name", labels([(t(), "x".to_owned())].into())),
        ("dataset", network(WhetstoneObjective { dataset: t(), ..digits() })),
        ("metric", network(WhetstoneObjective { metric: t(), ..digits() })),
        (
            "fixed name",
            network(WhetstoneObjective { fixed: [(t(), word(t()))].into(), ..digits() }),
        ),
        (
            "fixed value",
            network(WhetstoneObjective {
                fixed: [("optimizer".to_owned(), word(t()))].into(),
                ..digits()
            }),
        ),
        ("further objective", StudySpec { also: vec![further], ..external(fresh()) }),
        ("constraint", StudySpec { constraints: vec![constraint], ..external(fresh()) }),
        ("stopping", StudySpec { early_stopping: Some(stopping), ..external(fresh()) }),
    ];
    for (field, spec) in specs {
        let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
        said.push((field, studies.create_study(request).await.map(drop)));
    }
    let request = CreateStudyRequest { spec: Some(external(fresh())), request_id: t() };
    said.push(("request id", studies.create_study(request).await.map(drop)));
    said.push(("study", studies.get_study(GetStudyRequest { name: t() }).await.map(drop)));
    let request = CancelStudyRequest { name: t(), request_id: String::new() };
    said.push(("study to cancel", studies.cancel_study(request).await.map(drop)));
    let request = CancelTrialRequest { study: t(), number: 0, request_id: String::new() };
    said.push(("study of a trial", studies.cancel_trial(request).await.map(drop)));
    let request = GetDependenceRequest { study: "known".into(), parameter: t() };
    said.push(("dependence", studies.get_dependence(request).await.map(drop)));
    let request = DrainWorkersRequest { worker: t(), ..Default::default() };
    said.push(("worker", studies.drain_workers(request).await.map(drop)));
    let request = DrainWorkersRequest { worker: "node".into(), reason: t(), ..Default::default() };
    said.push(("reason of a drain", studies.drain_workers(request).await.map(drop)));
    let at = |name: String, value: String| Point { values: [(name, word(value))].into() };
    for (field, point) in [("point name", at(t(), t())), ("point value", at("c".into(), t()))] {
        let request = EnqueueTrialsRequest {
            study: "known".into(),
            points: vec![point],
            request_id: String::new(),
        };
        said.push((field, studies.enqueue_trials(request).await.map(drop)));
    }
    let import = |from| ImportTrialsRequest {
        study: "known".into(),
        from: Some(from),
        ..Default::default()
    };
    said.push((
        "other study",
        studies.import_trials(import(From::OtherStudy(t()))).await.map(drop),
    ));
    let imported = |measurement: String| ImportedTrial {
        point: Some(at("c".into(), "fine".into())),
        value: 0.5,
        measurements: [(measurement, 0.5)].into(),
    };
    let trials = |source, measurement| {
        From::Trials(ImportedTrials { trials: vec![imported(measurement)], source })
    };
    let request = import(trials(t(), "energy".into()));
    said.push(("source", studies.import_trials(request).await.map(drop)));
    let request = import(trials("file".into(), t()));
    said.push(("imported measurement", studies.import_trials(request).await.map(drop)));

    let ask = |worker_id: String, able: Capabilities| LeaseRequest {
        worker_id,
        slot: 0,
        capabilities: Some(able),
        wait: Some(Default::default()),
    };
    let id = || Uuid::new_v4().to_string();
    let able = || Capabilities { studies: vec!["none".into()], ..Default::default() };
    let askers = [
        ("worker id", ask(t(), able())),
        ("worker label", ask(id(), Capabilities { label: t(), ..able() })),
        ("device", ask(id(), Capabilities { device: t(), ..able() })),
        ("kind", ask(id(), Capabilities { objectives: vec![t()], ..able() })),
        ("served study", ask(id(), Capabilities { studies: vec![t()], ..able() })),
    ];
    for (field, request) in askers {
        said.push((field, workers.lease(request).await.map(drop)));
    }
    let known = || Capabilities {
        objectives: vec!["external".into()],
        studies: vec!["known".into()],
        label: t(),
        ..Default::default()
    };
    // A worker of that label if it may have one, so that the trial shows it.
    let lease = match workers.lease(ask(id(), known())).await {
        Ok(answer) => answer.into_inner().lease,
        Err(_) => {
            let request = ask(id(), Capabilities { label: "node".into(), ..known() });
            workers.lease(request).await.unwrap().into_inner().lease
        }
    };
    let r#ref = lease.expect("the study has room").r#ref;
    let quoted = LeaseRef { lease_id: t(), ..r#ref.clone().unwrap() };
    let request = ReleaseRequest { r#ref: Some(quoted), reason: String::new() };
    said.push(("lease id", workers.release(request).await.map(drop)));
    let metrics = vec![Metric { step: 0, name: t(), value: 0.5 }];
    let request = ReportMetricsRequest { r#ref: r#ref.clone(), metrics, ..Default::default() };
    said.push(("metric name", workers.report_metrics(request).await.map(drop)));
    let request = CompleteRequest {
        r#ref: r#ref.clone(),
        value: 0.5,
        measurements: [(t(), 0.5)].into(),
        pruned: false,
    };
    said.push(("measurement", workers.complete(request).await.map(drop)));
    let request = FailRequest { r#ref: r#ref.clone(), failure_class: 1, detail: t() };
    said.push(("detail", workers.fail(request).await.map(drop)));
    said
}

fn one_choice(name: &str) -> Space {
    let choices = vec!["fine".into(), "other".into()];
    let domain = Some(Domain::Categorical(CategoricalDomain { choices }));
    Space { parameters: vec![Parameter { name: name.into(), domain, ..Default::default() }] }
}

/// What may stand on somebody's terminal.
fn is_safe(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c == '\n' || !(c.is_control() || turns)
}

async fn strop(coordinator: &Coordinator, arguments: &[&str]) -> String {
    let mut command = Command::new(process::program("strop"));
    command.arg("--coordinator").arg(format!("http://{}", coordinator.address)).args(arguments);
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = run.await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let bad = text.lines().find(|line| !line.chars().all(is_safe));
    assert_eq!(bad, None, "strop {arguments:?} moves the cursor");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_text_is_refused_or_kept_and_shown_safely() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut space = one_choice("c");
    let half = Value { kind: Some(Kind::Number(0.5)) };
    let rate = Parameter { default_value: Some(half), ..space::float("rate", 0.0, 1.0) };
    space.parameters.push(rate);
    let known = space::external("known", space, 1_000);
    coordinator.create(StudySpec { algorithm: Algorithm::Random.into(), ..known }).await;
    let mut kept = BTreeMap::<&str, usize>::new();
    for text in hostile() {
        for (field, answer) in send_everywhere(&coordinator, &text).await {
            let shown: String = text.chars().take(20).collect();
            match answer {
                Ok(()) => *kept.entry(field).or_default() += 1,
                Err(status) => {
                    let fits = matches!(
                        status.code(),
                        Code::InvalidArgument
                            | Code::NotFound
                            | Code::FailedPrecondition
                            | Code::OutOfRange
                    );
                    assert!(fits, "{field} {shown:?}: {status}");
                    let message = status.message();
                    assert!(message.chars().all(is_safe), "{field} {shown:?}: {message:?}");
                    assert!(message.len() < 4_096, "{field} {shown:?} is told too much");
                }
            }
        }
    }
    println!("kept: {kept:?}");
    // Names keep to their rules whatever is sent; details are cut and kept.
    for field in ["name", "parameter name", "metric name", "measurement", "worker id", "lease id"] {
        assert_eq!(kept.get(field), None, "{field}");
    }
    assert_eq!(kept["detail"], hostile().len());
    let names = "select count(*) from study where name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'";
    assert_eq!(town.number(names).await, 0);
    let injected = "select count(*) from attempt where detail = '''; drop table trial; --'";
    assert_eq!(town.number(injected).await, 1);
    let long = "select max(octet_length(detail))::bigint from attempt";
    assert!((8_191..=8_192).contains(&town.number(long).await));

    // Everything that a person can look at.
    let workers = strop(&coordinator, &["worker", "list", "--all"]).await;
    assert!(workers.contains(r"\u{1b}[2J"), "it is shown, not sent:\n{workers}");
    strop(&coordinator, &["--json", "worker", "list", "--all"]).await;
    strop(&coordinator, &["study", "list"]).await;
    strop(&coordinator, &["trial", "list", "known"]).await;
    for trial in coordinator.trials("known").await {
        let number = trial.number.to_string();
        let text = strop(&coordinator, &["trial", "show", "known", &number]).await;
        assert!(text.lines().count() < 20, "no text begins lines of its own:\n{text}");
        let json = strop(&coordinator, &["--json", "trial", "show", "known", &number]).await;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["failure"].as_str().unwrap_or_default(), trial.failure);
    }
    let studies: Vec<String> = sqlx::query_scalar("select name from study where name <> 'known'")
        .fetch_all(&town.pool)
        .await
        .unwrap();
    assert!(studies.len() > 10, "labels and choices are kept");
    for name in studies {
        strop(&coordinator, &["study", "show", &name]).await;
        strop(&coordinator, &["--json", "study", "show", &name]).await;
    }
    strop(&coordinator, &["study", "show", "\u{1b}[2J"]).await;
}
