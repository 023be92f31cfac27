//! Leases: one for each trial that runs, and what it tells its worker.

use super::{Holds, Invariant};

pub(super) static ONE_RUNNING_ATTEMPT: Invariant = Invariant {
    id: "I3",
    claim: "a trial runs if and only if its last attempt does, and no other",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, coalesce(a.attempt, t.attempt) as attempt,
               format('it is %s, and %s of its attempts run%s', t.state, coalesce(a.running, 0),
                      case when a.attempt <> t.attempt
                           then format('; this one does, and %s is its last', t.attempt) end) as wrong
          from trial t
          join study s using (study_id)
          left join (select trial_id, count(*) as running, max(attempt) as attempt
                       from attempt where outcome = 'running' group by trial_id) a using (trial_id)
         where coalesce(a.running, 0) <> (t.state = 'running')::integer
            or a.attempt <> t.attempt",
};

pub(super) static ONE_LEASE: Invariant = Invariant {
    id: "I3b",
    claim: "a trial runs if and only if it has a lease, which is the one that its last attempt was granted",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, coalesce(l.attempt, t.attempt) as attempt,
               case when t.trial_id is null
                    then format('worker %s holds a lease on a trial that is not there', l.worker_id)
                    when l.trial_id is null then 'it runs, and nobody holds a lease on it'
                    when t.state <> 'running'
                    then format('it is %s, and worker %s holds a lease on it', t.state, l.worker_id)
                    when l.attempt <> t.attempt
                    then format('its lease is for this attempt, and %s is its last', t.attempt)
                    else format('worker %s holds another lease on it than attempt %s was granted',
                                l.worker_id, l.attempt) end as wrong
          from trial t
          full join lease l using (trial_id)
          left join study s using (study_id)
          left join attempt a on (a.trial_id, a.attempt) = (l.trial_id, l.attempt)
         where (t.state = 'running') is distinct from (l.trial_id is not null)
            or l.attempt <> t.attempt
            or l.trial_id is not null
               and (l.lease_id, l.worker_id) is distinct from (a.lease_id, a.worker_id)",
};

pub(super) static ORDERS_ON_RECORD: Invariant = Invariant {
    id: "I24",
    claim: "a lease tells its worker to stop if and only if it is on record why",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, l.attempt,
               case when l.cancel <> t.cancel_requested
                    then case when l.cancel then 'its worker is told to give it back, and nobody withdrew it'
                              else 'it was withdrawn, and its worker is not told' end
                    when l.prune
                    then 'its worker is told to end it early, and no comparison says why'
                    else 'a comparison says to end it early, and its worker is not told' end as wrong
          from lease l
          join trial t using (trial_id)
          join study s using (study_id)
          left join pruning p on (p.trial_id, p.attempt) = (l.trial_id, l.attempt)
         where l.cancel <> t.cancel_requested
            or l.prune <> (p.trial_id is not null)",
};
