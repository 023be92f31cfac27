//! How the schema of a database stands to the migrations that this program has.
//!
//! Programs of several versions may serve one database while it is upgraded. Each migration from 0015 on
//! says in `schema_version` how far back a program may be that serves a database which has it; older
//! programs believe that, and nothing else, of migrations that they do not know.

use std::collections::BTreeMap;

use sqlx::{PgConnection, migrate::Migrator};

use crate::error::{Doing as _, Error};

/// What a program may do with a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Serve it: nothing is missing.
    Current {
        /// The newest migration that is there and that the program does not have, if any. It allows the
        /// program.
        newer: Option<i64>,
    },
    /// Bring it up to date first.
    Behind {
        /// Numbers of the migrations that are missing, rising.
        missing: Vec<i64>,
    },
}

/// Why a program may do nothing with a database.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says what its fields are")]
pub enum Unfit {
    /// Look at what it left behind; a backup is the way back.
    #[error("migration {version} of the database's schema broke off half-way; restore a backup")]
    BrokenOff { version: i64 },

    /// Two builds of one version that are not the same.
    #[error(
        "migration {version} of the database's schema is not the one that this program has; use the \
         program that made the database"
    )]
    Altered { version: i64 },

    /// The database was upgraded beyond what this program can serve.
    #[error(
        "the database's schema has migration {version}, which needs a program that has the migrations \
         up to {oldest}; this one has them up to {known}: use a newer one, or restore a backup"
    )]
    TooNew { version: i64, oldest: i64, known: i64 },

    /// Two lines of development met in one database.
    #[error(
        "the database's schema has migration {unknown}, which this program lacks, and lacks migration \
         {missing}, which this program has; use a program that has both"
    )]
    Diverged { unknown: i64, missing: i64 },

    /// The role has no rights here.
    #[error(
        "role `{role}` may not read which migrations the database has; run `strop-coordinator grant` as \
         the database's owner"
    )]
    Barred { role: String },

    /// Postgres refused or could not be reached.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// How a database stands to the migrations of `program`.
///
/// # Errors
///
/// [`Unfit`], each with the way out.
pub async fn standing(db: &mut PgConnection, program: &Migrator) -> Result<Standing, Unfit> {
    let applied = applied(db).await?;
    let ours: BTreeMap<i64, &[u8]> =
        program.iter().map(|migration| (migration.version, &*migration.checksum)).collect();
    let known = ours.last_key_value().map_or(0, |(version, _)| *version);
    let mut newer = None;
    let mut unknown = None;
    for found in &applied {
        let version = found.version;
        if !found.success {
            return Err(Unfit::BrokenOff { version });
        }
        match ours.get(&version) {
            Some(checksum) if **checksum == *found.checksum => {}
            Some(_) => return Err(Unfit::Altered { version }),
            None => {
                unknown.get_or_insert(version);
                // Without a word about it, none but those who have it may serve.
                let oldest = found.oldest_program.unwrap_or(version);
                if oldest > known {
                    return Err(Unfit::TooNew { version, oldest, known });
                }
                newer = Some(version);
            }
        }
    }
    let is_missing = |version: &i64| applied.iter().all(|found| found.version != *version);
    let missing: Vec<i64> = ours.into_keys().filter(is_missing).collect();
    match (missing.first(), unknown) {
        (None, _) => Ok(Standing::Current { newer }),
        (Some(&missing), Some(unknown)) => Err(Unfit::Diverged { unknown, missing }),
        (Some(_), None) => Ok(Standing::Behind { missing }),
    }
}

/// A migration that a database has.
#[derive(sqlx::FromRow)]
struct Applied {
    version: i64,
    checksum: Vec<u8>,
    success: bool,
    oldest_program: Option<i64>,
}

/// The migrations that a database has, rising; none of one that is empty.
async fn applied(db: &mut PgConnection) -> Result<Vec<Applied>, Unfit> {
    let (role, has_history, has_versions): (String, bool, bool) = sqlx::query_as(
        "-- schema::applied, tables
        select current_user::text,
               exists (select from pg_class
                        where relnamespace = to_regnamespace('public') and relname = '_sqlx_migrations'),
               exists (select from pg_class
                        where relnamespace = to_regnamespace('public') and relname = 'schema_version')",
    )
    .fetch_one(&mut *db)
    .await
    .doing("look for a schema")?;
    let read = match (has_history, has_versions) {
        (false, _) => return Ok(Vec::new()),
        (true, false) => sqlx::query_as(
            "-- schema::applied, before 0015
            select version, checksum, success, null::bigint as oldest_program
              from public._sqlx_migrations
             order by version",
        ),
        (true, true) => sqlx::query_as(
            "-- schema::applied
            select m.version, m.checksum, m.success, v.oldest_program
              from public._sqlx_migrations m
              left join public.schema_version v using (version)
             order by m.version",
        ),
    };
    match read.fetch_all(db).await {
        // 42501: insufficient privilege.
        Err(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some("42501") => {
            Err(Unfit::Barred { role })
        }
        read => Ok(read.doing("read which migrations there are")?),
    }
}

/// Whether the role of a connection may change the schema: it made it, or there is none yet and it may make
/// one.
pub async fn may_change(db: &mut PgConnection) -> Result<bool, Error> {
    sqlx::query_scalar(
        "-- schema::may_change
        select has_schema_privilege('public', 'create')
               and not exists (select from pg_class
                                where relnamespace = to_regnamespace('public')
                                  and relname in ('_sqlx_migrations', 'study')
                                  and not pg_has_role(relowner, 'usage'))",
    )
    .fetch_one(db)
    .await
    .doing("look whether the schema may be changed")
}

/// Whether a program that has the migrations up to `known` may still serve: the schema may have moved on
/// beneath it.
pub async fn may_serve(db: &mut PgConnection, known: i64) -> Result<bool, Error> {
    sqlx::query_scalar(
        "-- schema::may_serve
        select not exists (select from schema_version where oldest_program > $1)",
    )
    .bind(known)
    .fetch_one(db)
    .await
    .doing("look whether the schema has moved on")
}
