-- What a study wants besides a good value: further objectives, which it weighs against the value, and
-- constraints, which a trial must keep to count. Both speak of numbers that workers report.
alter table study
    add column also        jsonb not null default '[]',  -- [{"measurement": …, "direction": …, "reference": … or null}, …]
    add column constraints jsonb not null default '[]',  -- [{"measurement": … or "value", "at_most" or "at_least": …}, …]
    add column reference   double precision,             -- the worst value of interest; null: found from the results
    add constraint few_further_objectives check (jsonb_array_length(also) <= 3),
    add constraint few_constraints check (jsonb_array_length(constraints) <= 8);

-- Both follow from the study, the value and the measurements, and are kept so that SQL need not know how.
alter table result
    add column feasible   boolean not null default true,  -- whether every constraint is kept
    add column objectives double precision[];             -- the value and the further objectives, negated where smaller is better
update result r
   set objectives = array[case s.direction when 'maximize' then r.value else -r.value end]
  from study s
 where s.study_id = r.study_id;

-- Serves leases::take_queued and leases::held_by: the best value of a study, told with every lease.
create index result_feasible_value on result (study_id, value) where feasible;
drop index result_value;

-- Whether `a` is nowhere smaller than `b` and somewhere larger; of up to four numbers each.
create function dominates(a double precision[], b double precision[]) returns boolean
language sql immutable parallel safe as $$
    select a[1] >= b[1] and coalesce(a[2] >= b[2], true) and coalesce(a[3] >= b[3], true)
       and coalesce(a[4] >= b[4], true) and a <> b
$$;

-- The volume that points dominate above zero. `points` holds their coordinates one point after the
-- other, `width` numbers each, none negative.
--
-- Slab by slab from the largest last coordinate down, each with the cross-section of the points above it
-- (L. While et al., "A faster algorithm for calculating hypervolume", 2006); two coordinates in one pass.
-- With n points it takes of the order of n^(width − 1) steps.
create function hypervolume(points double precision[], width integer) returns double precision
language plpgsql immutable parallel safe as $$
declare
    slab   record;
    above  double precision[] := '{}';
    volume double precision := 0;
begin
    if width = 1 then
        return coalesce((select max(x) from unnest(points) as x), 0);
    end if;
    if width = 2 then
        return coalesce((
            select sum(widest * (y - below))
              from (select y, lead(y, 1, 0::double precision) over down as below,
                           max(x) over down as widest
                      from (select i, points[2 * i - 1] as x, points[2 * i] as y
                              from generate_series(1, cardinality(points) / 2) as i) as point
                    window down as (order by y desc, i)) as slabs), 0);
    end if;
    for slab in
        select section, height, lead(height, 1, 0::double precision) over (order by height desc, i) as below
          from (select i, points[width * (i - 1) + 1 : width * i - 1] as section, points[width * i] as height
                  from generate_series(1, cardinality(points) / width) as i) as point
         order by height desc, i
    loop
        above := above || slab.section;
        if slab.height > slab.below then
            volume := volume + (slab.height - slab.below) * hypervolume(above, width - 1);
        end if;
    end loop;
    return volume;
end
$$;

-- From where a study's volume is measured, negated where smaller is better: what the study gives, else a
-- tenth of the range of the feasible results below their worst. Null before there is one.
create function hypervolume_reference(of_study bigint) returns double precision[]
language sql stable as $$
    select array_agg(coalesce(given.reference, seen.worst - case
                         when seen.best > seen.worst then 0.1 * seen.best - 0.1 * seen.worst
                         else 0.1 end)
                     order by given.place)
      from (select 1::bigint as place,
                   case s.direction when 'maximize' then s.reference else -s.reference end as reference
              from public.study s
             where s.study_id = of_study
            union all
            select o.place + 1,
                   case o.item->>'direction' when 'minimize' then -1 else 1 end
                       * (o.item->>'reference')::double precision
              from public.study s
             cross join jsonb_array_elements(s.also) with ordinality as o (item, place)
             where s.study_id = of_study) as given
      join (select x.place, min(x.number) as worst, max(x.number) as best
              from public.result r
             cross join unnest(r.objectives) with ordinality as x (number, place)
             where r.study_id = of_study and r.feasible
             group by x.place) as seen using (place)
$$;

-- The volume of a study's front after each of its results. Null from where a front of three or four
-- objectives has more than 300 points, and where the volume exceeds what a double holds.
create function hypervolume_by_result(of_study bigint)
returns table (obs_seq integer, hypervolume double precision)
language plpgsql stable as $$
declare
    reference double precision[];
    width     integer;
    found     record;
    excess    double precision[];
    front     double precision[] := '{}';  -- the excesses of the points on the front, one after the other
    volume    double precision := 0;
begin
    begin
        reference := public.hypervolume_reference(of_study);
        width := cardinality(reference);
    exception when numeric_value_out_of_range then
        volume := null;
    end;
    for found in
        select r.obs_seq, r.feasible, r.objectives
          from public.result r
         where r.study_id = of_study
         order by r.obs_seq
    loop
        if found.feasible and volume is not null then
            begin
                excess := array(select found.objectives[i] - reference[i] from generate_series(1, width) as i);
                if 0 < all (excess) and not exists (
                    select from generate_series(0, cardinality(front) / width - 1) as i
                     where public.dominates(front[width * i + 1 : width * (i + 1)], excess)
                        or front[width * i + 1 : width * (i + 1)] = excess)
                then
                    front := excess || array(
                        select front[width * i + k]
                          from generate_series(0, cardinality(front) / width - 1) as i,
                               generate_series(1, width) as k
                         where not public.dominates(excess, front[width * i + 1 : width * (i + 1)])
                         order by i, k);
                    volume := case when width <= 2 or cardinality(front) <= 300 * width
                                   then public.hypervolume(front, width) end;
                end if;
            exception when numeric_value_out_of_range then
                volume := null;
            end;
        end if;
        obs_seq := found.obs_seq;
        hypervolume := volume;
        return next;
    end loop;
end
$$;

create view v1.objectives as
select s.name as study, 0 as position, 'value' as measurement, s.direction, s.reference
  from public.study s
 union all
select s.name, o.place::integer, o.item->>'measurement', o.item->>'direction',
       (o.item->>'reference')::double precision
  from public.study s
 cross join jsonb_array_elements(s.also) with ordinality as o (item, place);
comment on view v1.objectives is 'One row per study and number that it makes good: the value, and what it weighs against it.';
comment on column v1.objectives.study is 'The study''s name.';
comment on column v1.objectives.position is '0 for the value, then as the study lists them.';
comment on column v1.objectives.measurement is 'value, or the name in v1.trials.measurements.';
comment on column v1.objectives.direction is 'maximize or minimize.';
comment on column v1.objectives.reference is 'The worst that is of interest; null: found from the results.';

create view v1.constraints as
select s.name as study, (c.place - 1)::integer as position, c.item->>'measurement' as measurement,
       (c.item->>'at_least')::double precision as at_least,
       (c.item->>'at_most')::double precision as at_most
  from public.study s
 cross join jsonb_array_elements(s.constraints) with ordinality as c (item, place);
comment on view v1.constraints is 'One row per study and bound that a trial must keep to count.';
comment on column v1.constraints.study is 'The study''s name.';
comment on column v1.constraints.position is 'As the study lists them, from 0.';
comment on column v1.constraints.measurement is 'value, or the name in v1.trials.measurements.';
comment on column v1.constraints.at_least is 'Kept by this and anything larger; null if it bounds from above.';
comment on column v1.constraints.at_most is 'Kept by this and anything smaller; null if it bounds from below.';

create view v1.pareto_front as
select s.name as study, t.number, r.value,
       (select jsonb_object_agg(o.item->>'measurement', r.measurements->(o.item->>'measurement'))
          from jsonb_array_elements(s.also) as o (item)) as also,
       t.params, r.measurements, r.obs_seq, r.at
  from public.result r
  join public.trial t using (trial_id)
  join public.study s on s.study_id = r.study_id
 where r.feasible
   and not exists (select from public.result other
                    where other.study_id = r.study_id
                      and other.feasible
                      and public.dominates(other.objectives, r.objectives));
comment on view v1.pareto_front is 'One row per completed trial that keeps every constraint and that no other such trial beats: nowhere worse and somewhere better. Without further objectives, the best trials.';
comment on column v1.pareto_front.study is 'The study''s name.';
comment on column v1.pareto_front.number is 'The trial''s number.';
comment on column v1.pareto_front.value is 'The objective''s value.';
comment on column v1.pareto_front.also is 'The further objectives, by measurement; null if the study has none.';
comment on column v1.pareto_front.params is 'The point in natural units, by parameter name.';
comment on column v1.pareto_front.measurements is 'Everything that was measured at the end, by name.';
comment on column v1.pareto_front.obs_seq is 'Order of the results, from 0.';
comment on column v1.pareto_front.at is 'When it was recorded.';

create view v1.hypervolume as
select s.name as study, h.obs_seq, t.number, r.feasible, h.hypervolume, r.at
  from public.study s
 cross join lateral public.hypervolume_by_result(s.study_id) as h
  join public.result r on r.study_id = s.study_id and r.obs_seq = h.obs_seq
  join public.trial t using (trial_id)
 where s.also <> '[]';
comment on view v1.hypervolume is 'The progress of studies with further objectives: after each result, the volume between the reference and the front. The reference is the study''s own, else a tenth of the range of all feasible results so far below their worst; it is the same for all rows of a study at one reading. Select one study: it is computed as it is read.';
comment on column v1.hypervolume.study is 'The study''s name.';
comment on column v1.hypervolume.obs_seq is 'Order of the results, from 0.';
comment on column v1.hypervolume.number is 'Number of the trial that gave this result.';
comment on column v1.hypervolume.feasible is 'Whether it keeps every constraint; if not, it adds nothing.';
comment on column v1.hypervolume.hypervolume is 'Volume after this result, in the product of the objectives'' units. Null beyond 300 points on a front of three or four objectives, and where no double holds it.';
comment on column v1.hypervolume.at is 'When it was recorded.';

create or replace view v1.studies as
select s.name as study,
       s.state::text as state,
       s.objective,
       s.direction,
       s.algorithm,
       s.seed,
       s.max_trials,
       s.next_number as trials,
       s.next_obs as results,
       best.value as best_value,
       s.posterior_version,
       s.created_at,
       s.finished_at,
       s.checkpoint_epochs,
       best.test_accuracy as best_test_accuracy
  from public.study s
  left join lateral (
       select r.value, (r.measurements->>'test_accuracy')::float8 as test_accuracy
         from public.result r
        where r.study_id = s.study_id and r.feasible
        order by case s.direction when 'maximize' then -r.value else r.value end, r.obs_seq
        limit 1) best on true;
comment on column v1.studies.best_value is 'Best value recorded so far among the results that keep every constraint, in the objective''s unit.';

create or replace view v1.trials as
select s.name as study,
       t.number,
       t.trial_id,
       t.state::text as state,
       r.value,
       (r.measurements->>'soft_accuracy')::float8 as soft_accuracy,
       (r.measurements->>'binary_accuracy')::float8 as binary_accuracy,
       (r.measurements->>'sharpening_finished')::float8 <> 0 as sharpening_finished,
       (r.measurements->>'epochs')::float8::int as epochs,
       (r.measurements->>'train_seconds')::float8 as train_seconds,
       r.measurements,
       t.params,
       coalesce(g.origin, 'enqueued') as origin,
       t.attempt,
       t.failures,
       w.label as worker,
       a.failure_class,
       a.detail as failure,
       r.obs_seq,
       t.created_at,
       a.started_at,
       t.finished_at,
       (r.measurements->>'test_accuracy')::float8 as test_accuracy,
       (r.measurements->>'test_soft_accuracy')::float8 as test_soft_accuracy,
       a.resumed_from_epoch,
       c.epoch as checkpoint_epoch,
       f.bytes as checkpoint_bytes,
       (r.measurements->>'collapsed')::float8 <> 0 as collapsed,
       r.feasible
  from public.trial t
  join public.study s using (study_id)
  left join public.result r using (trial_id)
  left join public.suggestion g using (trial_id)
  left join public.attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
  left join public.worker w using (worker_id)
  left join public.checkpoint c on c.trial_id = t.trial_id
  left join public.artifact f on f.sha256 = c.sha256;
comment on column v1.trials.feasible is 'Whether the result keeps every constraint of the study; null without a result.';
comment on column v1.trials.origin is 'Why the point was chosen: start, acquisition, feasibility (nothing feasible was known), plateau, parzen, mutation, random, grid, sobol or enqueued.';

create or replace view v1.best_so_far as
select s.name as study, r.obs_seq, t.number, r.value,
       case s.direction
           when 'maximize' then max(r.value) filter (where r.feasible) over upto
           else min(r.value) filter (where r.feasible) over upto
       end as best_value,
       r.at,
       (r.measurements->>'test_accuracy')::float8 as test_accuracy,
       r.feasible
  from public.result r
  join public.trial t using (trial_id)
  join public.study s on s.study_id = r.study_id
window upto as (partition by r.study_id order by r.obs_seq);
comment on column v1.best_so_far.best_value is 'The best value up to and including this one among the results that keep every constraint; null before the first.';
comment on column v1.best_so_far.feasible is 'Whether this result keeps every constraint.';

comment on column v1.suggestions.origin is 'start, acquisition, feasibility, plateau, parzen, mutation, random, grid or sobol.';
comment on column v1.suggestions.acquisition is 'Log expected improvement: natural logarithm, of the objective''s unit. With further objectives of the hypervolume, of the product of their units; with constraints plus the log probability that they are kept, which alone it is with origin feasibility. For origin parzen the logarithm of the ratio of good to bad density.';
