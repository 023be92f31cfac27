-- What must be so after any run, each as the number of rows that break it: 0. The last two speak of a
-- system at rest.

-- completed or pruned if and only if there is exactly one result
select 'I1', count(*)
  from trial t left join result r using (trial_id)
 where (t.state in ('completed', 'pruned')) <> (r.trial_id is not null);

-- the result belongs to the final attempt, and outcome and state agree
select 'I2', count(*)
  from result r join trial t using (trial_id)
  left join attempt a on (a.trial_id, a.attempt) = (r.trial_id, r.attempt)
 where r.attempt <> t.attempt or a.outcome is null
    or a.outcome not in ('completed', 'pruned') or a.outcome::text <> t.state::text;

-- running if and only if there is exactly one running attempt
select 'I3', count(*)
  from (select t.trial_id
          from trial t left join attempt a on a.trial_id = t.trial_id and a.outcome = 'running'
         group by t.trial_id, t.state
        having count(a.*) <> (t.state = 'running')::int) x;

-- running if and only if there is a lease of the same attempt and id
select 'I3b', count(*)
  from trial t full join lease l using (trial_id)
  left join attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
 where (t.state = 'running') is distinct from (l.trial_id is not null)
    or (l.trial_id is not null and (l.attempt <> t.attempt or l.lease_id is distinct from a.lease_id));

-- attempts are numbered 1 … trial.attempt
select 'I4', count(*)
  from (select t.trial_id
          from trial t left join attempt a using (trial_id)
         group by t.trial_id, t.attempt
        having count(a.attempt) <> t.attempt or coalesce(max(a.attempt), 0) <> t.attempt) x;

-- trial numbers are dense in their study
select 'I5', count(*)
  from (select s.study_id
          from study s left join trial t using (study_id)
         group by s.study_id, s.next_number
        having count(t.*) <> s.next_number or coalesce(max(t.number) + 1, 0) <> s.next_number) x;

-- observations are dense in their study
select 'I6', count(*)
  from (select s.study_id
          from study s left join result r using (study_id)
         group by s.study_id, s.next_obs
        having count(r.*) <> s.next_obs or coalesce(max(r.obs_seq) + 1, 0) <> s.next_obs) x;

-- failed if and only if the failures are spent or another try could not help
select 'I7', count(*)
  from trial t join study s using (study_id)
  left join attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
 where t.failures > s.max_failures
    or (t.state in ('queued', 'running') and t.failures >= s.max_failures)
    or (t.state = 'failed' and t.failures < s.max_failures
        and coalesce(a.failure_class, '') not in ('user_error', 'nan'));

-- failures are the attempts that count; one that lapsed and was completed late no longer does
select 'I8', count(*)
  from (select t.trial_id
          from trial t left join attempt a using (trial_id)
         group by t.trial_id, t.failures, t.state
        having count(*) filter (where a.outcome in ('failed', 'expired')) <> t.failures
           and t.state not in ('completed', 'pruned')) x;

-- an attempt had ended before the next began
select 'I9', count(*)
  from attempt a join attempt b on a.trial_id = b.trial_id and b.attempt = a.attempt + 1
 where a.ended_at is null or a.ended_at > b.started_at;

-- metrics are finite and of an attempt that there was
select 'I10', count(*)
  from metric m left join attempt a using (trial_id, attempt)
 where a.trial_id is null or not (abs(m.value) < 'infinity'::float8);

-- nothing was both recorded and refused
select 'I11', count(*)
  from result r join late_report l on (l.trial_id, l.attempt) = (r.trial_id, r.attempt)
  join attempt a on (a.trial_id, a.attempt) = (r.trial_id, r.attempt)
 where a.lease_id = l.lease_id;

-- plans are numbered without gaps, and used only observations that existed
select 'I12',
       (select count(*)
          from (select s.study_id
                  from study s left join suggestion g using (study_id)
                 group by s.study_id, s.posterior_version
                having count(distinct g.posterior_version) <> s.posterior_version
                    or coalesce(max(g.posterior_version), 0) <> s.posterior_version) x)
     + (select count(*) from suggestion g join study s using (study_id) where g.horizon > s.next_obs)
     + (select count(*)
          from suggestion g join result r on r.study_id = g.study_id and r.obs_seq < g.horizon
         where r.at > g.at);

-- replaying the events gives the present
select 'I13', count(*)
  from (select t.trial_id, t.state, e.from_state, e.to_state,
               coalesce(lag(e.to_state) over w, 'queued') as before,
               lead(e.event_id) over w is null as last
          from trial t left join event e on e.trial_id = t.trial_id and e.to_state is not null
        window w as (partition by t.trial_id order by e.event_id)) x
 where (to_state is null and state <> 'queued')
    or from_state <> before
    or (last and to_state is not null and to_state <> state);

-- no trial left an end state, and the trigger that says so is on
select 'I15',
       (select count(*) from event where from_state in ('completed', 'pruned', 'failed', 'cancelled'))
     + (select (count(*) <> 1)::int
          from pg_trigger
         where tgname = 'trial_final' and tgrelid = 'trial'::regclass and tgenabled = 'O');

-- nothing is left open, in whatever study
select 'I16', count(*) from trial where state in ('queued', 'running');

-- a study that has completed has just as many trials as its budget
select 'budget', count(*)
  from study s
 where s.state = 'active'
    or (s.state = 'completed'
        and (select count(*) from trial t where t.study_id = s.study_id) <> s.max_trials);
