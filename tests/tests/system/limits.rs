//! Whoever asks for too much is told the limit and what to do, and nobody else notices.

use std::collections::BTreeMap;

use proto::v1::{
    CancelStudyRequest, Capabilities, CategoricalDomain, CompleteRequest, Condition,
    CreateStudyRequest, EnqueueTrialsRequest, ExternalObjective, ImportTrialsRequest,
    ImportedTrials, LeaseRequest, Metric, Objective, Parameter, Point, ReportMetricsRequest, Space,
    StudySpec, Value, import_trials_request::From, objective::Kind as Over, parameter::Domain,
    value::Kind, worker_service_client::WorkerServiceClient,
};
use tests::{Coordinator, Town, raw, space};
use tonic::{Code, Status};
use uuid::Uuid;

async fn created(coordinator: &Coordinator, spec: StudySpec) -> Result<(), Status> {
    let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
    coordinator.studies().create_study(request).await.map(drop)
}

fn labels(count: usize, bytes: usize) -> StudySpec {
    let labels = (0..count).map(|n| (format!("label-{n}"), "x".repeat(bytes))).collect();
    let kind = Some(Over::External(ExternalObjective { labels }));
    let spec = space::external("s", space::eight_switches(), 5);
    StudySpec { objective: Some(Objective { kind }), ..spec }
}

fn choices(count: usize) -> StudySpec {
    let choices = (0..count).map(|n| format!("c{n}")).collect();
    let domain = Some(Domain::Categorical(CategoricalDomain { choices }));
    let parameter = Parameter { name: "c".into(), domain, ..Default::default() };
    space::external("s", Space { parameters: vec![parameter] }, 5)
}

fn conditions(count: usize) -> StudySpec {
    let on = Value { kind: Some(Kind::Boolean(true)) };
    let condition = Condition { parameter: "a".into(), values: vec![on; count] };
    let child = Parameter { condition: Some(condition), ..space::switch("b") };
    space::external("s", Space { parameters: vec![space::switch("a"), child] }, 5)
}

fn switches(count: usize) -> StudySpec {
    let parameters = (0..count).map(|n| space::switch(&format!("p{n}"))).collect();
    space::external("s", Space { parameters }, 5)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_that_is_too_large_is_refused_and_one_at_the_limit_is_not() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let budget = |max_trials| StudySpec { max_trials, ..switches(2) };
    let named = |bytes| StudySpec { name: "x".repeat(bytes), ..switches(2) };
    let cases: [(&str, StudySpec, StudySpec); 7] = [
        ("at most 64 parameters", switches(65), switches(64)),
        ("at most 1024 are allowed", choices(1_025), choices(1_024)),
        ("at most 1024 are allowed", conditions(1_025), conditions(1_024)),
        ("at most 256 fit", labels(257, 1), labels(256, 1)),
        ("at most 65536 fit", labels(1, 65_536), labels(1, 65_000)),
        ("from 1 to 100000", budget(100_001), budget(100_000)),
        ("at most 63 in all", named(64), named(63)),
    ];
    for (number, (said, beyond, at)) in cases.into_iter().enumerate() {
        let refusal = created(&coordinator, beyond).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal}");
        assert!(refusal.message().contains(said), "{refusal}");
        let name = if at.name == "s" { format!("s{number}") } else { at.name.clone() };
        created(&coordinator, StudySpec { name, ..at }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_and_people_send_at_once_is_limited() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("s", space::eight_switches(), 5)).await;
    let lease = coordinator.hand().lease().await;
    let mut workers = WorkerServiceClient::new(coordinator.channel.clone());

    let metric = |step| Metric { step, name: "loss".into(), value: 0.5 };
    let metrics = (0..1_001).map(metric).collect();
    let request =
        ReportMetricsRequest { r#ref: lease.r#ref.clone(), metrics, ..Default::default() };
    let refusal = workers.report_metrics(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    assert!(refusal.message().contains("send 1000 at most"), "{refusal}");

    let measurements: BTreeMap<_, _> = (0..101).map(|n| (format!("m{n}"), 0.5)).collect();
    let r#ref = lease.r#ref.clone();
    let request = CompleteRequest { r#ref, value: 0.5, measurements, pruned: false };
    let refusal = workers.complete(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    assert!(refusal.message().contains("at most 100 fit"), "{refusal}");

    let ask = |slot, capabilities| LeaseRequest {
        worker_id: Uuid::new_v4().to_string(),
        slot,
        capabilities: Some(capabilities),
        wait: None,
    };
    let many = |count| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>();
    let cases = [
        (ask(1_024, Capabilities::default()), "below 1024"),
        (ask(0, Capabilities { studies: many(1_001), ..Default::default() }), "name 1000 at most"),
        (ask(0, Capabilities { objectives: many(17), ..Default::default() }), "name 16 at most"),
        (ask(0, Capabilities { label: "x".repeat(201), ..Default::default() }), "at most 200 fit"),
    ];
    for (request, said) in cases {
        let refusal = workers.lease(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
        assert!(refusal.message().contains(said), "{refusal}");
    }

    let points = vec![Point::default(); 1_001];
    let request = EnqueueTrialsRequest { study: "s".into(), points, request_id: String::new() };
    let refusal = coordinator.studies().enqueue_trials(request).await.unwrap_err();
    assert!(refusal.message().contains("from 1 to 1000"), "{refusal}");
    let trials = vec![Default::default(); 1_001];
    let from = Some(From::Trials(ImportedTrials { trials, source: "x".into() }));
    let request = ImportTrialsRequest { study: "s".into(), from, ..Default::default() };
    let refusal = coordinator.studies().import_trials(request).await.unwrap_err();
    assert!(refusal.message().contains("from 1 to 1000"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_may_report_a_million_metrics_and_then_goes_on_without() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("s", space::eight_switches(), 5)).await;
    let mut hand = coordinator.hand();
    let lease = hand.lease().await;
    sqlx::query("update lease set metrics = 999998").execute(&town.pool).await.unwrap();
    hand.report(&lease, 0, "loss", 0.5).await.unwrap();
    hand.report(&lease, 1, "loss", 0.5).await.unwrap();
    let refusal = hand.report(&lease, 2, "loss", 0.5).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert!(refusal.message().contains("1000000 metrics"), "{refusal}");
    assert_eq!(town.number("select count(*) from metric").await, 2);
    hand.beat(&lease, 0.9).await.unwrap();
    assert!(!hand.complete(&lease, 0.5).await.unwrap());
    assert_eq!(hand.report(&lease, 3, "loss", 0.5).await.unwrap_err().code(), Code::Aborted);
}

/// What is kept of a late report is kept of one that once held a lease: nobody fills a table with lies.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_on_a_lease_that_never_was_leaves_nothing_behind() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("s", space::eight_switches(), 5)).await;
    let mut hand = coordinator.hand();
    let mut lease = hand.lease().await;
    hand.release(&lease).await.unwrap();
    assert_eq!(hand.complete(&lease, 0.5).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(town.number("select count(*) from late_report").await, 1);
    lease.r#ref.as_mut().unwrap().lease_id = Uuid::new_v4().to_string();
    assert_eq!(hand.complete(&lease, 0.5).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(town.number("select count(*) from late_report").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_studies_may_be_open_at_once() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("first", space::eight_switches(), 5)).await;
    let copies = "insert into study (name, state, space, objective, max_trials)
                  select 'copy-' || n, 'paused', space, objective, 5
                    from study, generate_series(1, 998) n";
    sqlx::query(copies).execute(&town.pool).await.unwrap();
    let study = |name: &str| space::external(name, space::eight_switches(), 5);
    let two = [study("last"), study("late")].map(|spec| created(&coordinator, spec));
    let [last, late] = two;
    let (last, late) = tokio::join!(last, late);
    let refusal = last.and(late).unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(
        refusal.message(),
        "1000 studies are active or paused, which is as many as may be; wait until one has ended, or \
         cancel one"
    );
    let cancel = CancelStudyRequest { name: "copy-1".into(), ..Default::default() };
    coordinator.studies().cancel_study(cancel).await.unwrap();
    created(&coordinator, study("after")).await.unwrap();
}

/// A stream of questions that cost nothing, as fast as they go.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_without_end_is_slowed_down_and_others_are_not() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let ask = || raw::call(&coordinator.channel, "/grpc.health.v1.Health/Check", vec![], false);
    let mut refusals: Vec<Status> = Vec::new();
    for _ in 0..400 {
        let mut askers = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let channel = coordinator.channel.clone();
            askers.spawn(async move {
                raw::call(&channel, "/grpc.health.v1.Health/Check", vec![], false).await
            });
        }
        refusals.extend(askers.join_all().await.into_iter().filter_map(Result::err));
        if !refusals.is_empty() {
            break;
        }
    }
    let refusal = refusals.first().expect("25,600 calls were let through");
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal}");
    assert!(refusal.message().contains("more than 200 such calls a second"), "{refusal}");
    let wait = refusal.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    let wait: u64 = wait.parse().unwrap();
    assert!(wait > 0 && refusal.message().contains(&format!("after {wait} ms")), "{refusal}");

    // Workers' calls over the same connection, and people's over another, go on.
    coordinator.hand().finds_nothing().await;
    let other = coordinator.connection().await;
    raw::call(&other, "/grpc.health.v1.Health/Check", vec![], false).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ask().await.unwrap();
}
