//! Migrations that let programs older than themselves go on: they add, and what they take away nobody used
//! any more.

use std::{collections::BTreeSet, fs, path::Path};

/// The first that says which programs it allows. What came before was never served by two versions.
const FIRST: i64 = 15;

/// One statement of a migration.
#[derive(Debug)]
struct Statement {
    /// In lower case, with single blanks; without comments, texts and bodies of functions.
    sql: String,
    /// The comments above it and in it.
    comments: String,
}

/// Takes a migration apart.
fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let (mut sql, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skip = if rest.starts_with("--") {
            let line = rest.lines().next().unwrap_or_default();
            comments += line;
            comments.push('\n');
            sql.push(' ');
            line.len()
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            comments += &rest[..end];
            sql.push(' ');
            end
        } else if next == '\'' {
            // A doubled quote ends one text and begins the next, which comes to the same.
            sql += "''";
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else if let Some(tag) = dollar_tag(rest) {
            sql += "''";
            rest[tag.len()..].find(tag).map_or(rest.len(), |end| end + 2 * tag.len())
        } else if next == ';' {
            let whole = (std::mem::take(&mut sql), std::mem::take(&mut comments));
            found.push(whole);
            1
        } else {
            sql.push(next.to_ascii_lowercase());
            next.len_utf8()
        };
        rest = &rest[skip..];
    }
    found.push((sql, comments));
    found
        .into_iter()
        .map(|(sql, comments)| Statement {
            sql: sql.split_whitespace().collect::<Vec<_>>().join(" "),
            comments,
        })
        .filter(|statement| !statement.sql.is_empty())
        .collect()
}

/// `$$` or `$body$` at the beginning of a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text.strip_prefix('$')?.find('$')? + 2;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text[1..end - 1].chars().all(is_word).then(|| &text[..end])
}

/// The parts of a list, commas within brackets aside.
fn parts(list: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in list.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().expect("there is one from the start").push(c),
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// The name after some words, without its schema.
fn name(rest: &str) -> &str {
    let rest = ["if not exists ", "if exists ", "only "]
        .iter()
        .fold(rest, |rest, words| rest.strip_prefix(words).unwrap_or(rest));
    let end = rest.find([' ', '(', ';']).unwrap_or(rest.len());
    rest[..end].trim_start_matches("public.")
}

/// What a migration adds by itself, so that no older program can know it.
#[derive(Default)]
struct Added {
    tables: BTreeSet<String>,
    /// Of tables that were there before: `table.column`.
    columns: BTreeSet<String>,
}

fn added(statements: &[Statement]) -> Added {
    let mut added = Added::default();
    for Statement { sql, .. } in statements {
        if let Some(rest) = sql.strip_prefix("create table ") {
            added.tables.insert(name(rest).to_owned());
        }
        let Some((table, actions)) = altered(sql) else { continue };
        for action in actions {
            let column = action.strip_prefix("add column ").map(name);
            added.columns.extend(column.map(|column| format!("{table}.{column}")));
        }
    }
    added
}

/// The table that a statement alters, and how.
fn altered(sql: &str) -> Option<(&str, Vec<String>)> {
    let rest = sql.strip_prefix("alter table ")?;
    let table = name(rest);
    let from = rest.find(table)? + table.len();
    Some((table, parts(&rest[from..])))
}

/// Why an older program might not live with a statement.
fn contracts(sql: &str, added: &Added) -> Option<String> {
    let is_new = |table: &str| added.tables.contains(table);
    if sql.starts_with("drop ") {
        let harmless = ["drop index ", "drop trigger "];
        return (!harmless.iter().any(|words| sql.starts_with(words)))
            .then(|| "it drops what an older program may use".to_owned());
    }
    if let Some((table, actions)) = altered(sql) {
        if is_new(table) {
            return None;
        }
        return actions.iter().find_map(|action| of_table(table, action, added));
    }
    if sql.starts_with("alter type ") {
        return Some("an older program does not know the type as it will be".to_owned());
    }
    if sql.starts_with("alter ") && (sql.contains(" rename ") || sql.contains(" set schema ")) {
        return Some("it renames what an older program may use".to_owned());
    }
    let on = || sql.split_once(" on ").map(|(_, rest)| name(rest));
    let refuses = ["create unique index ", "create trigger ", "create constraint trigger "];
    if refuses.iter().any(|words| sql.starts_with(words)) && !on().is_some_and(is_new) {
        return Some("it may refuse what an older program writes".to_owned());
    }
    None
}

fn of_table(table: &str, action: &str, added: &Added) -> Option<String> {
    let says = |words: &str| format!(" {action} ").contains(&format!(" {words} "));
    let why = if action.starts_with("drop constraint ") {
        return None;
    } else if action.starts_with("drop ") {
        "drops a column that an older program may use"
    } else if action.starts_with("rename ") || action.starts_with("set schema ") {
        "renames what an older program may use"
    } else if action.starts_with("alter ") {
        let harmless =
            ["set default", "drop not null", "set statistics", "set storage", "set compression"];
        if harmless.iter().any(|words| says(words)) {
            return None;
        }
        "changes a column that an older program may use"
    } else if action.starts_with("add column ") {
        if !says("not null") || says("default") || says("generated") {
            return None;
        }
        "demands a column that an older program does not write"
    } else if action.starts_with("add ") {
        if is_of_new_columns(table, action, added) {
            return None;
        }
        "demands what an older program may not keep"
    } else {
        return None;
    };
    Some(format!("`{action}` {why}"))
}

/// Whether a constraint speaks of columns alone that came with it.
fn is_of_new_columns(table: &str, action: &str, added: &Added) -> bool {
    /// Words in conditions that name no column.
    const WORDS: [&str; 12] =
        ["and", "or", "not", "null", "is", "in", "between", "true", "false", "case", "when", "end"];
    let Some((_, condition)) = action.split_once('(') else { return false };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = condition.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    words.all(|word| {
        word.starts_with(|c: char| c.is_ascii_digit())
            || WORDS.contains(&word)
            || added.columns.contains(&format!("{table}.{word}"))
    })
}

/// The migration from which on no program minds, if a line says so:
/// `-- contracts, unused since 0016 (0.2.0): why`, or `kept since` of what it demands.
fn unused_since(comments: &str) -> Option<i64> {
    comments.lines().find_map(|line| {
        let rest = line.trim_start_matches(['-', ' ']).strip_prefix("contracts, ")?;
        let rest = rest.strip_prefix("unused since ").or(rest.strip_prefix("kept since "))?;
        let (number, rest) = rest.split_once(" (")?;
        let (release, why) = rest.split_once("):")?;
        let is_release = release.split('.').count() == 3;
        (is_release && !why.trim().is_empty()).then(|| number.parse().ok())?
    })
}

/// What is wrong with a migration; `number` is that of its file.
fn complaints(number: i64, text: &str) -> Vec<String> {
    let statements = statements(text);
    let added = added(&statements);
    let mut complaints = Vec::new();
    let mut oldest = 1;
    for Statement { sql, comments } in &statements {
        let Some(why) = contracts(sql, &added) else { continue };
        match unused_since(comments) {
            Some(since) => oldest = oldest.max(since),
            None => complaints.push(format!(
                "{why}. If no program does since migration N, say so above it: `-- contracts, unused since \
                 N (RELEASE): WHY`"
            )),
        }
    }
    let declares = "insert into schema_version (version, oldest_program) values (";
    let declared: Vec<(i64, i64)> = statements
        .iter()
        .filter_map(|statement| statement.sql.strip_prefix(declares)?.strip_suffix(')'))
        .filter_map(|values| {
            let (version, program) = values.split_once(',')?;
            Some((version.trim().parse().ok()?, program.trim().parse().ok()?))
        })
        .collect();
    match declared[..] {
        [(version, program)] if version == number => {
            if program < oldest {
                complaints.push(format!(
                    "it takes away what programs before migration {oldest} use, and allows those from \
                     {program} on: oldest_program must be {oldest} or more"
                ));
            }
        }
        _ => complaints.push(format!(
            "it must say once which programs may serve a database that has it: `{declares}{number}, N);` \
             with N = {FIRST} unless it takes something away"
        )),
    }
    complaints
}

fn files() -> Vec<(i64, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut files: Vec<(i64, String)> = fs::read_dir(folder)
        .expect("reads the folder")
        .filter_map(|entry| {
            let path = entry.expect("reads the entry").path();
            let name = path.file_name()?.to_str()?;
            let number = name.strip_suffix(".sql")?.split_once('_')?.0.parse().ok()?;
            Some((number, fs::read_to_string(&path).expect("reads the file")))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_migration_says_which_programs_it_allows_and_takes_nothing_from_them() {
    let mut checked = 0;
    for (number, text) in files().iter().filter(|(number, _)| *number >= FIRST) {
        let complaints = complaints(*number, text);
        assert!(complaints.is_empty(), "migration {number:04}:\n{}", complaints.join("\n"));
        checked += 1;
    }
    assert!(checked >= 2);
    let known = migrations::MIGRATOR.iter().count();
    assert_eq!(files().len(), known, "every file is a migration");
}

#[test]
fn what_an_older_program_could_not_live_with_is_seen() {
    let of = |sql: &str| {
        let text = format!(
            "{sql};\ninsert into schema_version (version, oldest_program) values (20, 15);"
        );
        complaints(20, &text)
    };
    for sql in [
        "drop table pruning",
        "drop view v1.prunings",
        "drop function dominates(float8[], float8[])",
        "drop type study_state",
        "alter table study drop column exhausted",
        "alter table study drop exhausted",
        "ALTER TABLE public.study\n  ADD COLUMN calm boolean,\n  DROP COLUMN IF EXISTS exhausted",
        "alter table study rename column seed to seeds",
        "alter table study rename to studies",
        "alter table study alter column seed type numeric",
        "alter table study alter seed set data type numeric",
        "alter table study alter column start_points set not null",
        "alter table study alter column seed drop default",
        "alter table study add column mood text not null",
        "alter table study add column mood text not null check (mood <> 'default')",
        "alter table study add constraint small check (max_trials < 10)",
        "alter table study add column mood text, add constraint calm check (mood = 'calm' or seed > 0)",
        "alter table study add unique (seed)",
        "create unique index one_seed on study (seed)",
        "create trigger guard before update on result for each row execute function f()",
        "alter type trial_state add value 'lost'",
        "alter type trial_state rename value 'queued' to 'waiting'",
        "alter view v1.studies rename column seed to seeds",
    ] {
        assert_eq!(of(sql).len(), 1, "{sql}: {:?}", of(sql));
    }
    for sql in [
        "create table mood (mood_id bigint primary key, name text not null);
         alter table mood alter column name type varchar(9);
         create unique index one_name on mood (name)",
        "alter table study add column mood text",
        "alter table study add column mood text not null default 'calm'",
        "alter table study add column mood text, add constraint calm check (mood in ('calm', 'wild'))",
        "alter table study drop constraint budget_kept",
        "alter table study alter column seed set default 7",
        "drop index result_value",
        "create index result_mood on result (value)",
        "create or replace view v1.studies as select 'drop table study; alter table' as text",
        "create function f() returns int language sql as $body$ drop table study; $body$",
        "comment on column v1.studies.seed is 'It''s; drop table study'",
        "alter function hypervolume(float8[], integer) security definer",
        "-- drop table study;\n/* alter table study drop column seed; */ select 1",
    ] {
        assert_eq!(of(sql), Vec::<String>::new(), "{sql}");
    }
    // And what was written before anybody looked: an older program ended studies without a reason.
    let (_, stopping) = files().into_iter().find(|(number, _)| *number == 14).expect("is there");
    let seen = complaints(14, &stopping);
    assert!(seen.iter().any(|complaint| complaint.contains("ended_for_a_reason")), "{seen:?}");
}

#[test]
fn what_is_taken_away_needs_a_reason_and_keeps_the_programs_out_that_used_it() {
    let of = |line: &str, oldest: i64| {
        complaints(
            20,
            &format!(
                "-- The column goes.\n{line}\nalter table study drop column exhausted;
                 insert into schema_version (version, oldest_program) values (20, {oldest});"
            ),
        )
    };
    let line = "-- contracts, unused since 0018 (0.2.0): the planner asks the space itself";
    assert_eq!(of(line, 18), Vec::<String>::new());
    let early = of(line, 17);
    assert!(early[0].contains("oldest_program must be 18 or more"), "{early:?}");
    for line in [
        "",
        "-- contracts",
        "-- contracts, unused since 0018 (0.2.0):",
        "-- unused since 0018 (0.2.0): x",
    ] {
        assert_eq!(of(line, 18).len(), 1, "{line}");
    }
    let none = complaints(20, "create table mood (name text)");
    assert!(none[0].contains("values (20, N)"), "{none:?}");
    let others = "insert into schema_version (version, oldest_program) values (19, 15)";
    assert_eq!(complaints(20, others).len(), 1);
}
