//! Plans: what a suggestion was decided from, and what is kept of a study's posterior.

use super::{Holds, Invariant};

pub(super) static OF_WHAT_WAS_KNOWN: Invariant = Invariant {
    id: "I12",
    claim: "every plan of a study left a suggestion, which used what was there by then and nothing else",
    holds: Holds::Always,
    query: "
        with odd as (
            select s.study_id, s.name, s.posterior_version
              from study s
              left join suggestion g using (study_id)
             group by s.study_id
            having count(distinct g.posterior_version) <> s.posterior_version
                or coalesce(min(g.posterior_version), 1) <> 1
                or coalesce(max(g.posterior_version), 0) <> s.posterior_version),
        observation as (
            select study_id, obs_seq, at from result
             union all
            select study_id, obs_seq, at from imported),
        -- When the last of the observations 0 … horizon−1 came in.
        complete as (
            select study_id, obs_seq + 1 as horizon,
                   max(at) over (partition by study_id order by obs_seq) as at
              from observation)
        select odd.name as study, null::integer as number, null::integer as attempt,
               format('plan %s of %s left no suggestion', plan, odd.posterior_version) as wrong
          from odd
         cross join generate_series(1, odd.posterior_version) as plan
         where not exists (select from suggestion g
                            where g.study_id = odd.study_id and g.posterior_version = plan)
         union all
        select s.name, t.number, null,
               case when g.posterior_version not between 1 and s.posterior_version
                    then format('it was suggested by plan %s, and %s are counted', g.posterior_version,
                                s.posterior_version)
                    when g.horizon > s.next_obs
                    then format('it was suggested from %s observations, and there are %s', g.horizon,
                                s.next_obs)
                    when c.at > g.at
                    then format('it was suggested at %s from %s observations, the last of %s', g.at,
                                g.horizon, c.at)
                    else 'it was suggested in view of itself or of later trials' end
          from suggestion g
          join trial t using (trial_id)
          join study s on s.study_id = t.study_id
          left join complete c on c.study_id = g.study_id and c.horizon = g.horizon
         where g.posterior_version not between 1 and s.posterior_version
            or g.horizon > s.next_obs
            or c.at > g.at
            or t.number <= any (g.pending || g.failed)",
};

pub(super) static BIRTHS: Invariant = Invariant {
    id: "I17",
    claim: "a trial was either planned, and has a suggestion, or enqueued, and has none",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, null::integer as attempt,
               case when e.births is null then 'no event says where it came from'
                    when e.births > 1 then format('%s events say where it came from', e.births)
                    when g.trial_id is null then 'it was planned, and has no suggestion'
                    when g.study_id <> t.study_id then 'its suggestion is in another study'
                    else 'it was enqueued, and has a suggestion' end as wrong
          from trial t
          join study s using (study_id)
          left join suggestion g using (trial_id)
          left join (select trial_id, count(*) as births, bool_or(kind = 'plan') as is_planned
                       from event
                      where kind in ('plan', 'enqueue') and trial_id is not null
                      group by trial_id) e using (trial_id)
         where e.births is distinct from 1
            or e.is_planned <> (g.trial_id is not null)
            or g.study_id <> t.study_id",
};

pub(super) static CACHES_KNOW_NO_MORE: Invariant = Invariant {
    id: "I26",
    claim: "a posterior, an insight or a prospect knows of nothing that is not there",
    holds: Holds::Always,
    query: "
        select s.name as study, null::integer as number, null::integer as attempt, found.wrong
          from study s
         cross join lateral (
               select format('its posterior is of plan %s and %s observations; there are %s and %s',
                             p.version, p.horizon, s.posterior_version, s.next_obs) as wrong
                 from posterior p
                where p.study_id = s.study_id
                  and (p.version > s.posterior_version or p.horizon > s.next_obs)
                union all
               select format('its insight is of %s observations; there are %s', i.horizon, s.next_obs)
                 from insight i
                where i.study_id = s.study_id and i.horizon > s.next_obs
                union all
               select format('a prospect is of %s observations and %s trials; there are %s and %s',
                             p.horizon, p.taken, s.next_obs, s.next_number)
                 from prospect p
                where p.study_id = s.study_id
                  and (p.horizon > s.next_obs or p.taken > s.next_number)) found",
};
