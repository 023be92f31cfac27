-- The posterior of a study as last fitted. A cache: results are the source of truth, and a deleted
-- row is fitted again from them, to the last bit.
create table posterior (
    study_id        bigint primary key references study on delete cascade,
    version         bigint not null,             -- study.posterior_version that it belongs to
    horizon         integer not null,            -- observations 0 … horizon−1 went in
    length_scales   double precision[] not null, -- in units of the cube, order of study_param
    signal_variance double precision not null,   -- in units of the standardised objective
    noise_variance  double precision not null,   -- likewise
    value_offset    double precision not null,   -- standardised = (value − offset) / scale, larger is better
    value_scale     double precision not null,
    factor          double precision[] not null, -- Cholesky factor, lower triangle by rows
    alpha           double precision[] not null, -- (K + noise)⁻¹ y, one weight an observation
    log_posterior   double precision not null,   -- of the kernel hyperparameters, up to a constant
    fitted_at       timestamptz not null default clock_timestamp()
);

-- What one point was decided from: enough to compute it again, bit for bit.
create table suggestion (
    trial_id          bigint primary key references trial on delete cascade,
    study_id          bigint not null references study on delete cascade,
    posterior_version bigint not null,           -- version that this plan created
    horizon           integer not null,          -- observations 0 … horizon−1 were known
    pending           integer[] not null,        -- numbers of the trials that were open, the plan's own earlier ones included
    failed            integer[] not null,        -- numbers of the trials that had failed
    seed              bigint not null,           -- the study's; with the trial's number it keys the generator
    origin            text not null,             -- start, acquisition, plateau, random, grid or sobol
    mean              double precision,          -- predicted value, in the objective's unit; null without posterior
    deviation         double precision,          -- standard deviation of it, same unit
    acquisition       double precision,          -- log expected improvement: natural logarithm, of the objective's unit
    kernel            jsonb,                     -- the kernel's hyperparameters then; null without posterior
    at                timestamptz not null default clock_timestamp()
);
create index suggestion_study on suggestion (study_id, posterior_version);
