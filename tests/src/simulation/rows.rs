//! The rows of a case's studies as lines of text, as the model writes them.

use sqlx::PgPool;

/// One row.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    /// Everything but moments.
    pub text: String,
    /// Seconds until each moment of the row.
    pub moments: Vec<f64>,
    /// The key, if it is that of a trial.
    pub trial_id: Option<i64>,
    /// Its study, from 0.
    pub study: Option<i32>,
    /// Its number.
    pub number: Option<i32>,
}

/// All rows of the studies `names`, and of the reports that were refused, in the order of their text.
pub async fn rows(pool: &PgPool, names: &[String]) -> Vec<Row> {
    let rows: Result<Vec<Row>, sqlx::Error> = sqlx::query_as(
        "with s as (
            select *, (array_position($1::text[], name) - 1)::int as place
              from study where name = any ($1)),
        t as (
            select t.*, s.place, s.place || '/' || t.number as name
              from trial t join s using (study_id)),
        clock as (
            select extract(epoch from clock_timestamp())::float8 as now)
        select 'late reports ' || count(*) as text, '{}'::float8[] as moments,
               null::bigint as trial_id, null::int as study, null::int as number
          from late_report
        union all
        select format('study %s %s budget=%s trials=%s results=%s plans=%s', place, state, max_trials,
                      next_number, next_obs, posterior_version), '{}', null, null, null
          from s
        union all
        select format('event %s: %s', s.place,
                      case when e.trial_id is null then e.kind
                           when e.from_state is null then t.number || ' ' || e.kind
                           else t.number || '#' || e.attempt || ' ' || e.kind || ' '
                                || e.from_state || ' → ' || e.to_state end),
               '{}', null, null, null
          from event e join s using (study_id) left join t on t.trial_id = e.trial_id
        union all
        select format('trial %s %s attempt=%s failures=%s withdrawn=%s', name, state, attempt, failures,
                      cancel_requested::text),
               case when state = 'queued'
                    then array[extract(epoch from not_before)::float8 - now]
                    else '{}' end,
               trial_id, place, number
          from t, clock
        union all
        select format('suggestion %s plan=%s of=%s', t.name, g.posterior_version, g.horizon),
               '{}', null, null, null
          from suggestion g join t using (trial_id)
        union all
        select format('attempt %s#%s %s class=%s worker=%s', t.name, a.attempt, a.outcome,
                      coalesce(a.failure_class, 'none'), w.label),
               '{}', null, null, null
          from attempt a join t using (trial_id) left join worker w using (worker_id)
        union all
        select format('metric %s#%s step=%s value=%s', t.name, m.attempt, m.step, m.value),
               '{}', null, null, null
          from metric m join t using (trial_id)
        union all
        select format('lease %s#%s worker=%s slot=%s withdrawn=%s progress=%s', t.name, l.attempt,
                      w.label, l.slot, l.cancel::text, l.progress),
               array[extract(epoch from l.expires_at)::float8 - now,
                     extract(epoch from l.deadline_at)::float8 - now],
               null, null, null
          from clock, lease l join t using (trial_id) left join worker w using (worker_id)
        union all
        select format('result %s#%s place=%s value=%s pruned=%s', t.name, r.attempt, r.obs_seq, r.value,
                      r.is_pruned::text),
               '{}', null, null, null
          from result r join t using (trial_id)",
    )
    .bind(names)
    .fetch_all(pool)
    .await;
    let mut rows = rows.expect("reads the rows");
    rows.sort_by(|one, other| one.text.cmp(&other.text));
    rows
}
