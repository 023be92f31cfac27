//! Programs of several versions on one database.

use coordinator::storage::{
    roles,
    schema::{self, Standing},
};
use migrations::MIGRATOR;
use proto::v1::StudyState;
use sqlx::{PgConnection, migrate::Migrator};
use tests::{Town, process::program, space};

/// A migration of a program to come: a column, a table and a state of which this one knows nothing.
const EXPANDS: &str = "
    alter table study add column mood text not null default 'calm';
    create table later (study_id bigint references study on delete cascade, note text);
    create view v1.later as select note from later;
    insert into _sqlx_migrations (version, description, success, checksum, execution_time)
    values (9001, 'later', true, '\\x00', 1);";

async fn run(town: &Town, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&town.pool).await.unwrap();
}

/// Migrations up to a number, as a program of then had them.
fn up_to(last: i64) -> Migrator {
    Migrator::with_migrations(MIGRATOR.iter().filter(|of| of.version <= last).cloned().collect())
}

fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap()
}

async fn refused(db: &mut PgConnection, program: &Migrator) -> String {
    schema::standing(db, program).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_serves_a_newer_schema_that_allows_it() {
    let town = Town::new().await;
    let old = town.coordinator().await;
    old.create(space::external("shared", space::eight_switches(), 6)).await;
    let mut ada = old.hand();
    let lease = ada.lease().await;

    // The upgrade comes while one is at work; another of the same age is started after it.
    run(&town, EXPANDS).await;
    run(&town, "insert into schema_version (version, oldest_program) values (9001, 15)").await;
    ada.complete(&lease, 0.5).await.unwrap();
    let again = town.coordinator().await;
    assert_eq!(again.hand().work(space::cliff).await, 5);
    assert_eq!(old.study("shared").await.state(), StudyState::Completed);
    old.create(space::external("after", space::eight_switches(), 3)).await;
    assert_eq!(old.hand().work(space::cliff).await, 3);
    town.is_at_rest().await;
    // And migrating with the older program changes nothing.
    let migrate = migrate(town.url());
    assert!(migrate.status.success(), "{}", String::from_utf8_lossy(&migrate.stderr));
    assert_eq!(town.number("select max(version) from _sqlx_migrations").await, 9001);
}

fn migrate(url: &str) -> std::process::Output {
    std::process::Command::new(program("strop-coordinator"))
        .arg("migrate")
        .env("DATABASE_URL", url)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_that_does_not_allow_a_program_is_left_alone() {
    let town = Town::new().await;
    let served = town.coordinator().await;
    let health = || {
        let url = format!("http://{}", served.address);
        let mut check = std::process::Command::new(program("strop-coordinator"));
        check.args(["healthcheck", "--coordinator", &url]).output().unwrap().status.success()
    };
    assert!(health());
    run(&town, EXPANDS).await;
    // It says nothing about older programs, so nobody older may serve.
    let told = town.refusal(roles::COORDINATOR).await;
    let wanted = format!(
        "the database's schema has migration 9001, which needs a program that has the migrations up to \
         9001; this one has them up to {}",
        newest()
    );
    assert!(told.starts_with(&wanted), "{told}");
    assert_eq!(town.refusal("strop").await, told, "its owner may not either");
    assert!(!migrate(town.url()).status.success());

    // One that is at work says so to whoever asks how it is.
    run(&town, "insert into schema_version (version, oldest_program) values (9001, 9001)").await;
    assert_eq!(town.refusal(roles::COORDINATOR).await, told);
    for _ in 0..100 {
        if !health() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("it says that it serves, with a schema that has moved on");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_owner_brings_a_schema_up_to_date() {
    // The role is there: another town has it.
    Town::new().await;
    let town = Town::empty().await;
    let told = town.refusal(roles::COORDINATOR).await;
    assert!(told.contains("lacks migrations 1 to "), "{told}");
    // As an earlier program granted it.
    up_to(15).run(&town.pool).await.unwrap();
    run(
        &town,
        "grant usage on schema public to strop_coordinator;
         grant select on _sqlx_migrations, schema_version to strop_coordinator",
    )
    .await;
    let told = town.refusal(roles::COORDINATOR).await;
    let missing = match newest() {
        16 => "migration 16".to_owned(),
        newest => format!("migrations 16 to {newest}"),
    };
    assert_eq!(
        told,
        format!(
            "the database's schema lacks {missing}, and role `strop_coordinator` may not add it: run \
             `strop-coordinator migrate`, then `strop-coordinator grant`, as the database's owner"
        )
    );
    let migrate = migrate(town.url());
    assert!(migrate.status.success(), "{}", String::from_utf8_lossy(&migrate.stderr));
    let mut owner = town.pool.acquire().await.unwrap();
    roles::grant(&mut owner).await.unwrap();
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("served", space::eight_switches(), 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_tell_what_they_may_serve_by_what_the_migrations_say() {
    let town = Town::new().await;
    let mut db = town.pool.acquire().await.unwrap();
    let current = |newer| Standing::Current { newer };
    assert_eq!(schema::standing(&mut db, &MIGRATOR).await.unwrap(), current(None));
    // The first one that reads the table is the oldest that may.
    assert_eq!(schema::standing(&mut db, &up_to(15)).await.unwrap(), current(Some(newest())));
    let told = refused(&mut db, &up_to(14)).await;
    assert!(told.contains("has migration 15, which needs") && told.contains("up to 14:"), "{told}");

    let bare = Town::empty().await;
    let mut new = bare.pool.acquire().await.unwrap();
    let missing: Vec<i64> = MIGRATOR.iter().map(|of| of.version).collect();
    assert_eq!(schema::standing(&mut new, &MIGRATOR).await.unwrap(), Standing::Behind { missing });
    // From before there was anything to say.
    up_to(14).run(&bare.pool).await.unwrap();
    let Standing::Behind { missing } = schema::standing(&mut new, &MIGRATOR).await.unwrap() else {
        panic!("nothing is missing");
    };
    assert_eq!((missing[0], missing.last().copied()), (15, Some(newest())));

    run(&town, "update _sqlx_migrations set checksum = '\\x00' where version = 3").await;
    let told = refused(&mut db, &MIGRATOR).await;
    assert!(told.contains("migration 3 of") && told.contains("not the one"), "{told}");
    run(&town, "delete from _sqlx_migrations where version = 3").await;
    let told = refused(&mut db, &up_to(15)).await;
    assert!(
        told.contains("has migration 16, which this program lacks, and lacks migration 3"),
        "{told}"
    );
    run(&town, "update _sqlx_migrations set success = false where version = 2").await;
    let told = refused(&mut db, &MIGRATOR).await;
    assert!(told.contains("migration 2 of") && told.contains("broke off"), "{told}");
}
