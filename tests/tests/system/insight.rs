//! What a study's posterior says: over the wire, and in SQL without anybody asking.

use coordinator::{
    scheduler::believed::Believed,
    storage::{insight, posterior},
};
use proto::v1::{
    Algorithm, Calibration, Direction, FailureClass, GetCalibrationRequest, GetDependenceRequest,
    GetDependenceResponse, GetImportanceRequest, Importance, Parameter, Point, Share, Space,
    StudySpec, parameter::Domain, value::Kind,
};
use tests::{Coordinator, Town, hand::number, space};
use tonic::{Code, Status};

/// Two numbers and a switch; the first number matters most, the switch not at all.
fn three(name: &str, max_trials: u32) -> StudySpec {
    let parameters = vec![
        space::float("rate", 0.0, 1.0),
        space::float("decay", 0.0, 1.0),
        space::switch("idle"),
    ];
    space::external(name, Space { parameters }, max_trials)
}

/// Additive: shares of variance 9/12 and 1/12, to 9 : 1.
fn value(point: &Point) -> f64 {
    3.0 * number(point, "rate") + number(point, "decay")
}

async fn importance(coordinator: &Coordinator, study: &str) -> Result<Importance, Status> {
    let request = GetImportanceRequest { study: study.into() };
    let answer = coordinator.studies().get_importance(request).await?.into_inner();
    Ok(answer.importance.expect("answers with an importance"))
}

async fn calibration(coordinator: &Coordinator, study: &str) -> Result<Calibration, Status> {
    let request = GetCalibrationRequest { study: study.into() };
    let answer = coordinator.studies().get_calibration(request).await?.into_inner();
    Ok(answer.calibration.expect("answers with a calibration"))
}

async fn dependence(
    coordinator: &Coordinator,
    study: &str,
    parameter: &str,
) -> Result<GetDependenceResponse, Status> {
    let request = GetDependenceRequest { study: study.into(), parameter: parameter.into() };
    Ok(coordinator.studies().get_dependence(request).await?.into_inner())
}

const TOLD: &str = "select coalesce(max(horizon), 0)::bigint from v1.importance";

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_study_tells_in_sql_what_mattered_and_says_the_same_when_asked() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    // Points that are chosen to be good lie in one corner; the whole space is told from all of it.
    coordinator.create(StudySpec { start_points: 16, ..three("told", 16) }).await;
    assert_eq!(coordinator.hand().work(value).await, 16);
    town.until(TOLD, 16).await;

    type Row = (String, f64, f64, f64, f64, f64);
    let rows: Vec<Row> = sqlx::query_as(
        "select parameter, first_order, first_order_deviation, total, total_estimator,
                total_surrogate
           from v1.importance where study = 'told' order by position",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    let asked = importance(&coordinator, "told").await.unwrap();
    assert_eq!((asked.horizon, asked.effects.len(), rows.len()), (16, 3, 3));
    for (row, effect) in rows.iter().zip(&asked.effects) {
        let (first, total) = (effect.first.unwrap(), effect.total.unwrap());
        let Share { value, estimator, surrogate } = total;
        assert_eq!(row.0, effect.parameter);
        assert_eq!((row.1, row.3, row.4, row.5), (first.value, value, estimator, surrogate));
        assert!((row.2 - first.estimator.hypot(first.surrogate)).abs() < 1e-12);
    }
    for ((name, first, deviation, ..), truth) in rows.iter().zip([0.9, 0.1, 0.0]) {
        assert!((first - truth).abs() < 0.02 + 3.0 * deviation, "{name}: {first}, not {truth}");
    }

    let asked = calibration(&coordinator, "told").await.unwrap();
    let folds = asked.cross_validation.expect("sixteen results are quick to fit");
    let stored: (i64, f64, f64, f64, i32) = sqlx::query_as(
        "select results, z_rms, coverage_95, r2, predicted from v1.calibration where study = 'told'",
    )
    .fetch_one(&town.pool)
    .await
    .unwrap();
    let coverage = asked.coverage[2];
    assert_eq!(coverage.level, 0.95);
    assert_eq!(stored, (16, asked.z_rms, coverage.share, folds.r2, 15));
    assert!(folds.r2 > 0.5 && folds.rmse < folds.rmse_constant, "{folds:?}");
    // Every result stands beside its own trial, those of the bad tail above it.
    let strays = "select count(*) from v1.left_out l join v1.trials t using (study, number)
                   where (l.value - t.value > 1e-9) is distinct from l.is_raised
                      or l.value - t.value < -1e-9";
    assert_eq!(town.number(strays).await, 0);
    assert_eq!(town.number("select count(*) from v1.left_out").await, 16);

    let asked = dependence(&coordinator, "told", "").await.unwrap();
    let counts: Vec<usize> = asked.dependences.iter().map(|one| one.places.len()).collect();
    assert_eq!(counts, [33, 33, 2]);
    let rise = "select (max(mean) - min(mean)) * 100 between 280 and 320
                  from v1.partial_dependence where parameter = 'rate'";
    assert!(sqlx::query_scalar::<_, bool>(rise).fetch_one(&town.pool).await.unwrap());
    let ends: Vec<(String, Option<f64>, f64)> = sqlx::query_as(
        "select value, value_num, mean from v1.partial_dependence
          where parameter = 'idle' order by place",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    assert_eq!((ends[0].0.as_str(), ends[0].1), ("false", Some(0.0)));
    assert_eq!((ends[1].0.as_str(), ends[1].1), ("true", Some(1.0)));
    assert_eq!(ends[1].2, asked.dependences[2].places[1].mean);
    let seen = "select sum(results)::bigint from v1.partial_dependence where parameter = 'decay'";
    assert_eq!(town.number(seen).await, 16);

    let one = dependence(&coordinator, "told", "decay").await.unwrap();
    assert_eq!(one.dependences, asked.dependences[1..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_what_was_told_loses_nothing() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(three("cache", 12)).await;
    coordinator.hand().work(value).await;
    town.until(TOLD, 12).await;
    let read = "select jsonb_agg(to_jsonb(m) order by position)::text from importance m";
    let before: String = sqlx::query_scalar(read).fetch_one(&town.pool).await.unwrap();
    // The posterior too: it is fitted again for the purpose.
    sqlx::query("delete from posterior").execute(&town.pool).await.unwrap();
    sqlx::query("delete from insight").execute(&town.pool).await.unwrap();
    for table in ["importance", "calibration", "left_out", "partial_dependence"] {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&town.pool).await.unwrap();
        assert_eq!(rows, 0, "{table} goes with its insight");
    }
    town.until(TOLD, 12).await;
    let after: String = sqlx::query_scalar(read).fetch_one(&town.pool).await.unwrap();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_cannot_be_answered_yet_is_refused_with_the_reason() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(three("young", 20)).await;
    let mut hand = coordinator.hand();
    for _ in 0..4 {
        let lease = hand.lease().await;
        hand.complete(&lease, 0.5).await.unwrap();
    }
    let too_few = "study `young` has 4 results; its posterior says nothing before 5";
    for status in [
        importance(&coordinator, "young").await.unwrap_err(),
        calibration(&coordinator, "young").await.unwrap_err(),
        dependence(&coordinator, "young", "rate").await.unwrap_err(),
    ] {
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, too_few));
    }
    let lease = hand.lease().await;
    hand.complete(&lease, 0.5).await.unwrap();
    let status = calibration(&coordinator, "young").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("all 5 results of study `young` are equal"), "{status}");
    let flat = importance(&coordinator, "young").await.unwrap();
    assert_eq!(flat.spread, 0.0);
    let status = dependence(&coordinator, "young", "rat").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("it searches rate, decay, idle"), "{status}");
    let status = importance(&coordinator, "old").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_that_goes_on_tells_at_a_measured_pace() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(three("growing", 30)).await;
    let mut hand = coordinator.hand();
    let mut results = 0;
    let mut grow = async |to: i64| {
        while results < to {
            let lease = hand.lease().await;
            let value = value(lease.point.as_ref().unwrap());
            hand.complete(&lease, value).await.unwrap();
            results += 1;
        }
        town.until("select coalesce(max(horizon), 0)::bigint from posterior", to).await;
    };
    let due = async || {
        let mut connection = town.pool.acquire().await.unwrap();
        insight::due(&mut connection).await.unwrap().len()
    };
    grow(6).await;
    assert_eq!(due().await, 0, "the study is not a minute old");
    let age = "update study set created_at = created_at - interval '2 minutes'";
    sqlx::query(age).execute(&town.pool).await.unwrap();
    town.until(TOLD, 6).await;
    grow(11).await;
    assert_eq!(due().await, 0, "it was told less than a minute ago");
    let age = "update insight set computed_at = computed_at - interval '2 minutes'";
    sqlx::query(age).execute(&town.pool).await.unwrap();
    town.until(TOLD, 11).await;
    sqlx::query(age).execute(&town.pool).await.unwrap();
    grow(15).await;
    assert_eq!(due().await, 0, "four more results are not enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_posterior_says_what_a_fresh_fit_says_whatever_has_failed_since() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(three("failing", 14)).await;
    let mut hand = coordinator.hand();
    let mut others = coordinator.hand();
    // Fails last, with the lowest number.
    let first = others.lease().await;
    for number in 1..14 {
        let lease = hand.lease().await;
        let value = value(lease.point.as_ref().unwrap());
        match number {
            4 | 9 => drop(hand.fail(&lease, FailureClass::Nan).await.unwrap()),
            _ => drop(hand.complete(&lease, value).await.unwrap()),
        }
    }
    town.until("select coalesce(max(horizon), 0)::bigint from posterior", 11).await;
    let study_id = town.number("select study_id from study").await;
    let read = async || {
        let stored = posterior::load(&town.pool, study_id).await.unwrap().expect("is stored");
        let snapshot = posterior::snapshot(&town.pool, study_id).await.unwrap().unwrap();
        (stored, snapshot)
    };
    let (stored, snapshot) = read().await;
    assert_eq!(stored.failed, [4, 9]);
    let fresh = Believed::of(&snapshot, None).unwrap();
    let before = fresh.importance();
    assert_eq!(Believed::of(&snapshot, Some(stored.clone())).unwrap().importance(), before);

    coordinator.stop().await;
    sqlx::query(
        "update trial set state = 'failed', finished_at = clock_timestamp() where number = 0",
    )
    .execute(&town.pool)
    .await
    .unwrap();
    let (_, later) = read().await;
    assert_eq!(Believed::of(&later, Some(stored)).unwrap().importance(), before);
    assert_ne!(Believed::of(&later, None).unwrap().importance(), before);
    assert_eq!(first.number, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_that_minimises_at_random_is_told_in_its_own_unit() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut spec = three("down", 24);
    spec.direction = Direction::Minimize.into();
    spec.algorithm = Algorithm::Random.into();
    coordinator.create(spec).await;
    coordinator.hand().work(|point| 100.0 + value(point)).await;
    town.until(TOLD, 24).await;
    assert_eq!(town.number("select count(*) from v1.posterior").await, 0, "none is stored");
    let strays = "select count(*) from v1.left_out l join v1.trials t using (study, number)
                   where (abs(l.value - t.value) > 1e-9) is distinct from l.is_raised
                      or l.value - t.value > 1e-9
                      or abs(l.predicted_mean - t.value) > 3
                      or abs(l.z_score - (l.value - l.predicted_mean) / l.predicted_deviation) > 1e-6";
    assert_eq!(town.number(strays).await, 0);
    let asked = dependence(&coordinator, "down", "rate").await.unwrap();
    let places = &asked.dependences[0].places;
    assert!((places[32].mean - places[0].mean - 3.0).abs() < 0.3, "{places:?}");
    assert!((places[16].mean - 102.0).abs() < 0.2, "{places:?}");
    assert_eq!(places[32].value.as_ref().unwrap().kind, Some(Kind::Number(1.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_study_is_told_too() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut spec = StudySpec { start_points: 20, ..three("nested", 20) };
    let parameters = &mut spec.space.as_mut().unwrap().parameters;
    let condition = proto::v1::Condition {
        parameter: "idle".into(),
        values: vec![proto::v1::Value { kind: Some(Kind::Boolean(true)) }],
    };
    let domain = proto::v1::IntDomain { low: 1, high: 3, scale: 0 };
    parameters.push(Parameter {
        name: "depth".into(),
        domain: Some(Domain::Int(domain)),
        condition: Some(condition),
        default_value: None,
    });
    coordinator.create(spec).await;
    let deep = |point: &Point| match point.values.contains_key("depth") {
        true => value(point) + 4.0 * number(point, "depth"),
        false => value(point),
    };
    coordinator.hand().work(deep).await;
    let asked = dependence(&coordinator, "nested", "depth").await.unwrap();
    let means: Vec<f64> = asked.dependences[0].places.iter().map(|place| place.mean).collect();
    // Among the points that have a depth: twice four, and two on average from the rest.
    assert!((means[2] - means[0] - 8.0).abs() < 1.5, "{means:?}");
}
