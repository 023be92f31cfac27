//! What the schema promises by itself, as long as nobody has switched it off.

use super::{Holds, Invariant};

pub(super) static NOTHING_REFERS_TO_NOTHING: Invariant = Invariant {
    id: "I27",
    claim: "no row refers to a study, a trial, an attempt or a worker that is not there",
    holds: Holds::Always,
    // Leases are in I3b, metrics in I10, checkpoints in I23. A late report may name what never was: it was
    // refused for that.
    query: "
        with lost (study, number, attempt, wrong) as (
            select null, number, null::integer,
                   format('trial_id %s is of study_id %s, which is not there', trial_id, study_id)
              from trial
             where not exists (select from study s where s.study_id = trial.study_id)
             union all
            select null, null, null, format('%s rows of %s are of study_id %s, which is not there', count(*), r.of,
                                            r.study_id)
              from (select 'study_param' as of, study_id from study_param
                     union all select 'result', study_id from result
                     union all select 'suggestion', study_id from suggestion
                     union all select 'event', study_id from event
                     union all select 'imported', study_id from imported
                     union all select 'posterior', study_id from posterior
                     union all select 'prospect', study_id from prospect
                     union all select 'insight', study_id from insight) r
             where not exists (select from study s where s.study_id = r.study_id)
             group by r.of, r.study_id
             union all
            select null, null, null, format('%s rows of %s are of trial_id %s, which is not there', count(*), r.of,
                                            r.trial_id)
              from (select 'attempt' as of, trial_id from attempt
                     union all select 'trial_param', trial_id from trial_param
                     union all select 'result', trial_id from result
                     union all select 'suggestion', trial_id from suggestion
                     union all select 'event', trial_id from event where trial_id is not null
                     union all select 'imported', source_trial_id from imported
                                where source_trial_id is not null) r
             where not exists (select from trial t where t.trial_id = r.trial_id)
             group by r.of, r.trial_id
             union all
            select s.name, t.number, p.attempt, 'a comparison says to end this attempt, which is not there'
              from pruning p
              left join trial t using (trial_id)
              left join study s using (study_id)
             where not exists (select from attempt a
                                where (a.trial_id, a.attempt) = (p.trial_id, p.attempt))
             union all
            select s.name, t.number, a.attempt, format('worker %s had it, which never called', a.worker_id)
              from attempt a
              join trial t using (trial_id)
              join study s using (study_id)
             where not exists (select from worker w where w.worker_id = a.worker_id))
        select study, number, attempt, wrong from lost",
};

pub(super) static IN_PLACE: Invariant = Invariant {
    id: "I28",
    claim: "the keys by which a thing is recorded once are in place, and every constraint holds for all rows",
    holds: Holds::Always,
    query: "
        select null as study, null::integer as number, null::integer as attempt,
               format('key %s of table %s is missing', key, of) as wrong
          from (values ('study', 'study_name_key'), ('trial', 'trial_pkey'),
                       ('trial', 'trial_study_id_number_key'), ('attempt', 'attempt_pkey'),
                       ('attempt', 'attempt_lease_id_key'), ('lease', 'lease_pkey'),
                       ('lease', 'one_lease_per_slot'), ('result', 'result_pkey'),
                       ('result', 'result_study_id_obs_seq_key'), ('imported', 'imported_pkey'),
                       ('metric', 'metric_pkey'), ('suggestion', 'suggestion_pkey'),
                       ('idempotency', 'idempotency_pkey')) as k (of, key)
         where not exists (select from pg_constraint c
                             join pg_index i on i.indexrelid = c.conindid
                            where c.conrelid = to_regclass('public.' || of)
                              and c.conname = key and c.contype in ('p', 'u') and i.indisvalid)
         union all
        select null, null, null,
               format('constraint %s of table %s holds for new rows only', conname, conrelid::regclass)
          from pg_constraint
         where connamespace = to_regnamespace('public') and not convalidated
         union all
        select null, null, null,
               format('the triggers behind constraint %s of table %s are switched off', c.conname,
                      c.conrelid::regclass)
          from pg_constraint c
         where c.connamespace = to_regnamespace('public')
           and exists (select from pg_trigger g
                        where g.tgconstraint = c.oid and g.tgenabled not in ('O', 'A'))",
};
