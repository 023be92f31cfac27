-- A trial is one point of a study's space, and what training there gave.
--
-- Life of a row:
--
--     queued ──► running ──► completed   a worker reported a value
--        ▲          │
--        │          ├──────► pruned      stopped early, with its last value
--        │          ├──────► failed      failures spent, or it cannot be trained at all
--        │          └──────► cancelled   a person withdrew it (from `queued` too)
--        └──────────┘
--         lease lapsed, worker let go, or an error worth another attempt
--
-- A late report may also take a trial from `queued` straight to `completed`, if nobody has begun
-- another attempt. The four end states are final; the trigger below holds the line.

create type trial_state as enum (
    'queued',     -- waiting for a worker: new, enqueued by a person, or to be tried again
    'running',    -- one row of `lease` says who holds it
    'completed',  -- one row of `result` says what it reached; the posterior learns from it
    'pruned',     -- likewise, from fewer epochs
    'failed',     -- its last attempt says why; no value
    'cancelled'   -- withdrawn; no value
);

create table trial (
    trial_id  bigint generated always as identity primary key,
    study_id  bigint not null references study on delete cascade,
    number    integer not null,              -- 0, 1, 2 … within the study: the name people say aloud
    state     trial_state not null default 'queued',
    priority  smallint not null default 0,   -- higher first; points that a person enqueued have 1

    -- The point, twice: as the worker reads it, and as the posterior sees it.
    params     jsonb not null,               -- {"learning_rate": 0.004, …}, natural units
    unit_point double precision[] not null,  -- the same point in [0, 1]^d, order of study_param

    attempt    integer not null default 0,   -- the fence: leases granted so far, the current one included
    failures   integer not null default 0,   -- attempts that failed or lapsed; a release is not counted
    not_before timestamptz not null default '-infinity',  -- back-off after a failure
    cancel_requested boolean not null default false,      -- a person withdrew it while it ran

    created_at  timestamptz not null default clock_timestamp(),
    finished_at timestamptz,

    unique (study_id, number),
    constraint params_is_an_object check (jsonb_typeof(params) = 'object'),
    constraint finished_iff_final check ((finished_at is null) = (state in ('queued', 'running')))
);

-- Serves leases::take_queued: the waiting trials of a study in the order it hands them out.
-- Partial, so it holds the few that wait and not the many that are finished.
create index trial_queued on trial (study_id, priority desc, number) where state = 'queued';

-- A typed copy of trial.params, written in the same transaction, for joins and indexes.
create table trial_param (
    trial_id   bigint not null references trial on delete cascade,
    name       text not null,
    value_num  double precision,             -- numbers; switches as 0 and 1
    value_text text,                         -- categories
    primary key (trial_id, name),
    constraint number_or_text check ((value_num is null) <> (value_text is null))
);

create function trial_is_final() returns trigger language plpgsql as $$
begin
    if old.state in ('completed', 'pruned', 'failed', 'cancelled')
       and (new.state, new.attempt) is distinct from (old.state, old.attempt) then
        raise exception 'trial % is final (%)', old.trial_id, old.state
              using errcode = 'restrict_violation';
    end if;
    return new;
end $$;

create trigger trial_final before update on trial
    for each row execute function trial_is_final();

-- Every hand-out of a trial, never deleted: it keeps each lease_id for ever, so that a report which
-- comes after its lease row is gone can still be fenced.
create type attempt_outcome as enum (
    'running', 'completed', 'pruned', 'failed',
    'expired',    -- the lease lapsed; a late report may still turn it into `completed`, once
    'released',   -- given back unharmed at a drain or a preemption
    'cancelled'
);

create table attempt (
    trial_id      bigint not null references trial on delete cascade,
    attempt       integer not null,
    lease_id      uuid not null unique,
    worker_id     uuid not null,
    started_at    timestamptz not null default clock_timestamp(),
    ended_at      timestamptz,
    outcome       attempt_outcome not null default 'running',
    failure_class text,                      -- user_error, nan, oom, data, panic, device_lost, lease_expired
    detail        text,                      -- what the worker said, for people
    primary key (trial_id, attempt),
    constraint attempts_count_from_one check (attempt >= 1),
    constraint detail_is_short check (octet_length(detail) <= 8192),
    constraint ended_iff_over check ((outcome = 'running') = (ended_at is null))
);

-- What a trial reached. The primary key is the exactly-once device: a second row is impossible.
create table result (
    trial_id       bigint primary key references trial on delete cascade,
    study_id       bigint not null references study on delete cascade,
    attempt        integer not null,
    obs_seq        integer not null,         -- order in which results entered the posterior; dense from 0
    value          double precision not null,
    measurements   jsonb not null default '{}',  -- {"soft_accuracy": 0.93, …}
    payload_sha256 bytea not null,           -- tells a repeated report from a contradicting one
    at             timestamptz not null default clock_timestamp(),
    unique (study_id, obs_seq),
    foreign key (trial_id, attempt) references attempt,
    constraint value_is_finite check (abs(value) < 'infinity'),  -- refuses NaN too, which sorts above infinity
    constraint hash_is_sha256 check (octet_length(payload_sha256) = 32),
    constraint observations_count_from_zero check (obs_seq >= 0)
);
