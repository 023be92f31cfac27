//! The real programs are killed at any instruction; the study ends with each result once.

use std::{fs, time::Duration};

use proto::v1::{
    CreateStudyRequest, GetStudyRequest, Study, StudyState, TrialState, Value,
    objective::Kind as Over, study_service_client::StudyServiceClient, value::Kind,
};
use rustix::process::Signal;
use sqlx::PgPool;
use tests::{
    process::{coordinator, signal, url, worker},
    space::small_networks,
    town::is_sound,
};

async fn study(url: &str) -> Option<Study> {
    let mut client = StudyServiceClient::connect(url.to_owned()).await.ok()?;
    let request = GetStudyRequest { name: "killed".into() };
    client.get_study(request).await.ok()?.into_inner().study
}

async fn until_completed(url: &str, wanted: u32) -> Study {
    for _ in 0..1_200 {
        if let Some(study) = study(url).await
            && study.counts.as_ref().is_some_and(|counts| counts.completed >= wanted)
        {
            return study;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no {wanted} completed trials after two minutes; the study is {:?}", study(url).await);
}

async fn until_running(url: &str, wanted: u32) {
    for _ in 0..600 {
        if let Some(study) = study(url).await
            && study.counts.as_ref().is_some_and(|counts| counts.running >= wanted)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no {wanted} running trials; the study is {:?}", study(url).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_survives_sigkill_of_a_worker_the_coordinator_and_postgres() {
    const TRIALS: u32 = 12;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = coordinator(folder, "127.0.0.1:0", "coordinator-1.log");
    let url = url(folder);
    let listen = url.trim_start_matches("http://").to_owned();
    let mut client = StudyServiceClient::connect(url.clone()).await.unwrap();
    let request = CreateStudyRequest {
        spec: Some(small_networks("killed", TRIALS)),
        request_id: String::new(),
    };
    client.create_study(request).await.unwrap();
    let ada = worker(folder, &url, "ada.log");
    let ben = worker(folder, &url, "ben.log");

    // A worker dies in mid-trial; another takes its place.
    until_completed(&url, 1).await;
    until_running(&url, 2).await;
    ada.kill();
    let cleo = worker(folder, &url, "cleo.log");

    // The coordinator dies. Its workers go on, and find the next one at the same address. The
    // database server stays up and is adopted.
    until_completed(&url, 4).await;
    first.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let second = coordinator(folder, &listen, "coordinator-2.log");

    // Postgres dies. The coordinator starts it again.
    until_completed(&url, 7).await;
    let pid = fs::read_to_string(folder.join("data/postgres/postmaster.pid")).unwrap();
    signal(pid.lines().next().unwrap().parse().unwrap(), Signal::KILL);

    let study = until_completed(&url, TRIALS).await;
    assert_eq!(study.state(), StudyState::Completed);
    let database = embedded_postgres::Server::open(&folder.join("data")).unwrap();
    let pool = PgPool::connect(&database.url()).await.unwrap();
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select 'trials', count(*) from trial where state = 'completed'
         union all select 'results', count(*) from result
         union all select 'observations', count(distinct obs_seq) from result
         union all select 'numbers', count(distinct number) from trial
         union all select 'leases left', count(*) from lease
         union all select 'attempts without an end', count(*) from attempt where outcome = 'running'
         union all select 'results of another attempt', count(*)
                     from result r join trial t using (trial_id) where r.attempt <> t.attempt",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let wanted = i64::from(TRIALS);
    let expected = [
        ("trials", wanted),
        ("results", wanted),
        ("observations", wanted),
        ("numbers", wanted),
        ("leases left", 0),
        ("attempts without an end", 0),
        ("results of another attempt", 0),
    ];
    let expected: Vec<(String, i64)> =
        expected.iter().map(|&(what, count)| (what.to_owned(), count)).collect();
    assert_eq!(rows, expected);
    let expired: i64 = sqlx::query_scalar("select count(*) from attempt where outcome = 'expired'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(expired >= 1, "the killed worker's attempt shows");
    is_sound(&pool).await;
    pool.close().await;
    assert!(ben.terminate().success());
    assert!(cleo.terminate().success());
    assert!(second.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_stop_gives_its_trial_back_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let coordinator = coordinator(folder, "127.0.0.1:0", "coordinator.log");
    let url = url(folder);
    let mut client = StudyServiceClient::connect(url.clone()).await.unwrap();
    let mut spec = small_networks("killed", 1);
    if let Some(Over::Whetstone(over)) = &mut spec.objective.as_mut().unwrap().kind {
        let many = Value { kind: Some(Kind::Integer(10_000)) };
        over.fixed.insert("epochs".into(), many);
    }
    let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
    client.create_study(request).await.unwrap();
    let ada = worker(folder, &url, "ada.log");
    until_running(&url, 1).await;
    assert!(ada.terminate().success());
    let request = proto::v1::GetTrialRequest { study: "killed".into(), number: 0 };
    let trial = client.get_trial(request).await.unwrap().into_inner().trial.unwrap();
    assert_eq!(trial.state(), TrialState::Queued);
    assert_eq!((trial.attempt, trial.failures), (1, 0));
    assert!(coordinator.terminate().success());
}
