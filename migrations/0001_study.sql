-- A study is one search: a space, an objective, a budget, and what has come of them.
--
-- Life of a row:
--
--     active ⇄ paused        a person stops and resumes handing out trials
--        │       │
--        ├───────┴──► cancelled   a person withdrew it
--        └──────────► completed   the budget is spent or the space exhausted, and nothing is open

create type study_state as enum (
    'active',     -- hands out trials
    'paused',     -- hands out nothing; running trials go on and may report
    'completed',  -- budget spent or space exhausted, no trial open
    'cancelled'   -- withdrawn by a person
);

create table study (
    study_id  bigint generated always as identity primary key,
    name      text not null unique,
    state     study_state not null default 'active',

    space     jsonb not null,                -- the list of parameters; its order is that of trial.unit_point
    objective jsonb not null,                -- {"whetstone": {…}} or {"external": {…}}
    direction text not null default 'maximize',
    algorithm text not null default 'gaussian_process',
    start_points integer,                    -- space-filling points first; null: the algorithm's own number
    seed      bigint not null default 0,     -- of every random choice; the 64 bits of an unsigned number

    max_trials        integer not null,      -- the budget: trials planned or enqueued, ever
    max_parallel      integer not null default 10000,
    max_failures      integer not null default 3,       -- failed or lapsed attempts that end a trial
    max_trial_seconds integer not null default 86400,   -- hard limit on one attempt

    next_number       integer not null default 0,  -- next trial number, dense from 0
    next_obs          integer not null default 0,  -- next observation number, dense from 0
    posterior_version bigint  not null default 0,  -- compare-and-swap guard of planning; +1 with each plan
    exhausted         boolean not null default false,  -- the planner found no point left to try

    created_at  timestamptz not null default clock_timestamp(),
    finished_at timestamptz,

    constraint name_is_a_plain_word check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
    constraint direction_is_known check (direction in ('maximize', 'minimize')),
    constraint algorithm_is_known check (algorithm in ('gaussian_process', 'random', 'grid', 'sobol')),
    constraint budget_in_range check (max_trials between 1 and 100000),
    constraint parallel_in_range check (max_parallel between 1 and 10000),
    constraint failures_in_range check (max_failures between 1 and 100),
    constraint seconds_in_range check (max_trial_seconds between 1 and 31536000),
    constraint budget_kept check (next_number <= max_trials),
    constraint finished_iff_final check ((finished_at is null) = (state in ('active', 'paused')))
);

-- The searched parameters, one row each, so that SQL can join on names without reading JSON.
create table study_param (
    study_id  bigint not null references study on delete cascade,
    position  integer not null,              -- from 0, the order of trial.unit_point
    name      text not null,
    kind      text not null,                 -- float, int, ordinal, categorical or bool
    log_scale boolean not null default false,
    levels    jsonb,                         -- the options in order; null for a range
    low       double precision,              -- the range's ends; null for options
    high      double precision,
    condition jsonb,                         -- {"parameter": …, "values": […]}; null: always active
    primary key (study_id, name),
    unique (study_id, position)
);
