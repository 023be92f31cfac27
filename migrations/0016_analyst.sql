-- Whoever may read the views of v1 need not be allowed to read the tables behind them. Of the functions that
-- the views call, this one alone reads tables; it does so with the rights of its owner, who owns the views too.
-- Its search path is its own, because the caller's could lead to functions of the caller's.
alter function hypervolume_by_result(bigint) security definer set search_path = pg_catalog, public, pg_temp;

insert into schema_version (version, oldest_program) values (16, 15);
