-- Numbers measured in the course of an attempt. Keyed by attempt, so that a superseded worker cannot
-- mix its epochs into another's; inserted once however often sent.
create table metric (
    trial_id bigint not null,
    attempt  integer not null,
    step     integer not null,               -- epoch, from 0
    name     text not null,
    value    double precision not null,
    at       timestamptz not null default clock_timestamp(),
    primary key (trial_id, attempt, step, name),
    foreign key (trial_id, attempt) references attempt on delete cascade,
    constraint steps_count_from_zero check (step >= 0),
    constraint name_is_a_plain_word check (name ~ '^[a-z][a-z0-9_]{0,63}$'),
    constraint value_is_finite check (abs(value) < 'infinity')
);
