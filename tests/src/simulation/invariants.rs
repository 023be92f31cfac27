//! What must be so of every database, whatever has happened to it. Each query counts what is not.

use sqlx::PgPool;

/// The invariants that do not hold, by name. I14 is the model's to keep; I16 is for the end of all work.
pub async fn violated(pool: &PgPool) -> Vec<String> {
    let found: Result<Vec<(String, i64)>, sqlx::Error> =
        sqlx::query_as(INVARIANTS).fetch_all(pool).await;
    let found = found.expect("the invariants can be asked");
    found.into_iter().filter(|&(_, count)| count != 0).map(|(name, _)| name).collect()
}

const INVARIANTS: &str = "
-- I1: a trial has ended with a value if and only if it has a result
select 'I1', count(*) from trial t left join result r using (trial_id)
 where (t.state in ('completed', 'pruned')) <> (r.trial_id is not null)
union all
-- I2: the result is of the last attempt, and outcome and state agree
select 'I2', count(*) from result r join trial t using (trial_id)
  left join attempt a on (a.trial_id, a.attempt) = (r.trial_id, r.attempt)
 where r.attempt <> t.attempt or a.outcome::text is distinct from t.state::text
    or r.is_pruned <> (t.state = 'pruned')
union all
-- I3: a trial runs if and only if one attempt of it does
select 'I3', count(*) from (
  select t.trial_id from trial t
    left join attempt a on a.trial_id = t.trial_id and a.outcome = 'running'
   group by t.trial_id, t.state having count(a.*) <> (t.state = 'running')::int) x
union all
-- I3b: a trial runs if and only if there is a lease of that attempt
select 'I3b', count(*) from trial t full join lease l using (trial_id)
  left join attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
 where (t.state = 'running') is distinct from (l.trial_id is not null)
    or (l.trial_id is not null
        and (l.attempt <> t.attempt or l.lease_id is distinct from a.lease_id
             or l.worker_id is distinct from a.worker_id))
union all
-- I4: attempts are dense from 1
select 'I4', count(*) from (
  select t.trial_id from trial t left join attempt a using (trial_id) group by t.trial_id, t.attempt
  having count(a.attempt) <> t.attempt or coalesce(max(a.attempt), 0) <> t.attempt) x
union all
-- I5: trial numbers are dense from 0
select 'I5', count(*) from (
  select s.study_id from study s left join trial t using (study_id) group by s.study_id, s.next_number
  having count(t.*) <> s.next_number or coalesce(max(t.number) + 1, 0) <> s.next_number) x
union all
-- I6: observations are dense from 0, those from elsewhere among them
select 'I6', count(*) from (
  select s.study_id from study s
    left join (select study_id, obs_seq from result union all select study_id, obs_seq from imported) r
        using (study_id)
   group by s.study_id, s.next_obs
  having count(r.*) <> s.next_obs or count(distinct r.obs_seq) <> s.next_obs
      or coalesce(max(r.obs_seq) + 1, 0) <> s.next_obs) x
union all
-- I7: a trial failed if and only if its failures are spent, or another attempt could not end otherwise
select 'I7', count(*) from trial t join study s using (study_id)
  left join attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
 where t.failures > s.max_failures
    or (t.state in ('queued', 'running') and t.failures >= s.max_failures)
    or (t.state = 'failed' and t.failures < s.max_failures
        and coalesce(a.failure_class, '') not in ('user_error', 'nan'))
union all
-- I8: failures are the attempts that failed or lapsed; a late report may have made one of them good
select 'I8', count(*) from (
  select t.trial_id from trial t left join attempt a using (trial_id)
   group by t.trial_id, t.failures, t.state
  having count(*) filter (where a.outcome in ('failed', 'expired')) <> t.failures
     and not (t.state in ('completed', 'pruned')
              and count(*) filter (where a.outcome in ('failed', 'expired')) = t.failures - 1)) x
union all
-- I9: an attempt had ended when the next began
select 'I9', count(*) from attempt a join attempt b on a.trial_id = b.trial_id and b.attempt = a.attempt + 1
 where a.ended_at is null or a.ended_at > b.started_at
union all
-- I10: metrics are finite, and of an attempt that was made
select 'I10', count(*) from metric m left join attempt a using (trial_id, attempt)
 where a.trial_id is null or not (abs(m.value) < 'infinity')
union all
-- I11: nothing was both recorded and refused
select 'I11', count(*) from result r join late_report l on (l.trial_id, l.attempt) = (r.trial_id, r.attempt)
  join attempt a on (a.trial_id, a.attempt) = (r.trial_id, r.attempt) where a.lease_id = l.lease_id
union all
-- I12: plans are dense, and knew only results that there were
select 'I12', (select count(*) from (
    select s.study_id from study s left join suggestion g using (study_id)
     group by s.study_id, s.posterior_version
    having count(distinct g.posterior_version) <> s.posterior_version
        or coalesce(max(g.posterior_version), 0) <> s.posterior_version) x)
  + (select count(*) from suggestion g join study s using (study_id) where g.horizon > s.next_obs)
  + (select count(*) from suggestion g join result r on r.study_id = g.study_id and r.obs_seq < g.horizon
      where r.at > g.at)
union all
-- I13: the events replayed give the trial's state
select 'I13', count(*) from (
  select t.state, e.from_state, e.to_state, coalesce(lag(e.to_state) over w, 'queued') as before,
         lead(e.event_id) over w is null as last
    from trial t left join event e on e.trial_id = t.trial_id and e.to_state is not null
  window w as (partition by t.trial_id order by e.event_id)) x
 where (to_state is null and state <> 'queued') or from_state <> before
    or (last and to_state is not null and to_state <> state)
union all
-- I15: no trial that had ended has changed, and the guard stands
select 'I15', (select count(*) from event where from_state in ('completed', 'pruned', 'failed', 'cancelled'))
  + (select (count(*) <> 1)::int from pg_trigger
      where tgname = 'trial_final' and tgrelid = 'trial'::regclass and tgenabled = 'O')
union all
-- Nothing waits in a study that was withdrawn, and what runs there has been told
select 'withdrawn', count(*) from trial t join study s using (study_id) left join lease l using (trial_id)
 where s.state = 'cancelled'
   and (t.state = 'queued' or t.state = 'running' and not (t.cancel_requested and l.cancel))
union all
-- No more trials run at once than may
select 'max_parallel', count(*) from study s
 where (select count(*) from trial t where t.study_id = s.study_id and t.state = 'running') > s.max_parallel";
