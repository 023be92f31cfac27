//! `strop doctor`: silent about whatever can happen to a database, and loud about what must not.

use std::{
    collections::BTreeSet,
    process::{Command, Output},
    time::{Duration, Instant},
};

use coordinator::storage::{
    invariants::{self, Acknowledged, Finding, Holds},
    roles,
};
use proto::v1::{Algorithm, CancelStudyRequest, EnqueueTrialsRequest, FailureClass, StudySpec};
use sqlx::{Connection as _, PgConnection};
use tests::{Hand, Town, lived::lived, process::program, space};

use crate::planted::{PLANTED, Planted};

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_must_not_be_is_found_and_nothing_else() {
    let (town, coordinator) = lived().await;
    town.until(
        "select count(*) from posterior p join study s using (study_id)
                 where s.name in ('first', 'lived') and p.horizon = s.next_obs",
        2,
    )
    .await;
    coordinator.stop().await;
    town.is_sound().await;
    let mut db = PgConnection::connect(town.url()).await.unwrap();
    for planted in PLANTED {
        let mut tx = db.begin().await.unwrap();
        planted.plant(&mut tx).await;
        let findings = invariants::examine_within(&mut tx, Holds::Always).await.unwrap();
        tx.rollback().await.unwrap();
        let broken: Vec<&Finding> = findings.iter().filter(|finding| finding.total > 0).collect();
        let ids: Vec<&str> = broken.iter().map(|finding| finding.invariant.id).collect();
        let told: Vec<String> = broken.iter().map(|finding| finding.to_string()).collect();
        let told = told.join("\n");
        assert_eq!(ids, planted.breaks, "{}:\n{told}", planted.what);
        assert!(
            broken.iter().any(|finding| planted.is_named_by(finding)),
            "{}:\n{told}",
            planted.what
        );
    }
    // No invariant is there that nothing can break. I16 has a test of its own.
    let tried: BTreeSet<&str> =
        PLANTED.iter().flat_map(|planted| planted.breaks).copied().collect();
    let all: BTreeSet<&str> = invariants::that_hold(Holds::Always).map(|of| of.id).collect();
    assert_eq!(tried, all);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_nothing_may_be_open_but_what_a_person_paused() {
    let (town, coordinator) = lived().await;
    town.is_sound().await;
    let mut db = town.pool.acquire().await.unwrap();
    let open = async |db: &mut PgConnection| -> Vec<(String, i32)> {
        let broken = invariants::check_at_rest(db).await.unwrap();
        assert!(broken.iter().all(|finding| finding.invariant.id == "I16"));
        let rows = broken.into_iter().flat_map(|finding| finding.rows);
        rows.map(|row| (row.study.unwrap(), row.number.unwrap())).collect()
    };
    let named = |study: &str, number| (study.to_owned(), number);
    let all = [named("lived", 8), named("lived", 9), named("withdrawn", 2)];
    assert_eq!(open(&mut db).await, all);
    let pause = proto::v1::PauseStudyRequest { name: "lived".into(), ..Default::default() };
    coordinator.studies().pause_study(pause).await.unwrap();
    assert_eq!(open(&mut db).await, all[2..]);
}

/// Runs `strop doctor` on a database.
fn strop_doctor(url: &str, arguments: &[&str]) -> Output {
    Command::new(program("strop"))
        .arg("doctor")
        .args(arguments)
        .env("DATABASE_URL", url)
        .env_remove("DATABASE_URL_FILE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn strop_doctor_names_every_planted_row() {
    let (town, coordinator) = lived().await;
    town.until(
        "select count(*) from posterior p join study s using (study_id)
                 where s.name = 'first' and p.horizon = s.next_obs",
        1,
    )
    .await;
    // Nobody serves it any more. A coordinator's rights suffice to check.
    coordinator.stop().await;
    let url = town.url_of(roles::COORDINATOR);
    let clean = strop_doctor(&url, &[]);
    assert_eq!(clean.status.code(), Some(0), "{}{}", text(&clean.stdout), text(&clean.stderr));
    assert!(text(&clean.stdout).ends_with("26 invariants, and all of them hold\n"));

    let mut first = BTreeSet::new();
    let planted: Vec<&Planted> =
        PLANTED.iter().filter(|planted| first.insert(planted.breaks[0])).collect();
    assert!(planted.len() >= 12);
    for planted in &planted {
        let mut tx = town.pool.begin().await.unwrap();
        planted.plant(&mut tx).await;
        tx.commit().await.unwrap();
    }
    let told = strop_doctor(&url, &[]);
    let lines: Vec<&str> = text(&told.stdout).lines().collect();
    assert_eq!((told.status.code(), text(&told.stderr)), (Some(1), ""));
    let json = strop_doctor(&url, &["--json"]);
    assert_eq!(json.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["sound"], false);
    for Planted { what, breaks, names: (study, number, attempt), says, .. } in planted {
        let id = breaks[0];
        let summary = lines.iter().find(|line| line.split(' ').next() == Some(id)).expect(id);
        assert!(summary.contains(" row"), "{what}: {summary}");
        let shown = |line: &&str| {
            line.contains(says) && study.is_none_or(|study| line.trim_start().starts_with(study))
        };
        assert!(lines.iter().any(shown), "{what}: {}", lines.join("\n"));
        let check = json["checks"].as_array().unwrap().iter().find(|check| check["id"] == id);
        let rows = check.expect(id)["named"].as_array().unwrap();
        let is_named = |row: &serde_json::Value| {
            row["study"].as_str() == *study
                && row["number"].as_i64() == number.map(i64::from)
                && row["attempt"].as_i64() == attempt.map(i64::from)
                && row["wrong"].as_str().unwrap().contains(says)
        };
        assert!(rows.iter().any(is_named), "{what}: {rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_ends_with_2_and_creates_nothing() {
    let town = Town::empty().await;
    let failed = |url: &str| {
        let output = strop_doctor(url, &[]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""));
        let error = text(&output.stderr).to_owned();
        assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
        error
    };
    let bare = failed(town.url());
    assert!(bare.contains("lacks migrations 1 to") && bare.contains("migrate"), "{bare}");
    assert_eq!(town.number("select count(*) from pg_tables where schemaname = 'public'").await, 0);
    let full = Town::new().await;
    let barred = failed(&full.url_of(roles::ANALYST));
    assert!(barred.contains("role `strop_analyst` may not read"), "{barred}");

    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("none");
    let output = Command::new(program("strop"))
        .args(["doctor", "--data-dir", data_dir.to_str().unwrap()])
        .env_remove("DATABASE_URL")
        .env_remove("DATABASE_URL_FILE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no database in"));
    assert!(!data_dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_was_acknowledged_must_be_on_record() {
    let (town, _coordinator) = lived().await;
    let mut db = town.pool.acquire().await.unwrap();
    type Recorded = (i64, i32, Vec<u8>);
    let recorded: Vec<Recorded> =
        sqlx::query_as("select trial_id, attempt, payload_sha256 from result order by trial_id")
            .fetch_all(&mut *db)
            .await
            .unwrap();
    let mut acknowledged: Vec<Acknowledged> = recorded
        .into_iter()
        .map(|(trial_id, attempt, payload_sha256)| Acknowledged {
            trial_id,
            attempt,
            payload_sha256,
        })
        .collect();
    let found = invariants::check_acknowledged(&mut db, &acknowledged).await.unwrap();
    assert_eq!((found.total, found.rows), (0, vec![]));

    // Another payload, another attempt, a trial without a result, and one that never was.
    acknowledged[0].payload_sha256[0] ^= 1;
    acknowledged[1].attempt = 7;
    let running = town.number("select trial_id from lease order by trial_id limit 1").await;
    for trial_id in [running, -1] {
        acknowledged.push(Acknowledged { trial_id, ..acknowledged[2].clone() });
    }
    let found = invariants::check_acknowledged(&mut db, &acknowledged).await.unwrap();
    let told = found.to_string();
    assert_eq!(found.total, 4, "{told}");
    for words in [
        "another report was acknowledged than",
        "and its result is of attempt 1",
        "and it has no result",
        "trial_id -1 was acknowledged and is not there",
    ] {
        assert!(found.rows.iter().any(|row| row.wrong.contains(words)), "{told}");
    }
}

/// A worker that does now this and now that, by the numbers of trial and attempt, and vanishes now and then.
async fn work(mut hand: Hand) {
    loop {
        let answer = hand.ask(Duration::from_secs(2)).await.unwrap();
        let Some(lease) = answer.lease else {
            if answer.idle {
                return;
            }
            continue;
        };
        let attempt = lease.r#ref.as_ref().unwrap().attempt;
        // Refusals are part of the life: whoever was lapsed hears one.
        let _ = hand.report(&lease, 0, "score", 0.5).await;
        match (lease.number + 5 * attempt) % 8 {
            0 => drop(hand.fail(&lease, FailureClass::Nan).await),
            1 => drop(hand.fail(&lease, FailureClass::Oom).await),
            2 => drop(hand.release(&lease).await),
            3 => drop(hand.prune(&lease, 0.2).await),
            // It never comes back; the slot is another's now.
            4 => return,
            _ => drop(hand.complete(&lease, space::cliff(lease.point.as_ref().unwrap())).await),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_at_work_gives_no_false_alarm() {
    let town = Town::new().await;
    let (north, south) = (town.coordinator().await, town.coordinator().await);
    let spec = |name: &str| StudySpec {
        algorithm: Algorithm::Random.into(),
        max_parallel: 5,
        ..space::external(name, space::eight_switches(), 60)
    };
    north.create(spec("busy")).await;
    south.create(spec("withdrawn")).await;
    let point = {
        let lease = north.hand().lease().await;
        lease.point.unwrap()
    };
    let request = EnqueueTrialsRequest {
        study: "withdrawn".into(),
        points: vec![point; 8],
        request_id: String::new(),
    };
    north.studies().enqueue_trials(request).await.unwrap();
    // Fresh workers take the places of those that vanish.
    let (at, also_at) = (north.channel.clone(), south.channel.clone());
    let crew: Vec<_> = (0..6)
        .map(|i| {
            let channel = if i % 2 == 0 { at.clone() } else { also_at.clone() };
            tokio::spawn(async move {
                loop {
                    work(Hand::new(&channel)).await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        })
        .collect();

    let ended = "select count(*) from study where state in ('completed', 'cancelled')";
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut looks = 0;
    while town.number(ended).await < 2 {
        assert!(Instant::now() < deadline, "the studies do not end");
        town.is_sound().await;
        town.let_every_lease_lapse().await;
        sqlx::query("update trial set not_before = '-infinity' where state = 'queued'")
            .execute(&town.pool)
            .await
            .unwrap();
        looks += 1;
        if looks == 20 {
            let cancel = CancelStudyRequest { name: "withdrawn".into(), ..Default::default() };
            south.studies().cancel_study(cancel).await.unwrap();
        }
    }
    assert!(looks >= 20);
    for worker in crew {
        worker.abort();
    }
    town.until("select count(*) from trial where state in ('queued', 'running')", 0).await;
    town.is_at_rest().await;
}
