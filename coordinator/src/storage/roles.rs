//! The roles of a database: its owner, coordinators, analysts.
//!
//! The owner is whoever made the schema. It migrates and grants, and nothing else need know its password. A
//! coordinator may do what its statements do and no more: it cannot change a result, a metric or an event
//! once they are written, nor a point, nor the schema. An analyst reads schema `v1`.
//!
//! The grants are the wall. The settings of the roles are a seat belt, which whoever wears it may undo.

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::{
    error::{Doing as _, Error},
    scram,
};

/// Coordinators log in as this one.
pub const COORDINATOR: &str = "strop_coordinator";

/// People who read schema `v1` log in as this one, and programs that do so for them.
pub const ANALYST: &str = "strop_analyst";

/// What a coordinator may do with each table: what its statements do. Rows that go with others by a foreign
/// key need no right to delete them.
pub const GRANTS: &[(&str, &str)] = &[
    ("_sqlx_migrations", "select"),
    ("schema_version", "select"),
    // Neither its space nor its seed, nor anything else that results were measured under.
    (
        "study",
        "select, insert, update (state, max_trials, next_number, next_obs, posterior_version, exhausted, \
         converged, gain_counts_from, ended_because, finished_at, priority)",
    ),
    ("study_param", "select, insert"),
    // Not its point.
    (
        "trial",
        "select, insert, update (state, attempt, failures, not_before, cancel_requested, finished_at)",
    ),
    ("trial_param", "select, insert"),
    // Not its lease, which is the fence.
    (
        "attempt",
        "select, insert, update (ended_at, outcome, failure_class, detail, resumed_from_epoch)",
    ),
    ("result", "select, insert"),
    (
        "lease",
        "select, insert, update (cancel, prune, progress, metrics, expires_at, deadline_at), delete",
    ),
    (
        "worker",
        "select, insert, update (seen_at, drained_because, is_unfit, drained_at, failures_count_from)",
    ),
    ("metric", "select, insert"),
    ("event", "select, insert"),
    ("late_report", "select, insert"),
    // Forgotten after a time. To lock a row takes the right to update a column of it.
    ("idempotency", "select, insert, update (at), delete"),
    ("suggestion", "select, insert"),
    ("pruning", "select, insert"),
    ("imported", "select, insert"),
    ("prospect", "select, insert"),
    // The caches are replaced.
    ("posterior", "select, insert, update"),
    ("insight", "select, insert, delete"),
    ("importance", "select, insert"),
    ("calibration", "select, insert"),
    ("left_out", "select, insert"),
    ("partial_dependence", "select, insert"),
    // To lock a row takes the right to update a column of it. None is ever updated.
    ("artifact", "select, insert, update (created_at), delete"),
    ("artifact_chunk", "select, insert"),
    ("checkpoint", "select, insert, update (attempt, epoch, sha256, at), delete"),
];

/// Settings of the roles in this database; each is made once, and stays as people change it later.
const SETTINGS: &str = "
    ('strop_coordinator', 'lock_timeout', '2s'),
    ('strop_coordinator', 'statement_timeout', '10s'),
    ('strop_coordinator', 'idle_in_transaction_session_timeout', '10s'),
    ('strop_analyst', 'search_path', 'v1'),
    ('strop_analyst', 'default_transaction_read_only', 'on'),
    ('strop_analyst', 'statement_timeout', '60s'),
    -- An idle transaction keeps every dead row from being cleared away.
    ('strop_analyst', 'idle_in_transaction_session_timeout', '60s')";

/// Makes the roles if they are missing and gives them their rights, as if for the first time: what they had
/// beyond is taken from them. One transaction, so that a coordinator at work is never without.
///
/// # Errors
///
/// [`Error::Storage`] if the role of `db` may not do that: it must own the database, and for roles that are
/// missing also have the right to make some.
pub async fn grant(db: &mut PgConnection) -> Result<(), Error> {
    let mut tx = sqlx::Connection::begin(db).await.doing("begin to grant")?;
    for (doing, statements) in [
        (
            "wait for others who grant",
            "select pg_advisory_xact_lock(hashtext('strop grant'))".into(),
        ),
        ("make a role (its owner needs CREATEROLE, or let a superuser run this)", make_roles()),
        ("set up a role (its owner needs CREATEROLE, or let a superuser run this)", set_up_roles()),
        ("set the rights of the roles", set_rights()),
    ] {
        sqlx::raw_sql(AssertSqlSafe(format!("-- roles::grant\n{statements}")))
            .execute(&mut *tx)
            .await
            .doing(doing)?;
    }
    tx.commit().await.doing("grant")
}

fn make_roles() -> String {
    let make = |role: &str, options: &str| {
        // Roles belong to the whole server: another database's owner may make them at the same time.
        format!(
            "do $$ begin
                if not exists (select from pg_roles where rolname = '{role}') then
                    create role {role} login {options};
                end if;
            exception when duplicate_object or unique_violation then null;
            end $$;"
        )
    };
    make(COORDINATOR, "") + &make(ANALYST, "connection limit 10")
}

fn set_up_roles() -> String {
    format!(
        "do $$
        declare
            wanted record;
        begin
            for wanted in
                select w.role, w.name, w.value
                  from (values {SETTINGS}) as w (role, name, value)
                 where not exists (
                       select from pg_db_role_setting d
                         join pg_roles r on r.oid = d.setrole
                         join pg_database b on b.oid = d.setdatabase
                        cross join unnest(d.setconfig) as setting
                        where b.datname = current_database()
                          and r.rolname = w.role
                          and split_part(setting, '=', 1) = w.name)
            loop
                execute format('alter role %I in database %I set %I = %L',
                               wanted.role, current_database(), wanted.name, wanted.value);
            end loop;
        end $$;"
    )
}

fn set_rights() -> String {
    let mut statements = format!(
        "do $$
        declare
            owner name;
        begin
            select pg_get_userbyid(relowner) into owner from pg_class where oid = 'public.study'::regclass;
            if owner in ('{COORDINATOR}', '{ANALYST}') then
                raise exception 'role % owns the tables, so nothing can be kept from it', owner
                      using hint = 'Give them to another role: reassign owned by.';
            end if;
            execute format('revoke create, temporary on database %I from public', current_database());
            -- Views to come.
            execute format('alter default privileges for role %I in schema v1
                                grant select on tables to {ANALYST}', owner);
        end $$;
        revoke all on schema public, v1 from public, {COORDINATOR}, {ANALYST};
        revoke all on all tables in schema public, v1 from public, {COORDINATOR}, {ANALYST};
        grant usage on schema v1 to {ANALYST};
        grant select on all tables in schema v1 to {ANALYST};
        grant usage on schema public, v1 to {COORDINATOR};
        grant select on v1.workers to {COORDINATOR};"
    );
    // Whoever plans numbers trials before it inserts them: other rows of the same statement refer to them.
    statements += &format!("\ngrant usage on sequence public.trial_trial_id_seq to {COORDINATOR};");
    for (table, rights) in GRANTS {
        statements += &format!("\ngrant {rights} on public.{table} to {COORDINATOR};");
    }
    statements
}

/// Gives a role a password. Only what a server needs to check one is sent, so that the password itself gets
/// into no log.
pub async fn set_password(
    db: &mut PgConnection,
    role: &'static str,
    password: &str,
) -> Result<(), Error> {
    let salt = Uuid::new_v4().into_bytes();
    let keys = scram::keys(password, &salt);
    let statement: String = sqlx::query_scalar(
        "-- roles::set_password, the statement
        select format('alter role %I password %L', $1::text,
                      format('SCRAM-SHA-256$%s:%s$%s:%s', $2::text, encode($3, 'base64'),
                             encode($4, 'base64'), encode($5, 'base64')))",
    )
    .bind(role)
    .bind(scram::ITERATIONS.to_string())
    .bind(salt.as_slice())
    .bind(keys.stored.as_slice())
    .bind(keys.server.as_slice())
    .fetch_one(&mut *db)
    .await
    .doing("prepare a password")?;
    sqlx::raw_sql(AssertSqlSafe(format!("-- roles::set_password\n{statement}")))
        .execute(db)
        .await
        .doing("set a password")?;
    Ok(())
}

/// Tables that a coordinator needs and the role of a connection may not use: it was never granted the rights,
/// or not since the schema has changed.
pub async fn barred(db: &mut PgConnection) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(
        "-- roles::barred
        select needed.name
          from unnest($1::text[], $2::text[]) as needed (name, rights)
          join pg_class c on c.relname = needed.name and c.relnamespace = to_regnamespace('public')
         where not has_schema_privilege('public', 'usage')
            or not has_table_privilege(c.oid, 'select')
            or needed.rights like '%insert%' and not has_table_privilege(c.oid, 'insert')
            or needed.rights like '%update%' and not has_any_column_privilege(c.oid, 'update')
            or needed.rights like '%delete%' and not has_table_privilege(c.oid, 'delete')
         order by needed.name",
    )
    .bind(GRANTS.iter().map(|(table, _)| *table).collect::<Vec<_>>())
    .bind(GRANTS.iter().map(|(_, rights)| *rights).collect::<Vec<_>>())
    .fetch_all(db)
    .await
    .doing("look what the role may do")
}
