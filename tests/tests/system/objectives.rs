//! Several objectives and constraints: what is refused, what is best, what the front is.

use proto::v1::{
    Constraint, CreateStudyRequest, Direction, FurtherObjective, GetParetoFrontRequest,
    GetParetoFrontResponse, StudySpec, StudyState, constraint::Bound,
};
use tests::{Coordinator, Town, hand::number, space};
use tonic::Code;

fn less(measurement: &str) -> FurtherObjective {
    FurtherObjective {
        measurement: measurement.into(),
        direction: Direction::Minimize.into(),
        reference: None,
    }
}

fn at_most(measurement: &str, bound: f64) -> Constraint {
    Constraint { measurement: measurement.into(), bound: Some(Bound::AtMost(bound)) }
}

fn at_least(measurement: &str, bound: f64) -> Constraint {
    Constraint { measurement: measurement.into(), bound: Some(Bound::AtLeast(bound)) }
}

/// The eight switches, with the energy that those which are on take.
fn switches(name: &str, trials: u32) -> StudySpec {
    StudySpec {
        also: vec![less("energy")],
        ..space::external(name, space::eight_switches(), trials)
    }
}

async fn front(coordinator: &Coordinator, study: &str) -> GetParetoFrontResponse {
    let request = GetParetoFrontRequest { study: study.into() };
    coordinator.studies().get_pareto_front(request).await.unwrap().into_inner()
}

async fn refusal(coordinator: &Coordinator, spec: StudySpec) -> String {
    let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
    let status = coordinator.studies().create_study(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    status.message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn goals_come_back_as_they_were_asked_for() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut asked = switches("told", 5);
    asked.also[0].reference = Some(9.5);
    asked.also.push(FurtherObjective { direction: Direction::Maximize.into(), ..less("margin") });
    asked.reference = Some(-1.0);
    asked.constraints = vec![at_least("value", 0.25), at_most("energy", 6.0)];
    coordinator.create(asked.clone()).await;
    let spec = coordinator.study("told").await.spec.unwrap();
    assert_eq!(
        (spec.also, spec.constraints, spec.reference),
        (asked.also, asked.constraints, asked.reference)
    );
    assert_eq!(town.number("select count(*) from v1.objectives where study = 'told'").await, 3);
    assert_eq!(town.number("select count(*) from v1.constraints where at_most = 6").await, 1);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goals_that_cannot_be_are_refused_with_the_way_out() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let external = |also: Vec<FurtherObjective>, constraints: Vec<Constraint>| StudySpec {
        also,
        constraints,
        ..space::external("bad", space::eight_switches(), 5)
    };
    let digits = |also: Vec<FurtherObjective>, constraints: Vec<Constraint>| StudySpec {
        also,
        constraints,
        ..space::small_networks("bad", 5)
    };
    let nan = FurtherObjective { reference: Some(f64::NAN), ..less("energy") };
    let unbounded = Constraint { measurement: "energy".into(), bound: None };
    let cases: Vec<(StudySpec, &[&str])> = vec![
        (external(["a", "b", "c", "d"].map(less).to_vec(), vec![]), &["4 further", "at most 3"]),
        (external(vec![], vec![at_most("e", 1.0); 9]), &["9 constraints", "at most 8"]),
        (external(vec![less("energy"), less("energy")], vec![]), &["`energy`", "twice"]),
        (external(vec![less("value")], vec![]), &["the value itself"]),
        (external(vec![less("Watt hours")], vec![]), &["Watt hours", "lower-case"]),
        (external(vec![nan], vec![]), &["energy", "finite"]),
        (external(vec![], vec![unbounded]), &["energy", "`at_most` or `at_least`"]),
        (external(vec![], vec![at_most("e", f64::INFINITY)]), &["finite"]),
        (external(vec![], vec![at_most("e", 1.0), at_least("e", 2.0)]), &["`e`", "widen"]),
        (external(vec![], vec![at_most("e", 1.0), at_most("e", 2.0)]), &["`e`", "twice"]),
        (
            StudySpec { reference: Some(0.5), ..external(vec![], vec![]) },
            &["reference", "one objective"],
        ),
        (digits(vec![less("multiply_add")], vec![]), &["`multiply_add`", "`multiply_adds`"]),
        (digits(vec![less("binary_accuracy")], vec![]), &["the value itself"]),
        (digits(vec![], vec![at_most("parameter", 9.0)]), &["`parameter`", "`parameters`"]),
        (digits(vec![less("test_accuracy")], vec![]), &["test_accuracy", "best trials alone"]),
    ];
    for (spec, wanted) in cases {
        let message = refusal(&coordinator, spec).await;
        for word in wanted {
            assert!(message.contains(word), "{message:?} should say {word:?}");
        }
    }
    assert_eq!(town.number("select count(*) from study").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_without_a_measurement_is_refused_and_pauses_a_study_that_has_no_result() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(StudySpec { max_parallel: 2, ..switches("misspelt", 6) }).await;
    let (mut ada, mut bob) = (coordinator.hand(), coordinator.hand());
    let (first, second) = (ada.lease().await, bob.lease().await);
    let refused = ada.complete_with(&first, 0.5, &[("enrgy", 3.0), ("epochs", 9.0)]).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for word in ["`misspelt`", "`energy`", "`enrgy`", "Fail", "paused", "create it anew"] {
        assert!(refused.message().contains(word), "{refused} should say {word}");
    }
    assert_eq!(coordinator.study("misspelt").await.state(), StudyState::Paused);
    let noted = "select count(*) from event where kind = 'unmeasured'";
    assert_eq!(town.number(noted).await, 1);

    // The lease stands: the report can be mended, and so can the trial be failed.
    ada.complete_with(&first, 0.5, &[("energy", 3.0)]).await.unwrap();
    let mut resume = coordinator.studies();
    resume
        .resume_study(proto::v1::ResumeStudyRequest {
            name: "misspelt".into(),
            ..Default::default()
        })
        .await
        .unwrap();
    // Once there is a result the name is right, and one bad report stops nobody.
    let refused = bob.complete(&second, 0.5).await.unwrap_err();
    assert!(!refused.message().contains("paused"), "{refused}");
    assert_eq!(coordinator.study("misspelt").await.state(), StudyState::Active);
    assert!(!bob.fail(&second, proto::v1::FailureClass::UserError).await.unwrap());

    // Who does not hold the trial any more pauses nothing, and is told so.
    let lost = ada.complete(&first, 0.75).await.unwrap_err();
    assert_ne!(lost.code(), Code::InvalidArgument, "{lost}");
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_of_a_constrained_study_keeps_its_constraints_wherever_it_is_told() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator
        .create(StudySpec {
            constraints: vec![at_most("energy", 4.0)],
            ..space::external("bound", space::eight_switches(), 5)
        })
        .await;
    let mut ada = coordinator.hand();
    let reports = [(0.9, 5.0), (0.5, 4.0), (0.8, 4.5), (0.6, 1.0), (0.4, 0.0)];
    let told_before = [None, None, Some(0.5), Some(0.5), Some(0.6)];
    for ((value, energy), before) in reports.into_iter().zip(told_before) {
        let lease = ada.lease().await;
        assert_eq!(lease.best_value, before);
        ada.complete_with(&lease, value, &[("energy", energy)]).await.unwrap();
    }
    let best = coordinator.study("bound").await.best.unwrap();
    assert_eq!((best.number, best.value, best.feasible), (3, Some(0.6), Some(true)));
    let trials = coordinator.trials("bound").await;
    let feasible: Vec<_> = trials.iter().map(|trial| trial.feasible.unwrap()).collect();
    assert_eq!(feasible, [false, true, false, true, true]);
    type Row = (Option<f64>, bool);
    let rows: Vec<Row> =
        sqlx::query_as("select best_value, feasible from v1.best_so_far order by obs_seq")
            .fetch_all(&town.pool)
            .await
            .unwrap();
    let so_far: Vec<_> = rows.iter().map(|row| row.0).collect();
    assert_eq!(so_far, [None, Some(0.5), Some(0.5), Some(0.6), Some(0.6)]);
    let best: f64 = sqlx::query_scalar("select best_value from v1.studies")
        .fetch_one(&town.pool)
        .await
        .unwrap();
    assert_eq!(best, 0.6);
    assert_eq!(town.number("select number::bigint from v1.pareto_front").await, 3);
    assert_eq!(town.number("select count(*) from v1.trials where feasible").await, 3);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_over_the_wire_is_the_front_in_sql() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut spec = switches("traded", 9);
    spec.also.push(FurtherObjective { direction: Direction::Maximize.into(), ..less("margin") });
    spec.constraints = vec![at_least("margin", 0.0)];
    coordinator.create(spec).await;
    let empty = front(&coordinator, "traded").await;
    assert_eq!((empty.size, empty.hypervolume, empty.reference), (0, None, vec![]));

    let mut ada = coordinator.hand();
    let reports = [
        (0.5, 4.0, 1.0),
        (0.75, 6.0, 0.5),
        (0.5, 5.0, 1.0),    // beaten by the first
        (0.875, 9.0, -1.0), // breaks the constraint
        (0.25, 1.0, 0.0),
        (0.5, 4.0, 1.0), // the first again
        (0.625, 5.0, 0.25),
        (0.5, 8.0, 2.0),
        (0.125, 2.0, 0.125),
    ];
    for (value, energy, margin) in reports {
        let lease = ada.lease().await;
        let measured = [("energy", energy), ("margin", margin)];
        ada.complete_with(&lease, value, &measured).await.unwrap();
    }
    let told = front(&coordinator, "traded").await;
    let numbers: Vec<u32> = told.trials.iter().map(|trial| trial.number).collect();
    assert_eq!(numbers, [1, 6, 0, 5, 7, 4, 8]);
    assert_eq!((told.size, told.feasible), (7, 8));
    // A tenth of the range below the worst of the eight that count.
    for (found, wanted) in told.reference.iter().zip([0.0625, 8.7, -0.2]) {
        assert!((found - wanted).abs() < 1e-12, "{:?}", told.reference);
    }
    let in_sql: Vec<(i32, f64, f64)> = sqlx::query_as(
        "select number, value, (also->>'energy')::float8
           from v1.pareto_front order by value desc, obs_seq",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    let rows: Vec<u32> = in_sql.iter().map(|(number, ..)| number.unsigned_abs()).collect();
    assert_eq!(rows, numbers);
    assert_eq!(in_sql[0], (1, 0.75, 6.0));

    // Two programs in two languages: the volume after every result.
    let volumes: Vec<f64> =
        sqlx::query_scalar("select hypervolume from v1.hypervolume order by obs_seq")
            .fetch_all(&town.pool)
            .await
            .unwrap();
    assert_eq!(volumes.len(), 9);
    let reference = [told.reference[0], -told.reference[1], told.reference[2]];
    let mut points = Vec::new();
    for ((value, energy, margin), in_sql) in reports.into_iter().zip(volumes) {
        if margin >= 0.0 {
            points.push(vec![value, -energy, margin]);
        }
        let in_rust = tuner::pareto::hypervolume(&points, &reference);
        assert!((in_sql - in_rust).abs() < 1e-12, "{in_sql} is not {in_rust}");
    }
    let last = tuner::pareto::hypervolume(&points, &reference);
    assert!((told.hypervolume.unwrap() - last).abs() < 1e-12);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_in_sql_agree_with_volumes_in_rust() {
    let town = Town::new().await;
    for width in 1..=4_usize {
        for seed in 0..4_usize {
            // A low-discrepancy lattice on a coarse grid, so that there are ties.
            let number = |row: usize, k: usize| {
                let step = [0.754_877, 0.569_840, 0.437_016, 0.819_173][k];
                (((row + 7 * seed + 1) as f64 * step).fract() * 8.0).round() / 8.0
            };
            let rows: Vec<Vec<f64>> =
                (0..14).map(|row| (0..width).map(|k| number(row, k)).collect()).collect();
            let in_sql: f64 = sqlx::query_scalar("select hypervolume($1::float8[], $2)")
                .bind(rows.concat())
                .bind(i32::try_from(width).unwrap())
                .fetch_one(&town.pool)
                .await
                .unwrap();
            let in_rust = tuner::pareto::hypervolume(&rows, &vec![0.0; width]);
            assert!((in_sql - in_rust).abs() < 1e-12, "{width}: {in_sql} is not {in_rust}");
        }
    }
    let huge = "select hypervolume(array[1e200, 1e100], 2) > 9e299";
    assert!(sqlx::query_scalar::<_, bool>(huge).fetch_one(&town.pool).await.unwrap());
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_too_large_for_a_volume_spoil_no_view() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(switches("huge", 3)).await;
    let mut ada = coordinator.hand();
    for (value, energy) in [(1e308, -1e308), (-1e308, 1e308), (0.0, 0.0)] {
        let lease = ada.lease().await;
        ada.complete_with(&lease, value, &[("energy", energy)]).await.unwrap();
    }
    let told = front(&coordinator, "huge").await;
    assert!(told.hypervolume.unwrap().is_finite());
    assert_eq!(
        town.number("select count(*) from v1.hypervolume where hypervolume is null").await,
        3
    );
    assert_eq!(town.number("select count(*) from v1.pareto_front").await, 1);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_for_trade_offs_holds_more_volume_than_chance() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let volume = async |name: &str, algorithm: proto::v1::Algorithm| {
        let mut spec = switches(name, 24);
        spec.algorithm = algorithm.into();
        (spec.reference, spec.also[0].reference) = (Some(0.0), Some(8.5));
        coordinator.create(spec).await;
        let mut workers = Vec::new();
        for _ in 0..3 {
            let mut hand = coordinator.hand();
            workers.push(tokio::spawn(async move {
                let energy = |i: usize, point: &_| number(point, &format!("switch_{i}"));
                hand.work_with(|point| {
                    let energy = (1..=8).map(|i| energy(i, point)).sum();
                    (space::cliff(point), vec![("energy", energy)])
                })
                .await
            }));
        }
        for worker in workers {
            worker.await.unwrap();
        }
        front(&coordinator, name).await.hypervolume.unwrap()
    };
    let chance = volume("chance", proto::v1::Algorithm::Random).await;
    let search = volume("search", proto::v1::Algorithm::GaussianProcess).await;
    // By hand over all 256 points: the cliff costs one switch and each further gain another.
    assert!(search > chance, "{search} against {chance}");
    let origins =
        "select count(*) from v1.suggestions where study = 'search' and origin = 'acquisition'";
    assert!(town.number(origins).await > 10);
    town.is_sound().await;
}
