-- Priorities of studies, workers that are told to go, a limit on metrics, and answers that are forgotten.

alter table study
    add column priority smallint not null default 0,  -- workers serve higher ones first
    add constraint priority_in_range check (priority between -100 and 100);

alter table worker
    add column seen_at timestamptz not null default clock_timestamp(),  -- last asked for a trial, to two minutes
    add column drained_because text,             -- why it is to go, a sentence; null: it is not
    add column is_unfit boolean not null default false,  -- because its machine has failed too often
    add column drained_at timestamptz,           -- when that was decided
    add column failures_count_from timestamptz not null default '-infinity',  -- failures before do not count: a person took a drain back
    add constraint drained_for_a_reason check ((drained_because is null) = (drained_at is null)),
    add constraint unfit_are_drained check (not is_unfit or drained_because is not null);

-- Serves workers::count_against: a machine's latest failures. Partial, so that it holds the few attempts
-- that a machine is to blame for.
create index attempt_unfit on attempt (worker_id, ended_at)
 where failure_class in ('data', 'device_lost');

alter table lease
    add column metrics integer not null default 0;  -- taken of this attempt so far, repeated ones included

-- Serves idempotency::forget.
create index idempotency_at on idempotency (at);

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
       (select count(*) from public.imported i where i.study_id = s.study_id) as imported,
       s.priority
  from public.study s
  left join lateral (
       select r.value, (r.measurements->>'test_accuracy')::float8 as test_accuracy
         from public.result r
        where r.study_id = s.study_id and r.feasible
        order by case s.direction when 'maximize' then -r.value else r.value end, r.obs_seq
        limit 1) best on true;
comment on column v1.studies.priority is 'Workers serve studies of a higher priority first; −100 to 100.';

create view v1.workers as
select w.worker_id, w.label, w.device,
       case when l.running = 0 and w.seen_at < clock_timestamp() - interval '5 minutes' then 'gone'
            when w.drained_because is not null then 'draining'
            else 'active'
       end as state,
       l.running, w.drained_because, w.is_unfit, w.drained_at, w.registered_at, w.seen_at
  from public.worker w
 cross join lateral (
       select count(*) as running from public.lease l where l.worker_id = w.worker_id) l;
comment on view v1.workers is 'One row per worker process that has asked for a trial; one that is started again is another.';
comment on column v1.workers.worker_id is 'The uuid that it made when it started.';
comment on column v1.workers.label is 'Its host''s name.';
comment on column v1.workers.device is 'cpu, or the accelerator''s name.';
comment on column v1.workers.state is 'active; draining: told to go, or will be when it calls; gone: it holds no lease and has not asked for five minutes.';
comment on column v1.workers.running is 'Leases that it holds.';
comment on column v1.workers.drained_because is 'Why it is to go; null if it is not.';
comment on column v1.workers.is_unfit is 'Whether it is to go because its machine has failed too often.';
comment on column v1.workers.drained_at is 'When that was decided.';
comment on column v1.workers.registered_at is 'When it first asked for a trial.';
comment on column v1.workers.seen_at is 'When it last asked for one, to two minutes; a long training asks for none.';

insert into schema_version (version, oldest_program) values (17, 15);
