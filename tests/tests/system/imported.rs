//! Results from elsewhere, larger budgets, and studies that end because nothing is left to gain.

use std::collections::BTreeMap;

use coordinator::{scheduler::plan, storage::posterior};
use proto::v1::{
    CancelStudyRequest, EndReason, ExtendStudyRequest, ImportTrialsRequest, ImportTrialsResponse,
    ImportedTrial, ImportedTrials, Point, Space, Study, StudySpec, StudyState, Value,
    import_trials_request::From, objective::Kind as Over, value::Kind,
};
use tests::{Coordinator, Town, space};
use tonic::{Code, Status};
use uuid::Uuid;

fn rates(name: &str, max_trials: u32) -> StudySpec {
    let parameters = vec![space::float("rate", 0.0, 1.0), space::float("width", 0.0, 1.0)];
    space::external(name, Space { parameters }, max_trials)
}

fn at(rate: f64, width: f64) -> Point {
    let number = |x| Value { kind: Some(Kind::Number(x)) };
    Point {
        values: BTreeMap::from([("rate".into(), number(rate)), ("width".into(), number(width))]),
    }
}

fn hill(point: &Point) -> f64 {
    let [rate, width] = ["rate", "width"].map(|name| tests::hand::number(point, name));
    1.0 - (rate - 0.3).powi(2) - (width - 0.6).powi(2)
}

fn results(points: &[(f64, f64)]) -> From {
    let trials = points.iter().map(|&(rate, width)| {
        let point = at(rate, width);
        ImportedTrial { value: hill(&point), point: Some(point), ..Default::default() }
    });
    From::Trials(ImportedTrials { trials: trials.collect(), source: "earlier.csv".into() })
}

async fn import(
    coordinator: &Coordinator,
    study: &str,
    from: From,
    skip_outside: bool,
) -> Result<ImportTrialsResponse, Status> {
    let request_id = Uuid::new_v4().to_string();
    let request =
        ImportTrialsRequest { study: study.into(), from: Some(from), skip_outside, request_id };
    coordinator.studies().import_trials(request).await.map(tonic::Response::into_inner)
}

async fn extend(coordinator: &Coordinator, name: &str, max_trials: u32) -> Result<Study, Status> {
    let request = ExtendStudyRequest { name: name.into(), max_trials, ..Default::default() };
    let response = coordinator.studies().extend_study(request).await?;
    Ok(response.into_inner().study.unwrap())
}

const SIX: [(f64, f64); 6] =
    [(0.1, 0.1), (0.9, 0.2), (0.5, 0.5), (0.2, 0.8), (0.7, 0.9), (0.35, 0.4)];

#[tokio::test(flavor = "multi_thread")]
async fn imported_results_are_learned_from_and_take_nothing_from_the_budget() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(rates("warm", 4)).await;
    let request = ImportTrialsRequest {
        study: "warm".into(),
        from: Some(results(&SIX)),
        skip_outside: false,
        request_id: Uuid::new_v4().to_string(),
    };
    for _ in 0..2 {
        let answer = coordinator.studies().import_trials(request.clone()).await.unwrap();
        assert_eq!(answer.into_inner().imported, 6, "the same answer, and done once");
    }
    assert_eq!(coordinator.study("warm").await.imported, 6);
    // Nobody starts from nothing: the first suggestion is the model's.
    let mut hand = coordinator.hand();
    let lease = hand.lease().await;
    assert_eq!(lease.number, 0);
    let first = coordinator.trials("warm").await.remove(0).suggestion.unwrap();
    assert_eq!((first.origin.as_str(), first.horizon), ("acquisition", 6));
    hand.complete(&lease, hill(lease.point.as_ref().unwrap())).await.unwrap();
    assert_eq!(hand.work(hill).await, 3);

    let study = coordinator.study("warm").await;
    assert_eq!(
        (study.state(), study.ended_because()),
        (StudyState::Completed, EndReason::BudgetSpent)
    );
    let sequence: Vec<(i32, bool)> = sqlx::query_as(
        "select obs_seq, false from v1.trials union all select obs_seq, true from v1.imported
          order by 1",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    let expected: Vec<(i32, bool)> = (0..10).map(|seq| (seq, seq < 6)).collect();
    assert_eq!(sequence, expected, "observations are dense, imported or not");
    let told: (i32, i64, f64) =
        sqlx::query_as("select results, imported, best_value from v1.studies")
            .fetch_one(&town.pool)
            .await
            .unwrap();
    assert_eq!((told.0, told.1), (10, 6));
    assert_eq!(told.2, study.best.unwrap().value.unwrap(), "the best of its own trials");
    let late = import(&coordinator, "warm", results(&SIX), false).await.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_after_an_import_and_a_pruning_can_be_computed_again() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(rates("replayed", 16)).await;
    let mut hand = coordinator.hand();
    for number in 0..16 {
        if number == 5 {
            import(&coordinator, "replayed", results(&SIX[..3]), false).await.unwrap();
        }
        let lease = hand.lease().await;
        let value = hill(lease.point.as_ref().unwrap());
        match number % 4 {
            // Half a training looks better than it is.
            2 => hand.prune(&lease, value + 0.5).await.unwrap(),
            _ => hand.complete(&lease, value).await.unwrap(),
        };
    }
    let study_id = town.number("select study_id from study").await;
    let last = posterior::snapshot(&town.pool, study_id).await.unwrap().unwrap();
    type Row = (i32, i32, Option<f64>, Option<f64>, Option<f64>);
    let recorded: Vec<Row> = sqlx::query_as(
        "select t.number, g.horizon, g.mean, g.deviation, g.acquisition
           from suggestion g join trial t using (trial_id) order by t.number",
    )
    .fetch_all(&town.pool)
    .await
    .unwrap();
    assert_eq!(recorded.len(), 16);
    for (number, horizon, mean, deviation, acquisition) in recorded {
        let mut then = last.clone();
        then.study.state = coordinator::study::StudyState::Active;
        (then.study.next_number, then.study.next_obs) = (number, horizon);
        then.tried.truncate(usize::try_from(number).unwrap());
        let (again, _) = plan::make(&then, plan::Warm::default(), 1);
        let point = &last.tried[usize::try_from(number).unwrap()].unit_point;
        assert_eq!(&again.points[0].new.unit_point.0, point, "trial {number}");
        let again = &again.points[0];
        assert_eq!(
            (again.mean, again.deviation, again.acquisition),
            (mean, deviation, acquisition)
        );
    }
    // What a pruned trial counts as is no more than the median of those finished before it.
    let observed = plan::results(&last, last.study.next_obs);
    assert_eq!(observed.len(), 19);
    assert!(observed.iter().all(|learned| learned.observation.value <= 1.0), "{observed:?}");
    assert!(coordinator.study("replayed").await.best.unwrap().value.unwrap() <= 1.0);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_outside_of_the_space_are_refused_or_counted() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(rates("warm", 4)).await;
    let points = [(0.5, 0.5), (1.5, 0.5), (0.5, 0.25)];
    let refused = import(&coordinator, "warm", results(&points), false).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("result 2 lies outside"), "{refused}");
    assert_eq!(town.number("select count(*) from imported").await, 0, "all or none");
    let told = import(&coordinator, "warm", results(&points), true).await.unwrap();
    assert_eq!((told.imported, told.outside), (2, 1));
    assert!(told.first_outside.starts_with("result 2: "), "{}", told.first_outside);
    let empty = From::Trials(ImportedTrials { trials: vec![], source: "x".into() });
    assert_eq!(
        import(&coordinator, "warm", empty, false).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let nan = From::Trials(ImportedTrials {
        trials: vec![ImportedTrial {
            point: Some(at(0.5, 0.5)),
            value: f64::NAN,
            ..Default::default()
        }],
        source: "x".into(),
    });
    assert_eq!(
        import(&coordinator, "warm", nan, true).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_study_is_imported_once_as_far_as_it_lies_in_the_space() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(rates("old", 6)).await;
    let mut hand = coordinator.hand();
    for number in 0..6 {
        let lease = hand.lease().await;
        let value = hill(lease.point.as_ref().unwrap());
        match number {
            3 => hand.prune(&lease, value).await.unwrap(),
            _ => hand.complete(&lease, value).await.unwrap(),
        };
    }
    let mut narrow = rates("narrow", 3);
    narrow.space.as_mut().unwrap().parameters[0] = space::float("rate", 0.0, 0.5);
    coordinator.create(narrow).await;
    let inside = town
        .number(
            "select count(*) from v1.trials
              where study = 'old' and state = 'completed' and (params->>'rate')::float8 <= 0.5",
        )
        .await;
    assert!((1..5).contains(&inside), "some lie inside and some do not: {inside}");
    let other = || From::OtherStudy("old".into());
    let told = import(&coordinator, "narrow", other(), true).await.unwrap();
    assert_eq!((i64::from(told.imported), i64::from(told.outside)), (inside, 5 - inside));
    let again = import(&coordinator, "narrow", other(), true).await.unwrap();
    assert_eq!((again.imported, i64::from(again.known)), (0, inside));
    let named = town
        .number(
            "select count(*) from v1.imported where source = 'old' and source_number is not null",
        )
        .await;
    assert_eq!(named, inside);
    let own = import(&coordinator, "narrow", From::OtherStudy("narrow".into()), true).await;
    assert!(own.unwrap_err().message().contains("it is the same study"));
    let nobody = import(&coordinator, "narrow", From::OtherStudy("nobody".into()), true).await;
    assert_eq!(nobody.unwrap_err().code(), Code::NotFound);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_are_imported_between_studies_that_measure_the_same() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(space::small_networks("old", 3)).await;
    let mut hand = coordinator.hand();
    for _ in 0..3 {
        let lease = hand.lease().await;
        hand.complete(&lease, 0.5).await.unwrap();
    }
    // It searches the features that the other fixes at 8, and fixes nothing else otherwise.
    let mut wider = space::small_networks("wider", 3);
    let fixed = |spec: &mut StudySpec, name: &str, value: Option<f64>| {
        let Some(Over::Whetstone(over)) = &mut spec.objective.as_mut().unwrap().kind else {
            panic!()
        };
        over.fixed.remove(name);
        if let Some(value) = value {
            over.fixed.insert(name.into(), Value { kind: Some(Kind::Number(value)) });
        }
    };
    fixed(&mut wider, "conv1_features", None);
    let features = proto::v1::OrdinalDomain { values: vec![8.0, 16.0] };
    wider.space.as_mut().unwrap().parameters.push(proto::v1::Parameter {
        name: "conv1_features".into(),
        domain: Some(proto::v1::parameter::Domain::Ordinal(features)),
        condition: None,
        default_value: None,
    });
    coordinator.create(wider).await;
    let other = || From::OtherStudy("old".into());
    assert_eq!(import(&coordinator, "wider", other(), true).await.unwrap().imported, 3);
    let filled = town
        .number("select count(*) from v1.imported where (params->>'conv1_features')::float8 = 8")
        .await;
    assert_eq!(filled, 3);

    let mut longer = space::small_networks("longer", 3);
    fixed(&mut longer, "dense_units", Some(64.0));
    coordinator.create(longer).await;
    let unlike = import(&coordinator, "longer", other(), true).await.unwrap_err();
    assert!(
        unlike.message().contains("`dense_units` is 32 in one and 64 in the other"),
        "{unlike}"
    );
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_come_with_what_the_study_weighs_against_the_value() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let further = proto::v1::FurtherObjective {
        measurement: "energy".into(),
        direction: proto::v1::Direction::Minimize.into(),
        reference: None,
    };
    let spec = StudySpec { also: vec![further], ..rates("traded", 4) };
    coordinator.create(spec.clone()).await;
    let refused = import(&coordinator, "traded", results(&SIX), true).await.unwrap_err();
    assert!(refused.message().contains("result 1 has no `energy`"), "{refused}");
    let From::Trials(mut sent) = results(&SIX) else { unreachable!() };
    for (energy, trial) in (1..).zip(&mut sent.trials) {
        trial.measurements = [("energy".to_owned(), f64::from(energy))].into();
    }
    let told = import(&coordinator, "traded", From::Trials(sent), false).await.unwrap();
    assert_eq!(told.imported, 6);
    let mut hand = coordinator.hand();
    for number in 0..4 {
        let lease = hand.lease().await;
        let value = hill(lease.point.as_ref().unwrap());
        let energy = [("energy", f64::from(number))];
        match number {
            // Half a training, with the best of everything.
            2 => hand.prune_with(&lease, 9.0, &[("energy", -9.0)]).await.unwrap(),
            _ => hand.complete_with(&lease, value, &energy).await.unwrap(),
        };
    }
    // The model decided from the start on, and neither a pruned trial nor a foreign one is on the front.
    let origins = town.number("select count(*) from v1.suggestions where origin <> 'start'").await;
    assert_eq!(origins, 4);
    let on_front = "select count(*) from v1.pareto_front where number = 2";
    assert_eq!(town.number(on_front).await, 0);
    assert_eq!(town.number("select count(*) from v1.hypervolume").await, 3);
    let request = proto::v1::GetParetoFrontRequest { study: "traded".into() };
    let front = coordinator.studies().get_pareto_front(request).await.unwrap().into_inner();
    assert_eq!(front.feasible, 3);
    let pruned = coordinator.trials("traded").await.remove(2);
    assert_eq!((pruned.value, pruned.feasible), (Some(9.0), None));

    // Its results carry over to a study of the same kind.
    coordinator.create(StudySpec { name: "next".into(), ..spec }).await;
    let told = import(&coordinator, "next", From::OtherStudy("traded".into()), true).await.unwrap();
    assert_eq!(told.imported, 3);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_study_goes_on_with_a_larger_budget_and_a_cancelled_one_does_not() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(rates("longer", 3)).await;
    let mut hand = coordinator.hand();
    assert_eq!(hand.work(hill).await, 3);
    let refused = extend(&coordinator, "longer", 3).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(
        refused.message(),
        "study `longer` has 3 trials already: 3 are too few for its budget; give it at least 4"
    );
    let study = extend(&coordinator, "longer", 5).await.unwrap();
    assert_eq!((study.state(), study.finished_at), (StudyState::Active, None));
    assert_eq!(
        (study.ended_because(), study.spec.unwrap().max_trials),
        (EndReason::Unspecified, 5)
    );
    let numbers: Vec<u32> = coordinator.trials("longer").await.iter().map(|t| t.number).collect();
    let lease = hand.lease().await;
    assert_eq!((numbers.len(), lease.number), (3, 3));
    // An active one takes any budget that holds what is planned.
    extend(&coordinator, "longer", 9).await.unwrap();
    assert_eq!(
        extend(&coordinator, "longer", 3).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    extend(&coordinator, "longer", 4).await.unwrap();
    hand.complete(&lease, 0.5).await.unwrap();
    assert_eq!(coordinator.study("longer").await.state(), StudyState::Completed);

    coordinator.create(rates("over", 3)).await;
    let cancel = CancelStudyRequest { name: "over".into(), ..Default::default() };
    coordinator.studies().cancel_study(cancel).await.unwrap();
    let refused = extend(&coordinator, "over", 9).await.unwrap_err();
    assert_eq!(refused.message(), "study `over` is cancelled and cannot be extended");
    // Nor by other ways: the table itself holds the line.
    for (to, study) in [("active", "over"), ("cancelled", "longer"), ("active", "longer")] {
        let forced = sqlx::query(
            "update study set state = $1::text::study_state, finished_at = null, ended_because = null
              where name = $2",
        )
        .bind(to)
        .bind(study)
        .execute(&town.pool)
        .await;
        assert!(forced.unwrap_err().to_string().contains("is final"), "{study} to {to}");
    }

    let mut small = space::external("all", space::eight_switches(), 300);
    small.space.as_mut().unwrap().parameters.truncate(1);
    coordinator.create(small).await;
    assert_eq!(hand.work(|_| 0.5).await, 2);
    assert_eq!(coordinator.study("all").await.ended_because(), EndReason::SpaceExhausted);
    let refused = extend(&coordinator, "all", 400).await.unwrap_err();
    assert!(refused.message().contains("every point of the space"), "{refused}");
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_ends_by_itself_when_further_trials_would_gain_too_little() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let spec = StudySpec { stop_when_gain_below: 0.01, ..rates("enough", 60) };
    coordinator.create(spec).await;
    let mut hand = coordinator.hand();
    let done = work_slowly(&town, &mut hand).await;
    assert!((10..60).contains(&done), "it ends long before its budget: {done}");
    let study = coordinator.study("enough").await;
    assert_eq!(
        (study.state(), study.ended_because()),
        (StudyState::Completed, EndReason::GainBelow)
    );
    let prospect = study.prospect.unwrap();
    assert!(prospect.gain < 0.01 && prospect.horizon >= 10, "{prospect:?}");
    let best = study.best.unwrap().value.unwrap();
    assert!(best > 0.99, "there was little left: {best}");
    let low = "select count(*) from (select below_limit from v1.prospects
                order by horizon desc limit 3) x where below_limit";
    assert_eq!(town.number(low).await, 3);

    // Extended, it goes on: what was found out until now no longer counts.
    extend(&coordinator, "enough", 60).await.unwrap();
    let more = work_slowly(&town, &mut hand).await;
    assert!(more >= 3, "three more results at least: {more}");
    assert_eq!(coordinator.study("enough").await.ended_because(), EndReason::GainBelow);
    town.is_sound().await;
}

/// Works until nothing is left, each time after the last result's prospects are known.
async fn work_slowly(town: &Town, hand: &mut tests::Hand) -> usize {
    let mut done = 0;
    loop {
        let answer = hand.ask(std::time::Duration::from_secs(5)).await.unwrap();
        let Some(lease) = answer.lease else { return done };
        hand.complete(&lease, hill(lease.point.as_ref().unwrap())).await.unwrap();
        done += 1;
        // A posterior needs three results.
        let known = "select (s.next_obs < 3 or s.state <> 'active'
                             or exists (select from prospect p
                                         where p.study_id = s.study_id and p.horizon = s.next_obs))::int::bigint
                       from study s";
        town.until(known, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_without_a_limit_is_told_at_its_end_what_more_would_gain() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(rates("advised", 7)).await;
    assert_eq!(coordinator.hand().work(hill).await, 7);
    town.until("select coalesce(max(horizon), 0)::bigint from v1.prospects", 7).await;
    let study = coordinator.study("advised").await;
    assert_eq!(study.ended_because(), EndReason::BudgetSpent);
    let prospect = study.prospect.unwrap();
    assert_eq!((prospect.horizon, prospect.trials), (7, 20));
    assert!(prospect.gain > 0.0 && prospect.regret_bound > 0.0, "{prospect:?}");
    // The same again from the database.
    let study_id = town.number("select study_id from study").await;
    let snapshot = posterior::snapshot(&town.pool, study_id).await.unwrap().unwrap();
    let (_, warm) = plan::make(&snapshot, plan::Warm::default(), 0);
    let again = coordinator::scheduler::prospects::prospect(&snapshot, &warm.fit.unwrap()).unwrap();
    assert_eq!((again.gain, again.regret_bound), (prospect.gain, prospect.regret_bound));
    town.is_sound().await;
}
