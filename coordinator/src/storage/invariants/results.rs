//! Results: one for each trial that ended with a value, numbered, judged, and none lost.

use sqlx::PgConnection;

use super::{Counted, Finding, Holds, Invariant};
use crate::error::{Doing as _, Error};

pub(super) static ONE_RESULT: Invariant = Invariant {
    id: "I1",
    claim: "a trial is completed or pruned if and only if it has one result, which says the same",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, t.attempt,
               case when r.results is null then format('it is %s and has no result', t.state)
                    when r.results > 1 then format('it has %s results', r.results)
                    when t.state in ('completed', 'pruned')
                    then format('it is %s, and its result is that of a trial that was %s', t.state,
                                case when r.is_pruned then 'pruned' else 'completed' end)
                    else format('it is %s and has a result', t.state) end as wrong
          from trial t
          join study s using (study_id)
          left join (select trial_id, count(*) as results, bool_or(is_pruned) as is_pruned
                       from result group by trial_id) r using (trial_id)
         where (t.state in ('completed', 'pruned')) <> (r.results is not null)
            or r.results > 1
            or r.is_pruned <> (t.state = 'pruned')",
};

pub(super) static OF_THE_LAST_ATTEMPT: Invariant = Invariant {
    id: "I2",
    claim: "a result is of its trial's last attempt, which ended as the trial did",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, r.attempt,
               case when r.study_id <> t.study_id then 'its result is in another study'
                    when r.attempt <> t.attempt
                    then format('its result is of this attempt, and %s is its last', t.attempt)
                    when a.outcome is null then 'its result is of an attempt that is not there'
                    else format('it is %s, and the attempt %s', t.state, a.outcome) end as wrong
          from result r
          join trial t using (trial_id)
          join study s on s.study_id = t.study_id
          left join attempt a on (a.trial_id, a.attempt) = (r.trial_id, r.attempt)
         where r.study_id <> t.study_id
            or r.attempt <> t.attempt
            or a.outcome is null
            or a.outcome::text <> t.state::text",
};

pub(super) static OBSERVATIONS_DENSE: Invariant = Invariant {
    id: "I6",
    claim: "the observations of a study, its results and the imported ones, are numbered 0, 1, 2 … without a gap",
    holds: Holds::Always,
    query: "
        with observation as (
            select study_id, obs_seq, trial_id from result
             union all
            select study_id, obs_seq, null from imported),
        -- Few studies are counted through, if any.
        odd as (
            select s.study_id, s.name, s.next_obs
              from study s
              left join observation o using (study_id)
             group by s.study_id
            having count(o.obs_seq) <> s.next_obs
                or count(distinct o.obs_seq) <> s.next_obs
                or coalesce(min(o.obs_seq), 0) <> 0
                or coalesce(max(o.obs_seq) + 1, 0) <> s.next_obs)
        select odd.name as study, null::integer as number, null::integer as attempt,
               format('observation %s is missing; %s are counted', place, odd.next_obs) as wrong
          from odd
         cross join generate_series(0, odd.next_obs - 1) as place
         where not exists (select from observation o
                            where o.study_id = odd.study_id and o.obs_seq = place)
         union all
        select odd.name, t.number, t.attempt,
               case when o.copies > 1 then format('observation %s is there %s times', o.obs_seq, o.copies)
                    else format('its result is observation %s, and %s are counted', o.obs_seq, odd.next_obs)
               end
          from odd
          join (select study_id, obs_seq, count(*) as copies, min(trial_id) as trial_id
                  from observation group by study_id, obs_seq) o on o.study_id = odd.study_id
          left join trial t on t.trial_id = o.trial_id
         where o.copies > 1 or o.obs_seq not between 0 and odd.next_obs - 1",
};

pub(super) static NOT_REFUSED: Invariant = Invariant {
    id: "I11",
    claim: "no report was both recorded and refused",
    holds: Holds::Always,
    query: "
        select s.name as study, t.number, r.attempt,
               format('its result was recorded at %s and refused at %s (%s)', r.at, l.at, l.reason) as wrong
          from result r
          join trial t using (trial_id)
          join study s on s.study_id = t.study_id
          join attempt a on (a.trial_id, a.attempt) = (r.trial_id, r.attempt)
          join late_report l
            on (l.trial_id, l.attempt, l.lease_id) = (a.trial_id, a.attempt, a.lease_id)",
};

pub(super) static JUDGED: Invariant = Invariant {
    id: "I22",
    claim: "the objectives and the feasibility of a result are what its value and its measurements give",
    holds: Holds::Always,
    query: "
        with judged as (
            select r.trial_id, r.attempt, r.objectives, r.feasible,
                   array(select o.number
                           from (select 0::bigint as place,
                                        case s.direction when 'maximize' then r.value else -r.value end
                                            as number
                                  union all
                                 select o.place,
                                        case when jsonb_typeof(m.measured) = 'number'
                                             then m.measured::float8 end
                                        * case o.item->>'direction' when 'minimize' then -1 else 1 end
                                   from jsonb_array_elements(s.also) with ordinality as o (item, place)
                                  cross join lateral (
                                        select r.measurements->(o.item->>'measurement') as measured) m) o
                          order by o.place) as objectives_due,
                   not r.is_pruned and not exists (
                       select from jsonb_array_elements(s.constraints) as c (item)
                        cross join lateral (
                              select case when c.item->>'measurement' = 'value' then to_jsonb(r.value)
                                          else r.measurements->(c.item->>'measurement') end as measured) m
                        cross join lateral (
                              select case when jsonb_typeof(m.measured) = 'number'
                                          then m.measured::float8 end as number) n
                        where (n.number <= coalesce((c.item->>'at_most')::float8, 'infinity')
                               and n.number >= coalesce((c.item->>'at_least')::float8, '-infinity'))
                              is not true) as feasible_due
              from result r
              join study s using (study_id))
        select s.name as study, t.number, j.attempt,
               case when j.objectives is distinct from j.objectives_due
                    then format('its objectives are %s, and should be %s',
                                coalesce(j.objectives::text, 'absent'), j.objectives_due)
                    else format('it counts as %s, and should not',
                                case when j.feasible then 'feasible' else 'infeasible' end) end as wrong
          from judged j
          join trial t using (trial_id)
          join study s using (study_id)
         where j.objectives is distinct from j.objectives_due
            or j.feasible <> j.feasible_due",
};

/// A report that a coordinator acknowledged, as whoever sent it remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The trial.
    pub trial_id: i64,
    /// The attempt that reported.
    pub attempt: i32,
    /// What it reported: [`crate::trial::Report::sha256`].
    pub payload_sha256: Vec<u8>,
}

static ACKNOWLEDGED: Invariant = Invariant {
    id: "I14",
    claim: "every report that was acknowledged is the result of its trial",
    holds: Holds::Always,
    query: "",
};

/// Looks for acknowledged reports that are not on record as they were acknowledged. Nobody but their sender
/// knows of them, so that [`check`](super::check) cannot.
pub async fn check_acknowledged(
    db: &mut PgConnection,
    acknowledged: &[Acknowledged],
) -> Result<Finding, Error> {
    let found: Vec<Counted> = sqlx::query_as(
        "-- invariants::check_acknowledged
        select s.name as study, t.number, k.attempt,
               case when t.trial_id is null
                    then format('trial_id %s was acknowledged and is not there', k.trial_id)
                    when r.trial_id is null then 'its report was acknowledged, and it has no result'
                    when r.attempt <> k.attempt
                    then format('its report was acknowledged, and its result is of attempt %s', r.attempt)
                    else 'another report was acknowledged than is recorded' end as wrong,
               count(*) over () as total
          from unnest($1::bigint[], $2::integer[], $3::bytea[]) as k (trial_id, attempt, payload_sha256)
          left join trial t using (trial_id)
          left join study s using (study_id)
          left join result r using (trial_id)
         where r.trial_id is null
            or r.attempt <> k.attempt
            or r.payload_sha256 <> k.payload_sha256
         order by 1, 2, 3
         limit $4",
    )
    .bind(acknowledged.iter().map(|one| one.trial_id).collect::<Vec<_>>())
    .bind(acknowledged.iter().map(|one| one.attempt).collect::<Vec<_>>())
    .bind(acknowledged.iter().map(|one| one.payload_sha256.as_slice()).collect::<Vec<_>>())
    .bind(i64::try_from(super::ROWS_MAX).expect("a few rows"))
    .fetch_all(db)
    .await
    .doing("check acknowledged reports")?;
    Ok(Finding::of(&ACKNOWLEDGED, found))
}
