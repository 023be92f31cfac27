//! What must be so after any run.

use std::collections::BTreeMap;

use coordinator::storage::invariants::{self, Finding, Holds};
use sqlx::PgPool;

use super::ledger::Entry;

/// What `strop doctor` asks of a database at rest, and by how many rows each invariant is broken, by its name. `entries` is what workers were answered:
/// each result that was acknowledged must be the trial's, with the same payload (`I14`).
pub async fn check(pool: &PgPool, entries: &[Entry]) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut db = pool.acquire().await?;
    let findings = invariants::examine(&mut db, Holds::AtRest).await?;
    drop(db);
    let counted = |finding: Finding| (finding.invariant.id.to_owned(), finding.total);
    let mut broken: BTreeMap<String, i64> = findings.into_iter().map(counted).collect();
    broken.insert("I14".to_owned(), unkept(pool, entries).await?);
    Ok(broken)
}

/// Acknowledged results that are not recorded as they were sent.
async fn unkept(pool: &PgPool, entries: &[Entry]) -> anyhow::Result<i64> {
    let (mut trials, mut attempts, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        if let Entry::Recorded { trial_id, attempt, sha256, .. } = entry {
            trials.push(*trial_id);
            attempts.push(*attempt);
            hashes.push(sha256.as_str());
        }
    }
    let unkept = sqlx::query_scalar(
        "select count(*)
           from unnest($1::bigint[], $2::int[], $3::text[]) as k (trial_id, attempt, sha256)
           left join result r using (trial_id)
          where r.trial_id is null or r.attempt <> k.attempt
             or encode(r.payload_sha256, 'hex') <> k.sha256",
    )
    .bind(trials)
    .bind(attempts)
    .bind(hashes)
    .fetch_one(pool)
    .await?;
    Ok(unkept)
}
