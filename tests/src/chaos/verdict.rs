//! Looks at what is left of a run and says whether it held.

use std::{fs, path::Path, time::Duration};

use sqlx::PgPool;
use tokio::time::Instant;

use super::{
    LEASE, REAPER,
    city::{City, Struck},
    fault::Kind,
    invariants,
    ledger::{self, Entry},
    tally::Tally,
    wanted::Wanted,
    watch::{Health, health},
};

/// What a statement, a signal and a look at a clock take on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

/// Ticks of the reaper are drawn from half to one and a half of their mean.
const TICK_MAX: Duration = REAPER.saturating_mul(3).checked_div(2).expect("2 is not 0");

/// How long what was broken may still be felt after it was mended: a session that sits idle in its
/// transaction is ended after ten seconds, a swallowed connection is noticed after as many.
const AFTERMATH: f64 = 12.0;

/// How long a coordinator may take to serve again once nothing is broken any more: the longest of its
/// own waits, and what a busy machine adds.
const SERVES_WITHIN: Duration = Duration::from_secs(40);

/// Judges a city at rest.
pub async fn judge(
    city: &City,
    pool: &PgPool,
    wanted: &Wanted,
    unwell: &[(f64, f64)],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let entries = ledger::read_all(&city.fleet.ledgers())?;
    all_serve(city, tally).await;
    count_rows(pool, tally).await?;
    count_entries(&entries, tally);
    for (name, rows) in invariants::check(pool, &entries).await? {
        tally.number(format!("invariant {name}"), rows);
        tally.must(rows == 0, || format!("{name} is broken by {rows} rows"));
    }
    promises(pool, wanted, tally).await?;
    lapses(city, pool, unwell, tally).await?;
    processes(city, tally);
    Ok(())
}

/// In the end every coordinator serves, whatever it met with on its way.
async fn all_serve(city: &City, tally: &mut Tally) {
    for replica in &city.replicas {
        let deadline = Instant::now() + SERVES_WITHIN;
        while health(replica).await != Health::Serving {
            if Instant::now() > deadline {
                let log = replica.log();
                return tally
                    .violations
                    .push(format!("a coordinator never serves: {}", log.display()));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn count_rows(pool: &PgPool, tally: &mut Tally) -> anyhow::Result<()> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select 'studies', count(*) from study
         union all select 'studies cancelled', count(*) from study where state = 'cancelled'
         union all select 'trials', count(*) from trial
         union all select 'trials completed', count(*) from trial where state = 'completed'
         union all select 'trials pruned', count(*) from trial where state = 'pruned'
         union all select 'trials cancelled', count(*) from trial where state = 'cancelled'
         union all select 'trials failed', count(*) from trial where state = 'failed'
         union all select 'attempts (leases granted)', count(*) from attempt
         union all select 'attempts expired', count(*) from attempt where outcome = 'expired'
         union all select 'attempts failed', count(*) from attempt where outcome = 'failed'
         union all select 'attempts released', count(*) from attempt where outcome = 'released'
         union all select 'results', count(*) from result
         union all select 'results accepted after the lease was reaped', count(*)
                     from event where kind in ('complete', 'prune') and from_state = 'queued'
         union all select 'stale reports refused', count(*) from late_report
         union all select 'checkpoints', count(*) from artifact",
    )
    .fetch_all(pool)
    .await?;
    for (name, count) in rows {
        tally.number(name, count);
    }
    Ok(())
}

fn count_entries(entries: &[Entry], tally: &mut Tally) {
    let count = |is: fn(&Entry) -> bool| entries.iter().filter(|entry| is(entry)).count();
    let acknowledged = count(|entry| matches!(entry, Entry::Recorded { .. }));
    tally.number("acknowledgements to light workers", acknowledged);
    tally.number(
        "of these, duplicates answered",
        count(|entry| matches!(entry, Entry::Recorded { duplicate: true, .. })),
    );
    tally.number(
        "of these, sent after the lease may have lapsed",
        count(|entry| matches!(entry, Entry::Recorded { late: true, .. })),
    );
    tally.number("contradictions refused", count(|entry| matches!(entry, Entry::Contradicted)));
    tally.number("forged leases refused", count(|entry| matches!(entry, Entry::Forged)));
    tally.number("evaluations dropped", count(|entry| matches!(entry, Entry::Dropped)));
    for entry in entries {
        if let Entry::Wrong { what } = entry {
            tally.violations.push(format!("a worker was answered: {what}"));
        }
    }
}

/// What people were promised: every study is there, with a budget that it was given, and ended as
/// they were told.
async fn promises(pool: &PgPool, wanted: &Wanted, tally: &mut Tally) -> anyhow::Result<()> {
    let rows: Vec<(String, i32, String)> =
        sqlx::query_as("select name, max_trials, state::text from study").fetch_all(pool).await?;
    let studies = wanted.studies();
    for (name, study) in &studies {
        let Some((_, budget, state)) = rows.iter().find(|(other, ..)| other == name) else {
            tally.violations.push(format!("study {name} was promised and is not there"));
            continue;
        };
        let budgets = &study.budgets;
        tally.must(budgets.contains(&budget.unsigned_abs()), || {
            format!("study {name} has the budget {budget}; it was given {budgets:?}")
        });
        let end = if study.cancelled { "cancelled" } else { "completed" };
        tally.must(state == end, || format!("study {name} is {state}, not {end}"));
    }
    tally.must(rows.len() == studies.len(), || {
        format!("there are {} studies, not {}", rows.len(), studies.len())
    });
    for what in wanted.all_wrong() {
        tally.violations.push(format!("a person was answered: {what}"));
    }
    Ok(())
}

/// An attempt whose lease lapsed.
#[derive(sqlx::FromRow)]
struct Lapse {
    worker_id: uuid::Uuid,
    /// It was one of the fleet, not the real worker.
    is_light: bool,
    started: f64,
    ended: f64,
}

impl Lapse {
    /// Whether this is what happened to its own worker.
    fn is_due_to(&self, struck: &Struck) -> bool {
        let hit = match struck.kind {
            Kind::WorkerKilled | Kind::WorkerStopped => struck.worker_id == Some(self.worker_id),
            Kind::TrainerKilled | Kind::TrainerStopped | Kind::SpoolFull => !self.is_light,
            _ => false,
        };
        // A call for a trial may outlive the worker that made it, in a coordinator that stood still or
        // behind a connection that nobody knows to be dead, and be granted a lease.
        let for_good = matches!(struck.kind, Kind::WorkerKilled | Kind::TrainerKilled);
        let still = for_good || struck.until + SLACK.as_secs_f64() >= self.started;
        hit && struck.from <= self.ended && still
    }
}

/// Every lapse has a cause, and a dead worker's trial is free again in time.
async fn lapses(
    city: &City,
    pool: &PgPool,
    unwell: &[(f64, f64)],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let lapses: Vec<Lapse> = sqlx::query_as(
        "select worker_id, w.label = 'light' as is_light,
                extract(epoch from a.started_at)::float8 as started,
                extract(epoch from a.ended_at)::float8 as ended
           from attempt a join worker w using (worker_id)
          where a.outcome = 'expired'",
    )
    .fetch_all(pool)
    .await?;
    let struck = city.struck();
    let (mut by_worker, mut by_others, mut calm, mut worst) = (0, 0, 0, 0.0_f64);
    for lapse in &lapses {
        let own = struck.iter().find(|struck| lapse.is_due_to(struck));
        let disturbed = is_disturbed(&struck, unwell, lapse.started, lapse.ended);
        match own {
            Some(_) => by_worker += 1,
            None if disturbed => by_others += 1,
            None => tally.violations.push(format!(
                "a lease of worker {} lapsed without a cause, from {:.1} to {:.1}",
                lapse.worker_id, lapse.started, lapse.ended
            )),
        }
        if let Some(Struck { kind: Kind::WorkerKilled, from, .. }) = own
            && !is_disturbed(&struck, unwell, *from, lapse.ended)
        {
            calm += 1;
            worst = worst.max(lapse.ended - from);
        }
    }
    tally.number("lapses after their own worker was killed or stopped", by_worker);
    tally.number("lapses while something else was broken or not back yet", by_others);
    let count = |kind| struck.iter().filter(|struck| struck.kind == kind).count();
    let hit: usize = Kind::all().filter(|kind| kind.is_a_workers_own()).map(count).sum();
    tally.must(by_worker <= hit, || {
        format!("{by_worker} attempts were wasted by {hit} kills and stops of their workers")
    });
    tally.number("dead workers' trials freed while all else was well", calm);
    tally.seconds("longest until one of those was free", Duration::from_secs_f64(worst));
    let limit = LEASE + TICK_MAX + SLACK;
    tally.must(worst <= limit.as_secs_f64(), || {
        format!("a dead worker's trial was free only after {worst:.2} s; at most {limit:?} is due")
    });
    Ok(())
}

/// Whether something that is not one worker's own was broken, or still felt, in a time; or the whole
/// was otherwise `unwell`: the machine itself stood still, or a coordinator had not come back yet.
fn is_disturbed(struck: &[Struck], unwell: &[(f64, f64)], from: f64, until: f64) -> bool {
    let felt = LEASE.as_secs_f64();
    unwell.iter().any(|(since, to)| *since <= until && to + felt >= from)
        || struck.iter().any(|struck| {
            !struck.kind.is_a_workers_own()
                && struck.from <= until
                && struck.until + AFTERMATH >= from
        })
}

/// No process ended by itself, and none broke.
fn processes(city: &City, tally: &mut Tally) {
    tally.number("light workers started", city.fleet.born());
    tally.number("postgres restarts", city.postgres.restarts());
    let restarts: u64 = city.replicas.iter().map(|replica| replica.restarts()).sum();
    tally.number("coordinator restarts", restarts);
    let gave_up: u64 = city.replicas.iter().map(|replica| replica.gave_up()).sum();
    tally.must(gave_up == 0, || format!("coordinators ended by themselves {gave_up} times"));
    let gave_up = city.fleet.gave_up();
    tally.must(gave_up == 0, || format!("{gave_up} light workers ended by themselves"));
    let mut logs: Vec<_> = city.replicas.iter().map(|replica| replica.log()).collect();
    if let Some(trainer) = &city.trainer {
        tally.number("trainer restarts", trainer.restarts());
        let gave_up = trainer.gave_up();
        tally.must(gave_up == 0, || format!("the trainer ended by itself {gave_up} times"));
        logs.push(trainer.log());
    }
    let mut errors = 0;
    for log in logs {
        let panics = lines_with(&log, "panicked");
        tally.must(panics == 0, || format!("{panics} panics in {}", log.display()));
        errors += lines_with(&log, "ERROR");
    }
    tally.number("error lines logged", errors);
}

fn lines_with(log: &Path, word: &str) -> usize {
    let text = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter(|line| line.contains(word)).count()
}
