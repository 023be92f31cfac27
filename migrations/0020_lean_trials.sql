-- A trial's parameters are told by its point. To copy each of them into a row of its own was a third of what
-- a trial cost, and nothing but this view read the copies.
create or replace view v1.trial_params as
select s.name as study, t.number, p.key as name, d.kind,
       case jsonb_typeof(p.value) when 'number' then p.value::float8
                                  when 'boolean' then p.value::boolean::integer end as value_num,
       case jsonb_typeof(p.value) when 'string' then p.value #>> '{}' end as value_text
  from public.trial t
  join public.study s using (study_id)
 cross join lateral jsonb_each(t.params) as p
  left join public.study_param d on (d.study_id, d.name) = (t.study_id, p.key);

comment on table trial_param is
    'Copies that older programs write and nobody reads; see v1.trial_params. To be dropped when these are gone.';

-- Serves the best value so far, which every lease tells its worker.
create index result_best on result (study_id, value) where feasible;

insert into schema_version (version, oldest_program) values (20, 15);
