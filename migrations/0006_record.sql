-- One row per change of a trial's state, in the transaction that made it. Replaying them in order
-- gives the present.
create table event (
    event_id   bigint generated always as identity primary key,
    at         timestamptz not null default clock_timestamp(),
    study_id   bigint not null references study on delete cascade,
    trial_id   bigint,
    attempt    integer,
    kind       text not null,                -- plan, enqueue, lease, complete, fail, release, reap, cancel …
    from_state trial_state,
    to_state   trial_state,
    detail     jsonb
);
create index event_trial on event (trial_id, event_id);
create index event_study on event (study_id, event_id);

-- Reports that came too late and were refused, kept for whoever wonders where the hours went.
create table late_report (
    late_report_id bigint generated always as identity primary key,
    trial_id bigint,
    attempt  integer,
    lease_id uuid,
    value    double precision,
    reason   text not null,
    at       timestamptz not null default clock_timestamp()
);

-- Answers to people's verbs that carried a request_id, so that a repeated call is harmless.
create table idempotency (
    request_id     uuid primary key,
    request_sha256 bytea not null,
    response       bytea not null,
    at             timestamptz not null default clock_timestamp()
);
