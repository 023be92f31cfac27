//! The checks of the lease protocol have teeth: with one rule of it taken away, at least one of them
//! turns red. A mutant changes the SQL on its way to Postgres, not the code.

use sqlx::{PgPool, postgres::PgPoolOptions};
use tests::{
    Town,
    simulation::{self, Effort, crossing::Crossing, invariants, world::World},
    sql_proxy::{Rewrite, SqlProxy},
};
use tokio::runtime::Handle;

/// Cases by which a mutant must be found: those that the simulation lives through without one.
const CASES: u32 = super::simulation::CASES;

/// Their seed.
const SEED: u64 = super::simulation::SEED;

/// One rule taken away.
struct Mutant {
    name: &'static str,
    rewrites: &'static [Rewrite],
    caught_by: CaughtBy,
}

/// What must notice.
enum CaughtBy {
    /// The simulation.
    Simulation,
    /// Two deeds that meet in the middle, or one after the other.
    Crossing(Crossing),
}

use CaughtBy::Simulation;
const fn rewrite(statement: &'static str, find: &'static str, put: &'static str) -> Rewrite {
    Rewrite { statement, find, put }
}

/// A subquery reads what there was when its statement began.
const AS_IT_BEGAN: &[Rewrite] = &[rewrite(
    "leases::cancel, the trials",
    "where study_id = $1",
    "where state = (select o.state from trial o where o.trial_id = trial.trial_id) and study_id = $1",
)];

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "a result is taken of any attempt and lease",
        rewrites: &[
            rewrite("leases::complete", "and t.attempt = r.attempt", ""),
            rewrite("leases::complete", "and a.lease_id = r.lease_id", ""),
        ],
        caught_by: Simulation,
    },
    Mutant {
        name: "a result is taken of any lease of the attempt",
        rewrites: &[rewrite("leases::complete", "and a.lease_id = r.lease_id", "")],
        caught_by: Simulation,
    },
    Mutant {
        name: "a result is taken of an attempt that was given back",
        rewrites: &[rewrite("leases::complete", "and a.outcome in ('running', 'expired')", "")],
        caught_by: Simulation,
    },
    Mutant {
        name: "a late result is refused though nobody has taken over",
        rewrites: &[rewrite(
            "leases::complete",
            "t.state in ('running', 'queued')",
            "t.state = 'running'",
        )],
        caught_by: Simulation,
    },
    Mutant {
        name: "a cancel loses a result",
        rewrites: &[rewrite(
            "leases::complete",
            "and t.attempt = r.attempt",
            "and t.attempt = r.attempt and not t.cancel_requested",
        )],
        caught_by: Simulation,
    },
    Mutant {
        name: "observations are not numbered",
        rewrites: &[rewrite(
            "leases::complete",
            "next_obs = s.next_obs + d.results",
            "next_obs = s.next_obs",
        )],
        caught_by: Simulation,
    },
    Mutant {
        name: "a heartbeat renews any lease of the trial",
        rewrites: &[rewrite(
            "leases::renew",
            "and attempt = $2 and lease_id = $3",
            "and $2::int is not null and $3::uuid is not null",
        )],
        caught_by: CaughtBy::Crossing(Crossing::OldHeartbeat),
    },
    Mutant {
        name: "a heartbeat moves the deadline",
        rewrites: &[rewrite("leases::renew", ", deadline_at)", ")")],
        caught_by: Simulation,
    },
    Mutant {
        name: "metrics are taken of any attempt and lease",
        rewrites: &[rewrite(
            "metrics::insert",
            "and attempt = $2 and lease_id = $3",
            "and $2::int is not null and $3::uuid is not null",
        )],
        caught_by: Simulation,
    },
    Mutant {
        name: "a failure costs nothing",
        rewrites: &[rewrite("leases::fail", "failures = t.failures + 1", "failures = t.failures")],
        caught_by: Simulation,
    },
    Mutant {
        name: "failures are counted and never spent",
        rewrites: &[rewrite("leases::fail", ">= old.max_failures", "> 1000 + old.max_failures")],
        caught_by: Simulation,
    },
    Mutant {
        name: "a release counts as a failure",
        rewrites: &[rewrite(
            "leases::release",
            "set state = case",
            "set failures = t.failures + 1, state = case",
        )],
        caught_by: Simulation,
    },
    Mutant {
        name: "a release by whom the lease is not",
        rewrites: &[
            rewrite("leases::release", "and l.lease_id = $3 for update", "for update"),
            rewrite(
                "leases::release",
                "and l.lease_id = $3 returning",
                "and $3::uuid is not null returning",
            ),
        ],
        caught_by: Simulation,
    },
    Mutant {
        name: "the reaper does not look again whether a lease has lapsed",
        rewrites: &[rewrite(
            "leases::reap",
            "and l.expires_at <= clock_timestamp() returning",
            "returning",
        )],
        caught_by: CaughtBy::Crossing(Crossing::RenewalAndReaper),
    },
    Mutant {
        name: "the reaper closes all attempts of a trial",
        rewrites: &[rewrite(
            "leases::reap",
            "and a.attempt = done.attempt and a.outcome = 'running'",
            "",
        )],
        caught_by: Simulation,
    },
    Mutant {
        name: "the reaper takes leases that have not lapsed",
        rewrites: &[
            rewrite("leases::reap", "and l.expires_at <= clock_timestamp() order", "order"),
            rewrite("leases::reap", "and l.expires_at <= clock_timestamp() returning", "returning"),
        ],
        caught_by: Simulation,
    },
    Mutant {
        name: "the reaper never gives a trial up",
        rewrites: &[
            // Once for the state, once for the moment of the end.
            rewrite("leases::reap", ">= s.max_failures", "> 1000 + s.max_failures"),
            rewrite("leases::reap", ">= s.max_failures", "> 1000 + s.max_failures"),
        ],
        caught_by: Simulation,
    },
    Mutant {
        name: "a plan is published whatever has been planned since",
        rewrites: &[rewrite(
            "leases::insert_planned",
            "and posterior_version = $16 and next_number = $2",
            "and $16::bigint is not null",
        )],
        caught_by: CaughtBy::Crossing(Crossing::TwoPlans),
    },
    Mutant {
        name: "as many trials run as are queued",
        rewrites: &[rewrite("leases::take_queued", "< s.max_parallel", "< 1000 + s.max_parallel")],
        caught_by: Simulation,
    },
    Mutant {
        name: "a back-off is not waited for",
        rewrites: &[
            rewrite("leases::take_queued", "and t.not_before <= clock_timestamp()", ""),
            rewrite("studies::openings", "and t.not_before <= clock_timestamp()", ""),
        ],
        caught_by: Simulation,
    },
    Mutant {
        name: "points that a person chose wait their turn",
        rewrites: &[rewrite("leases::take_queued", "t.priority desc,", "")],
        caught_by: Simulation,
    },
    Mutant {
        name: "a worker's slots share a lease",
        rewrites: &[rewrite("leases::take_queued", "and slot = $3", "and $3::int is not null")],
        caught_by: Simulation,
    },
    Mutant {
        name: "a running trial is not told that it is withdrawn",
        rewrites: &[rewrite("leases::cancel", "set cancel = true,", "set")],
        caught_by: Simulation,
    },
    Mutant {
        name: "a withdrawn trial may run on for ever",
        rewrites: &[rewrite(
            "leases::cancel",
            "deadline_at = least(deadline_at,",
            "deadline_at = greatest(deadline_at,",
        )],
        caught_by: Simulation,
    },
    Mutant {
        name: "a result is taken of an attempt that ends while it waits",
        rewrites: &[rewrite("leases::complete, one", "for no key update of a", "")],
        caught_by: CaughtBy::Crossing(Crossing::ReleaseThenCompletion),
    },
    Mutant {
        name: "a failure does not see a cancel that came first",
        rewrites: &[
            rewrite("leases::fail", "when old.cancel_requested", "when seen.cancel_requested"),
            rewrite(
                "leases::fail",
                "from old join freed using (trial_id)",
                "from old join freed using (trial_id) join trial seen using (trial_id)",
            ),
        ],
        caught_by: CaughtBy::Crossing(Crossing::CancelThenFailure),
    },
    Mutant {
        name: "a cancel withdraws what waited and what ran when it began",
        rewrites: AS_IT_BEGAN,
        caught_by: CaughtBy::Crossing(Crossing::FailureThenCancel),
    },
    Mutant {
        name: "the same, with a trial that is handed out meanwhile",
        rewrites: AS_IT_BEGAN,
        caught_by: CaughtBy::Crossing(Crossing::GrantThenCancel),
    },
    Mutant {
        name: "two who ask at once are counted at once",
        rewrites: &[rewrite("studies::lock", "for no key update", "")],
        caught_by: CaughtBy::Crossing(Crossing::TwoGrants),
    },
    Mutant {
        name: "more points are enqueued than the budget holds",
        rewrites: &[rewrite("leases::enqueue", "and next_number + $2 <= max_trials", "")],
        caught_by: Simulation,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_that_is_taken_away_is_missed() {
    let town = Town::new().await;
    let mut at_large = Vec::new();
    for mutant in MUTANTS {
        match caught(&town, mutant.rewrites, &mutant.caught_by).await {
            Some(how) => println!("{}: {how}\n", mutant.name),
            None => at_large.push(mutant.name),
        }
    }
    assert!(at_large.is_empty(), "nothing notices: {at_large:#?}");
}

/// A report that is repeated is known again, and the primary key of `result` would refuse it otherwise.
/// With both gone it is recorded twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_without_its_primary_key_is_missed() {
    const REWRITES: &[Rewrite] = &[
        rewrite("leases::asked", "('running', 'expired')", "('running', 'expired', 'completed')"),
        rewrite("leases::complete", "('running', 'queued')", "('running', 'queued', 'completed')"),
        rewrite(
            "leases::complete",
            "('running', 'expired')",
            "('running', 'expired', 'completed')",
        ),
    ];
    let repeated = CaughtBy::Crossing(Crossing::RepeatedReport);
    let town = Town::new().await;
    let how = caught(&town, REWRITES, &repeated).await.expect("is noticed");
    assert!(how.contains("result_pkey"), "the key lets a second result in: {how}");
    sqlx::raw_sql("alter table result drop constraint result_pkey")
        .execute(&town.pool)
        .await
        .expect("drops the key");
    let how = caught(&town, REWRITES, &repeated).await.expect("is noticed");
    assert!(how.contains("Ok(Now"), "{how}");
    assert_eq!(town.number("select count(*) from result").await, 2);
    assert_eq!(invariants::violated(&town.pool).await, ["I15"]);
}

/// A mutant that is noticed proves nothing if everything is.
#[tokio::test(flavor = "multi_thread")]
async fn with_every_rule_in_place_nothing_is_missed() {
    let town = Town::new().await;
    let proxy = SqlProxy::new(&town.options(), &[]);
    let outcome = simulated(&town, &proxy, 20).await;
    assert!(outcome.wrong.is_none(), "{outcome:#?}");
    let coordinators = unhurried(&proxy, &town).await;
    let mut missed = Vec::new();
    for crossing in Crossing::ALL {
        if let Err(what) = crossing.meet(&town.pool, &coordinators).await {
            missed.push((crossing, what));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_rewrite_finds_its_words_whatever_space_is_between_them() {
    let free = rewrite("leases::end", "and slot = $2", "and true");
    let sql = "-- leases::end, a part\n delete from lease where id = $1\n   and\tslot =\n $2";
    let changed = "-- leases::end, a part\n delete from lease where id = $1\n   and true";
    assert_eq!(free.apply(sql).as_deref(), Some(changed));
}

#[test]
fn a_rewrite_leaves_other_statements_and_longer_words_alone() {
    let free = rewrite("leases::end", "and slot = $2", "and true");
    assert_eq!(free.apply("-- leases::begin\n select 1 where true and slot = $2"), None);
    assert_eq!(free.apply("-- leases::end\n select 1 where true and slot = $20"), None);
    assert_eq!(free.apply("select 1 where true and slot = $2"), None);
}

/// How a mutant was noticed; `None` if it was not.
///
/// # Panics
///
/// If the mutant is stale: what it changes is no longer sent, or not in these words.
async fn caught(town: &Town, rewrites: &'static [Rewrite], by: &CaughtBy) -> Option<String> {
    let proxy = SqlProxy::new(&town.options(), rewrites);
    let how = match by {
        CaughtBy::Simulation => {
            let outcome = simulated(town, &proxy, CASES).await;
            let wrong = outcome.wrong.map(|(_, what)| what);
            wrong.map(|what| format!("after {} cases, {what}", outcome.went_well))
        }
        CaughtBy::Crossing(crossing) => {
            let coordinators = unhurried(&proxy, town).await;
            let outcome = crossing.meet(&town.pool, &coordinators).await;
            coordinators.close().await;
            outcome.err()
        }
    };
    for (rewrite, count) in rewrites.iter().zip(proxy.counts()) {
        assert!(count > 0, "stale: nothing was changed by {rewrite:?}");
    }
    how
}

async fn simulated(town: &Town, proxy: &SqlProxy, cases: u32) -> simulation::Outcome {
    let mut world = World::new(&town.options(), &proxy.options(&town.options())).await;
    let runtime = Handle::current();
    let effort = Effort { cases, seed: SEED, shrink: 0 };
    let task = tokio::task::spawn_blocking(move || {
        let outcome = simulation::run(&mut world, &runtime, effort);
        (world, outcome)
    });
    let (world, outcome) = task.await.expect("runs");
    world.stop().await;
    outcome
}

/// Sessions that wait for locks as long as it takes.
async fn unhurried(proxy: &SqlProxy, town: &Town) -> PgPool {
    PgPoolOptions::new()
        .max_connections(8)
        .connect_with(proxy.options(&town.options()))
        .await
        .expect("connects")
}
