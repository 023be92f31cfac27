//! What each role may do: all that it must, and no more.

use std::collections::BTreeSet;

use coordinator::{scram, storage::roles};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tests::{Town, lived::lived, space};

/// Insufficient privilege.
const DENIED: &str = "42501";

async fn login(town: &Town, role: &str) -> PgConnection {
    PgConnection::connect(&town.url_of(role)).await.unwrap()
}

/// What a statement is refused with; nothing that it did stays.
async fn refusal(db: &mut PgConnection, statement: &str) -> (String, String) {
    let mut tx = db.begin().await.unwrap();
    let tried = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *tx).await;
    tx.rollback().await.unwrap();
    let error = tried.map(drop).expect_err(statement);
    let refused = error.as_database_error().expect(statement);
    (refused.code().unwrap().into_owned(), refused.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_can_neither_change_what_is_recorded_nor_the_schema() {
    let (town, _coordinator) = lived().await;
    let mut db = login(&town, roles::COORDINATOR).await;
    for table in [
        "result",
        "metric",
        "event",
        "late_report",
        "suggestion",
        "trial_param",
        "study_param",
        "imported",
        "pruning",
        "prospect",
    ] {
        let column: String = sqlx::query_scalar(
            "select attname::text from pg_attribute
              where attrelid = to_regclass('public.' || $1) and attnum > 0
              order by attnum desc limit 1",
        )
        .bind(table)
        .fetch_one(&town.pool)
        .await
        .unwrap();
        for statement in [
            format!("update {table} set {column} = {column}"),
            format!("delete from {table}"),
            format!("truncate {table}"),
        ] {
            assert_eq!(refusal(&mut db, &statement).await.0, DENIED, "{statement}");
        }
    }
    // Kept answers are forgotten, and never altered; workers are told to go, and stay on record.
    for statement in ["update idempotency set response = response", "delete from worker"] {
        assert_eq!(refusal(&mut db, statement).await.0, DENIED, "{statement}");
    }
    for statement in [
        // Not where a trial is, what a study searches, or which lease an attempt was granted.
        "update trial set params = params",
        "update trial set unit_point = unit_point",
        "update trial set number = number",
        "update study set space = space",
        "update study set seed = seed",
        "update study set objective = objective",
        "update attempt set lease_id = lease_id",
        "update attempt set attempt = attempt",
        "update lease set lease_id = lease_id",
        "delete from study",
        "delete from trial",
        "delete from attempt",
        "update schema_version set oldest_program = 1",
        "delete from _sqlx_migrations",
        "create table public.mine (x int)",
        "create table v1.mine (x int)",
        "create temporary table mine (x int)",
        "create schema mine",
        "select count(*) from v1.trials",
        "create role mine",
        "set role strop",
    ] {
        assert_eq!(refusal(&mut db, statement).await.0, DENIED, "{statement}");
    }
    // These say that whoever asks is not the owner.
    for statement in [
        "drop table result",
        "alter table result add column x int",
        "alter table trial disable trigger trial_final",
        "create index mine on result (value)",
        "create or replace function dominates(a float8[], b float8[]) returns boolean
         language sql as 'select true'",
    ] {
        let (code, message) = refusal(&mut db, statement).await;
        assert_eq!(code, DENIED, "{statement}: {message}");
    }
    let (code, _) = refusal(&mut db, "set session_replication_role = replica").await;
    assert_eq!(code, DENIED);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_reads_every_view_and_nothing_else() {
    let (town, _coordinator) = lived().await;
    let mut db = login(&town, roles::ANALYST).await;
    let views: Vec<String> = sqlx::query_scalar(
        "select viewname::text from pg_views where schemaname = 'v1' order by 1",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    assert!(views.len() >= 20, "{views:?}");
    for view in views {
        // Every column of every row: some call functions.
        let read = format!("select count(v::text) from {view} as v");
        let read: Result<i64, _> = sqlx::query_scalar(AssertSqlSafe(read)).fetch_one(&mut db).await;
        let rows = read.unwrap_or_else(|error| panic!("{view}: {error}"));
        let by_owner = format!("select count(v::text) from v1.{view} as v");
        let by_owner: i64 =
            sqlx::query_scalar(AssertSqlSafe(by_owner)).fetch_one(&town.pool).await.unwrap();
        assert_eq!(rows, by_owner, "{view}");
    }
    let volumes: i64 =
        sqlx::query_scalar("select count(hypervolume) from hypervolume where hypervolume > 0")
            .fetch_one(&mut db)
            .await
            .unwrap();
    assert!(volumes > 0, "the volumes were computed");

    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
            .fetch_all(&town.pool)
            .await
            .unwrap();
    for table in tables {
        let told = refusal(&mut db, &format!("select * from public.{table}")).await;
        assert_eq!(told, (DENIED.into(), "permission denied for schema public".into()), "{table}");
    }
    // It begins read-only; that is a seat belt, and without it the grants are the wall.
    let (code, _) = refusal(&mut db, "create table v1.mine (x int)").await;
    assert_eq!(code, "25006", "read-only transaction");
    for statement in [
        "create table v1.mine (x int)",
        "create temporary table mine (x int)",
        "delete from studies",
    ] {
        let unbelted = format!("set transaction read write; {statement}");
        let (code, message) = refusal(&mut db, &unbelted).await;
        // 55000: the view cannot be written to by anybody.
        assert!(code == DENIED || code == "55000", "{statement}: {message}");
    }
    let settings: Vec<String> = sqlx::query_scalar(
        "select current_setting(s) from unnest(array['search_path', 'statement_timeout',
                'idle_in_transaction_session_timeout', 'default_transaction_read_only']) s",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert_eq!(settings, ["v1", "1min", "1min", "on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_has_its_rights_decided() {
    let town = Town::new().await;
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
            .fetch_all(&town.pool)
            .await
            .unwrap();
    let tables: BTreeSet<&str> = tables.iter().map(String::as_str).collect();
    let decided: BTreeSet<&str> = roles::GRANTS.iter().map(|(table, _)| *table).collect();
    assert_eq!(tables, decided, "storage/roles.rs says what a coordinator may do with a table");
}

#[tokio::test(flavor = "multi_thread")]
async fn granting_again_takes_away_what_was_given_beyond_and_keeps_what_people_set() {
    let town = Town::new().await;
    let mut owner = town.pool.acquire().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "grant all on all tables in schema public to {coordinator}, {analyst};
         grant update (value) on result to {coordinator};
         grant usage, create on schema public to {analyst};
         do $$ begin
             execute format('alter role {analyst} in database %I set statement_timeout = ''5min''',
                            current_database());
         end $$",
        coordinator = roles::COORDINATOR,
        analyst = roles::ANALYST,
    )))
    .execute(&mut *owner)
    .await
    .unwrap();
    let mut coordinator = login(&town, roles::COORDINATOR).await;
    sqlx::query("delete from result").execute(&mut coordinator).await.unwrap();

    // Twice at once, as when two are deployed together.
    let mut other = town.pool.acquire().await.unwrap();
    let (first, second) = tokio::join!(roles::grant(&mut owner), roles::grant(&mut other));
    first.unwrap();
    second.unwrap();
    for statement in ["delete from result", "update result set value = value", "truncate metric"] {
        assert_eq!(refusal(&mut coordinator, statement).await.0, DENIED, "{statement}");
    }
    let mut analyst = login(&town, roles::ANALYST).await;
    assert_eq!(refusal(&mut analyst, "select * from public.study").await.0, DENIED);
    let patience: String = sqlx::query_scalar("select current_setting('statement_timeout')")
        .fetch_one(&mut analyst)
        .await
        .unwrap();
    assert_eq!(patience, "5min");
    // A view that is added later can be read at once.
    sqlx::raw_sql("create view v1.later as select 1 as one").execute(&mut *owner).await.unwrap();
    let one: i32 =
        sqlx::query_scalar("select one from later").fetch_one(&mut analyst).await.unwrap();
    assert_eq!(one, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_without_its_rights_says_who_can_help() {
    let town = Town::new().await;
    sqlx::raw_sql("revoke insert on metric from strop_coordinator")
        .execute(&town.pool)
        .await
        .unwrap();
    let told = town.refusal(roles::COORDINATOR).await;
    assert_eq!(
        told,
        "role `strop_coordinator` lacks rights on metric: run `strop-coordinator grant` as the database's \
         owner"
    );
    let told = town.refusal(roles::ANALYST).await;
    assert!(told.contains("run `strop-coordinator grant` as the database's owner"), "{told}");
    // Nor may it give itself any.
    let mut db = login(&town, roles::COORDINATOR).await;
    let refused = roles::grant(&mut db).await.unwrap_err();
    assert!(refused.to_string().contains("failed to"), "{refused}");

    // Whoever owns the tables cannot be kept from them.
    sqlx::raw_sql(
        "grant create on schema public to strop_coordinator;
         alter table study owner to strop_coordinator",
    )
    .execute(&town.pool)
    .await
    .unwrap();
    let mut owner = town.pool.acquire().await.unwrap();
    let refused = roles::grant(&mut owner).await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("role strop_coordinator owns the tables"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_kept_as_the_server_itself_would_keep_it() {
    let town = Town::new().await;
    let mut tx = town.pool.begin().await.unwrap();
    // Of a role that is gone again at the end, because roles are shared with the other tests.
    sqlx::raw_sql("create role keeper login").execute(&mut *tx).await.unwrap();
    let kept = "select rolpassword from pg_authid where rolname = 'keeper'";
    let fields = |kept: String| -> Vec<String> {
        kept.split(['$', ':']).map(str::to_owned).collect::<Vec<_>>()
    };
    for password in
        ["pencil", "a longer one, with 'quotes', \\ and %s; more than 64 bytes of it, all told!!"]
    {
        let set = format!("alter role keeper password '{}'", password.replace('\'', "''"));
        sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *tx).await.unwrap();
        let by_server = fields(sqlx::query_scalar(kept).fetch_one(&mut *tx).await.unwrap());
        assert_eq!(by_server[..2], ["SCRAM-SHA-256".to_owned(), scram::ITERATIONS.to_string()]);
        let salt: Vec<u8> = sqlx::query_scalar("select decode($1, 'base64')")
            .bind(&by_server[2])
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        let keys = scram::keys(password, &salt);
        let encoded: (String, String) =
            sqlx::query_as("select encode($1, 'base64'), encode($2, 'base64')")
                .bind(keys.stored.as_slice())
                .bind(keys.server.as_slice())
                .fetch_one(&mut *tx)
                .await
                .unwrap();
        assert_eq!(encoded, (by_server[3].clone(), by_server[4].clone()));

        roles::set_password(&mut tx, "keeper", password).await.unwrap();
        let by_us = fields(sqlx::query_scalar(kept).fetch_one(&mut *tx).await.unwrap());
        assert_eq!((by_us.len(), &by_us[..2]), (5, &by_server[..2]));
        assert_ne!(by_us[2], by_server[2], "a salt of its own");
    }
    tx.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_coordinator_of_these_tests_has_no_more_than_its_rights() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("seen", space::eight_switches(), 2)).await;
    assert_eq!(coordinator.hand().work(space::cliff).await, 2);
    let users: Vec<String> = sqlx::query_scalar(
        "select distinct usename::text from pg_stat_activity
          where datname = current_database() and application_name = 'strop-coordinator'",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    assert_eq!(users, [roles::COORDINATOR]);
}
