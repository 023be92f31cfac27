//! The command against a coordinator that says what the script says.

#[path = "scripted/script.rs"]
mod script;

use std::process::{Command, Output};

use proto::v1::study_service_server::StudyServiceServer;
use proto::v1::value::Kind;
use proto::v1::*;
use script::{ACTIVE, CANCELLED, COMPLETED, DONE, RUNNING, Script, trial};
use tokio_stream::wrappers::TcpListenerStream;

fn study(state: i32) -> Study {
    let domain = parameter::Domain::Int(IntDomain { low: 1, high: 9, scale: 0 });
    let units =
        Parameter { name: "units".to_owned(), domain: Some(domain), ..Parameter::default() };
    Study {
        spec: Some(StudySpec {
            name: "s".to_owned(),
            max_trials: 2,
            space: Some(Space { parameters: vec![units] }),
            ..StudySpec::default()
        }),
        state,
        counts: Some(TrialCounts::default()),
        best: Some(trial(0, DONE)),
        space_size: "9".to_owned(),
        ..Study::default()
    }
}

fn tested() -> Script {
    let mut script = known();
    let best = script.studies[0].best.as_mut().unwrap();
    best.measurements.insert("test_accuracy".to_owned(), 0.6875);
    script
}

fn update(state: i32, trials: Vec<Trial>) -> WatchStudyResponse {
    WatchStudyResponse { study: Some(study(state)), trials }
}

/// Runs the command against a script.
async fn strop(script: &Script, arguments: &[&str]) -> Output {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = StudyServiceServer::new(script.clone());
    let server = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    let server = tokio::spawn(server);
    let mut command = Command::new(env!("CARGO_BIN_EXE_strop"));
    command.args(["--coordinator", &url]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    server.abort();
    output
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn known() -> Script {
    let trials = vec![trial(0, DONE), trial(1, RUNNING)];
    Script { studies: vec![study(ACTIVE)], trials, ..Script::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_the_code_that_fits_it_and_the_coordinators_words() {
    let cases = [
        (&["study", "show", "x"][..], 5, "there is no study named `x`"),
        (&["trial", "show", "s", "8"], 5, "there is no trial 8 in `s`"),
        (&["study", "pause", "s"], 6, "the study `s` has ended"),
        (&["study", "resume", "s"], 1, "broken"),
        (&["study", "watch", "x"], 5, "there is no study named `x`"),
        (&["study", "calibration", "s"], 6, "its posterior says nothing before 5"),
        (&["study", "importance", "x"], 5, "there is no study named `x`"),
        (&["trial", "enqueue", "s", "units=0"], 2, "it is one of 1 to 9, whole"),
    ];
    for (arguments, code, text) in cases {
        let output = strop(&known(), arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", error(&output));
        assert!(error(&output).contains(text), "{}", error(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_shown_as_a_table_and_as_one_json_document() {
    let list = strop(&known(), &["study", "list"]).await;
    assert!(out(&list).lines().nth(2).unwrap().starts_with("s      active"), "{}", out(&list));
    let show = strop(&known(), &["--json", "study", "show", "s"]).await;
    let json: serde_json::Value = serde_json::from_str(&out(&show)).unwrap();
    assert_eq!(json["trials"][0]["point"]["units"], 7);
    assert_eq!(json["spec"]["parameters"][0]["int"], serde_json::json!([1, 9]));
    let trials = strop(&known(), &["trial", "list", "s"]).await;
    assert_eq!(out(&trials).lines().count(), 4, "{}", out(&trials));
    let best = strop(&known(), &["study", "best", "s"]).await;
    assert!(out(&best).contains("value     0.7500"), "{}", out(&best));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_posterior_says_is_told_as_a_table_as_json_and_as_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("units.svg");
    let path = file.to_str().unwrap();
    let told = strop(&known(), &["study", "importance", "s", "--svg", path]).await;
    assert!(
        out(&told).contains("units           0.750 ± 0.125  1.000 ± 0.125  █"),
        "{}",
        out(&told)
    );
    assert!(error(&told).contains("wrote `"), "{}", error(&told));
    let picture = std::fs::read_to_string(&file).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains(">units<"));

    let arguments = ["--json", "study", "dependence", "s", "units", "--svg", path];
    let told = strop(&known(), &arguments).await;
    let json: serde_json::Value = serde_json::from_str(&out(&told)).unwrap();
    assert_eq!(json["dependences"][0]["places"][3]["value"], 4);
    assert_eq!(json["dependences"][0]["places"][3]["mean"], 0.5);
    assert_eq!(error(&told), "");
    assert_ne!(std::fs::read_to_string(&file).unwrap(), picture);

    let nowhere = folder.path().join("none/x.svg");
    let arguments = ["study", "importance", "s", "--svg", nowhere.to_str().unwrap()];
    let refused = strop(&known(), &arguments).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(error(&refused).contains("could not write `"), "{}", error(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_trials_than_a_page_holds_are_all_listed() {
    let trials = (0..2_345).map(|number| trial(number, DONE)).collect();
    let script = Script { trials, ..known() };
    let output = strop(&script, &["--json", "trial", "list", "s"]).await;
    let json: Vec<serde_json::Value> = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(json.len(), 2_345);
    assert_eq!(json[2_344]["number"], 2_344);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_shows_what_its_best_trial_reached_on_the_test_images() {
    let plain = out(&strop(&known(), &["study", "show", "s"]).await);
    assert!(plain.contains("best       0.7500 in trial 0\n"), "{plain}");
    let tested = out(&strop(&tested(), &["study", "show", "s"]).await);
    assert!(tested.contains("0.7500 in trial 0; on the test images 0.6875\n"), "{tested}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_each_ended_trial_once_although_the_coordinator_went_away_in_between() {
    let script = known();
    *script.watches.lock().unwrap() = [
        vec![update(ACTIVE, vec![trial(0, DONE), trial(1, RUNNING)])],
        // After a restart: everything again, and on to the end.
        vec![
            update(ACTIVE, vec![trial(0, DONE), trial(1, RUNNING)]),
            update(COMPLETED, vec![trial(1, DONE)]),
        ],
    ]
    .into();
    let output = strop(&script, &["study", "watch", "s"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let said = out(&output);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!(lines[0], "`s` is active: 2 trials");
    assert!(lines[1].starts_with("trial   0  soft 0.9000  binary 0.7500"), "{said}");
    assert!(lines[1].ends_with("units=7"), "{said}");
    assert!(lines[2].starts_with("trial   1"), "{said}");
    assert_eq!(lines[3], "`s` is completed, best 0.7500 (trial 0)");
    assert!(!said.contains('\u{1b}'), "no escape codes outside a terminal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_a_cancelled_study_ends_with_3() {
    let script = known();
    let watches = || [vec![update(CANCELLED, vec![trial(0, DONE)])]].into();
    *script.watches.lock().unwrap() = watches();
    let output = strop(&script, &["study", "watch", "s"]).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(error(&output).contains("the study `s` was cancelled"));

    *script.watches.lock().unwrap() = watches();
    let output = strop(&script, &["--json", "study", "watch", "s"]).await;
    let said = out(&output);
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["trial"]["value"], 0.75);
    assert_eq!(lines[1]["study"]["state"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_is_created_once_and_a_second_one_of_its_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    let text = "name = \"new\"\nmax_trials = 2\n[objective]\nkind = \"external\"\n\
                [[parameter]]\nname = \"units\"\nint = [1, 9]\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let created = strop(&known(), &["study", "create", file]).await;
    assert_eq!(out(&created), "created `new`\n", "{}", error(&created));
    let refused = strop(&known(), &["study", "create", file, "--name", "s"]).await;
    assert_eq!(refused.status.code(), Some(6), "{}", error(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueued_point_arrives_in_the_types_of_the_space() {
    let script = known();
    let output = strop(&script, &["trial", "enqueue", "s", "units=3"]).await;
    assert_eq!(out(&output), "queued as trial 9 of `s`\n", "{}", error(&output));
    let points = script.enqueued.lock().unwrap();
    assert_eq!(points[0].values["units"].kind, Some(Kind::Integer(3)));
}

fn traded() -> Script {
    let mut script = known();
    let further = FurtherObjective {
        measurement: "energy".to_owned(),
        direction: Direction::Minimize as i32,
        reference: None,
    };
    let bound = Constraint {
        measurement: "energy".to_owned(),
        bound: Some(constraint::Bound::AtMost(90.0)),
    };
    let study = &mut script.studies[0];
    study.counts = Some(TrialCounts { completed: 4, ..TrialCounts::default() });
    let spec = study.spec.as_mut().unwrap();
    (spec.also, spec.constraints) = (vec![further], vec![bound]);
    let result = |number, value, energy, feasible| Trial {
        value: Some(value),
        measurements: [("energy".to_owned(), energy)].into(),
        feasible: Some(feasible),
        ..trial(number, DONE)
    };
    script.trials = vec![
        result(0, 0.5, 10.0, true),
        result(1, 0.75, 20.0, true),
        result(2, 0.5, 30.0, true),
        result(3, 0.9, 95.0, false),
    ];
    script.front = GetParetoFrontResponse {
        trials: vec![script.trials[1].clone(), script.trials[0].clone()],
        size: 2,
        feasible: 3,
        reference: vec![0.475, 32.0],
        hypervolume: Some(3.55),
    };
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn trade_offs_are_shown_as_a_table_a_picture_and_a_document() {
    let text = out(&strop(&traded(), &["study", "pareto", "s"]).await);
    for line in [
        "objectives   maximize value, minimize energy",
        "constraints  energy ≤ 90; kept by 3 of 4 results",
        "front        2 of 3 results",
        "hypervolume  3.5500, measured from value 0.4750, energy 32",
        "1  0.7500      20  units=7",
        "● on the front   · beaten   × breaks a constraint",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    let marks = |mark| text.chars().filter(|c| *c == mark).count();
    // One of each in the key.
    assert_eq!((marks('●'), marks('·'), marks('×')), (3, 2, 2), "{text}");

    let json = strop(&traded(), &["--json", "study", "pareto", "s"]).await;
    let json: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(json["hypervolume"], 3.55);
    assert_eq!(json["objectives"][1]["measurement"], "energy");
    assert_eq!(json["objectives"][1]["reference"], 32.0);
    assert_eq!(json["trials"][0]["number"], 1);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("front.svg");
    let drawn = strop(&traded(), &["study", "pareto", "s", "--svg", path.to_str().unwrap()]).await;
    assert_eq!(drawn.status.code(), Some(0), "{}", error(&drawn));
    let svg = std::fs::read_to_string(&path).unwrap();
    assert_eq!(svg.matches("<circle").count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_of_several_objectives_says_what_its_best_is() {
    let show = out(&strop(&traded(), &["study", "show", "s"]).await);
    for line in ["maximize ?, minimize energy", "energy ≤ 90", "best value", "strop study pareto s"]
    {
        assert!(show.contains(line), "no {line:?} in\n{show}");
    }
    let best = strop(&traded(), &["study", "best", "s"]).await;
    assert!(error(&best).contains("the best value alone"), "{}", error(&best));
    let mut hopeless = traded();
    hopeless.studies[0].best = None;
    let best = strop(&hopeless, &["study", "best", "s"]).await;
    assert_eq!(best.status.code(), Some(5));
    assert!(error(&best).contains("keeps its constraints"), "{}", error(&best));
    let alone = strop(&known(), &["study", "pareto", "s", "--svg", "x.svg"]).await;
    assert_eq!(alone.status.code(), Some(2), "{}", error(&alone));
    assert!(error(&alone).contains("one objective"), "{}", error(&alone));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_file_arrive_in_calls_of_bounded_size() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.csv");
    let rows: String = (0..450).map(|i| format!("{},0.{i}\n", 1 + i % 9)).collect();
    std::fs::write(&file, format!("units,value\n{rows}")).unwrap();
    let script = known();
    let file = file.to_str().unwrap();
    let output = strop(&script, &["study", "import", "s", "--csv", file]).await;
    assert_eq!(out(&output), "`s` learns from 450 more results\n", "{}", error(&output));
    assert_eq!(script.enqueued.lock().unwrap().len(), 450);

    std::fs::write(file, "units,value\n3,0.5\n10,0.5\n").unwrap();
    let output = strop(&script, &["study", "import", "s", "--csv", file]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(error(&output).contains("r.csv:3: `units` cannot be `10`"), "{}", error(&output));
    let output = strop(&script, &["study", "import", "s"]).await;
    assert_eq!(output.status.code(), Some(2), "neither a study nor a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_is_extended_and_shows_why_it_ended_and_what_more_would_gain() {
    let output = strop(&known(), &["study", "extend", "s", "--max-trials", "30"]).await;
    assert_eq!(out(&output), "`s` is active, with 30 trials in all\n", "{}", error(&output));

    let mut script = known();
    let study = &mut script.studies[0];
    study.state = COMPLETED;
    study.ended_because = EndReason::GainBelow.into();
    study.finished_at = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
    study.prospect =
        Some(Prospect { horizon: 12, trials: 20, gain: 0.000_91, regret_bound: 0.012 });
    study.imported = 7;
    let shown = out(&strop(&script, &["study", "show", "s"]).await);
    assert!(
        shown.contains("1970-01-01 00:00 UTC: further trials would gain too little"),
        "{shown}"
    );
    assert!(shown.contains("imported   7 results"), "{shown}");
    assert!(shown.contains("another 20 trainings would gain less than"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_listed_and_sent_away() {
    let worker = |label: &str, state: WorkerState| Worker {
        worker_id: "0d2c4b7e-0000-4000-8000-000000000001".to_owned(),
        label: label.to_owned(),
        device: "cpu".to_owned(),
        state: state.into(),
        running: 3,
        ..Worker::default()
    };
    let mut script = known();
    script.workers = vec![
        worker("node-1", WorkerState::Active),
        // A host may call itself what it likes.
        worker("\u{1b}[2J\u{202e}evil\nstudy  state", WorkerState::Gone),
    ];
    let list = out(&strop(&script, &["worker", "list"]).await);
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.contains("0d2c4b7e  node-1  cpu     active        3"), "{list}");
    let all = out(&strop(&script, &["worker", "list", "--all"]).await);
    assert!(all.contains(r"\u{1b}[2J\u{202e}evil study  state"), "{all}");
    let json = out(&strop(&script, &["--json", "worker", "list", "--all"]).await);
    assert!(json.contains(r"\u202eevil\nstudy"), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[1]["label"], "\u{1b}[2J\u{202e}evil\nstudy  state");
    let drained = strop(&script, &["worker", "drain", "node-1", "--reason", "dust"]).await;
    assert!(out(&drained).contains("draining") && out(&drained).contains("dust"), "{drained:?}");
    let nobody = strop(&script, &["worker", "drain", "node-2"]).await;
    assert_eq!(nobody.status.code(), Some(5), "{}", error(&nobody));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_withdrawn_and_a_study_put_first() {
    let withdrawn = strop(&known(), &["trial", "cancel", "s", "1"]).await;
    assert!(out(&withdrawn).contains("its worker is told to stop"), "{withdrawn:?}");
    assert_eq!(strop(&known(), &["trial", "cancel", "s", "8"]).await.status.code(), Some(5));
    let first = strop(&known(), &["study", "priority", "s", "-7"]).await;
    assert_eq!(out(&first), "`s` has priority -7\n");
    assert_eq!(strop(&known(), &["study", "priority", "s", "101"]).await.status.code(), Some(2));
}
