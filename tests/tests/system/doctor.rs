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
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tests::{Hand, Town, lived::lived, process::program, space};

/// Something that must not be, and who should be told of it.
struct Planted {
    /// What it is called where it is missed.
    what: &'static str,
    /// `$at(STUDY, NUMBER)` stands for the key of a trial.
    sql: &'static str,
    /// The invariants that it breaks, and no others.
    breaks: &'static [&'static str],
    /// The row that is named: study, trial, attempt.
    names: (Option<&'static str>, Option<i32>, Option<i32>),
    /// Words that it is named with.
    says: &'static str,
}

macro_rules! planted {
    ($($what:literal: $sql:literal breaks $breaks:expr, names $names:expr, says $says:literal;)+) => {
        &[$(Planted { what: $what, sql: $sql, breaks: &$breaks, names: $names, says: $says }),+]
    };
}

/// The first that breaks an invariant does so beside the first of every other; see
/// [`strop_doctor_names_every_planted_row`].
const PLANTED: &[Planted] = planted! {
    "a result is gone":
        "delete from result where trial_id = $at(lived, 1)"
        breaks ["I1", "I6"], names (Some("lived"), Some(1), Some(1)), says "completed and has no result";
    "a result of an attempt that was superseded":
        "update result set attempt = 1 where trial_id = $at(lived, 5)"
        breaks ["I2", "I11"], names (Some("lived"), Some(5), Some(1)), says "and 2 is its last";
    "an attempt has ended beneath its trial":
        "update attempt set outcome = 'released', ended_at = clock_timestamp()
          where trial_id = $at(lived, 8)"
        breaks ["I3"], names (Some("lived"), Some(8), Some(1)), says "running, and 0 of its attempts run";
    "another lease":
        "update lease set lease_id = gen_random_uuid() where trial_id = $at(lived, 8)"
        breaks ["I3b"], names (Some("lived"), Some(8), Some(1)), says "another lease";
    "an attempt is gone":
        "delete from attempt where trial_id = $at(lived, 6) and attempt = 1"
        breaks ["I4"], names (Some("lived"), Some(6), Some(2)), says "counts 2 attempts; 1 are on record";
    "a number is skipped":
        "update trial set number = 40 where trial_id = $at(first, 3)"
        breaks ["I5"], names (Some("first"), Some(3), None), says "there is no such trial";
    "an imported observation is gone":
        "delete from imported where obs_seq = 1"
        breaks ["I6"], names (Some("warm"), None, None), says "observation 1 is missing";
    "given up too early":
        "update study set max_failures = 5 where name = 'lived'"
        breaks ["I7"], names (Some("lived"), Some(3), Some(2)), says "failed with 2 of 5 failures";
    "a failure that nobody had":
        "update trial set failures = 1 where trial_id = $at(lived, 0)"
        breaks ["I8"], names (Some("lived"), Some(0), Some(1)), says "counts 1 failures, and 0 attempts";
    "two attempts at once":
        "update attempt set ended_at = ended_at + interval '1 hour'
          where trial_id = $at(lived, 5) and attempt = 1"
        breaks ["I9"], names (Some("lived"), Some(5), Some(1)), says "and the next began at";
    "a metric after the end":
        "update metric set at = at + interval '1 hour' where trial_id = $at(lived, 0)"
        breaks ["I10"], names (Some("lived"), Some(0), Some(1)), says "metric score of step 0 came at";
    "recorded and refused":
        "insert into late_report (trial_id, attempt, lease_id, reason)
         select trial_id, attempt, lease_id, 'planted' from attempt where trial_id = $at(lived, 7)"
        breaks ["I11"], names (Some("lived"), Some(7), Some(1)), says "and refused at";
    "a suggestion from results to come":
        "update suggestion set horizon = 99 where trial_id = $at(lived, 4)"
        breaks ["I12"], names (Some("lived"), Some(4), None), says "from 99 observations, and there are";
    "a release that left no event":
        "delete from event where trial_id = $at(lived, 9) and kind = 'release'"
        breaks ["I13"], names (Some("lived"), Some(9), Some(1)), says "its events end with running";
    "a guard is switched off":
        "alter table trial disable trigger trial_final"
        breaks ["I15"], names (None, None, None), says "trigger trial_final on trial";
    "planned, and nobody knows from what":
        "update event set kind = 'enqueue' where trial_id = $at(lived, 7) and kind = 'plan'"
        breaks ["I17"], names (Some("lived"), Some(7), None), says "enqueued, and has a suggestion";
    "more trials than the budget allows":
        "alter table study drop constraint budget_kept;
         update study set max_trials = 9 where name = 'lived'"
        breaks ["I18"], names (Some("lived"), None, None), says "10 trials and counts 10, with a budget of 9";
    "more trials planned than may run":
        "update study set max_parallel = 1 where name = 'lived'"
        breaks ["I19"], names (Some("lived"), None, None), says "2 planned trials are open, and 1 are";
    "a typed copy that differs":
        "update trial_param set value_num = value_num + 1e-9
          where trial_id = $at(lived, 2) and name = 'rate'"
        breaks ["I20"], names (Some("lived"), Some(2), None), says "parameter rate is";
    "a point with a coordinate too many":
        "update trial set unit_point = unit_point || 0.5 where trial_id = $at(lived, 3)"
        breaks ["I21"], names (Some("lived"), Some(3), None), says "5 coordinates, and 4 parameters";
    "an infeasible result that counts":
        "update result set feasible = true where trial_id = $at(traded, 4)"
        breaks ["I22"], names (Some("traded"), Some(4), Some(1)), says "counts as feasible";
    "half a checkpoint":
        "delete from artifact_chunk where part = 1"
        breaks ["I23"], names (Some("lived"), Some(8), Some(1)), says "has 337856 of 600000 bytes, in 2 parts";
    "an order that nobody gave":
        "update lease set prune = true where trial_id = $at(lived, 8)"
        breaks ["I24"], names (Some("lived"), Some(8), Some(1)), says "no comparison says why";
    "ended for no reason":
        "update study set ended_because = 'space_exhausted' where name = 'warm'"
        breaks ["I25"], names (Some("warm"), None, None), says "completed because of space_exhausted";
    "a posterior that knows too much":
        "update posterior set horizon = 99 where study_id = (select study_id from study where name = 'first')"
        breaks ["I26"], names (Some("first"), None, None), says "99 observations; there are";
    "a worker that never called":
        "delete from worker where worker_id = (select worker_id from attempt
                                                where trial_id = $at(withdrawn, 2))"
        breaks ["I27"], names (Some("withdrawn"), Some(2), Some(1)), says "which never called";
    "a slot may hold two leases":
        "alter table lease drop constraint one_lease_per_slot"
        breaks ["I28"], names (None, None, None), says "key one_lease_per_slot of table lease";

    "two results of one trial":
        "alter table result drop constraint result_pkey;
         alter table result drop constraint result_study_id_obs_seq_key;
         insert into result select * from result where trial_id = $at(lived, 1)"
        breaks ["I1", "I6", "I28"], names (Some("lived"), Some(1), Some(1)), says "it has 2 results";
    "a pruned trial that counts as completed":
        "update result set is_pruned = false where trial_id = $at(lived, 7)"
        breaks ["I1", "I22"], names (Some("lived"), Some(7), Some(1)), says "that was completed";
    "a lease is gone":
        "delete from lease where trial_id = $at(lived, 8)"
        breaks ["I3b"], names (Some("lived"), Some(8), Some(1)), says "nobody holds a lease on it";
    "a metric that is no number":
        "alter table metric drop constraint value_is_finite;
         update metric set value = 'NaN' where trial_id = $at(lived, 0)"
        breaks ["I10"], names (Some("lived"), Some(0), Some(1)), says "is NaN";
    "a plan without a suggestion":
        "update study set posterior_version = posterior_version + 1 where name = 'first'"
        breaks ["I12"], names (Some("first"), None, None), says "left no suggestion";
    "a trial that came back from its end":
        "insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
         select study_id, trial_id, 1, 'planted', 'completed', 'queued'
           from trial where trial_id = $at(lived, 6)"
        breaks ["I13", "I15"], names (Some("lived"), Some(6), Some(2)), says "and its events end with queued";
    "a parameter without a typed copy":
        "delete from trial_param where trial_id = $at(lived, 2) and name = 'optimiser'"
        breaks ["I20"], names (Some("lived"), Some(2), None), says "absent in its typed copy";
    "a point outside of the space":
        "update trial set unit_point[1] = 1.5 where trial_id = $at(lived, 3)"
        breaks ["I21"], names (Some("lived"), Some(3), None), says "leaves the unit cube";
    "a parameter of another name":
        "update study_param set name = 'other' where name = 'rate'
            and study_id = (select study_id from study where name = 'small')
             or name = 'switch_1' and study_id = (select study_id from study where name = 'small')"
        breaks ["I21"], names (Some("small"), None, None), says "switch_1 in the space and other in";
    "objectives that were never measured":
        "update result set objectives[2] = 9 where trial_id = $at(traded, 0)"
        breaks ["I22"], names (Some("traded"), Some(0), Some(1)), says "its objectives are";
    "a checkpoint without its artifact":
        "delete from artifact"
        breaks ["I23"], names (Some("lived"), Some(8), Some(1)), says "the artifact of its checkpoint";
    "withdrawn, and nobody tells":
        "update lease set cancel = false where trial_id = $at(withdrawn, 2)"
        breaks ["I24"], names (Some("withdrawn"), Some(2), Some(1)), says "its worker is not told";
};

/// The keys in place of their names.
fn statement(planted: &Planted) -> String {
    let mut sql = String::new();
    let mut rest = planted.sql;
    while let Some((before, after)) = rest.split_once("$at(") {
        let (named, after) = after.split_once(')').unwrap();
        let (study, number) = named.split_once(", ").unwrap();
        sql += before;
        sql += &format!(
            "(select trial_id from trial join study using (study_id)
               where name = '{study}' and number = {number})"
        );
        rest = after;
    }
    sql + rest
}

/// Does what Postgres would not allow: no trigger fires, those of foreign keys among them.
async fn plant(db: &mut PgConnection, planted: &Planted) {
    let sql = format!("set local session_replication_role = replica; {}", statement(planted));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.expect(planted.what);
}

fn names(planted: &Planted, finding: &Finding) -> bool {
    finding.invariant.id == planted.breaks[0]
        && finding.rows.iter().any(|row| {
            (row.study.as_deref(), row.number, row.attempt) == planted.names
                && row.wrong.contains(planted.says)
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_must_not_be_is_found_and_nothing_else() {
    let (town, coordinator) = lived().await;
    town.until("select count(*) from posterior p join study s using (study_id)
                 where s.name in ('first', 'lived') and p.horizon = s.next_obs", 2)
        .await;
    coordinator.stop().await;
    town.is_sound().await;
    let mut db = PgConnection::connect(town.url()).await.unwrap();
    for planted in PLANTED {
        let mut tx = db.begin().await.unwrap();
        plant(&mut tx, planted).await;
        let findings = invariants::examine_within(&mut tx, Holds::Always).await.unwrap();
        tx.rollback().await.unwrap();
        let broken: Vec<&Finding> = findings.iter().filter(|finding| finding.total > 0).collect();
        let ids: Vec<&str> = broken.iter().map(|finding| finding.invariant.id).collect();
        let told: Vec<String> = broken.iter().map(|finding| finding.to_string()).collect();
        let told = told.join("\n");
        assert_eq!(ids, planted.breaks, "{}:\n{told}", planted.what);
        assert!(broken.iter().any(|finding| names(planted, finding)), "{}:\n{told}", planted.what);
    }
    // No invariant is there that nothing can break. I16 has a test of its own.
    let tried: BTreeSet<&str> = PLANTED.iter().flat_map(|planted| planted.breaks).copied().collect();
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
    let pause = proto::v1::PauseStudyRequest { name: "lived".into() };
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
    town.until("select count(*) from posterior p join study s using (study_id)
                 where s.name = 'first' and p.horizon = s.next_obs", 1)
        .await;
    // Nobody serves it any more. A coordinator's rights suffice to check.
    coordinator.stop().await;
    let url = town.url_of(roles::COORDINATOR);
    let clean = strop_doctor(&url, &[]);
    assert_eq!(clean.status.code(), Some(0), "{}{}", text(&clean.stdout), text(&clean.stderr));
    assert!(text(&clean.stdout).ends_with("27 invariants, and all of them hold\n"));

    let mut first = BTreeSet::new();
    let planted: Vec<&Planted> =
        PLANTED.iter().filter(|planted| first.insert(planted.breaks[0])).collect();
    assert!(planted.len() >= 12);
    for planted in &planted {
        let mut tx = town.pool.begin().await.unwrap();
        plant(&mut tx, planted).await;
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
        .map(|(trial_id, attempt, payload_sha256)| Acknowledged { trial_id, attempt, payload_sha256 })
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
        let attempt = u32::try_from(lease.r#ref.as_ref().unwrap().attempt).unwrap();
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
            let cancel = CancelStudyRequest { name: "withdrawn".into() };
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
