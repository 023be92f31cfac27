//! Suggestions are a function of what the database records.

use std::time::Duration;

use coordinator::{
    scheduler::plan,
    storage::posterior::{self, Snapshot},
    study::StudyState,
    trial::TrialState,
};
use proto::v1::{
    Algorithm, Condition, Constraint, Direction, FailureClass, FurtherObjective, Parameter, Point,
    Space, StudySpec, Value, constraint::Bound, value::Kind,
};
use tests::{Hand, Town, space};

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
    let cancel = proto::v1::CancelStudyRequest { name: "replayed".into(), ..Default::default() };
    coordinator.studies().cancel_study(cancel).await.unwrap();
    coordinator.create(other).await;
    coordinator.hand().lease().await;
    let first = coordinator.trials("other").await.remove(0);
    assert_ne!(format!("{:?} {:?}", first.point, first.suggestion), without[0]);
}

/// A space of every kind, with a parameter that hangs on another.
fn of_every_kind() -> Space {
    let mut parameters = vec![
        space::float("rate", 0.0, 1.0),
        space::log_int("units", 1, 512),
        space::ordinal("level", 6),
        space::category("optimiser", 4),
    ];
    parameters.extend((1..=7).map(|i| space::switch(&format!("switch_{i}"))));
    let on = Value { kind: Some(Kind::Boolean(true)) };
    let condition = Condition { parameter: "switch_7".into(), values: vec![on] };
    let hanging = space::float("hanging", -1.0, 1.0);
    parameters.push(Parameter { condition: Some(condition), ..hanging });
    Space { parameters }
}

fn worth(point: &Point) -> f64 {
    let number = |name| tests::hand::number(point, name);
    let hanging =
        if point.values.contains_key("hanging") { number("hanging").powi(2) } else { 0.1 };
    space::cliff(point) - (number("rate") - 0.4).abs() + 0.01 * number("units").ln()
        - 0.05 * (number("level") - 3.0).powi(2)
        - hanging
}

/// A worker that takes so long for a trial. Of nine trials one fails for good, and one the first time.
async fn work(mut hand: Hand, pace: Duration) {
    while let Some(lease) = hand.ask(Duration::from_secs(5)).await.unwrap().lease {
        tokio::time::sleep(pace).await;
        let attempt = lease.r#ref.as_ref().unwrap().attempt;
        match (lease.number % 9, attempt) {
            (4, _) => assert!(!hand.fail(&lease, FailureClass::Nan).await.unwrap()),
            (7, 1) => hand.release(&lease).await.unwrap(),
            _ => {
                let point = lease.point.as_ref().unwrap();
                let on = |i: usize| tests::hand::number(point, &format!("switch_{i}"));
                let energy = (1..=7).map(on).sum::<f64>() + tests::hand::number(point, "rate");
                let measured = [("energy", energy), ("margin", on(3) - on(5))];
                hand.complete_with(&lease, worth(point), &measured).await.unwrap();
            }
        }
    }
}

/// What a suggestion was decided from and what was thought of it, as `suggestion` has it.
#[derive(sqlx::FromRow)]
struct Recorded {
    number: i32,
    horizon: i32,
    pending: Vec<i32>,
    failed: Vec<i32>,
    origin: String,
    mean: Option<f64>,
    deviation: Option<f64>,
    acquisition: Option<f64>,
    kernel: Option<serde_json::Value>,
}

/// The study as it was: fewer trials, fewer results, those pending still open.
fn as_it_was(last: &Snapshot, recorded: &Recorded) -> Snapshot {
    let mut then = last.clone();
    then.study.state = StudyState::Active;
    then.study.next_number = recorded.number;
    then.study.next_obs = recorded.horizon;
    then.tried.truncate(usize::try_from(recorded.number).unwrap());
    for trial in &mut then.tried {
        if recorded.pending.contains(&trial.number) {
            trial.state = TrialState::Running;
            (trial.obs_seq, trial.value) = (None, None);
        }
    }
    then
}

async fn a_parallel_study_can_be_computed_again(algorithm: Algorithm, learned: &str) {
    let spec = StudySpec { algorithm: algorithm.into(), ..parallel(60) };
    can_be_computed_again(spec, learned, 30).await;
}

fn parallel(trials: u32) -> StudySpec {
    let spec = space::external("parallel", of_every_kind(), trials);
    StudySpec { start_points: 6, max_failures: 1, ..spec }
}

/// More than `least` of the suggestions are to be of origin `learned`.
async fn can_be_computed_again(spec: StudySpec, learned: &str, least: usize) {
    let trials = spec.max_trials as usize;
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(spec).await;
    // The first trial is told last, so that always somebody is at work, however busy the machine.
    let mut first = coordinator.hand();
    let lease = first.lease().await;
    let paces = [1, 3, 8, 20, 35].map(Duration::from_millis);
    let workers = paces.map(|pace| tokio::spawn(work(coordinator.hand(), pace)));
    town.until("select count(*) from suggestion", trials as i64).await;
    let measured = [("energy", 3.0), ("margin", 0.0)];
    let value = worth(lease.point.as_ref().unwrap());
    first.complete_with(&lease, value, &measured).await.unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    coordinator.stop().await;

    let study_id = town.number("select study_id from study").await;
    let last = posterior::snapshot(&town.pool, study_id).await.unwrap().unwrap();
    assert_eq!(last.study.state, StudyState::Completed);
    let recorded: Vec<Recorded> = sqlx::query_as(
        "select t.number, g.horizon, g.pending, g.failed, g.origin, g.mean, g.deviation,
                g.acquisition, g.kernel
           from suggestion g join trial t using (trial_id) order by t.number",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    assert_eq!(recorded.len(), trials);
    // Otherwise the test would show little.
    assert!(recorded.iter().any(|row| row.pending.len() >= 4), "they worked side by side");
    assert!(recorded.iter().any(|row| row.failed.len() >= 3), "some failed");
    let in_order = |row: &Recorded| row.horizon == row.number;
    assert!(!recorded.iter().skip(1).any(in_order), "always somebody was at work");
    assert!(recorded.iter().filter(|row| row.origin == learned).count() > least);
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    for row in &recorded {
        let (again, _) = plan::make(&as_it_was(&last, row), plan::Warm::default(), 1);
        let (again, basis) = (&again.points[0], &again.basis);
        let number = row.number;
        let tried = &last.tried[usize::try_from(number).unwrap()];
        let found = again.new.unit_point.0.iter().map(|unit| unit.to_bits());
        let point = tried.unit_point.iter().map(|unit| unit.to_bits());
        assert_eq!(found.collect::<Vec<_>>(), point.collect::<Vec<_>>(), "trial {number}");
        assert_eq!(
            (&again.origin, &basis.pending, &basis.failed),
            (&row.origin, &row.pending, &row.failed),
            "trial {number}"
        );
        assert_eq!(bits(again.mean), bits(row.mean), "trial {number}");
        assert_eq!(bits(again.deviation), bits(row.deviation), "trial {number}");
        assert_eq!(bits(again.acquisition), bits(row.acquisition), "trial {number}");
        assert_eq!(basis.kernel, row.kernel, "trial {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_suggestion_of_a_gaussian_process_can_be_computed_again_from_the_database() {
    a_parallel_study_can_be_computed_again(Algorithm::GaussianProcess, "acquisition").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_suggestion_of_a_parzen_estimator_can_be_computed_again_from_the_database() {
    a_parallel_study_can_be_computed_again(Algorithm::Tpe, "parzen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_suggestion_of_evolution_can_be_computed_again_from_the_database() {
    a_parallel_study_can_be_computed_again(Algorithm::Evolution, "mutation").await;
}

fn energy_at_most(bound: f64) -> Constraint {
    Constraint { measurement: "energy".into(), bound: Some(Bound::AtMost(bound)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_can_those_of_a_study_of_several_objectives_and_constraints() {
    let further = |measurement: &str, direction: Direction, reference| FurtherObjective {
        measurement: measurement.into(),
        direction: direction.into(),
        reference,
    };
    let mut spec = parallel(60);
    spec.also = vec![
        further("energy", Direction::Minimize, None),
        further("margin", Direction::Maximize, Some(-1.5)),
    ];
    let value = Constraint { measurement: "value".into(), bound: Some(Bound::AtLeast(-1.0)) };
    spec.constraints = vec![energy_at_most(5.0), value];
    can_be_computed_again(spec, "acquisition", 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_can_those_of_a_study_in_which_nothing_is_ever_feasible() {
    let spec = StudySpec { constraints: vec![energy_at_most(-1.0)], ..parallel(36) };
    can_be_computed_again(spec, "feasibility", 15).await;
}
