//! Trials that are stopped early.

use proto::v1::{
    Directive, EarlyStopping, FailureClass, Lease, StoppingRule, StudySpec, StudyState, TrialState,
};
use tests::{Hand, Town, space};
use tonic::Code;

fn stopping(name: &str, max_trials: u32, rule: StoppingRule) -> StudySpec {
    let early_stopping = EarlyStopping {
        rule: rule.into(),
        metric: "score".into(),
        min_trials: 3,
        ..Default::default()
    };
    StudySpec {
        early_stopping: Some(early_stopping),
        ..space::external(name, space::eight_switches(), max_trials)
    }
}

const CONTINUE: i32 = Directive::Continue as i32;
const PRUNE: i32 = Directive::Prune as i32;

/// Reports steps from 0 on; answers the last directive.
async fn steps(hand: &mut Hand, lease: &Lease, scores: &[f64]) -> i32 {
    let mut told = CONTINUE;
    for (step, score) in (0..).zip(scores) {
        told = hand.report(lease, step, "score", *score).await.unwrap();
    }
    told
}

/// Three trials with scores around 0.5, completed.
async fn three_before(hand: &mut Hand) {
    for score in [0.4, 0.5, 0.6] {
        let lease = hand.lease().await;
        assert_eq!(steps(hand, &lease, &[score; 3]).await, CONTINUE);
        hand.complete(&lease, score).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_falls_behind_is_told_so_and_ends_with_its_last_value() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(stopping("early", 5, StoppingRule::Median)).await;
    let mut ada = coordinator.hand();
    three_before(&mut ada).await;

    // One that keeps up is left alone; the next falls behind at step 1.
    let good = ada.lease().await;
    assert_eq!(steps(&mut ada, &good, &[0.5, 0.55]).await, CONTINUE);
    ada.complete(&good, 0.55).await.unwrap();
    let bad = ada.lease().await;
    assert_eq!(ada.report(&bad, 0, "score", 0.6).await.unwrap(), CONTINUE);
    assert_eq!(ada.report(&bad, 0, "loss", 9.0).await.unwrap(), CONTINUE, "not what is compared");
    let mut low = coordinator.hand();
    low.finds_nothing().await;
    // The best so far counts: one bad step is none.
    assert_eq!(ada.report(&bad, 1, "score", 0.1).await.unwrap(), CONTINUE);
    ada.release(&bad).await.unwrap();
    let bad = ada.lease().await;
    assert_eq!(ada.report(&bad, 0, "score", 0.3).await.unwrap(), PRUNE);
    // Told again with every answer, to this attempt and to no other.
    assert_eq!(ada.report(&bad, 0, "score", 0.3).await.unwrap(), PRUNE);
    assert_eq!(ada.beat(&bad, 0.5).await.unwrap(), PRUNE);
    let mut forged = bad.clone();
    forged.r#ref.as_mut().unwrap().attempt = 1;
    assert_eq!(ada.prune(&forged, 0.3).await.unwrap_err().code(), Code::Aborted);

    assert!(!ada.prune(&bad, 0.95).await.unwrap());
    assert!(ada.prune(&bad, 0.95).await.unwrap(), "repeating it changes nothing");
    assert_eq!(ada.complete(&bad, 0.95).await.unwrap_err().code(), Code::AlreadyExists);

    let study = coordinator.study("early").await;
    assert_eq!(study.state(), StudyState::Completed);
    let counts = study.counts.unwrap();
    assert_eq!((counts.completed, counts.pruned), (4, 1));
    // 0.95 is the value of half a training: it is no best.
    assert_eq!(study.best.unwrap().value, Some(0.6));
    let pruned = coordinator.trials("early").await.remove(4);
    assert_eq!((pruned.state(), pruned.value), (TrialState::Pruned, Some(0.95)));
    let by = pruned.pruning.unwrap();
    // Running means at step 0: 0.4, 0.5, 0.6 and 0.5.
    assert_eq!((by.rule.as_str(), by.step, by.stage, by.peers), ("median", 0, 0, 4));
    assert_eq!((by.value, by.threshold), (0.3, 0.5));

    let told: (i64, i32, f64) =
        sqlx::query_as("select count(*), max(number), max(threshold) from v1.prunings")
            .fetch_one(&town.pool)
            .await
            .unwrap();
    assert_eq!(told, (1, 4, 0.5));
    let best: (f64, f64) = sqlx::query_as(
        "select best_value, (select max(best_value) from v1.best_so_far) from v1.studies",
    )
    .fetch_one(&town.pool)
    .await
    .unwrap();
    assert_eq!(best, (0.6, 0.6));
    town.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_order_ends_with_its_lease() {
    let town = Town::new().await;
    let coordinator = town.coordinator_with(60).await;
    coordinator.create(stopping("early", 4, StoppingRule::Median)).await;
    let mut ada = coordinator.hand();
    three_before(&mut ada).await;
    let old = ada.lease().await;
    assert_eq!(steps(&mut ada, &old, &[0.1]).await, PRUNE);
    town.let_every_lease_lapse().await;
    town.until("select count(*) from trial where state = 'queued'", 1).await;

    // Ben starts afresh, is not told what Ada was, and does better; Ada comes too late.
    let mut ben = coordinator.hand();
    let new = ben.lease().await;
    assert_eq!(ben.beat(&new, 0.0).await.unwrap(), CONTINUE);
    assert_eq!(ada.report(&old, 1, "score", 0.1).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(steps(&mut ben, &new, &[0.7, 0.7]).await, CONTINUE);
    assert_eq!(ada.prune(&old, 0.1).await.unwrap_err().code(), Code::Aborted);
    ben.complete(&new, 0.7).await.unwrap();
    assert_eq!(coordinator.study("early").await.best.unwrap().value, Some(0.7));
    town.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_report_of_a_pruned_trial_is_kept_if_nobody_forestalled_it() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(stopping("early", 4, StoppingRule::Median)).await;
    let mut ada = coordinator.hand();
    three_before(&mut ada).await;
    let lease = ada.lease().await;
    assert_eq!(steps(&mut ada, &lease, &[0.1]).await, PRUNE);
    town.let_every_lease_lapse().await;
    town.until("select count(*) from trial where state = 'queued'", 1).await;
    assert!(!ada.prune(&lease, 0.1).await.unwrap());
    assert_eq!(coordinator.study("early").await.counts.unwrap().pruned, 1);
    town.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_are_compared_at_equal_sharpness_and_not_at_equal_epochs() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    coordinator.create(stopping("sharp", 5, StoppingRule::Median)).await;
    let mut hand = coordinator.hand();
    // Two layers; soft for `soft` epochs, then one epoch a layer.
    async fn epoch(hand: &mut Hand, lease: &Lease, step: u32, hard: u32, score: f64) -> i32 {
        let layer = |of: u32| if hard >= of { 1.0 } else { 0.0 };
        let measured = [
            ("score", score),
            ("sharpness_mean", f64::from(hard) / 2.0),
            ("sharpness_1", layer(1)),
            ("sharpness_2", layer(2)),
        ];
        hand.report_all(lease, step, &measured).await.unwrap()
    }
    for soft in [4, 3, 5] {
        let lease = hand.lease().await;
        for step in 0..soft {
            assert_eq!(epoch(&mut hand, &lease, step, 0, 0.9).await, CONTINUE);
        }
        assert_eq!(epoch(&mut hand, &lease, soft, 1, 0.5).await, CONTINUE);
        hand.complete(&lease, 0.4).await.unwrap();
    }
    // Early sharp: 0.55 at epoch 1, where the others stood at 0.9, is good among the half-hard.
    let early = hand.lease().await;
    assert_eq!(epoch(&mut hand, &early, 0, 0, 0.9).await, CONTINUE);
    assert_eq!(epoch(&mut hand, &early, 1, 1, 0.55).await, CONTINUE);
    hand.complete(&early, 0.5).await.unwrap();
    let bad = hand.lease().await;
    assert_eq!(epoch(&mut hand, &bad, 0, 0, 0.9).await, CONTINUE);
    assert_eq!(epoch(&mut hand, &bad, 1, 1, 0.45).await, PRUNE);
    hand.prune(&bad, 0.45).await.unwrap();
    let stage = town.number("select max(stage)::bigint from v1.prunings").await;
    assert_eq!(stage, 4, "one of two layers");
    town.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn halving_lets_the_best_of_those_that_reached_a_rung_pass() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut spec = stopping("halving", 5, StoppingRule::SuccessiveHalving);
    spec.early_stopping.as_mut().unwrap().reduction = 2;
    coordinator.create(spec).await;
    // The others count with what they had at the rung, ended or not.
    let mut hands: Vec<_> = (0..5).map(|_| coordinator.hand()).collect();
    let mut told = Vec::new();
    for (hand, score) in hands.iter_mut().zip([0.5, 0.6, 0.7, 0.65, 0.55]) {
        let lease = hand.lease().await;
        hand.report(&lease, 0, "score", 0.0).await.unwrap();
        let directive = hand.report(&lease, 1, "score", score).await.unwrap();
        told.push(directive);
        match directive {
            PRUNE => hand.prune(&lease, score).await.unwrap(),
            _ => hand.complete(&lease, score).await.unwrap(),
        };
    }
    // The fourth is second of four and passes; the fifth is fourth of five, and three pass.
    assert_eq!(told, [CONTINUE, CONTINUE, CONTINUE, CONTINUE, PRUNE]);
    assert_eq!(coordinator.study("halving").await.counts.unwrap().pruned, 1);
    town.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_resumed_attempt_was_told_before_is_compared_with_what_it_goes_on_from() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let mut spec = stopping("resumed", 4, StoppingRule::Median);
    spec.checkpoint_epochs = 1;
    coordinator.create(spec).await;
    let mut ada = coordinator.hand();
    for score in [0.4, 0.5, 0.6] {
        let lease = ada.lease().await;
        steps(&mut ada, &lease, &[score; 5]).await;
        ada.complete(&lease, score).await.unwrap();
    }
    let lease = ada.lease().await;
    assert_eq!(steps(&mut ada, &lease, &[0.5, 0.9]).await, CONTINUE);
    ada.put(&lease, 1, b"after one epoch").await.unwrap();
    ada.fail(&lease, FailureClass::Panic).await.unwrap();
    sqlx::query("update trial set not_before = '-infinity'").execute(&town.pool).await.unwrap();
    // It goes on after epoch 0, whose 0.5 counts for it; what was measured beyond does not.
    let lease = ada.lease().await;
    assert_eq!(lease.checkpoint.as_ref().unwrap().epoch, 1);
    assert_eq!(ada.report(&lease, 1, "score", 0.2).await.unwrap(), CONTINUE);
    sqlx::query("delete from metric where step = 0 and attempt = 1 and trial_id = $1")
        .bind(lease.r#ref.as_ref().unwrap().trial_id)
        .execute(&town.pool)
        .await
        .unwrap();
    assert_eq!(ada.report(&lease, 2, "score", 0.2).await.unwrap(), PRUNE);
    town.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_cannot_be_followed_is_refused() {
    let town = Town::new().await;
    let coordinator = town.coordinator().await;
    let refused = async |spec: StudySpec, wanted: &str| {
        let request = proto::v1::CreateStudyRequest { spec: Some(spec), request_id: String::new() };
        let status = coordinator.studies().create_study(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(wanted), "{status}");
    };
    let mut spec = stopping("bad", 4, StoppingRule::Median);
    spec.early_stopping.as_mut().unwrap().metric.clear();
    refused(spec, "needs a metric").await;
    let mut spec = stopping("bad", 4, StoppingRule::SuccessiveHalving);
    spec.early_stopping.as_mut().unwrap().reduction = 1;
    refused(spec, "early_stopping.reduction is 1").await;
    let mut spec = space::small_networks("bad", 4);
    spec.early_stopping = stopping("bad", 4, StoppingRule::Median).early_stopping;
    refused(spec, "cannot compare `score`").await;
    let mut spec = stopping("bad", 4, StoppingRule::Median);
    spec.constraints = vec![proto::v1::Constraint {
        measurement: "energy".into(),
        bound: Some(proto::v1::constraint::Bound::AtMost(1.0)),
    }];
    refused(spec, "leave one of the two out").await;
    let mut spec = space::external("bad", space::eight_switches(), 4);
    spec.stop_when_gain_below = -0.5;
    refused(spec.clone(), "stop_when_gain_below is -0.5").await;
    spec.stop_when_gain_below = 0.5;
    spec.algorithm = proto::v1::Algorithm::Sobol.into();
    refused(spec, "needs a posterior").await;
}
