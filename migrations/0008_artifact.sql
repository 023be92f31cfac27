-- An artifact is bytes that a worker stored: the state of a training, named by its content. It is
-- written whole in one transaction and never changed; once nothing refers to it, it is deleted, in
-- the transaction that let go of it or by the reaper.
create table artifact (
    sha256     bytea primary key,            -- of the content: its name, and the proof that it is whole
    bytes      bigint not null,              -- length of the content
    created_at timestamptz not null default clock_timestamp(),  -- when its upload began
    constraint name_is_sha256 check (octet_length(sha256) = 32),
    constraint artifacts_are_not_empty check (bytes >= 1)
);

-- The content of an artifact in order, so that nobody has to hold all of it at once.
create table artifact_chunk (
    sha256 bytea not null references artifact on delete cascade,  -- whose content
    part   integer not null,                 -- from 0
    data   bytea not null,                   -- 256 KiB; the rest in the last part
    primary key (sha256, part),
    constraint parts_count_from_zero check (part >= 0),
    constraint chunks_are_small check (octet_length(data) between 1 and 262144)
);
-- Weights do not compress; trying costs time on every insert.
alter table artifact_chunk alter column data set storage external;

-- Where a trial's training can go on. Life of a row: written when a worker has stored the first
-- checkpoint, replaced by every newer one, deleted by the reaper after the trial has ended.
create table checkpoint (
    trial_id bigint primary key,             -- the newest alone is kept
    attempt  integer not null,               -- which attempt came so far
    epoch    integer not null,               -- epochs trained; training goes on with this one, from 0
    sha256   bytea not null references artifact,  -- the state
    at       timestamptz not null default clock_timestamp(),  -- when it was stored
    foreign key (trial_id, attempt) references attempt on delete cascade,
    constraint some_epoch_was_trained check (epoch >= 1)
);
-- Serves the look for artifacts that nothing refers to, and the foreign key when they go.
create index checkpoint_artifact on checkpoint (sha256);

alter table attempt
    add column resumed_from_epoch integer,   -- epoch of the checkpoint it went on from; null: began afresh
    add constraint some_epoch_was_trained check (resumed_from_epoch >= 1);

alter table study
    add column checkpoint_epochs integer not null default 0,  -- epochs between two checkpoints; 0: none
    add constraint checkpoint_epochs_in_range check (checkpoint_epochs between 0 and 10000);

-- Serves leases::take_queued and leases::held_by: the best value of a study, told with every lease.
create index result_value on result (study_id, value);

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
        where r.study_id = s.study_id
        order by case s.direction when 'maximize' then -r.value else r.value end, r.obs_seq
        limit 1) best on true;
comment on column v1.studies.checkpoint_epochs is 'Epochs after which a worker stores the state of its training; 0: never.';
comment on column v1.studies.best_test_accuracy is 'Share of test images that the best trial''s network classifies right with every activation a threshold, 0 to 1; null unless the study measures on validation images.';

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
       (r.measurements->>'collapsed')::float8 <> 0 as collapsed
  from public.trial t
  join public.study s using (study_id)
  left join public.result r using (trial_id)
  left join public.suggestion g using (trial_id)
  left join public.attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
  left join public.worker w using (worker_id)
  left join public.checkpoint c on c.trial_id = t.trial_id
  left join public.artifact f on f.sha256 = c.sha256;
comment on column v1.trials.train_seconds is 'Wall seconds of the training in its last attempt, as its worker measured them.';
comment on column v1.trials.test_accuracy is 'Share of test images classified right with every activation a threshold, 0 to 1; null unless the study measures on validation images and the trial was better than all known when it began.';
comment on column v1.trials.test_soft_accuracy is 'The same with activations as sharp as training left them.';
comment on column v1.trials.resumed_from_epoch is 'Epochs that the last attempt found trained, in a checkpoint; null if it began afresh.';
comment on column v1.trials.checkpoint_epoch is 'Epochs trained in the newest stored checkpoint; null without one, as some time after the trial''s end.';
comment on column v1.trials.checkpoint_bytes is 'Length of that checkpoint in bytes.';
comment on column v1.trials.collapsed is 'Whether training ended early because nothing would come of it any more; its value counts all the same.';

create or replace view v1.attempts as
select s.name as study, t.number, a.attempt, a.outcome::text as outcome, w.label as worker,
       w.device, a.worker_id, a.failure_class, a.detail, a.started_at, a.ended_at,
       extract(epoch from coalesce(a.ended_at, clock_timestamp()) - a.started_at)::float8 as seconds,
       a.resumed_from_epoch
  from public.attempt a
  join public.trial t using (trial_id)
  join public.study s using (study_id)
  left join public.worker w using (worker_id);
comment on column v1.attempts.resumed_from_epoch is 'Epochs that it found trained, in a checkpoint of an earlier attempt; null if it began afresh.';

create or replace view v1.best_so_far as
select s.name as study, r.obs_seq, t.number, r.value,
       case s.direction
           when 'maximize' then max(r.value) over upto
           else min(r.value) over upto
       end as best_value,
       r.at,
       (r.measurements->>'test_accuracy')::float8 as test_accuracy
  from public.result r
  join public.trial t using (trial_id)
  join public.study s on s.study_id = r.study_id
window upto as (partition by r.study_id order by r.obs_seq);
comment on column v1.best_so_far.test_accuracy is 'What the trial of this result reached on the test images with every activation a threshold; null if it was not measured, as with every result that was no improvement.';

create view v1.learning_curves as
select distinct on (s.name, t.number, m.name, m.step)
       s.name as study, t.number, m.name, m.step, m.value, m.attempt
  from public.metric m
  join public.trial t using (trial_id)
  join public.study s using (study_id)
 order by s.name, t.number, m.name, m.step, m.attempt desc;
comment on view v1.learning_curves is 'One row per trial, name and epoch: the metrics of a trial put together over its attempts, for one that went on from a checkpoint has only its own epochs.';
comment on column v1.learning_curves.study is 'The study''s name.';
comment on column v1.learning_curves.number is 'The trial''s number.';
comment on column v1.metrics.name is 'loss, train_accuracy, soft_accuracy, binary_accuracy, sharpness_1 …, and for each layer such as conv1 dead_conv1, saturated_conv1, flips_conv1, gradient_norm_conv1.';
comment on column v1.learning_curves.name is 'As in v1.metrics.';
comment on column v1.learning_curves.step is 'Epoch, from 0.';
comment on column v1.learning_curves.value is 'The number; always finite.';
comment on column v1.learning_curves.attempt is 'The last attempt that measured it.';
