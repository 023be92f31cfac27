-- What a study's posterior says to people: importance, calibration, partial dependence. A cache:
-- deleted, it is computed again from the results.
--
-- A coordinator computes it when a study has ended, and on the way at most once a minute and after a
-- quarter more results (coordinator/src/scheduler/insights.rs).

-- Which failed trials went into the stored posterior, so that it can be put together again whatever
-- has failed since.
alter table posterior add column failed integer[];  -- their numbers; null: stored before this column

-- One row per study: from what and when. The rows below belong to it.
create table insight (
    study_id    bigint primary key references study on delete cascade,
    horizon     integer not null,            -- observations 0 … horizon−1 were known
    spread      double precision not null,   -- deviation of the posterior mean over the space, in the objective's unit
    computed_at timestamptz not null default clock_timestamp()
);

-- Sobol indices of the posterior mean, one row per parameter.
create table importance (
    study_id  bigint not null references insight on delete cascade,
    position  integer not null,              -- as study_param
    first            double precision not null,  -- first-order index, 0 to 1
    first_estimator  double precision not null,  -- its standard error from sampling the space
    first_surrogate  double precision not null,  -- its deviation from what the posterior does not know
    total            double precision not null,  -- total index, 0 to 1
    total_estimator  double precision not null,
    total_surrogate  double precision not null,
    primary key (study_id, position)
);

-- Results left out one at a time, and folds left out of a fit; absent if all results are equal.
create table calibration (
    study_id    bigint primary key references insight on delete cascade,
    z_mean      double precision not null,
    z_rms       double precision not null,
    coverage_50 double precision not null,   -- share of results within the interval of that many percent
    coverage_80 double precision not null,
    coverage_95 double precision not null,
    log_density          double precision not null,  -- natural logarithm, of the objective's unit
    log_density_constant double precision not null,  -- the same of a normal without parameters
    folds         integer,                   -- these are null where folds would take too long to fit
    predicted     integer,
    r2            double precision,
    rmse          double precision,
    rmse_constant double precision,
    constraint cross_validated_or_not check (
        num_nulls(folds, predicted, r2, rmse, rmse_constant) in (0, 5))
);

-- One row per result that the posterior was fitted to.
create table left_out (
    study_id  bigint not null references insight on delete cascade,
    number    integer not null,              -- the trial's
    value     double precision not null,     -- as it was learned, in the objective's unit
    is_raised boolean not null,              -- lay so far in the bad tail that it was learned as better than it is
    mean      double precision not null,     -- predicted from the others
    deviation double precision not null,     -- of that prediction, the noise of a measurement included
    z_score   double precision not null,
    primary key (study_id, number)
);

-- Partial dependence of the posterior mean, one row per parameter and value.
create table partial_dependence (
    study_id  bigint not null references insight on delete cascade,
    position  integer not null,              -- as study_param
    place     integer not null,              -- from 0, in the order of the parameter's values
    value     jsonb not null,                -- natural units
    mean      double precision not null,     -- over the space, in the objective's unit
    deviation double precision not null,     -- of that mean, same unit
    results   integer not null,              -- with this value, or nearest to it in a range
    primary key (study_id, position, place)
);

create view v1.importance as
select s.name as study, d.position, d.name as parameter,
       m.first as first_order,
       sqrt(m.first_estimator ^ 2 + m.first_surrogate ^ 2) as first_order_deviation,
       m.total,
       sqrt(m.total_estimator ^ 2 + m.total_surrogate ^ 2) as total_deviation,
       m.first_estimator as first_order_estimator, m.first_surrogate as first_order_surrogate,
       m.total_estimator, m.total_surrogate, i.spread, i.horizon, i.computed_at
  from public.importance m
  join public.insight i using (study_id)
  join public.study s using (study_id)
  join public.study_param d using (study_id, position);
comment on view v1.importance is 'One row per study and parameter: how much of what the posterior mean varies over the space is due to the parameter (Sobol indices). Computed when the study has ended, and now and then before.';
comment on column v1.importance.study is 'The study''s name.';
comment on column v1.importance.position is 'Place of the parameter in the space, from 0.';
comment on column v1.importance.parameter is 'The parameter''s name.';
comment on column v1.importance.first_order is 'First-order index, 0 to 1: share of the variance due to the parameter by itself.';
comment on column v1.importance.first_order_deviation is 'Its standard deviation, from both causes below.';
comment on column v1.importance.total is 'Total index, 0 to 1: the same together with every interaction that the parameter takes part in.';
comment on column v1.importance.total_deviation is 'Its standard deviation, from both causes below.';
comment on column v1.importance.first_order_estimator is 'Part of the deviation that is due to sampling the space.';
comment on column v1.importance.first_order_surrogate is 'Part of the deviation that is due to what the posterior does not know.';
comment on column v1.importance.total_estimator is 'As first_order_estimator.';
comment on column v1.importance.total_surrogate is 'As first_order_surrogate.';
comment on column v1.importance.spread is 'Standard deviation of the posterior mean over the space, in the objective''s unit: what the shares are of. 0: the mean is flat.';
comment on column v1.importance.horizon is 'Results that were known.';
comment on column v1.importance.computed_at is 'When it was computed.';

create view v1.calibration as
select s.name as study, (select count(*) from public.left_out l where l.study_id = c.study_id) as results,
       c.z_mean, c.z_rms, c.coverage_50, c.coverage_80, c.coverage_95, c.log_density,
       c.log_density_constant, c.folds, c.predicted, c.r2, c.rmse, c.rmse_constant, i.horizon,
       i.computed_at
  from public.calibration c
  join public.insight i using (study_id)
  join public.study s using (study_id);
comment on view v1.calibration is 'One row per study: how far the posterior''s predictions can be believed. The results one by one are in v1.left_out.';
comment on column v1.calibration.study is 'The study''s name.';
comment on column v1.calibration.results is 'Results that were left out, one after the other.';
comment on column v1.calibration.z_mean is 'Mean of (value − mean) / deviation: 0 without bias.';
comment on column v1.calibration.z_rms is 'Root mean square of it: 1 if the deviations are right, more if they are too small.';
comment on column v1.calibration.coverage_50 is 'Share of results within their 50 % interval, 0 to 1.';
comment on column v1.calibration.coverage_80 is 'Share of results within their 80 % interval.';
comment on column v1.calibration.coverage_95 is 'Share of results within their 95 % interval.';
comment on column v1.calibration.log_density is 'Mean logarithm of the density predicted at the results: natural, of the objective''s unit. Larger is better.';
comment on column v1.calibration.log_density_constant is 'The same of a normal distribution that knows no parameters.';
comment on column v1.calibration.folds is 'Parts of a cross-validation, each predicted from a fit to the others; null with more than 300 results, as the next four.';
comment on column v1.calibration.predicted is 'Results that were predicted so.';
comment on column v1.calibration.r2 is 'Share of the constant''s squared error that the posterior is spared: 1 is perfect, 0 or less no better than the mean.';
comment on column v1.calibration.rmse is 'Root mean square error of those predictions, in the objective''s unit.';
comment on column v1.calibration.rmse_constant is 'The same if the mean of the other results is predicted.';
comment on column v1.calibration.horizon is 'Results that were known.';
comment on column v1.calibration.computed_at is 'When it was computed.';

create view v1.left_out as
select s.name as study, l.number, l.value, l.is_raised, l.mean as predicted_mean,
       l.deviation as predicted_deviation, l.z_score, i.horizon, i.computed_at
  from public.left_out l
  join public.insight i using (study_id)
  join public.study s using (study_id);
comment on view v1.left_out is 'One row per result: what the posterior predicts for it from all the others.';
comment on column v1.left_out.study is 'The study''s name.';
comment on column v1.left_out.number is 'The trial''s number.';
comment on column v1.left_out.value is 'The result as it was learned, in the objective''s unit.';
comment on column v1.left_out.is_raised is 'Whether it is so much worse than the others that it was learned as better than it is; v1.trials has what was measured.';
comment on column v1.left_out.predicted_mean is 'Predicted value, in the objective''s unit.';
comment on column v1.left_out.predicted_deviation is 'Standard deviation of the prediction, the noise of a measurement included.';
comment on column v1.left_out.z_score is '(value − mean) / deviation.';
comment on column v1.left_out.horizon is 'Results that were known.';
comment on column v1.left_out.computed_at is 'When it was computed.';

create view v1.partial_dependence as
select s.name as study, d.position, d.name as parameter, p.place, p.value #>> '{}' as value,
       case jsonb_typeof(p.value)
           when 'number' then (p.value #>> '{}')::float8
           when 'boolean' then ((p.value #>> '{}')::boolean)::integer::float8
       end as value_num,
       p.mean, p.deviation, p.results, i.horizon, i.computed_at
  from public.partial_dependence p
  join public.insight i using (study_id)
  join public.study s using (study_id)
  join public.study_param d using (study_id, position);
comment on view v1.partial_dependence is 'One row per study, parameter and value: the posterior mean there, averaged over all other parameters.';
comment on column v1.partial_dependence.study is 'The study''s name.';
comment on column v1.partial_dependence.position is 'Place of the parameter in the space, from 0.';
comment on column v1.partial_dependence.parameter is 'The parameter''s name.';
comment on column v1.partial_dependence.place is 'Order of the value among those of the parameter, from 0.';
comment on column v1.partial_dependence.value is 'The value, in natural units.';
comment on column v1.partial_dependence.value_num is 'The same if a number; switches as 0 and 1; null for a category.';
comment on column v1.partial_dependence.mean is 'Mean of the objective over the space with this value, in its unit; of a conditional parameter over the part where it is active.';
comment on column v1.partial_dependence.deviation is 'Standard deviation of that mean: what the posterior does not know.';
comment on column v1.partial_dependence.results is 'Results with this value, or nearest to it in a range.';
comment on column v1.partial_dependence.horizon is 'Results that were known.';
comment on column v1.partial_dependence.computed_at is 'When it was computed.';
