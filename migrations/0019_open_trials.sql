-- Serves leases::take_queued, in the order it hands trials out, and studies::openings, which counts them.
-- Partial, so it holds the few that are open and not the many that are finished. It takes the place of
-- trial_queued, and costs no more: every trial was in that one too.
create index trial_open on trial (study_id, state, priority desc, number)
    where state in ('queued', 'running');
drop index trial_queued;

insert into schema_version (version, oldest_program) values (19, 15);
