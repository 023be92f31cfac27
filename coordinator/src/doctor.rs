//! Whether a database is as it must be: every invariant in one line, and the rows that break one.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::json;

use crate::{
    config,
    database::Database,
    storage::invariants::{self, Finding, Holds, Row},
};

/// What a check found, as it is told.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether every invariant holds.
    pub is_sound: bool,
    /// For standard output, with its line's end.
    pub text: String,
}

/// Checks a database. Migrates nothing and writes nothing; reads everything as of one instant.
///
/// # Errors
///
/// One line that says why it could not be checked.
pub async fn check(config: &config::Doctor) -> anyhow::Result<Report> {
    let database = Database::open_existing(&config.database).await?;
    let findings = findings(&database, config.at_rest).await;
    database.close().await;
    let findings = findings?;
    let text = match config.json {
        true => format!("{:#}\n", in_json(&findings)),
        false => in_words(&findings),
    };
    Ok(Report { is_sound: findings.iter().all(|finding| finding.total == 0), text })
}

async fn findings(database: &Database, at_rest: bool) -> anyhow::Result<Vec<Finding>> {
    let now = if at_rest { Holds::AtRest } else { Holds::Always };
    let mut db = database.connection().await?;
    let mut snapshot = invariants::snapshot(&mut db).await?;
    let mut findings = Vec::new();
    for invariant in invariants::that_hold(now) {
        let found = invariants::look(&mut snapshot, invariant).await;
        findings.push(found.with_context(|| format!("cannot check {}", invariant.id))?);
    }
    Ok(findings)
}

fn in_json(findings: &[Finding]) -> serde_json::Value {
    let checks = findings.iter().map(|finding| {
        json!({
            "id": finding.invariant.id,
            "claim": finding.invariant.claim,
            "rows": finding.total,
            "named": finding.rows,
        })
    });
    json!({
        "sound": findings.iter().all(|finding| finding.total == 0),
        "checks": checks.collect::<Vec<_>>(),
    })
}

/// A line for each invariant, then the rows that break one.
fn in_words(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut add = |line: String| {
        // To a string, which cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    };
    for finding in findings {
        let outcome = match finding.total {
            0 => "ok".to_owned(),
            1 => "1 row".to_owned(),
            rows => format!("{rows} rows"),
        };
        add(format!("{:<5}{outcome:<9}{}", finding.invariant.id, finding.invariant.claim));
    }
    let broken: Vec<_> = findings.iter().filter(|finding| finding.total > 0).collect();
    for finding in &broken {
        add(String::new());
        add(format!("{}: {}", finding.invariant.id, finding.invariant.claim));
        for line in table(&finding.rows) {
            add(format!("  {line}"));
        }
        let more = finding.total - finding.rows.len() as i64;
        if more > 0 {
            add(format!("  … and {more} more"));
        }
    }
    add(String::new());
    add(match broken.len() {
        0 => format!("{} invariants, and all of them hold", findings.len()),
        count => format!("{count} of {} invariants are broken", findings.len()),
    });
    text
}

/// Rows under a header, a line each.
fn table(rows: &[Row]) -> Vec<String> {
    let number = |number: Option<i32>| number.map_or(String::new(), |number| number.to_string());
    let header = ["study", "trial", "attempt", "what is wrong"].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        let study = row.study.clone().unwrap_or_default();
        [study, number(row.number), number(row.attempt), row.wrong.clone()]
    });
    let lines: Vec<[String; 4]> = std::iter::once(header).chain(cells).collect();
    let width = |column: usize| {
        lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default()
    };
    let [study, trial, attempt] = [0, 1, 2].map(width);
    lines
        .iter()
        .map(|[a, b, c, d]| format!("{a:<study$}  {b:>trial$}  {c:>attempt$}  {d}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_their_header_and_the_rest_is_counted() {
        let invariant = invariants::that_hold(Holds::Always).next().unwrap();
        let row = Row {
            study: Some("digits".into()),
            number: Some(12),
            attempt: None,
            wrong: "it is completed and has no result".into(),
        };
        let text = in_words(&[Finding { invariant, total: 7, rows: vec![row] }]);
        let expected = format!(
            "I1   7 rows   {claim}\n\nI1: {claim}\n  study   trial  attempt  what is wrong\n  \
             digits     12           it is completed and has no result\n  … and 6 more\n\n\
             1 of 1 invariants are broken\n",
            claim = invariant.claim
        );
        assert_eq!(text, expected);
    }
}
