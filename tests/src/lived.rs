//! A town that has been through everything, for tests of what must hold afterwards.

use proto::v1::{
    CancelStudyRequest, Constraint, Direction, Directive, EarlyStopping, EnqueueTrialsRequest,
    ExtendStudyRequest, FailureClass, FurtherObjective, ImportTrialsRequest, ImportedTrial,
    ImportedTrials, Lease, PauseStudyRequest, Point, ResumeStudyRequest, Space, StoppingRule,
    StudySpec, Value, constraint::Bound, import_trials_request::From, value::Kind,
};

use crate::{Coordinator, Hand, Town, hand::number, space};

/// Bytes of the checkpoint that is left: two parts and a rest.
const CHECKPOINT_BYTES: usize = 600_000;

fn rates(name: &str, max_trials: u32) -> StudySpec {
    let parameters = vec![
        space::float("rate", 0.0, 1.0),
        space::log_int("units", 1, 512),
        space::category("optimiser", 3),
        space::switch("shifted"),
    ];
    StudySpec { start_points: 2, ..space::external(name, Space { parameters }, max_trials) }
}

fn at(rate: f64) -> Point {
    let value = |kind| Value { kind: Some(kind) };
    let values = [
        ("rate", value(Kind::Number(rate))),
        ("units", value(Kind::Integer(64))),
        ("optimiser", value(Kind::Text("c1".into()))),
        ("shifted", value(Kind::Boolean(true))),
    ];
    Point { values: values.map(|(name, value)| (name.to_owned(), value)).into() }
}

fn hill(point: &Point) -> f64 {
    1.0 - (number(point, "rate") - 0.3).powi(2)
}

/// A town with these studies, and a coordinator that serves it:
///
/// | study | what has come of it |
/// |---|---|
/// | `first` | completed: budget spent |
/// | `warm` | imports from `first` and from a file; completed, extended, completed again |
/// | `traded` | two objectives and a constraint, some results infeasible; completed |
/// | `small` | completed: space exhausted |
/// | `withdrawn` | cancelled: trial 0 waited, 1 was given back, 2 runs and has been told |
/// | `lived` | active, see `live` |
pub async fn lived() -> (Town, Coordinator) {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut hand = coordinator.hand();
    coordinator.create(rates("first", 4)).await;
    assert_eq!(hand.work(hill).await, 4);
    warm(&coordinator, &mut hand).await;
    traded(&coordinator, &mut hand).await;
    let mut small = space::external("small", space::eight_switches(), 300);
    small.space.as_mut().expect("it has a space").parameters.truncate(2);
    coordinator.create(small).await;
    assert_eq!(hand.work(|_| 0.5).await, 4);
    live(&town, &coordinator).await;
    (town, coordinator)
}

async fn import(coordinator: &Coordinator, study: &str, from: From) {
    let request = ImportTrialsRequest {
        study: study.into(),
        from: Some(from),
        skip_outside: false,
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    coordinator.studies().import_trials(request).await.expect("imports");
}

async fn warm(coordinator: &Coordinator, hand: &mut Hand) {
    coordinator.create(rates("warm", 3)).await;
    import(coordinator, "warm", From::OtherStudy("first".into())).await;
    let trials = [0.1, 0.9].map(|rate| ImportedTrial {
        value: hill(&at(rate)),
        point: Some(at(rate)),
        ..Default::default()
    });
    let sent = ImportedTrials { trials: trials.into(), source: "earlier.csv".into() };
    import(coordinator, "warm", From::Trials(sent)).await;
    assert_eq!(hand.work(hill).await, 3);
    let request = ExtendStudyRequest { name: "warm".into(), max_trials: 5, ..Default::default() };
    coordinator.studies().extend_study(request).await.expect("extends");
    assert_eq!(hand.work(hill).await, 2);
}

async fn traded(coordinator: &Coordinator, hand: &mut Hand) {
    let spec = StudySpec {
        also: vec![FurtherObjective {
            measurement: "energy".into(),
            direction: Direction::Minimize.into(),
            reference: None,
        }],
        constraints: vec![
            Constraint { measurement: "energy".into(), bound: Some(Bound::AtMost(2.5)) },
            Constraint { measurement: "value".into(), bound: Some(Bound::AtLeast(0.0)) },
        ],
        ..rates("traded", 6)
    };
    coordinator.create(spec).await;
    for energy in 0..6 {
        let lease = hand.lease().await;
        let value = hill(lease.point.as_ref().expect("it has a point"));
        hand.complete_with(&lease, value, &[("energy", f64::from(energy))]).await.expect("is kept");
    }
}

/// The study `lived`, with ten trials:
///
/// | trial | what has come of it |
/// |---|---|
/// | 0 | enqueued; completed |
/// | 1 | planned, as all that follow; completed |
/// | 2 | failed: not a number |
/// | 3 | failed: its failures are spent |
/// | 4 | lapsed, and reported late |
/// | 5 | lapsed, handed on and completed; the first report was refused |
/// | 6 | released, then completed |
/// | 7 | pruned |
/// | 8 | runs, with a checkpoint |
/// | 9 | released: it waits |
async fn live(town: &Town, coordinator: &Coordinator) {
    let early_stopping = EarlyStopping {
        rule: StoppingRule::Median.into(),
        metric: "score".into(),
        min_trials: 2,
        ..Default::default()
    };
    coordinator
        .create(StudySpec {
            max_failures: 2,
            checkpoint_epochs: 1,
            early_stopping: Some(early_stopping),
            ..rates("lived", 10)
        })
        .await;
    let (mut ada, mut ben) = (coordinator.hand(), coordinator.hand());
    enqueue(coordinator, "lived", at(0.25)).await;
    for score in [0.5, 0.6] {
        let lease = ada.lease().await;
        ada.report(&lease, 0, "score", score).await.expect("is kept");
        ada.complete(&lease, score).await.expect("is kept");
    }
    let lease = ada.lease().await;
    ada.fail(&lease, FailureClass::Nan).await.expect("is kept");
    for is_retried in [true, false] {
        let lease = ada.lease().await;
        let retried = ada.fail(&lease, FailureClass::Oom).await.expect("is kept");
        assert_eq!((lease.number, retried), (3, is_retried));
        sqlx::query("update trial set not_before = '-infinity'")
            .execute(&town.pool)
            .await
            .expect("shortens the wait");
    }
    let lease = lapsed(town, &mut ada).await;
    assert!(!ada.complete(&lease, 0.4).await.expect("is kept"));
    let lease = lapsed(town, &mut ada).await;
    let handed_on = ben.lease().await;
    assert_eq!((lease.number, handed_on.number), (5, 5));
    ada.complete(&lease, 0.4).await.expect_err("came too late");
    ben.complete(&handed_on, 0.45).await.expect("is kept");
    let lease = ada.lease().await;
    ada.release(&lease).await.expect("is kept");
    let lease = ada.lease().await;
    ada.complete(&lease, 0.5).await.expect("is kept");
    let lease = ada.lease().await;
    let told = ada.report(&lease, 0, "score", 0.1).await.expect("is kept");
    assert_eq!(told, i32::from(Directive::Prune));
    ada.prune(&lease, 0.1).await.expect("is kept");
    withdraw(coordinator).await;
    let lease = ada.lease().await;
    assert_eq!(lease.number, 8);
    ada.report(&lease, 0, "loss", 0.5).await.expect("is kept");
    ada.put(&lease, 1, &vec![7; CHECKPOINT_BYTES]).await.expect("is kept");
    let lease = ben.lease().await;
    assert_eq!(lease.number, 9);
    ben.release(&lease).await.expect("is kept");
}

/// A trial whose lease has lapsed, in the queue again.
async fn lapsed(town: &Town, hand: &mut Hand) -> Lease {
    let lease = hand.lease().await;
    town.let_every_lease_lapse().await;
    town.until("select count(*) from trial where state = 'queued'", 1).await;
    lease
}

async fn enqueue(coordinator: &Coordinator, study: &str, point: Point) {
    let request = EnqueueTrialsRequest {
        study: study.into(),
        points: vec![point],
        request_id: String::new(),
    };
    coordinator.studies().enqueue_trials(request).await.expect("enqueues");
}

/// The study `withdrawn`, while `lived` is paused.
async fn withdraw(coordinator: &Coordinator) {
    let pause = PauseStudyRequest { name: "lived".into(), ..Default::default() };
    coordinator.studies().pause_study(pause).await.expect("pauses");
    coordinator.create(rates("withdrawn", 9)).await;
    for rate in [0.25, 0.5, 0.75] {
        enqueue(coordinator, "withdrawn", at(rate)).await;
    }
    let (mut ada, mut ben, mut cleo) = (coordinator.hand(), coordinator.hand(), coordinator.hand());
    let (waits, given_back, runs) = (ada.lease().await, ben.lease().await, cleo.lease().await);
    assert_eq!([&waits, &given_back, &runs].map(|lease| lease.number), [0, 1, 2]);
    ada.release(&waits).await.expect("is kept");
    let cancel = CancelStudyRequest { name: "withdrawn".into(), ..Default::default() };
    coordinator.studies().cancel_study(cancel).await.expect("cancels");
    ben.release(&given_back).await.expect("is kept");
    let resume = ResumeStudyRequest { name: "lived".into(), ..Default::default() };
    coordinator.studies().resume_study(resume).await.expect("resumes");
}
