//! What the reaper takes away: from those who are silent, and from those who beat and do not get on.

use std::time::{Duration, Instant};

use coordinator::scheduler::{Scheduler, reaper};
use proto::v1::{StudySpec, TrialState};
use tests::{Town, space};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_beats_for_ever_loses_its_trial_at_the_studys_deadline() {
    let town = Town::new().await;
    let coordinator = town.coordinator_with(60).await;
    let spec = space::external("stuck", space::eight_switches(), 1);
    coordinator.create(StudySpec { max_trial_seconds: 2, max_failures: 2, ..spec }).await;
    let mut stuck = coordinator.hand();
    for attempt in 1..=2 {
        let lease = stuck.lease().await;
        assert_eq!(lease.r#ref.as_ref().unwrap().attempt, attempt);
        let begun = Instant::now();
        while stuck.beat(&lease, 0.5).await.is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(30), "its leases last a minute");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(1_900), "{:?}", begun.elapsed());
    }
    let trial = &coordinator.trials("stuck").await[0];
    assert_eq!((trial.state(), trial.failures), (TrialState::Failed, 2));
    let why = "lease_expired: it ran for longer than the study's max_trial_seconds";
    assert_eq!(trial.failure, why);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lapsed_leases_are_put_back_in_one_look() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::external("many", space::eight_switches(), 10_000)).await;
    // Nobody serves, so that nobody else reaps.
    coordinator.stop().await;
    let insert = "
        with s as (
            update study set next_number = 10000 returning study_id),
        t as (
            insert into trial (study_id, number, state, attempt, params, unit_point, failures)
            select s.study_id, n, 'running', 1, '{}', array_fill(0::float8, array[8]), 1
              from s, generate_series(0, 9999) n
            returning trial_id, study_id),
        a as (
            insert into attempt (trial_id, attempt, lease_id, worker_id)
            select trial_id, 1, gen_random_uuid(), gen_random_uuid() from t
            returning trial_id, lease_id, worker_id)
        insert into lease (trial_id, attempt, lease_id, worker_id, expires_at)
        select trial_id, 1, lease_id, worker_id, clock_timestamp() - interval '1 second' from a";
    sqlx::query(insert).execute(&town.pool).await.unwrap();

    let stop = CancellationToken::new();
    let scheduler = Scheduler::new(town.pool.clone(), Duration::from_secs(60), stop.clone());
    let begun = Instant::now();
    reaper::look(&scheduler).await.unwrap();
    println!("10,000 leases reaped in {:?}", begun.elapsed());
    assert_eq!(town.number("select count(*) from lease").await, 0);
    stop.cancel();

    // After a second failure each waits five seconds, give or take a fifth, so that they do not all come
    // back at once. The statement takes a moment from one column to the other, and a busy machine longer.
    let odd = "select count(*) from trial t join attempt a using (trial_id)
                where extract(epoch from t.not_before - a.ended_at) not between 3.5 and 9";
    assert_eq!(town.number(odd).await, 0);
    let waits =
        "select count(distinct extract(epoch from t.not_before - a.ended_at)::numeric(9, 1))
                   from trial t join attempt a using (trial_id)";
    assert!(town.number(waits).await > 15);
}
