//! Studies: created, read, steered, closed.

mod steer;

pub use steer::{extend, prioritize};

use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use tuner::{Domain, Parameter, Scale, Space};

use crate::{
    error::{Doing as _, Error},
    goals::{Constraint, FurtherObjective, Goals},
    limits::{PARALLEL_MAX, STUDIES_LISTED_MAX},
    study::{
        Direction, EarlyStopping, EndReason, Objective, Study, StudySpec, StudyState, is_study_name,
    },
};

/// A row of `study`.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    study_id: i64,
    name: String,
    state: StudyState,
    space: Json<Space>,
    objective: Json<Objective>,
    direction: String,
    algorithm: String,
    start_points: Option<i32>,
    start_design: String,
    seed: i64,
    max_trials: i32,
    max_parallel: i32,
    max_failures: i32,
    max_trial_seconds: i32,
    checkpoint_epochs: i32,
    also: Json<Vec<FurtherObjective>>,
    constraints: Json<Vec<Constraint>>,
    reference: Option<f64>,
    early_stopping: Option<Json<EarlyStopping>>,
    gain_min: Option<f64>,
    priority: i16,
    next_number: i32,
    next_obs: i32,
    posterior_version: i64,
    exhausted: bool,
    converged: bool,
    ended_because: Option<String>,
    created_at: OffsetDateTime,
    finished_at: Option<OffsetDateTime>,
}

impl From<Row> for Study {
    fn from(row: Row) -> Self {
        let direction = Direction::of(&row.direction);
        Study {
            study_id: row.study_id,
            spec: StudySpec {
                name: row.name,
                space: row.space.0,
                objective: row.objective.0,
                direction,
                algorithm: row
                    .algorithm
                    .parse()
                    .expect("the column is checked because `algorithm_is_known` says so"),
                start_points: row.start_points,
                start_design: row
                    .start_design
                    .parse()
                    .expect("the column is checked because `start_design_is_known` says so"),
                seed: row.seed.cast_unsigned(),
                max_trials: row.max_trials,
                max_parallel: row.max_parallel,
                max_failures: row.max_failures,
                max_trial_seconds: row.max_trial_seconds,
                checkpoint_epochs: row.checkpoint_epochs,
                goals: Goals {
                    also: row.also.0,
                    constraints: row.constraints.0,
                    reference: row.reference,
                },
                early_stopping: row.early_stopping.map(|json| json.0),
                gain_min: row.gain_min,
                priority: row.priority,
            },
            state: row.state,
            next_number: row.next_number,
            next_obs: row.next_obs,
            posterior_version: row.posterior_version,
            exhausted: row.exhausted,
            converged: row.converged,
            ended_because: row.ended_because.as_deref().and_then(EndReason::of),
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// Columns of [`Row`], and no others: a statement that has run keeps its columns, and Postgres refuses to run
/// it again once `*` has come to mean more. A macro and not a constant, because sqlx takes literals only.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
        select study_id, name, state, space, objective, direction, algorithm, start_points,
               start_design, seed, max_trials, max_parallel, max_failures, max_trial_seconds,
               checkpoint_epochs, also, constraints, reference, early_stopping, gain_min, priority,
               next_number, next_obs, posterior_version, exhausted, converged, ended_because,
               created_at, finished_at
          from study ",
            $rest
        )
    };
}

/// Creates a study and its typed parameters.
///
/// # Errors
///
/// [`Error::StudyExists`] if the name is taken; [`Error::TooManyStudies`].
pub async fn insert(db: &mut PgConnection, spec: &StudySpec) -> Result<i64, Error> {
    steer::leave_room(db).await?;
    let study_id: Option<i64> = sqlx::query_scalar(
        "-- studies::insert
        insert into study (name, space, objective, direction, algorithm, start_points, seed,
                           max_trials, max_parallel, max_failures, max_trial_seconds,
                           checkpoint_epochs, start_design, also, constraints, reference,
                           early_stopping, gain_min, priority)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
            on conflict (name) do nothing
        returning study_id",
    )
    .bind(&spec.name)
    .bind(Json(&spec.space))
    .bind(Json(&spec.objective))
    .bind(spec.direction.as_str())
    .bind(spec.algorithm.to_string())
    .bind(spec.start_points)
    .bind(spec.seed.cast_signed())
    .bind(spec.max_trials)
    .bind(spec.max_parallel)
    .bind(spec.max_failures)
    .bind(spec.max_trial_seconds)
    .bind(spec.checkpoint_epochs)
    .bind(spec.start_design.to_string())
    .bind(Json(&spec.goals.also))
    .bind(Json(&spec.goals.constraints))
    .bind(spec.goals.reference)
    .bind(spec.early_stopping.as_ref().map(Json))
    .bind(spec.gain_min)
    .bind(spec.priority)
    .fetch_optional(&mut *db)
    .await
    .doing("create a study")?;
    let study_id = study_id.ok_or_else(|| Error::StudyExists { name: spec.name.clone() })?;
    for (position, parameter) in (0..).zip(spec.space.parameters()) {
        insert_param(db, study_id, position, parameter).await?;
    }
    Ok(study_id)
}

async fn insert_param(
    db: &mut PgConnection,
    study_id: i64,
    position: i32,
    parameter: &Parameter,
) -> Result<(), Error> {
    let (kind, log_scale, levels, range) = match &parameter.domain {
        Domain::Float { low, high, scale } => {
            ("float", *scale == Scale::Log, None, Some((*low, *high)))
        }
        Domain::Int { low, high, scale } => {
            ("int", *scale == Scale::Log, None, Some((*low as f64, *high as f64)))
        }
        Domain::Ordinal { values } => ("ordinal", false, Some(serde_json::json!(values)), None),
        Domain::Categorical { choices } => {
            ("categorical", false, Some(serde_json::json!(choices)), None)
        }
        Domain::Bool => ("bool", false, Some(serde_json::json!([false, true])), None),
    };
    sqlx::query(
        "-- studies::insert_param
        insert into study_param (study_id, position, name, kind, log_scale, levels, low, high,
                                 condition)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(study_id)
    .bind(position)
    .bind(&parameter.name)
    .bind(kind)
    .bind(log_scale)
    .bind(levels)
    .bind(range.map(|(low, _)| low))
    .bind(range.map(|(_, high)| high))
    .bind(parameter.condition.as_ref().map(Json))
    .execute(db)
    .await
    .doing("store a study's parameter")?;
    Ok(())
}

/// One study by name.
///
/// # Errors
///
/// [`Error::StudyNotFound`].
pub async fn by_name(db: &mut PgConnection, name: &str) -> Result<Study, Error> {
    // What cannot name a study is not looked for: Postgres refuses some of it.
    if !is_study_name(name) {
        return Err(Error::StudyNotFound { name: name.to_owned() });
    }
    let row: Option<Row> = sqlx::query_as(select!("studies::by_name", "where name = $1"))
        .bind(name)
        .fetch_optional(db)
        .await
        .doing("read a study")?;
    row.map(Study::from).ok_or_else(|| Error::StudyNotFound { name: name.to_owned() })
}

/// One study by key; `None` if it was deleted.
pub async fn by_id(db: &mut PgConnection, study_id: i64) -> Result<Option<Study>, Error> {
    let row: Option<Row> = sqlx::query_as(select!("studies::by_id", "where study_id = $1"))
        .bind(study_id)
        .fetch_optional(db)
        .await
        .doing("read a study")?;
    Ok(row.map(Study::from))
}

/// All studies, newest first.
pub async fn list(db: &mut PgConnection) -> Result<Vec<Study>, Error> {
    let rows: Vec<Row> =
        sqlx::query_as(select!("studies::list", "order by study_id desc limit $1"))
            .bind(STUDIES_LISTED_MAX)
            .fetch_all(db)
            .await
            .doing("list studies")?;
    Ok(rows.into_iter().map(Study::from).collect())
}

/// What a study has to give, as of one instant.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Opening {
    /// Its key.
    pub study_id: i64,
    /// Its name.
    pub name: String,
    /// The kinds of objective of which it has one.
    pub kinds: Vec<String>,
    /// Served before those of a lower one.
    pub priority: i16,
    /// Whether it has ended for good.
    pub is_final: bool,
    /// Whether `max_parallel` limits it.
    pub is_limited: bool,
    /// Trials that run.
    pub running: i64,
    /// Trials that wait for a worker and are not held back by an earlier failure.
    pub due: i64,
    /// New trials that the budget and `max_parallel` leave room for.
    pub room: i64,
}

/// All studies with what they have to give, by key.
pub async fn openings(db: &mut PgConnection) -> Result<Vec<Opening>, Error> {
    sqlx::query_as(
        "-- studies::openings
        select s.study_id, s.name, array(select jsonb_object_keys(s.objective)) as kinds,
               s.priority, s.state in ('completed', 'cancelled') as is_final,
               s.max_parallel < $1 as is_limited,
               coalesce(o.running, 0) as running,
               coalesce(o.due, 0) as due,
               case when s.state <> 'active' or s.exhausted or s.converged then 0
                    else greatest(0, least(s.max_trials - s.next_number, s.max_parallel - o.open))
               end as room
          from study s
          left join lateral (
               select count(*) as open,
                      count(*) filter (where t.state = 'running') as running,
                      count(*) filter (where t.state = 'queued'
                                         and t.not_before <= clock_timestamp()) as due
                 from trial t
                where t.study_id = s.study_id and t.state in ('queued', 'running')) o
            on s.state = 'active'
         order by s.study_id",
    )
    .bind(PARALLEL_MAX)
    .fetch_all(db)
    .await
    .doing("look for open studies")
}

/// Moves a study from one of the states `from` to `to`; `false` if it is in none of them.
pub async fn set_state(
    db: &mut PgConnection,
    study_id: i64,
    from: &[StudyState],
    to: StudyState,
) -> Result<bool, Error> {
    let moved = sqlx::query(
        "-- studies::set_state
        update study
           set state = $3,
               finished_at = case when $3 in ('completed', 'cancelled')
                                  then clock_timestamp() end,
               ended_because = case when $3 = 'cancelled' then 'cancelled' end
         where study_id = $1 and state::text = any ($2)",
    )
    .bind(study_id)
    .bind(from.iter().map(|state| state.as_str()).collect::<Vec<_>>())
    .bind(to)
    .execute(db)
    .await
    .doing("change a study's state")?;
    Ok(moved.rows_affected() == 1)
}

/// Notes that the planner found no point left to try.
pub async fn set_exhausted(db: &mut PgConnection, study_id: i64) -> Result<(), Error> {
    sqlx::query(
        "-- studies::set_exhausted\n update study set exhausted = true where study_id = $1",
    )
    .bind(study_id)
    .execute(db)
    .await
    .doing("note that a space is exhausted")?;
    Ok(())
}

/// Locks a study until the end of the transaction: the next statement sees what the last holder of the
/// lock committed. The lock is the one that an update takes and no stronger: every foreign key to the
/// row holds a share of it, and two ending trials would wait for each other's.
pub async fn lock(db: &mut PgConnection, study_id: i64) -> Result<(), Error> {
    sqlx::query("-- studies::lock\n select from study where study_id = $1 for no key update")
        .bind(study_id)
        .execute(db)
        .await
        .doing("lock a study")?;
    Ok(())
}

/// Completes an active study that has nothing left to plan and nothing open; says whether it did.
///
/// The row is locked by a statement of its own: were they one, two trials that end at once would each
/// see the other as open.
pub async fn close_if_done(db: &mut PgConnection, study_id: i64) -> Result<bool, Error> {
    lock(db, study_id).await?;
    let closed = sqlx::query(
        "-- studies::close_if_done
        update study s
           set state = 'completed',
               finished_at = clock_timestamp(),
               ended_because = case when s.next_number >= s.max_trials then 'budget_spent'
                                    when s.exhausted then 'space_exhausted'
                                    else 'gain_below' end
         where s.study_id = $1
           and s.state = 'active'
           and (s.next_number >= s.max_trials or s.exhausted or s.converged)
           and not exists (select from trial t
                            where t.study_id = s.study_id and t.state in ('queued', 'running'))",
    )
    .bind(study_id)
    .execute(db)
    .await
    .doing("close a study")?;
    Ok(closed.rows_affected() == 1)
}

/// Keys of the cancelled studies with trials that nobody has withdrawn: a coordinator died between
/// the two steps of a cancel, or a trial came back to the queue at that very moment.
pub async fn half_cancelled(db: &mut PgConnection) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar(
        "-- studies::half_cancelled
        select s.study_id
          from study s
         where s.state = 'cancelled'
           and (exists (select from trial t where t.study_id = s.study_id and t.state = 'queued')
                or exists (select from lease l join trial t using (trial_id)
                            where t.study_id = s.study_id and not t.cancel_requested))",
    )
    .fetch_all(db)
    .await
    .doing("look for half-cancelled studies")
}

/// Keys of all active studies.
pub async fn active(db: &mut PgConnection) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar(
        "-- studies::active
        select study_id from study where state = 'active' order by study_id",
    )
    .fetch_all(db)
    .await
    .doing("list active studies")
}
