//! Studies: numbers, budgets, ends.

use super::{Holds, Invariant};

pub(super) static NUMBERS_DENSE: Invariant = Invariant {
    id: "I5",
    claim: "the trials of a study are numbered 0, 1, 2 … without a gap",
    holds: Holds::Always,
    query: "
        with odd as (
            select s.study_id, s.name, s.next_number
              from study s
              left join trial t using (study_id)
             group by s.study_id
            having count(t.number) <> s.next_number
                or count(distinct t.number) <> s.next_number
                or coalesce(min(t.number), 0) <> 0
                or coalesce(max(t.number) + 1, 0) <> s.next_number)
        select odd.name as study, place as number, null::integer as attempt,
               format('there is no such trial, and %s are counted', odd.next_number) as wrong
          from odd
         cross join generate_series(0, odd.next_number - 1) as place
         where not exists (select from trial t
                            where t.study_id = odd.study_id and t.number = place)
         union all
        select odd.name, t.number, null,
               case when t.copies > 1 then format('%s trials have this number', t.copies)
                    else format('%s trials are counted', odd.next_number) end
          from odd
          join (select study_id, number, count(*) as copies
                  from trial group by study_id, number) t using (study_id)
         where t.copies > 1 or t.number not between 0 and odd.next_number - 1",
};

pub(super) static NOTHING_LEFT_OPEN: Invariant = Invariant {
    id: "I16",
    claim: "at rest no active or cancelled study has an open trial, and none that is done is still active",
    holds: Holds::AtRest,
    query: "
        select s.name as study, t.number, t.attempt,
               format('it is %s, and its study %s', t.state, s.state) as wrong
          from trial t
          join study s using (study_id)
         where t.state in ('queued', 'running') and s.state in ('active', 'cancelled')
         union all
        select s.name, null, null, 'it is active, and nothing is left to plan and nothing is open'
          from study s
         where s.state = 'active'
           and (s.next_number >= s.max_trials or s.exhausted or s.converged)
           and not exists (select from trial t
                            where t.study_id = s.study_id and t.state in ('queued', 'running'))",
};

pub(super) static BUDGET_KEPT: Invariant = Invariant {
    id: "I18",
    claim: "a study has no more trials than its budget allows",
    holds: Holds::Always,
    query: "
        select s.name as study, null::integer as number, null::integer as attempt,
               format('it has %s trials and counts %s, with a budget of %s', t.trials, s.next_number,
                      s.max_trials) as wrong
          from study s
         cross join lateral (select count(*) as trials from trial where study_id = s.study_id) t
         where greatest(t.trials, s.next_number) > s.max_trials",
};

pub(super) static PLANNED_IN_PARALLEL: Invariant = Invariant {
    id: "I19",
    claim: "no more of the trials that the algorithm planned are open than max_parallel allows",
    holds: Holds::Always,
    query: "
        select s.name as study, null::integer as number, null::integer as attempt,
               format('%s planned trials are open, and %s are allowed', count(*), s.max_parallel) as wrong
          from study s
          join trial t using (study_id)
          join suggestion g using (trial_id)
         where t.state in ('queued', 'running')
         group by s.study_id
        having count(*) > s.max_parallel",
};

pub(super) static ENDED_FOR_ITS_REASON: Invariant = Invariant {
    id: "I25",
    claim: "a completed study has no open trial, and a study has ended for the reason that it gives",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, t.attempt,
               format('it is %s, and its study completed', t.state) as wrong
          from trial t
          join study s using (study_id)
         where t.state in ('queued', 'running') and s.state = 'completed'
         union all
        select s.name, null, null,
               format('it is %s because of %s, with %s of %s trials%s%s', s.state,
                      coalesce(s.ended_because, 'nothing'), s.next_number, s.max_trials,
                      case when s.exhausted then ', its space exhausted' end,
                      case when s.converged then ', with nothing to gain' end)
          from study s
         where case s.state
                   when 'completed' then
                        case s.ended_because when 'budget_spent' then s.next_number >= s.max_trials
                                             when 'space_exhausted' then s.exhausted
                                             when 'gain_below' then s.converged end
                   when 'cancelled' then s.ended_because = 'cancelled'
                   else s.ended_because is null end is not true",
};
