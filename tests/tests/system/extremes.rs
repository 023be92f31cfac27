//! Spaces and results at the ends of what is allowed: the study goes on, whatever chooses the points.

use std::collections::BTreeSet;

use proto::v1::{
    Algorithm, EnqueueTrialsRequest, FailureClass, Parameter, Point, Space, Study, StudySpec,
    StudyState, Trial, TrialState, value::Kind,
};
use tests::{Coordinator, Town, space};

const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::GaussianProcess,
    Algorithm::Random,
    Algorithm::Grid,
    Algorithm::Sobol,
    Algorithm::Tpe,
    Algorithm::Evolution,
];

/// What comes of the trial of this number; `None`: it fails.
type Outcome = fn(u32, &Point) -> Option<f64>;

struct Case {
    name: &'static str,
    parameters: Vec<Parameter>,
    max_trials: u32,
    /// How many trials there will be, and how many of them fail.
    ends_with: (usize, usize),
    outcome: Outcome,
}

/// Something that depends on every parameter.
fn smooth(point: &Point) -> f64 {
    let number = |kind: &Option<Kind>| match kind {
        Some(Kind::Number(number)) => *number,
        Some(Kind::Integer(whole)) => *whole as f64,
        Some(Kind::Boolean(on)) => f64::from(u8::from(*on)),
        Some(Kind::Text(text)) => text.len() as f64 + f64::from(text.as_bytes()[1]),
        None => 0.0,
    };
    point.values.values().map(|value| (0.1 * number(&value.kind)).sin()).sum()
}

fn switches_and_levels() -> Vec<Parameter> {
    let mut parameters = space::eight_switches().parameters;
    parameters.push(space::ordinal("level", 5));
    parameters
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "one-point",
            parameters: vec![space::ordinal("only", 1), space::category("this", 1)],
            max_trials: 5,
            ends_with: (1, 0),
            outcome: |_, _| Some(0.5),
        },
        Case {
            name: "one-point-that-fails",
            parameters: vec![space::ordinal("only", 1)],
            max_trials: 5,
            ends_with: (1, 1),
            outcome: |_, _| None,
        },
        Case {
            name: "many-points",
            parameters: (0..18).map(|i| space::ordinal(&format!("digit_{i}"), 10)).collect(),
            max_trials: 16,
            ends_with: (16, 0),
            outcome: |_, point| Some(smooth(point)),
        },
        Case {
            name: "all-fail",
            parameters: switches_and_levels(),
            max_trials: 16,
            ends_with: (16, 16),
            outcome: |_, _| None,
        },
        Case {
            name: "all-equal",
            parameters: switches_and_levels(),
            max_trials: 20,
            ends_with: (20, 0),
            outcome: |_, _| Some(0.25),
        },
        Case {
            name: "one-huge",
            parameters: switches_and_levels(),
            max_trials: 18,
            ends_with: (18, 0),
            outcome: |number, point| Some(if number == 6 { 1e308 } else { smooth(point) }),
        },
        Case {
            name: "huge-both-ways",
            parameters: switches_and_levels(),
            max_trials: 18,
            ends_with: (18, 2),
            outcome: |number, point| match number {
                3 => Some(f64::MAX),
                6 => Some(1e308),
                7 | 12 => Some(-1e308),
                8 | 13 => None,
                _ => Some(smooth(point)),
            },
        },
        Case {
            name: "five-hundred-categories",
            parameters: vec![space::category("word", 500)],
            max_trials: 20,
            ends_with: (20, 0),
            outcome: |_, point| Some(smooth(point)),
        },
        Case {
            name: "several-five-hundreds",
            parameters: (0..4).map(|i| space::category(&format!("word_{i}"), 500)).collect(),
            max_trials: 16,
            ends_with: (16, 0),
            outcome: |_, point| Some(smooth(point)),
        },
    ]
}

fn spec(case: &Case, algorithm: Algorithm) -> StudySpec {
    let name = format!("{}-{}", case.name, algorithm.as_str_name());
    let over = Space { parameters: case.parameters.clone() };
    let mut spec = space::external(&name, over, case.max_trials);
    spec.algorithm = algorithm.into();
    spec.start_points = 4;
    spec.max_failures = 1;
    spec
}

/// Two workers in turn, each with a trial open while the other's is decided.
async fn work(coordinator: &Coordinator, name: &str, outcome: Outcome) -> (Study, Vec<Trial>) {
    let mut hands = [coordinator.hand(), coordinator.hand()];
    let mut open = [None, None];
    loop {
        for (hand, open) in hands.iter_mut().zip(&mut open) {
            if let Some(lease) = open.take() {
                let lease: proto::v1::Lease = lease;
                match outcome(lease.number, lease.point.as_ref().unwrap()) {
                    Some(value) => assert!(!hand.complete(&lease, value).await.unwrap()),
                    None => assert!(!hand.fail(&lease, FailureClass::Nan).await.unwrap()),
                }
            }
            let study = coordinator.study(name).await;
            if study.state() == StudyState::Active {
                *open = hand.ask(std::time::Duration::from_secs(1)).await.unwrap().lease;
            }
        }
        if open.iter().all(Option::is_none) {
            return (coordinator.study(name).await, coordinator.trials(name).await);
        }
    }
}

fn distinct(trials: &[Trial]) -> usize {
    trials.iter().map(|trial| format!("{:?}", trial.point)).collect::<BTreeSet<_>>().len()
}

async fn gets_to_the_end_of_every_extreme(algorithm: Algorithm) {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    for case in cases() {
        let spec = spec(&case, algorithm);
        let name = spec.name.clone();
        let size = coordinator.create(spec).await.space_size;
        if case.name == "many-points" {
            assert_eq!(size, "1000000000000000000");
        }
        let (study, trials) = work(&coordinator, &name, case.outcome).await;
        assert_eq!(study.state(), StudyState::Completed, "{name}");
        let failed = trials.iter().filter(|trial| trial.state() == TrialState::Failed);
        assert_eq!((trials.len(), failed.count()), case.ends_with, "{name}");
        assert_eq!(distinct(&trials), trials.len(), "{name}");
        let best = study.best.as_ref().and_then(|best| best.value);
        let values = trials.iter().filter_map(|trial| trial.value);
        let largest = values.fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(best.unwrap_or(f64::NEG_INFINITY), largest, "{name}");
        for suggestion in trials.iter().filter_map(|trial| trial.suggestion.as_ref()) {
            let said = [suggestion.mean, suggestion.deviation, suggestion.acquisition];
            assert!(said.into_iter().flatten().all(f64::is_finite), "{name}: {said:?}");
        }
        if algorithm == Algorithm::GaussianProcess && case.ends_with.0 > case.ends_with.1 + 5 {
            let said = trials.iter().filter_map(|trial| trial.suggestion.as_ref()?.mean);
            assert!(said.count() > 5, "{name}: the posterior was asked");
        }
    }
    // What is idle and what has ended leaves nothing behind.
    assert_eq!(town.number("select count(*) from lease").await, 0);
}

macro_rules! each {
    ($($name:ident: $algorithm:ident),+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            gets_to_the_end_of_every_extreme(Algorithm::$algorithm).await;
        })+
    };
}

each!(
    a_gaussian_process_gets_to_the_end_of_every_extreme: GaussianProcess,
    random_points_get_to_the_end_of_every_extreme: Random,
    a_grid_gets_to_the_end_of_every_extreme: Grid,
    a_sobol_sequence_gets_to_the_end_of_every_extreme: Sobol,
    a_parzen_estimator_gets_to_the_end_of_every_extreme: Tpe,
    evolution_gets_to_the_end_of_every_extreme: Evolution
);

/// The point of a trial that a person sends again.
fn enqueue(study: &str, point: &Point, times: usize) -> EnqueueTrialsRequest {
    EnqueueTrialsRequest {
        study: study.to_owned(),
        points: vec![point.clone(); times],
        request_id: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_a_person_repeats_are_tried_again_and_no_other_is() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    for algorithm in ALGORITHMS {
        let name = format!("repeated-{}", algorithm.as_str_name());
        let mut spec = space::external(&name, space::eight_switches(), 40);
        (spec.algorithm, spec.start_points) = (algorithm.into(), 3);
        coordinator.create(spec).await;
        let mut hand = coordinator.hand();
        let first = hand.lease().await;
        let point = first.point.clone().unwrap();
        // While it is out, twice at once; and a third time when there is a result.
        coordinator.studies().enqueue_trials(enqueue(&name, &point, 2)).await.unwrap();
        hand.complete(&first, space::cliff(&point)).await.unwrap();
        coordinator.studies().enqueue_trials(enqueue(&name, &point, 1)).await.unwrap();
        assert_eq!(hand.work(space::cliff).await, 39, "{name}");
        let trials = coordinator.trials(&name).await;
        assert_eq!(coordinator.study(&name).await.state(), StudyState::Completed);
        assert_eq!((trials.len(), distinct(&trials)), (40, 37), "{name}");
        let same = trials.iter().filter(|trial| trial.point.as_ref() == Some(&point));
        assert_eq!(same.map(|trial| trial.number).collect::<Vec<_>>(), [0, 1, 2, 3], "{name}");
    }
}
