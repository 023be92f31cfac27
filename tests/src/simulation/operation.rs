//! What may happen to a study and its workers, and how to draw it at random.

use proptest::prelude::*;
use proto::v1::FailureClass;

/// Worker processes that take part.
pub const WORKERS: usize = 3;

/// Places of each of them.
pub const SLOTS: usize = 2;

/// Studies at once: who asks is served by the one with the fewest running trials.
pub const STUDIES: usize = 2;

/// Operations of one case, at most; some come in pairs.
const OPERATIONS_MAX: usize = 32;

/// One case: two studies, and what happens to them.
#[derive(Clone, Debug)]
pub struct Case {
    /// The studies.
    pub rules: Vec<Rules>,
    /// What happens, one after another.
    pub operations: Vec<Operation>,
}

/// The limits of a study.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Its budget.
    pub max_trials: i32,
    /// Most trials open at once.
    pub max_parallel: i32,
    /// Failures that end a trial.
    pub max_failures: i32,
    /// Hard limit on an attempt, in seconds; a multiple of five.
    pub max_trial_seconds: i64,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A call to a coordinator.
    Call(Call, Delivery),
    /// Two calls at once, each to another coordinator.
    Together(Call, Call),
    /// So many times ten seconds go by.
    Wait(i64),
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrived, and so did the answer.
    Well,
    /// It did not arrive.
    RequestLost,
    /// It arrived, the answer was lost, and the caller asked again, another coordinator.
    AnswerLost,
}

/// A call to a coordinator.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// A worker's slot asks for a trial.
    Ask {
        /// Which worker.
        worker: usize,
        /// Which of its places.
        slot: usize,
    },
    /// A worker speaks of a lease that it was granted at some time.
    Speak {
        /// Which of all leases granted, counted from the newest.
        back: usize,
        /// What it quotes.
        forgery: Forgery,
        /// What it says.
        speech: Speech,
    },
    /// A reaper makes its pass.
    Reap,
    /// A person steers a study.
    Steer {
        /// Which study.
        study: usize,
        /// What the person wants.
        deed: Deed,
    },
}

/// How far a fence is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// It is as it was granted.
    None,
    /// A lease id that was never granted.
    LeaseId,
    /// The lease id of the trial's first attempt.
    FirstLeaseId,
    /// The next attempt's number.
    NextAttempt,
    /// The number of the trial before.
    OtherTrial,
}

/// What a worker says of its lease.
#[derive(Clone, Copy, Debug)]
pub enum Speech {
    /// It lives, and has come so far, in quarters.
    Beat(u8),
    /// It has measured something, in quarters.
    Report {
        /// The epoch.
        step: u8,
        /// What it measured.
        value: u8,
    },
    /// The trial has ended with a value, in quarters.
    Complete {
        /// The value.
        value: u8,
        /// Whether the training was stopped early.
        is_pruned: bool,
    },
    /// The attempt failed.
    Fail(FailureClass),
    /// It gives the trial back.
    Release,
}

/// What a person wants of a study.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// So many points of one's own; the number makes the request its own.
    Enqueue {
        /// How many.
        count: usize,
        /// Names the request.
        request: u64,
    },
    /// Nothing more is handed out.
    Pause,
    /// It goes on.
    Resume,
    /// It is withdrawn.
    Cancel,
    /// Another budget: so many trials more than there are.
    Extend(i32),
}

/// A case at random. The commonest course of events is the commonest here.
pub fn case() -> impl Strategy<Value = Case> {
    let rules = proptest::collection::vec(rules(), STUDIES);
    let operations = proptest::collection::vec(operations(), 1..OPERATIONS_MAX);
    (rules, operations)
        .prop_map(|(rules, operations)| Case { rules, operations: operations.concat() })
}

fn rules() -> impl Strategy<Value = Rules> {
    let seconds = prop_oneof![Just(86_400_i64), Just(40), Just(200)];
    (1..6, prop_oneof![Just(10_000), 1..3], 1..4, seconds).prop_map(
        |(max_trials, max_parallel, max_failures, max_trial_seconds)| Rules {
            max_trials,
            max_parallel,
            max_failures,
            max_trial_seconds,
        },
    )
}

/// One operation, or leases that lapse and a reaper that notices.
fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let delivery = prop_oneof![
        8 => Just(Delivery::Well),
        1 => Just(Delivery::RequestLost),
        2 => Just(Delivery::AnswerLost),
    ];
    let lapse = || vec![Operation::Wait(7), Operation::Call(Call::Reap, Delivery::Well)];
    prop_oneof![
        16 => (call(), delivery).prop_map(|(call, delivery)| vec![Operation::Call(call, delivery)]),
        3 => together().prop_map(|operation| vec![operation]),
        2 => prop_oneof![Just(1), Just(3), Just(20)].prop_map(|tens| vec![Operation::Wait(tens)]),
        2 => Just(()).prop_map(move |()| lapse()),
    ]
}

/// Two calls whose outcome must be that of one after the other. Who asks looks more than once while it
/// looks, and two reapers share the work: those may differ.
fn together() -> impl Strategy<Value = Operation> {
    let one = prop_oneof![6 => speak(), 1 => Just(Call::Reap), 2 => steer()];
    (one, prop_oneof![4 => speak(), 1 => steer()]).prop_filter_map(
        "a reaper leaves what is locked for its next pass",
        |(one, other)| match (one, other) {
            (Call::Reap, Call::Steer { .. }) => None,
            _ => Some(Operation::Together(one, other)),
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let ask = (0..WORKERS, 0..SLOTS).prop_map(|(worker, slot)| Call::Ask { worker, slot });
    prop_oneof![5 => ask, 9 => speak(), 1 => Just(Call::Reap), 3 => steer()]
}

fn speak() -> impl Strategy<Value = Call> {
    let back = prop_oneof![6 => Just(0_usize), 3 => Just(1), 3 => 0..8_usize];
    let forgery = prop_oneof![
        8 => Just(Forgery::None),
        1 => Just(Forgery::LeaseId),
        1 => Just(Forgery::FirstLeaseId),
        1 => Just(Forgery::NextAttempt),
        1 => Just(Forgery::OtherTrial),
    ];
    (back, forgery, speech()).prop_map(|(back, forgery, speech)| Call::Speak {
        back,
        forgery,
        speech,
    })
}

fn speech() -> impl Strategy<Value = Speech> {
    let class = prop_oneof![
        Just(FailureClass::Panic),
        Just(FailureClass::Oom),
        Just(FailureClass::Data),
        Just(FailureClass::DeviceLost),
        Just(FailureClass::Unspecified),
        Just(FailureClass::UserError),
        Just(FailureClass::Nan),
    ];
    let complete = (0..4_u8, prop::bool::weighted(0.2))
        .prop_map(|(value, is_pruned)| Speech::Complete { value, is_pruned });
    prop_oneof![
        3 => (0..4_u8).prop_map(Speech::Beat),
        3 => (0..3_u8, 0..4_u8).prop_map(|(step, value)| Speech::Report { step, value }),
        5 => complete,
        3 => class.prop_map(Speech::Fail),
        2 => Just(Speech::Release),
    ]
}

fn steer() -> impl Strategy<Value = Call> {
    let deed = prop_oneof![
        4 => (1..4_usize, any::<u64>()).prop_map(|(count, request)| Deed::Enqueue { count, request }),
        1 => Just(Deed::Pause),
        2 => Just(Deed::Resume),
        2 => Just(Deed::Cancel),
        2 => (-1..3).prop_map(Deed::Extend),
    ];
    (0..STUDIES, deed).prop_map(|(study, deed)| Call::Steer { study, deed })
}
