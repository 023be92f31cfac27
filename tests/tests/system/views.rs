//! What an analyst with only `psql` may rely on.

use sqlx::Row as _;
use tests::{Town, space};

#[tokio::test(flavor = "multi_thread")]
async fn every_view_and_column_of_v1_has_a_comment() {
    let town = Town::new().await;
    let bare: Vec<String> = sqlx::query_scalar(
        "select c.relname || coalesce('.' || a.attname, '')
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'v1'
           left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
          where c.relkind = 'v'
            and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    assert_eq!(bare, Vec::<String>::new());
    let views = "select count(*) from pg_views where schemaname = 'v1'";
    assert_eq!(town.number(views).await, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_study_can_be_read_in_sql() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("told", space::eight_switches(), 15)).await;
    assert_eq!(coordinator.hand().work(space::cliff).await, 15);

    assert_eq!(
        town.number("select count(*) from v1.trials where study = 'told' and state = 'completed'")
            .await,
        15
    );
    assert_eq!(town.number("select count(*) from v1.trial_params where study = 'told'").await, 120);
    assert_eq!(
        town.number(
            "select count(*) from v1.suggestions
              where origin = 'acquisition' and predicted_mean is not null
                and predicted_deviation > 0 and acquisition is not null"
        )
        .await,
        town.number("select count(*) from v1.suggestions where origin = 'acquisition'").await
    );
    assert!(
        town.number("select count(*) from v1.suggestions where origin = 'acquisition'").await > 5
    );
    // The last result is in the posterior too, without anybody asking for another trial.
    town.until("select coalesce(max(horizon), 0)::bigint from v1.posterior", 15).await;
    let rows =
        sqlx::query("select parameter, length_scale from v1.posterior order by length_scale")
            .fetch_all(&town.pool)
            .await
            .unwrap();
    assert_eq!(rows.len(), 8);
    let steepest: &str = rows[0].get("parameter");
    assert_eq!(steepest, "switch_1", "the cliff has the shortest length scale");
    let best: f64 = sqlx::query_scalar(
        "select best_value from v1.best_so_far where study = 'told' order by obs_seq desc limit 1",
    )
    .fetch_one(&town.pool)
    .await
    .unwrap();
    assert_eq!(Some(best), coordinator.study("told").await.best.unwrap().value);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_trial_is_shown_with_what_it_reached_on_the_test_images() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("told", space::eight_switches(), 3)).await;
    let mut ada = coordinator.hand();
    for (value, best_before, test) in
        [(0.5, None, Some(0.25)), (0.75, Some(0.5), Some(0.625)), (0.625, Some(0.75), None)]
    {
        let lease = ada.lease().await;
        assert_eq!(lease.best_value, best_before);
        let measured: Vec<_> = test.map(|test| ("test_accuracy", test)).into_iter().collect();
        ada.complete_with(&lease, value, &measured).await.unwrap();
    }
    let best: (f64, f64) = sqlx::query_as("select best_value, best_test_accuracy from v1.studies")
        .fetch_one(&town.pool)
        .await
        .unwrap();
    assert_eq!(best, (0.75, 0.625));
    let so_far: Vec<(f64, f64, Option<f64>)> = sqlx::query_as(
        "select value, best_value, test_accuracy from v1.best_so_far order by obs_seq",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    assert_eq!(so_far, [(0.5, 0.5, Some(0.25)), (0.75, 0.75, Some(0.625)), (0.625, 0.75, None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_posterior_is_fitted_again_to_the_last_bit() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("cache", space::eight_switches(), 8)).await;
    coordinator.hand().work(space::cliff).await;
    town.until("select coalesce(max(horizon), 0)::bigint from posterior", 8).await;
    let read = "select length_scales, factor, alpha from posterior";
    type Parts = (Vec<f64>, Vec<f64>, Vec<f64>);
    let before: Parts = sqlx::query_as(read).fetch_one(&town.pool).await.unwrap();

    coordinator.stop().await;
    sqlx::query("delete from posterior").execute(&town.pool).await.unwrap();
    let study_id = town.number("select study_id from study").await;
    let snapshot =
        coordinator::storage::posterior::snapshot(&town.pool, study_id).await.unwrap().unwrap();
    let (plan, _) = coordinator::scheduler::plan::make(
        &snapshot,
        coordinator::scheduler::plan::Warm::default(),
        0,
    );
    let again = plan.fitted.unwrap().parts;
    assert_eq!((again.length_scales, again.factor, again.alpha), before);
}

const SCHEMA_HEAD: &str = "\
# Schema v1

What whoever reads by SQL may rely on: columns are added, never changed or removed. Tables outside this
schema are private and change without notice.

`strop sql` opens a session with `v1` first in its search path.
";

const SCHEMA_FOOT: &str = "
This page is written from the comments in the database:
`STROP_WRITE_DOCS=1 cargo test -p tests views`.
";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_schema_is_what_the_database_says() {
    let town = Town::new().await;
    let rows: Vec<(String, String, String, String, String)> = sqlx::query_as(
        "select c.relname, obj_description(c.oid), a.attname,
                format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'v1'
           join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
          where c.relkind = 'v'
          order by c.oid, a.attnum",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    let mut page = SCHEMA_HEAD.to_owned();
    let mut last = String::new();
    for (view, about, column, kind, meaning) in rows {
        if view != last {
            page += &format!(
                "\n## v1.{view}\n\n{about}\n\n| column | type | meaning |\n|---|---|---|\n"
            );
            last = view;
        }
        page += &format!("| `{column}` | {kind} | {meaning} |\n");
    }
    page += SCHEMA_FOOT;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SCHEMA.md");
    if std::env::var_os("STROP_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "run the command at the end of docs/SCHEMA.md");
}
