//! The schema's history: forward only, applied in order, never edited once released.

/// Applies every migration that a database lacks, under sqlx's own lock.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");
