-- Which programs may serve a database. One row for each migration from this one on, written by the migration
-- itself: it says how far back a program may be that serves a database which has it. A migration without a
-- row is served by no program that lacks it.
--
-- A coordinator that finds migrations which it does not know reads this table at its start. So its columns
-- keep their names and meanings for ever.
create table schema_version (
    version        bigint primary key,       -- the migration's number
    oldest_program bigint not null,          -- programs that have the migrations up to this one, or to a later one, may serve
    constraint no_program_is_newer check (oldest_program between 1 and version)
);

insert into schema_version (version, oldest_program) values (15, 15);
