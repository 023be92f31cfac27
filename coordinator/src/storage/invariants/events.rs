//! Events: the record of every change of a trial's state.

use super::{Holds, Invariant};

pub(super) static REPLAY: Invariant = Invariant {
    id: "I13",
    claim: "replaying the events of a trial gives the state and the attempts that it has",
    holds: Holds::Always,
    query: "
        with step as (
            select e.trial_id, e.event_id, e.attempt, e.kind, e.from_state, e.to_state,
                   coalesce(lag(e.to_state) over w, 'queued') as before,
                   lead(e.event_id) over w is null as is_last
              from event e
             where e.trial_id is not null and e.to_state is not null
            window w as (partition by e.trial_id order by e.event_id)),
        found as (
            select trial_id, attempt,
                   format('event %s (%s) says that it was %s; it was %s', event_id, kind,
                          coalesce(from_state::text, 'nothing'), before) as wrong
              from step
             where from_state is distinct from before
             union all
            select t.trial_id, t.attempt,
                   format('it is %s, and its events end with %s', t.state,
                          coalesce(step.to_state, 'queued'))
              from trial t
              left join step on step.trial_id = t.trial_id and step.is_last
             where t.state <> coalesce(step.to_state, 'queued')
             union all
            select t.trial_id, t.attempt,
                   format('it counts %s attempts, and its events %s', t.attempt, coalesce(e.leases, 0))
              from trial t
              left join (select trial_id, count(*) as leases
                           from event where kind = 'lease' group by trial_id) e using (trial_id)
             where t.attempt <> coalesce(e.leases, 0))
        select s.name as study, t.number, found.attempt, found.wrong
          from found
          join trial t using (trial_id)
          join study s using (study_id)",
};

pub(super) static ENDS_ARE_FINAL: Invariant = Invariant {
    id: "I15",
    claim: "no trial that had ended ever changed, and the triggers that forbid it are switched on",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, e.attempt,
               format('it was %s, and event %s (%s) made it %s', e.from_state, e.event_id, e.kind,
                      coalesce(e.to_state::text, 'nothing')) as wrong
          from event e
          join trial t using (trial_id)
          join study s on s.study_id = t.study_id
         where e.from_state in ('completed', 'pruned', 'failed', 'cancelled')
         union all
        select null, null, null, format('trigger %s on %s is missing or switched off', guard, guarded)
          from (values ('trial_final', 'trial'), ('study_final', 'study')) as g (guard, guarded)
         where not exists (select from pg_trigger
                            where tgname = guard
                              and tgrelid = to_regclass('public.' || guarded)
                              and tgenabled in ('O', 'A'))",
};
