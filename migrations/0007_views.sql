-- Schema v1 is the contract with whoever reads by SQL: tables may change, these views only grow.
create schema v1;
comment on schema v1 is 'Read-only views of every study''s history. Stable: changes are additive.';

create view v1.studies as
select s.name as study,
       s.state::text as state,
       s.objective,
       s.direction,
       s.algorithm,
       s.seed,
       s.max_trials,
       s.next_number as trials,
       s.next_obs as results,
       (select case s.direction when 'maximize' then max(r.value) else min(r.value) end
          from public.result r where r.study_id = s.study_id) as best_value,
       s.posterior_version,
       s.created_at,
       s.finished_at
  from public.study s;
comment on view v1.studies is 'One row per study: what is searched, the budget, and how far it is.';
comment on column v1.studies.study is 'The study''s name; unique.';
comment on column v1.studies.state is 'active, paused, completed or cancelled.';
comment on column v1.studies.objective is 'What a trial measures: {"whetstone": {data set, fixed hyperparameters …}} or {"external": {…}}.';
comment on column v1.studies.direction is 'maximize or minimize.';
comment on column v1.studies.algorithm is 'gaussian_process, random, grid or sobol.';
comment on column v1.studies.seed is 'Seed of every random choice, as a signed 64-bit number.';
comment on column v1.studies.max_trials is 'The budget in trials.';
comment on column v1.studies.trials is 'Trials planned or enqueued so far.';
comment on column v1.studies.results is 'Results recorded so far.';
comment on column v1.studies.best_value is 'Best value recorded so far, in the objective''s unit.';
comment on column v1.studies.posterior_version is 'Plans made so far.';
comment on column v1.studies.created_at is 'When the study was created.';
comment on column v1.studies.finished_at is 'When it completed or was cancelled; null before.';

create view v1.trials as
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
       t.finished_at
  from public.trial t
  join public.study s using (study_id)
  left join public.result r using (trial_id)
  left join public.suggestion g using (trial_id)
  left join public.attempt a on (a.trial_id, a.attempt) = (t.trial_id, t.attempt)
  left join public.worker w using (worker_id);
comment on view v1.trials is 'One row per trial: the point, where it stands, and what it reached.';
comment on column v1.trials.study is 'The study''s name.';
comment on column v1.trials.number is 'Number within the study, from 0.';
comment on column v1.trials.trial_id is 'Unique over all studies.';
comment on column v1.trials.state is 'queued, running, completed, pruned, failed or cancelled.';
comment on column v1.trials.value is 'The objective''s value; null without a result.';
comment on column v1.trials.soft_accuracy is 'Share of held-out images classified right with activations as sharp as training left them, 0 to 1.';
comment on column v1.trials.binary_accuracy is 'The same with every activation a threshold, 0 to 1.';
comment on column v1.trials.sharpening_finished is 'Whether every layer had been sharpened into a threshold when training ended.';
comment on column v1.trials.epochs is 'Epochs trained.';
comment on column v1.trials.train_seconds is 'Wall seconds of the training, as its worker measured them.';
comment on column v1.trials.measurements is 'Everything that was measured at the end, by name.';
comment on column v1.trials.params is 'The point in natural units, by parameter name; inactive parameters are absent.';
comment on column v1.trials.origin is 'Why the point was chosen: start, acquisition, plateau, random, grid, sobol or enqueued.';
comment on column v1.trials.attempt is 'Leases granted so far.';
comment on column v1.trials.failures is 'Attempts that failed or lapsed; released ones are not counted.';
comment on column v1.trials.worker is 'Label of the worker of the last attempt.';
comment on column v1.trials.failure_class is 'Kind of failure of the last attempt; null if it did not fail.';
comment on column v1.trials.failure is 'What its worker said about it.';
comment on column v1.trials.obs_seq is 'Order in which the result entered the posterior; dense from 0 per study.';
comment on column v1.trials.created_at is 'When the trial was planned or enqueued.';
comment on column v1.trials.started_at is 'When its last attempt began.';
comment on column v1.trials.finished_at is 'When it reached its end state; null before.';

create view v1.trial_params as
select s.name as study, t.number, p.name, d.kind, p.value_num, p.value_text
  from public.trial_param p
  join public.trial t using (trial_id)
  join public.study s using (study_id)
  left join public.study_param d on (d.study_id, d.name) = (t.study_id, p.name);
comment on view v1.trial_params is 'One row per trial and active parameter.';
comment on column v1.trial_params.study is 'The study''s name.';
comment on column v1.trial_params.number is 'The trial''s number.';
comment on column v1.trial_params.name is 'The parameter''s name.';
comment on column v1.trial_params.kind is 'float, int, ordinal, categorical or bool.';
comment on column v1.trial_params.value_num is 'Its value if a number; switches as 0 and 1.';
comment on column v1.trial_params.value_text is 'Its value if a category.';

create view v1.attempts as
select s.name as study, t.number, a.attempt, a.outcome::text as outcome, w.label as worker,
       w.device, a.worker_id, a.failure_class, a.detail, a.started_at, a.ended_at,
       extract(epoch from coalesce(a.ended_at, clock_timestamp()) - a.started_at)::float8 as seconds
  from public.attempt a
  join public.trial t using (trial_id)
  join public.study s using (study_id)
  left join public.worker w using (worker_id);
comment on view v1.attempts is 'One row each time a trial was handed to a worker; never deleted.';
comment on column v1.attempts.study is 'The study''s name.';
comment on column v1.attempts.number is 'The trial''s number.';
comment on column v1.attempts.attempt is 'Which attempt at the trial, from 1.';
comment on column v1.attempts.outcome is 'running, completed, pruned, failed, expired, released or cancelled.';
comment on column v1.attempts.worker is 'The worker''s label, usually its host name.';
comment on column v1.attempts.device is 'cpu, or the accelerator''s name.';
comment on column v1.attempts.worker_id is 'The worker process.';
comment on column v1.attempts.failure_class is 'Kind of failure; null if it did not fail.';
comment on column v1.attempts.detail is 'What the worker said.';
comment on column v1.attempts.started_at is 'When the lease was granted.';
comment on column v1.attempts.ended_at is 'When the attempt ended; null while it runs.';
comment on column v1.attempts.seconds is 'Seconds from start to end, or until now.';

create view v1.metrics as
select s.name as study, t.number, m.attempt, m.step, m.name, m.value, m.at
  from public.metric m
  join public.trial t using (trial_id)
  join public.study s using (study_id);
comment on view v1.metrics is 'One row per number that a worker measured in the course of an attempt.';
comment on column v1.metrics.study is 'The study''s name.';
comment on column v1.metrics.number is 'The trial''s number.';
comment on column v1.metrics.attempt is 'The attempt that measured it.';
comment on column v1.metrics.step is 'Epoch, from 0.';
comment on column v1.metrics.name is 'loss, train_accuracy, soft_accuracy, binary_accuracy, sharpness_1 …';
comment on column v1.metrics.value is 'The number; always finite.';
comment on column v1.metrics.at is 'When the coordinator received it.';

create view v1.suggestions as
select s.name as study, t.number, g.origin, g.posterior_version, g.horizon, g.pending, g.failed,
       g.mean as predicted_mean, g.deviation as predicted_deviation, g.acquisition, r.value,
       (r.value - g.mean) / nullif(g.deviation, 0) as z_score, g.kernel, g.seed, g.at
  from public.suggestion g
  join public.trial t using (trial_id)
  join public.study s on s.study_id = g.study_id
  left join public.result r using (trial_id);
comment on view v1.suggestions is 'One row per point that the algorithm chose: what it was decided from, and what it turned out to be.';
comment on column v1.suggestions.study is 'The study''s name.';
comment on column v1.suggestions.number is 'The trial''s number.';
comment on column v1.suggestions.origin is 'start, acquisition, plateau, random, grid or sobol.';
comment on column v1.suggestions.posterior_version is 'The plan that chose it, counted from 1.';
comment on column v1.suggestions.horizon is 'Results that were known.';
comment on column v1.suggestions.pending is 'Numbers of the trials that were open.';
comment on column v1.suggestions.failed is 'Numbers of the trials that had failed.';
comment on column v1.suggestions.predicted_mean is 'Predicted value, in the objective''s unit; null before there was a posterior.';
comment on column v1.suggestions.predicted_deviation is 'Standard deviation of the prediction, same unit.';
comment on column v1.suggestions.acquisition is 'Log expected improvement: natural logarithm, of the objective''s unit.';
comment on column v1.suggestions.value is 'What the trial reached; null without a result.';
comment on column v1.suggestions.z_score is '(value − mean) / deviation: how far off the prediction was.';
comment on column v1.suggestions.kernel is 'Length scales by parameter name, signal and noise variance at that time.';
comment on column v1.suggestions.seed is 'The study''s seed; with the number it keys the random generator.';
comment on column v1.suggestions.at is 'When it was chosen.';

create view v1.posterior as
select s.name as study, p.version, p.horizon, d.position, d.name as parameter,
       l.length_scale, p.signal_variance, p.noise_variance, p.log_posterior, p.fitted_at
  from public.posterior p
  join public.study s using (study_id)
 cross join lateral unnest(p.length_scales) with ordinality as l (length_scale, place)
  join public.study_param d on d.study_id = p.study_id and d.position = l.place - 1;
comment on view v1.posterior is 'One row per study and parameter: the Gaussian process as last fitted. A short length scale means that the parameter matters.';
comment on column v1.posterior.study is 'The study''s name.';
comment on column v1.posterior.version is 'The plan it belongs to.';
comment on column v1.posterior.horizon is 'Results that went in.';
comment on column v1.posterior.position is 'Place of the parameter in the space, from 0.';
comment on column v1.posterior.parameter is 'The parameter''s name.';
comment on column v1.posterior.length_scale is 'Length scale, in shares of the parameter''s range (1: the whole range).';
comment on column v1.posterior.signal_variance is 'Variance of the function, in units of the standardised objective.';
comment on column v1.posterior.noise_variance is 'Variance of the noise, likewise.';
comment on column v1.posterior.log_posterior is 'Log posterior density of these hyperparameters, up to a constant.';
comment on column v1.posterior.fitted_at is 'When it was fitted.';

create view v1.best_so_far as
select s.name as study, r.obs_seq, t.number, r.value,
       case s.direction
           when 'maximize' then max(r.value) over upto
           else min(r.value) over upto
       end as best_value,
       r.at
  from public.result r
  join public.trial t using (trial_id)
  join public.study s on s.study_id = r.study_id
window upto as (partition by r.study_id order by r.obs_seq);
comment on view v1.best_so_far is 'The search''s progress: after each result, the best so far.';
comment on column v1.best_so_far.study is 'The study''s name.';
comment on column v1.best_so_far.obs_seq is 'Order of the results, from 0.';
comment on column v1.best_so_far.number is 'Number of the trial that gave this result.';
comment on column v1.best_so_far.value is 'The result.';
comment on column v1.best_so_far.best_value is 'The best value up to and including this one.';
comment on column v1.best_so_far.at is 'When it was recorded.';
