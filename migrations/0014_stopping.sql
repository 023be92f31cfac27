-- Early stopping of trials, the end of studies that gain no more, results from elsewhere, and studies
-- that go on with a larger budget.

alter table study
    add column early_stopping jsonb,             -- {"rule": "median", "metric": "binary_accuracy", …}; null: never
    add column gain_min double precision,        -- ends when further trials would gain less; null: never
    add column gain_counts_from integer not null default 0,  -- prospects up to this horizon do not count for that
    add column converged boolean not null default false,     -- further trials would gain less than gain_min
    add column ended_because text,               -- budget_spent, space_exhausted, gain_below or cancelled
    add constraint gain_min_is_positive check (gain_min > 0 and gain_min < 'infinity'),
    add constraint end_reason_is_known check
        (ended_because in ('budget_spent', 'space_exhausted', 'gain_below', 'cancelled'));
update study
   set ended_because = case when state = 'cancelled' then 'cancelled'
                            when next_number < max_trials then 'space_exhausted'
                            else 'budget_spent' end
 where state in ('completed', 'cancelled');
alter table study
    add constraint ended_for_a_reason check
        ((ended_because is null) = (state in ('active', 'paused')));

-- A cancelled study stays so. A completed one becomes active again when its budget leaves room for
-- another trial, and in no other way.
create function study_is_final() returns trigger language plpgsql as $$
begin
    if old.state = 'cancelled' and new.state <> 'cancelled'
       or old.state = 'completed' and new.state <> 'completed'
          and not (new.state = 'active' and new.max_trials > new.next_number) then
        raise exception 'study % is final (%)', old.study_id, old.state
              using errcode = 'restrict_violation';
    end if;
    return new;
end $$;

create trigger study_final before update of state on study
    for each row execute function study_is_final();

alter table lease
    add column prune boolean not null default false;  -- told to the worker: end the trial with its last value

alter table result
    add column is_pruned boolean not null default false,  -- the value is that of an unfinished training
    add constraint pruned_results_never_count check (not (is_pruned and feasible));
-- `result.feasible` is false of them: what they would have come to, nobody knows, and so they count neither
-- as the best nor on a front.
-- Why an attempt was told to end its trial early: one row an attempt, in the transaction that told it.
create table pruning (
    trial_id  bigint not null,
    attempt   integer not null,
    rule      text not null,                 -- median or successive_halving
    metric    text not null,                 -- what was compared
    step      integer not null,              -- the trial's epoch then
    stage     integer not null,              -- quarters of a layer that had sharpened; 0 where nothing sharpens
    place     integer not null,              -- steps since the stage was reached; the step where nothing sharpens
    value     double precision not null,     -- the trial's
    threshold double precision not null,     -- what it had to reach
    peers     integer not null,              -- trials that it was compared with
    at        timestamptz not null default clock_timestamp(),
    primary key (trial_id, attempt),
    foreign key (trial_id, attempt) references attempt on delete cascade
);

-- What further trials were expected to gain, as of some number of results. Computed from those alone, so
-- that whoever has them can compute it again.
create table prospect (
    study_id     bigint not null references study on delete cascade,
    horizon      integer not null,           -- observations 0 … horizon−1 were known
    failed       integer[] not null,         -- numbers of the trials that had failed
    taken        integer not null,           -- trials 0 … taken−1 had been planned, and are not tried again
    trials       integer not null,           -- further trials thought through
    gain         double precision not null,  -- what they gain in expectation, at most; objective's unit
    regret_bound double precision not null,  -- what any number gains with a probability of 90 %, at most
    at           timestamptz not null default clock_timestamp(),
    primary key (study_id, horizon),
    constraint gains_are_not_negative check (gain >= 0 and regret_bound >= 0)
);

-- A result from elsewhere that the posterior learns from: of another study or of a file. It is no trial of
-- this study and takes nothing from its budget; it has its place among the observations, as results do.
create table imported (
    study_id        bigint not null references study on delete cascade,
    obs_seq         integer not null,        -- among those of `result`: together they are dense from 0
    params          jsonb not null,          -- the point in natural units
    unit_point      double precision[] not null,  -- the same in [0, 1]^d, order of study_param
    value           double precision not null,
    measurements    jsonb not null default '{}',  -- as those of `result`
    source          text not null,           -- the other study's name, or what the importer called it
    source_trial_id bigint references trial on delete set null,  -- the trial that gave it; null: not of this database
    at              timestamptz not null default clock_timestamp(),
    primary key (study_id, obs_seq),
    constraint trials_are_imported_once unique (study_id, source_trial_id),
    constraint params_is_an_object check (jsonb_typeof(params) = 'object'),
    constraint value_is_finite check (abs(value) < 'infinity')
);
-- Serves the foreign key when a study is deleted.
create index imported_source on imported (source_trial_id);

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
       best.test_accuracy as best_test_accuracy,
       s.early_stopping,
       s.gain_min as stop_when_gain_below,
       s.ended_because,
       (select count(*) from public.imported i where i.study_id = s.study_id) as imported
  from public.study s
  left join lateral (
       select r.value, (r.measurements->>'test_accuracy')::float8 as test_accuracy
         from public.result r
        where r.study_id = s.study_id and r.feasible
        order by case s.direction when 'maximize' then -r.value else r.value end, r.obs_seq
        limit 1) best on true;
comment on column v1.studies.max_trials is 'The budget in trials; it may be raised later.';
comment on column v1.studies.results is 'Results known so far: of its own trials, pruned ones among them, and imported ones.';
comment on column v1.studies.best_value is 'Best value so far of a completed trial that keeps every constraint, in the objective''s unit.';
comment on column v1.studies.early_stopping is 'By which rule trials are stopped early: {"rule", "metric", "min_trials", "min_steps", "reduction"}; null: by none.';
comment on column v1.studies.stop_when_gain_below is 'The study ends when further trials would gain less, in the objective''s unit; null: never for that.';
comment on column v1.studies.ended_because is 'budget_spent, space_exhausted, gain_below or cancelled; null before the end.';
comment on column v1.studies.imported is 'Results from elsewhere that its posterior learns from.';

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
       case when not r.is_pruned then r.feasible end as feasible
  from public.trial t
  join public.study s using (study_id)
  left join public.result r using (trial_id)
  left join public.suggestion g using (trial_id)
  left join public.attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
  left join public.worker w using (worker_id)
  left join public.checkpoint c on c.trial_id = t.trial_id
  left join public.artifact f on f.sha256 = c.sha256;
comment on column v1.trials.feasible is 'Whether the result keeps every constraint of the study; null without a result, and of a pruned trial.';

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
 where not r.is_pruned
window upto as (partition by r.study_id order by r.obs_seq);
comment on view v1.best_so_far is 'The search''s progress: after each result of a completed trial, the best so far.';
comment on column v1.best_so_far.obs_seq is 'Order of the results, from 0; pruned and imported ones leave gaps.';

create or replace view v1.hypervolume as
select s.name as study, h.obs_seq, t.number, r.feasible, h.hypervolume, r.at
  from public.study s
 cross join lateral public.hypervolume_by_result(s.study_id) as h
  join public.result r on r.study_id = s.study_id and r.obs_seq = h.obs_seq
  join public.trial t using (trial_id)
 where s.also <> '[]' and not r.is_pruned;

comment on column v1.trials.value is 'The objective''s value; of a pruned trial the last one, of an unfinished training; null without a result.';
comment on column v1.trials.obs_seq is 'Order in which the result entered the posterior; with those of v1.imported dense from 0 per study.';

create or replace view v1.suggestions as
select s.name as study, t.number, g.origin, g.posterior_version, g.horizon, g.pending, g.failed,
       g.mean as predicted_mean, g.deviation as predicted_deviation, g.acquisition, r.value,
       case when not r.is_pruned then (r.value - g.mean) / nullif(g.deviation, 0) end as z_score,
       g.kernel, g.seed, g.at
  from public.suggestion g
  join public.trial t using (trial_id)
  join public.study s on s.study_id = g.study_id
  left join public.result r using (trial_id);
comment on column v1.suggestions.z_score is '(value − mean) / deviation: how far off the prediction was; null of a pruned trial.';

create view v1.prunings as
select s.name as study, t.number, p.attempt, p.rule, p.metric, p.step, p.stage, p.place, p.value,
       p.threshold, p.peers, p.at
  from public.pruning p
  join public.trial t using (trial_id)
  join public.study s using (study_id);
comment on view v1.prunings is 'One row each time a worker was told to end a trial early: what was compared with what.';
comment on column v1.prunings.study is 'The study''s name.';
comment on column v1.prunings.number is 'The trial''s number.';
comment on column v1.prunings.attempt is 'The attempt that was told.';
comment on column v1.prunings.rule is 'median or successive_halving.';
comment on column v1.prunings.metric is 'The metric that was compared.';
comment on column v1.prunings.step is 'Epoch at which it was compared, from 0.';
comment on column v1.prunings.stage is 'Quarters of a layer that had sharpened by then, over all layers; trials are compared at the same stage. 0 before sharpening and where nothing sharpens.';
comment on column v1.prunings.place is 'Steps since the trial reached that stage; the step where nothing sharpens.';
comment on column v1.prunings.value is 'The trial''s value of the metric at that stage.';
comment on column v1.prunings.threshold is 'What it was worse than.';
comment on column v1.prunings.peers is 'Trials that it was compared with.';
comment on column v1.prunings.at is 'When.';

create view v1.prospects as
select s.name as study, p.horizon, p.failed, p.taken, p.trials, p.gain, p.regret_bound,
       p.gain < s.gain_min and p.horizon > s.gain_counts_from as below_limit, p.at
  from public.prospect p
  join public.study s using (study_id);
comment on view v1.prospects is 'One row each time the coordinator worked out what further trials may gain.';
comment on column v1.prospects.study is 'The study''s name.';
comment on column v1.prospects.horizon is 'Results that were known.';
comment on column v1.prospects.failed is 'Numbers of the trials that had failed.';
comment on column v1.prospects.taken is 'Trials that had been planned, from number 0 on; their points are not tried again.';
comment on column v1.prospects.trials is 'Further trials that were thought through.';
comment on column v1.prospects.gain is 'What they are expected to gain over the best predicted mean, at most; objective''s unit.';
comment on column v1.prospects.regret_bound is 'What any number of trials may gain, at most, with a probability of 90 %.';
comment on column v1.prospects.below_limit is 'Whether the gain is below the study''s stop_when_gain_below and counts; three in a row end the study. Null without such a limit.';
comment on column v1.prospects.at is 'When it was computed.';

create view v1.imported as
select s.name as study, i.obs_seq, i.params, i.value, i.measurements, i.source,
       t.number as source_number, i.at
  from public.imported i
  join public.study s using (study_id)
  left join public.trial t on t.trial_id = i.source_trial_id;
comment on view v1.imported is 'One row per result from elsewhere that a study''s posterior learns from.';
comment on column v1.imported.study is 'The study that learns from it.';
comment on column v1.imported.obs_seq is 'Its place among the study''s observations.';
comment on column v1.imported.params is 'The point in natural units, by parameter name.';
comment on column v1.imported.value is 'The value, in the objective''s unit.';
comment on column v1.imported.measurements is 'Everything else that was measured there, by name.';
comment on column v1.imported.source is 'The study that it comes from, or the file.';
comment on column v1.imported.source_number is 'The trial''s number there; null if it comes from a file.';
comment on column v1.imported.at is 'When it was imported.';
