//! Short doses of what `make chaos` does for ten minutes.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use tests::chaos::{
    dying::{Dying, dying},
    fault::Kind,
    outage::outage,
    run::run,
    tally::Tally,
};

/// A folder that the database's user can reach.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn assert_held(tally: &Tally) {
    assert!(tally.violations.is_empty(), "{}", tally.to_markdown());
}

fn number(tally: &Tally, name: &str) -> u64 {
    let number = tally.get(name).and_then(serde_json::Value::as_u64);
    number.unwrap_or_else(|| panic!("no `{name}` in\n{}", tally.to_markdown()))
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_breaks_at_once_and_nothing_that_was_acknowledged_is_lost() {
    let folder = folder();
    let tally = run(folder.path(), 1, Duration::from_secs(25), 2, 6).await.unwrap();
    assert_held(&tally);
    for kind in Kind::all() {
        assert!(number(&tally, kind.name()) > 0, "{kind:?} never struck");
    }
    assert!(number(&tally, "acknowledgements to light workers") > 20, "{}", tally.to_markdown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_stops_nobody_and_is_told_by_the_health_service() {
    let folder = folder();
    let tally = outage(folder.path(), 2, Duration::from_secs(8), 3).await.unwrap();
    assert_held(&tally);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_trial_is_free_within_a_lease_and_a_tick() {
    let folder = folder();
    let pace = Duration::from_millis(700);
    let how = Dying { trials: 60, work: Duration::from_millis(600), workers: 6, pace };
    let tally = dying(folder.path(), 3, how).await.unwrap();
    assert_held(&tally);
    let died = number(&tally, "lapses after their own worker was killed or stopped");
    assert!(died > 0, "no worker died at work:\n{}", tally.to_markdown());
}
