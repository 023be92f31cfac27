//! Trainings that are interrupted go on elsewhere, to the very result they would have had.

use std::{path::Path, time::Duration};

use proto::v1::{
    CreateStudyRequest, StudySpec, Value, objective::Kind as Over,
    study_service_client::StudyServiceClient, value::Kind,
};
use sqlx::PgPool;
use tests::{
    process::{coordinator, url, worker},
    space::small_networks,
    town::is_sound,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// Two trainings of some seventy short epochs: long enough that whoever sees the third can still
/// interrupt.
fn two_trainings(name: &str, checkpoint_epochs: u32) -> StudySpec {
    let mut spec = StudySpec { checkpoint_epochs, ..small_networks(name, 2) };
    spec.start_points = 2;
    if let Some(Over::Whetstone(over)) = &mut spec.objective.as_mut().unwrap().kind {
        let late = Value { kind: Some(Kind::Integer(60)) };
        over.fixed.insert("sharpening_start".into(), late);
    }
    spec
}

async fn create(url: &str, spec: StudySpec) {
    let mut client = StudyServiceClient::connect(url.to_owned()).await.unwrap();
    let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
    client.create_study(request).await.unwrap();
}

async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.expect(query)
}

async fn until(pool: &PgPool, query: &'static str, wanted: i64) {
    let reached = async {
        while number(pool, query).await != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, reached).await.is_err() {
        panic!("{query} is {} and not {wanted}", number(pool, query).await);
    }
}

async fn database(folder: &Path) -> (embedded_postgres::Server, PgPool) {
    let server = embedded_postgres::Server::open(&folder.join("data")).unwrap();
    let pool = PgPool::connect(&server.url()).await.unwrap();
    (server, pool)
}

/// What differs between the two studies in a query over `study`.
macro_rules! differences {
    ($of:literal) => {
        concat!(
            "with a as (", $of, " where study = 'interrupted'),
                  b as (", $of, " where study = 'straight')
             select count(*) from ((table a except table b) union all (table b except table a)) d"
        )
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_and_a_drained_training_go_on_elsewhere_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = coordinator(folder, "127.0.0.1:0", "coordinator.log");
    let url = url(folder);
    let (_server, pool) = database(folder).await;
    create(&url, two_trainings("interrupted", 3)).await;

    // Ada dies in mid-trial; Ben is told to go in mid-trial, and leaves the last epoch he trained.
    // One after the other, so that neither gets far while the other is waited for.
    let begun = "select count(*) from checkpoint where epoch >= 3";
    let ada = worker(folder, &url, "ada.log");
    until(&pool, begun, 1).await;
    ada.kill();
    let ben = worker(folder, &url, "ben.log");
    until(&pool, begun, 2).await;
    assert!(ben.terminate().success());
    let drained = "select count(*) from v1.attempts where outcome = 'released'";
    assert_eq!(number(&pool, drained).await, 1, "the trials are too short for this test");
    let newest = "select count(*)
                    from v1.attempts a
                    join v1.trials t using (study, number)
                   where a.outcome = 'released'
                     and t.checkpoint_epoch = (select max(m.step) + 1 from v1.metrics m
                                                where m.number = a.number and m.attempt = 1)";
    assert_eq!(number(&pool, newest).await, 1, "the newest state was stored");

    // Two others take both up, and train the same points once more without a break.
    create(&url, two_trainings("straight", 0)).await;
    let cleo = worker(folder, &url, "cleo.log");
    let dora = worker(folder, &url, "dora.log");
    until(&pool, "select count(*) from v1.studies where state = 'completed'", 2).await;

    let attempts: Vec<(String, Option<i32>, Option<i32>)> = sqlx::query_as(
        "select first.outcome, first.resumed_from_epoch, second.resumed_from_epoch
           from v1.attempts first
           join v1.attempts second using (study, number)
          where study = 'interrupted' and first.attempt = 1
            and second.attempt = 2 and second.outcome = 'completed'
          order by 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|(outcome, ..)| outcome.as_str()).collect();
    assert_eq!(outcomes, ["expired", "released"]);
    for (outcome, first, second) in &attempts {
        assert_eq!(*first, None);
        assert!(second.is_some_and(|epoch| epoch >= 3), "{outcome}: {second:?}");
    }
    let killed = attempts[0].2.unwrap();
    assert_eq!(killed % 3, 0, "the last one that was due");
    let repeated =
        "select count(*) from v1.metrics m join v1.attempts a using (study, number, attempt)
                     where m.step < a.resumed_from_epoch";
    assert_eq!(number(&pool, repeated).await, 0, "no epoch before it was trained again");

    // The same points gave the same values, measurements and curves.
    assert!(number(&pool, "select min(epochs)::bigint from v1.trials").await > 20);
    for different in [
        differences!("select number, params, value, measurements - 'train_seconds' from v1.trials"),
        differences!("select number, name, step, value from v1.learning_curves"),
    ] {
        assert_eq!(number(&pool, different).await, 0, "{different}");
    }
    let curves = "select count(distinct (study, number, step)) from v1.learning_curves";
    let epochs = "select sum(epochs)::bigint from v1.trials";
    assert_eq!(number(&pool, curves).await, number(&pool, epochs).await, "no epoch is missing");
    until(&pool, "select count(*) from artifact", 0).await;
    is_sound(&pool).await;

    pool.close().await;
    assert!(cleo.terminate().success());
    assert!(dora.terminate().success());
    assert!(service.terminate().success());
}
