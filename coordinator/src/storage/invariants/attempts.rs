//! Attempts: one after another, each counted, none measured after its end.

use super::{Holds, Invariant};

pub(super) static DENSE: Invariant = Invariant {
    id: "I4",
    claim: "the attempts at a trial are numbered 1, 2, 3 … up to what the trial counts",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, t.attempt,
               format('it counts %s attempts; %s are on record, the last of them number %s', t.attempt,
                      coalesce(a.attempts, 0), coalesce(a.last, 0)) as wrong
          from trial t
          join study s using (study_id)
          left join (select trial_id, count(*) as attempts, max(attempt) as last
                       from attempt group by trial_id) a using (trial_id)
         where coalesce(a.attempts, 0) <> t.attempt
            or coalesce(a.last, 0) <> t.attempt",
};

pub(super) static FAILURES_IN_BUDGET: Invariant = Invariant {
    id: "I7",
    claim: "a trial is given up if and only if its failures are spent or its last one could not end otherwise",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, t.attempt,
               format('it is %s with %s of %s failures; its last attempt %s%s', t.state, t.failures,
                      s.max_failures, coalesce(a.outcome::text, 'is not there'),
                      ': ' || a.failure_class) as wrong
          from trial t
          join study s using (study_id)
          left join attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
         where t.failures > s.max_failures
            -- A cancelled trial may have failed for the last time as it was withdrawn.
            or t.failures = s.max_failures and t.state not in ('failed', 'cancelled')
            or t.state = 'failed'
               and (coalesce(a.outcome not in ('failed', 'expired'), true)
                    or t.failures < s.max_failures
                       and coalesce(a.failure_class not in ('user_error', 'nan'), true))",
};

pub(super) static FAILURES_COUNTED: Invariant = Invariant {
    id: "I8",
    claim: "the failures of a trial are its attempts that failed or lapsed, one whose report came late among them",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, t.attempt,
               format('it counts %s failures, and %s attempts failed or lapsed%s', t.failures,
                      coalesce(a.failed, 0),
                      case when late.trial_id is not null then ' beside the one that reported late' end)
               as wrong
          from trial t
          join study s using (study_id)
          left join (select trial_id, count(*) as failed
                       from attempt where outcome in ('failed', 'expired') group by trial_id) a
         using (trial_id)
          -- Such an attempt had lapsed, which was counted; it is completed now.
          left join (select distinct trial_id
                       from event
                      where from_state = 'queued' and to_state in ('completed', 'pruned')) late
         using (trial_id)
         where t.failures <> coalesce(a.failed, 0) + (late.trial_id is not null)::integer",
};

pub(super) static ONE_AFTER_ANOTHER: Invariant = Invariant {
    id: "I9",
    claim: "an attempt ends after it began, and before the next one begins",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, a.attempt,
               case when a.ended_at < a.started_at
                    then format('it began at %s and ended at %s', a.started_at, a.ended_at)
                    else format('it ended %s, and the next began at %s',
                                coalesce('at ' || a.ended_at, 'never'), b.started_at) end as wrong
          from attempt a
          join trial t using (trial_id)
          join study s using (study_id)
          left join attempt b on b.trial_id = a.trial_id and b.attempt = a.attempt + 1
         where a.ended_at < a.started_at
            or b.trial_id is not null and (a.ended_at is null or a.ended_at > b.started_at)",
};

pub(super) static METRICS_IN_TIME: Invariant = Invariant {
    id: "I10",
    claim: "metrics are finite, and of an attempt that ran when they came",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, m.attempt,
               case when a.trial_id is null
                    then format('metric %s of step %s belongs to no attempt', m.name, m.step)
                    when (abs(m.value) < 'infinity') is not true
                    then format('metric %s of step %s is %s', m.name, m.step, m.value)
                    else format('metric %s of step %s came at %s; the attempt ran from %s to %s', m.name,
                                m.step, m.at, a.started_at, a.ended_at) end as wrong
          from metric m
          left join attempt a using (trial_id, attempt)
          left join trial t using (trial_id)
          left join study s using (study_id)
         where a.trial_id is null
            or (abs(m.value) < 'infinity') is not true
            or m.at < a.started_at
            or m.at > a.ended_at",
};
