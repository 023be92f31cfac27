-- A lease is one worker's sole right to report one running trial.
--
-- A narrow table of its own, because heartbeats are the most frequent write of all: no index holds
-- a column that a heartbeat changes, and pages are kept half empty, so that every renewal is a
-- heap-only update that leaves no index entry behind. The reaper scans the whole table: it has one
-- row for each busy slot. Do not index expires_at.
create table lease (
    trial_id    bigint primary key,              -- \
    attempt     integer not null,                --  } the fence: a write must quote all three
    lease_id    uuid not null,                   -- /
    worker_id   uuid not null,
    slot        integer not null default 0,      -- which of the worker's places, from 0
    cancel      boolean not null default false,  -- told to the worker by its next heartbeat
    progress    real not null default 0,         -- share of the attempt that is done, 0 to 1
    expires_at  timestamptz not null,            -- by clock_timestamp(); after it, others may take over
    deadline_at timestamptz not null default 'infinity',  -- hard end; heartbeats do not move it
    constraint one_lease_per_slot unique (worker_id, slot),
    foreign key (trial_id, attempt) references attempt on delete cascade
) with (fillfactor = 50);

-- A worker process, from its first call on. Its identity is a uuid made at its start, so a host that
-- restarts is a new worker and no name is ever reused.
create table worker (
    worker_id     uuid primary key,
    label         text not null default '',      -- host name, for people
    device        text not null default '',      -- cpu, or the accelerator's name
    registered_at timestamptz not null default clock_timestamp()
);
