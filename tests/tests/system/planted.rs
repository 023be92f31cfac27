//! What must not be in a database, planted in one that has lived; see [`tests::lived`].

use coordinator::storage::invariants::Finding;
use sqlx::{AssertSqlSafe, PgConnection};

/// Something that must not be, and who should be told of it.
pub struct Planted {
    /// What it is called where it is missed.
    pub what: &'static str,
    /// `$at(STUDY, NUMBER)` stands for the key of a trial.
    sql: &'static str,
    /// The invariants that it breaks, and no others.
    pub breaks: &'static [&'static str],
    /// The row that is named: study, trial, attempt.
    pub names: (Option<&'static str>, Option<i32>, Option<i32>),
    /// Words that it is named with.
    pub says: &'static str,
}

impl Planted {
    /// Its statement, with keys in place of names.
    fn statement(&self) -> String {
        let mut sql = String::new();
        let mut rest = self.sql;
        while let Some((before, after)) = rest.split_once("$at(") {
            let (named, after) = after.split_once(')').unwrap();
            let (study, number) = named.split_once(", ").unwrap();
            sql += before;
            sql += &format!(
                "(select trial_id from trial join study using (study_id)
                   where name = '{study}' and number = {number})"
            );
            rest = after;
        }
        sql + rest
    }

    /// Does what Postgres would not allow, in the transaction that the connection is in: no trigger fires,
    /// those of foreign keys among them.
    pub async fn plant(&self, db: &mut PgConnection) {
        let sql = format!("set local session_replication_role = replica; {}", self.statement());
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.expect(self.what);
    }

    /// Whether a finding names the row.
    pub fn is_named_by(&self, finding: &Finding) -> bool {
        finding.invariant.id == self.breaks[0]
            && finding.rows.iter().any(|row| {
                (row.study.as_deref(), row.number, row.attempt) == self.names
                    && row.wrong.contains(self.says)
            })
    }
}

macro_rules! planted {
    ($($what:literal: $sql:literal breaks $breaks:expr, names $names:expr, says $says:literal;)+) => {
        &[$(Planted { what: $what, sql: $sql, breaks: &$breaks, names: $names, says: $says }),+]
    };
}

/// The first that breaks an invariant does so beside the first of every other; see
/// `strop_doctor_names_every_planted_row`.
pub const PLANTED: &[Planted] = planted! {
    "a result is gone":
        "delete from result where trial_id = $at(lived, 1)"
        breaks ["I1", "I6"], names (Some("lived"), Some(1), Some(1)), says "completed and has no result";
    "a result of an attempt that was superseded":
        "update result set attempt = 1 where trial_id = $at(lived, 5)"
        breaks ["I2", "I11"], names (Some("lived"), Some(5), Some(1)), says "and 2 is its last";
    "an attempt has ended beneath its trial":
        "update attempt set outcome = 'released', ended_at = clock_timestamp()
          where trial_id = $at(lived, 8)"
        breaks ["I3"], names (Some("lived"), Some(8), Some(1)), says "running, and 0 of its attempts run";
    "another lease":
        "update lease set lease_id = gen_random_uuid() where trial_id = $at(lived, 8)"
        breaks ["I3b"], names (Some("lived"), Some(8), Some(1)), says "another lease";
    "an attempt is gone":
        "delete from attempt where trial_id = $at(lived, 6) and attempt = 1"
        breaks ["I4"], names (Some("lived"), Some(6), Some(2)), says "counts 2 attempts; 1 are on record";
    "a number is skipped":
        "update trial set number = 40 where trial_id = $at(first, 3)"
        breaks ["I5"], names (Some("first"), Some(3), None), says "there is no such trial";
    "an imported observation is gone":
        "delete from imported where obs_seq = 1"
        breaks ["I6"], names (Some("warm"), None, None), says "observation 1 is missing";
    "given up too early":
        "update study set max_failures = 5 where name = 'lived'"
        breaks ["I7"], names (Some("lived"), Some(3), Some(2)), says "failed with 2 of 5 failures";
    "a failure that nobody had":
        "update trial set failures = 1 where trial_id = $at(lived, 0)"
        breaks ["I8"], names (Some("lived"), Some(0), Some(1)), says "counts 1 failures, and 0 attempts";
    "two attempts at once":
        "update attempt set ended_at = ended_at + interval '1 hour'
          where trial_id = $at(lived, 5) and attempt = 1"
        breaks ["I9"], names (Some("lived"), Some(5), Some(1)), says "and the next began at";
    "a metric after the end":
        "update metric set at = at + interval '1 hour' where trial_id = $at(lived, 0)"
        breaks ["I10"], names (Some("lived"), Some(0), Some(1)), says "metric score of step 0 came at";
    "recorded and refused":
        "insert into late_report (trial_id, attempt, lease_id, reason)
         select trial_id, attempt, lease_id, 'planted' from attempt where trial_id = $at(lived, 7)"
        breaks ["I11"], names (Some("lived"), Some(7), Some(1)), says "and refused at";
    "a suggestion from results to come":
        "update suggestion set horizon = 99 where trial_id = $at(lived, 4)"
        breaks ["I12"], names (Some("lived"), Some(4), None), says "from 99 observations, and there are";
    "a release that left no event":
        "delete from event where trial_id = $at(lived, 9) and kind = 'release'"
        breaks ["I13"], names (Some("lived"), Some(9), Some(1)), says "its events end with running";
    "a guard is switched off":
        "alter table trial disable trigger trial_final"
        breaks ["I15"], names (None, None, None), says "trigger trial_final on trial";
    "planned, and nobody knows from what":
        "update event set kind = 'enqueue' where trial_id = $at(lived, 7) and kind = 'plan'"
        breaks ["I17"], names (Some("lived"), Some(7), None), says "enqueued, and has a suggestion";
    "more trials than the budget allows":
        "alter table study drop constraint budget_kept;
         update study set max_trials = 9 where name = 'lived'"
        breaks ["I18"], names (Some("lived"), None, None), says "10 trials and counts 10, with a budget of 9";
    "more trials planned than may run":
        "update study set max_parallel = 1 where name = 'lived'"
        breaks ["I19"], names (Some("lived"), None, None), says "2 planned trials are open, and 1 are";
    "a point with a coordinate too many":
        "update trial set unit_point = unit_point || 0.5 where trial_id = $at(lived, 3)"
        breaks ["I21"], names (Some("lived"), Some(3), None), says "5 coordinates, and 4 parameters";
    "an infeasible result that counts":
        "update result set feasible = true where trial_id = $at(traded, 4)"
        breaks ["I22"], names (Some("traded"), Some(4), Some(1)), says "counts as feasible";
    "half a checkpoint":
        "delete from artifact_chunk where part = 1"
        breaks ["I23"], names (Some("lived"), Some(8), Some(1)), says "has 337856 of 600000 bytes, in 2 parts";
    "an order that nobody gave":
        "update lease set prune = true where trial_id = $at(lived, 8)"
        breaks ["I24"], names (Some("lived"), Some(8), Some(1)), says "no comparison says why";
    "ended for no reason":
        "update study set ended_because = 'space_exhausted' where name = 'warm'"
        breaks ["I25"], names (Some("warm"), None, None), says "completed because of space_exhausted";
    "a posterior that knows too much":
        "update posterior set horizon = 99 where study_id = (select study_id from study where name = 'first')"
        breaks ["I26"], names (Some("first"), None, None), says "99 observations; there are";
    "a worker that never called":
        "delete from worker where worker_id = (select worker_id from attempt
                                                where trial_id = $at(withdrawn, 2))"
        breaks ["I27"], names (Some("withdrawn"), Some(2), Some(1)), says "which never called";
    "a slot may hold two leases":
        "alter table lease drop constraint one_lease_per_slot"
        breaks ["I28"], names (None, None, None), says "key one_lease_per_slot of table lease";

    "two results of one trial":
        "alter table result drop constraint result_pkey;
         alter table result drop constraint result_study_id_obs_seq_key;
         insert into result select * from result where trial_id = $at(lived, 1)"
        breaks ["I1", "I6", "I28"], names (Some("lived"), Some(1), Some(1)), says "it has 2 results";
    "a pruned trial that counts as completed":
        "update result set is_pruned = false where trial_id = $at(lived, 7)"
        breaks ["I1", "I22"], names (Some("lived"), Some(7), Some(1)), says "that was completed";
    "a lease is gone":
        "delete from lease where trial_id = $at(lived, 8)"
        breaks ["I3b"], names (Some("lived"), Some(8), Some(1)), says "nobody holds a lease on it";
    "a metric that is no number":
        "alter table metric drop constraint value_is_finite;
         update metric set value = 'NaN' where trial_id = $at(lived, 0)"
        breaks ["I10"], names (Some("lived"), Some(0), Some(1)), says "is NaN";
    "a plan without a suggestion":
        "update study set posterior_version = posterior_version + 1 where name = 'first'"
        breaks ["I12"], names (Some("first"), None, None), says "left no suggestion";
    "a trial that came back from its end":
        "insert into event (study_id, trial_id, attempt, kind, from_state, to_state)
         select study_id, trial_id, 1, 'planted', 'completed', 'queued'
           from trial where trial_id = $at(lived, 6)"
        breaks ["I13", "I15"], names (Some("lived"), Some(6), Some(2)), says "and its events end with queued";
    "a point outside of the space":
        "update trial set unit_point[1] = 1.5 where trial_id = $at(lived, 3)"
        breaks ["I21"], names (Some("lived"), Some(3), None), says "leaves the unit cube";
    "a parameter of another name":
        "update study_param set name = 'other' where name = 'rate'
            and study_id = (select study_id from study where name = 'small')
             or name = 'switch_1' and study_id = (select study_id from study where name = 'small')"
        breaks ["I21"], names (Some("small"), None, None), says "switch_1 in the space and other in";
    "objectives that were never measured":
        "update result set objectives[2] = 9 where trial_id = $at(traded, 0)"
        breaks ["I22"], names (Some("traded"), Some(0), Some(1)), says "its objectives are";
    "a checkpoint without its artifact":
        "delete from artifact"
        breaks ["I23"], names (Some("lived"), Some(8), Some(1)), says "the artifact of its checkpoint";
    "withdrawn, and nobody tells":
        "update lease set cancel = false where trial_id = $at(withdrawn, 2)"
        breaks ["I24"], names (Some("withdrawn"), Some(2), Some(1)), says "its worker is not told";
};
