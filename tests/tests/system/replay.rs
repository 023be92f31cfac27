//! Suggestions are a function of what the database records.

use coordinator::{scheduler::plan, storage::posterior};
use proto::v1::{FailureClass, Space};
use tests::{Town, space};

/// One worker, one trial after another, with a restart of the coordinator before trial `restart`.
async fn suggestions(town: &Town, restart: Option<u32>) -> Vec<String> {
    let mut coordinator = town.coordinator().await;
    coordinator.create(mixed("replayed")).await;
    let mut hand = coordinator.hand();
    for number in 0..14 {
        if restart == Some(number) {
            coordinator.stop().await;
            coordinator = town.coordinator().await;
            hand = hand.at(&coordinator.channel);
        }
        let lease = hand.lease().await;
        assert_eq!(lease.number, number);
        if number == 6 {
            hand.fail(&lease, FailureClass::Nan).await.unwrap();
            continue;
        }
        let point = lease.point.clone().unwrap();
        hand.complete(&lease, space::cliff(&point) + tests::hand::number(&point, "rate"))
            .await
            .unwrap();
    }
    let trials = coordinator.trials("replayed").await;
    coordinator.stop().await;
    trials.iter().map(|trial| format!("{:?} {:?}", trial.point, trial.suggestion)).collect()
}

fn mixed(name: &str) -> proto::v1::StudySpec {
    let mut parameters = space::eight_switches().parameters;
    parameters.push(space::float("rate", 0.0, 1.0));
    space::external(name, Space { parameters }, 20)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_and_reports_give_the_same_suggestions_also_across_a_restart() {
    let town = Town::new().await;
    let without = suggestions(&town, None).await;
    let with = suggestions(&Town::new().await, Some(9)).await;
    assert_eq!(without.len(), 14);
    assert_eq!(without, with);
    assert!(without[10].contains("acquisition: Some"), "the posterior decided: {}", without[10]);

    let mut other = mixed("other");
    other.seed += 1;
    let coordinator = town.coordinator().await;
    let cancel = proto::v1::CancelStudyRequest { name: "replayed".into() };
    coordinator.studies().cancel_study(cancel).await.unwrap();
    coordinator.create(other).await;
    coordinator.hand().lease().await;
    let first = coordinator.trials("other").await.remove(0);
    assert_ne!(format!("{:?} {:?}", first.point, first.suggestion), without[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_suggestion_of_a_parallel_study_can_be_computed_again_from_the_database() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(mixed("parallel")).await;
    let mut workers = Vec::new();
    for _ in 0..4 {
        let mut hand = coordinator.hand();
        workers.push(tokio::spawn(async move {
            hand.work(|point| space::cliff(point) + tests::hand::number(point, "rate")).await
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }

    let study_id = town.number("select study_id from study").await;
    let last = posterior::snapshot(&town.pool, study_id).await.unwrap().unwrap();
    type Row = (i32, i32, Vec<i32>, Option<f64>, Option<f64>, Option<f64>);
    let recorded: Vec<Row> = sqlx::query_as(
        "select t.number, g.horizon, g.pending, g.mean, g.deviation, g.acquisition
           from suggestion g join trial t using (trial_id) order by t.number",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    assert_eq!(recorded.len(), 20);
    for (number, horizon, pending, mean, deviation, acquisition) in recorded {
        // The study as it was: fewer trials, fewer results, those pending still open.
        let mut then = last.clone();
        then.study.state = coordinator::study::StudyState::Active;
        then.study.next_number = number;
        then.study.next_obs = horizon;
        then.tried.truncate(usize::try_from(number).unwrap());
        for trial in &mut then.tried {
            if pending.contains(&trial.number) {
                trial.state = coordinator::trial::TrialState::Running;
                (trial.obs_seq, trial.value) = (None, None);
            }
        }
        let (again, _) = plan::make(&then, None, 1);
        let again = &again.points[0];
        let point = &last.tried[usize::try_from(number).unwrap()].unit_point;
        assert_eq!(&again.new.unit_point.0, point, "trial {number}");
        assert_eq!(
            (again.mean, again.deviation, again.acquisition),
            (mean, deviation, acquisition)
        );
    }
}
