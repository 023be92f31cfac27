//! `strop study …`: create, look at and steer studies.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use proto::v1::{Parameter, Prospect, Study, StudySpec};

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::import::{self, Import};
use crate::insight::{self, Asked, AskedAlong};
use crate::limits::{PRIORITIES, TRIALS};
use crate::options::Options;
use crate::study_file::{self, Overrides};
use crate::table::{self, Side};
use crate::{json, pareto, print, value, watch, words};

/// People's verbs on studies.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a study from a file; workers begin on it at once.
    Create(Create),
    /// Check a study file without creating anything; needs no coordinator.
    Check(File),
    /// List all studies, newest first.
    List,
    /// Show a study and its trials.
    Show(Name),
    /// Watch a study until it ends.
    Watch(Name),
    /// Show the best trial of a study: of those that keep its constraints, the one of the best value.
    Best(Name),
    /// Show the trade-offs that a study has found between its objectives.
    Pareto(Pareto),
    /// Show how much each hyperparameter matters, as the results so far tell.
    Importance(Asked),
    /// Show how the predicted value changes along a hyperparameter, or each of them.
    Dependence(AskedAlong),
    /// Show how far the predictions can be believed.
    Calibration(Asked),
    /// Stop handing out trials; running ones go on.
    Pause(Name),
    /// Hand out trials of a paused study again.
    Resume(Name),
    /// Give a study a larger budget; one that has completed goes on.
    Extend(Extend),
    /// Give a study another priority: workers serve higher ones first.
    Priority(Priority),
    /// Have a study learn from results of another one or of a file; they take nothing from its budget.
    Import(Import),
    /// End a study for good: waiting trials are withdrawn, running ones stopped.
    Cancel(Name),
}

/// `strop study create`.
#[derive(Args, Debug)]
pub struct Create {
    #[command(flatten)]
    file: File,

    /// Watch it until it ends.
    #[arg(long)]
    watch: bool,
}

/// A study file, and what is said instead of it.
#[derive(Args, Debug)]
pub struct File {
    /// The study file, TOML; see `studies/` for examples.
    #[arg(value_name = "FILE")]
    path: PathBuf,

    /// Name it so, not as the file says.
    #[arg(long)]
    name: Option<String>,

    /// Try at most so many points.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(TRIALS))]
    max_trials: Option<u32>,

    /// Seed of every random choice.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl File {
    fn read(&self) -> Result<StudySpec, Failure> {
        let overrides =
            Overrides { name: self.name.clone(), max_trials: self.max_trials, seed: self.seed };
        Ok(study_file::read(&self.path, &overrides)?)
    }
}

/// `strop study extend`.
#[derive(Args, Debug)]
pub struct Extend {
    /// The study's name.
    #[arg(value_name = "STUDY")]
    name: String,

    /// Try at most so many points in all, those tried already included.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(TRIALS))]
    max_trials: u32,
}

/// `strop study priority`.
#[derive(Args, Debug)]
pub struct Priority {
    /// The study's name.
    #[arg(value_name = "STUDY")]
    name: String,

    /// From -100 to 100; studies have 0 unless told otherwise.
    #[arg(value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(PRIORITIES))]
    priority: i32,
}

/// A study by name.
#[derive(Args, Debug)]
pub struct Name {
    /// The study's name.
    #[arg(value_name = "STUDY")]
    name: String,
}

/// `strop study pareto`.
#[derive(Args, Debug)]
pub struct Pareto {
    #[command(flatten)]
    study: Name,

    /// Write a picture of the first two objectives to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Does what was asked.
pub async fn run(options: &Options, command: Command) -> Result<(), Failure> {
    // What can be wrong with the file is told before a coordinator is looked for.
    let created = match &command {
        Command::Check(file) => return check(options, &file.read()?),
        Command::Create(create) => Some(create.file.read()?),
        _ => None,
    };
    let mut coordinator = Coordinator::connect(&options.url()).await?;
    match (command, created) {
        (Command::Create(arguments), Some(spec)) => {
            create(options, &mut coordinator, spec, arguments.watch).await
        }
        (Command::Create(_) | Command::Check(_), _) => {
            unreachable!("`created` is set for Create, and Check has returned")
        }
        (Command::List, _) => {
            let studies = coordinator.studies().await?;
            match options.json {
                true => print::json(&studies.iter().map(json::study).collect()),
                false if studies.is_empty() => {
                    options.hint("no studies yet: `strop study create FILE.toml` makes one");
                }
                false => print::lines(&table::studies(&studies, print::width())),
            }
            Ok(())
        }
        (Command::Show(Name { name }), _) => show(options, &mut coordinator, &name).await,
        (Command::Watch(Name { name }), _) => watch::until_end(options, coordinator, &name).await,
        (Command::Best(Name { name }), _) => best(options, &mut coordinator, &name).await,
        (Command::Pareto(Pareto { study: Name { name }, svg }), _) => {
            pareto::run(options, &mut coordinator, &name, svg.as_deref()).await
        }
        (Command::Importance(asked), _) => {
            insight::importance(options, &mut coordinator, &asked).await
        }
        (Command::Dependence(asked), _) => {
            insight::dependence(options, &mut coordinator, &asked).await
        }
        (Command::Calibration(asked), _) => {
            insight::calibration(options, &mut coordinator, &asked).await
        }
        (Command::Pause(Name { name }), _) => {
            steered(options, "paused", &coordinator.pause(&name).await?)
        }
        (Command::Resume(Name { name }), _) => {
            steered(options, "resumed", &coordinator.resume(&name).await?)
        }
        (Command::Extend(Extend { name, max_trials }), _) => {
            let study = coordinator.extend(&name, max_trials).await?;
            match options.json {
                true => print::json(&json::study(&study)),
                false => {
                    let state = words::study_state(&study);
                    print::lines(&format!("`{name}` is {state}, with {max_trials} trials in all"));
                }
            }
            Ok(())
        }
        (Command::Priority(Priority { name, priority }), _) => {
            let study = coordinator.prioritize(&name, priority).await?;
            match options.json {
                true => print::json(&json::study(&study)),
                false => print::lines(&format!("`{name}` has priority {priority}")),
            }
            Ok(())
        }
        (Command::Import(arguments), _) => import::run(options, &mut coordinator, &arguments).await,
        (Command::Cancel(Name { name }), _) => {
            steered(options, "cancelled", &coordinator.cancel(&name).await?)
        }
    }
}

async fn create(
    options: &Options,
    coordinator: &mut Coordinator,
    spec: StudySpec,
    is_watched: bool,
) -> Result<(), Failure> {
    let name = spec.name.clone();
    let study = coordinator.create(spec).await?;
    match options.json {
        true if is_watched => {}
        true => print::json(&json::study(&study)),
        false if is_watched => options.hint(format!("created `{name}`")),
        false => {
            print::lines(&format!("created `{name}`"));
            options.hint(format!("`strop study watch {name}` shows how it goes"));
        }
    }
    match is_watched {
        true => watch::until_end(options, coordinator.clone(), &name).await,
        false => Ok(()),
    }
}

fn check(options: &Options, spec: &StudySpec) -> Result<(), Failure> {
    if options.json {
        print::json(&json::spec(spec));
        return Ok(());
    }
    let space = spec.space.clone().unwrap_or_default();
    let size = study_file::size(&space).map_or_else(|| "infinitely many".to_owned(), grouped);
    print::lines(&format!(
        "`{}` is in order: {}{} over {}, {size} points, {} of them tried",
        spec.name,
        words::algorithm(spec.algorithm()),
        match spec.also.len() {
            0 => String::new(),
            also => format!(" of {} objectives", also + 1),
        },
        words::count(space.parameters.len() as u32, "hyperparameter"),
        spec.max_trials
    ));
    if !options.quiet {
        print::lines(&format!("\n{}", parameters(&space.parameters)));
    }
    Ok(())
}

async fn show(options: &Options, coordinator: &mut Coordinator, name: &str) -> Result<(), Failure> {
    let study = coordinator.study(name).await?;
    let trials = coordinator.trials(name).await?;
    if options.json {
        let mut document = json::study(&study);
        document["trials"] = trials.iter().map(json::trial).collect();
        print::json(&document);
        return Ok(());
    }
    let spec = study.spec.clone().unwrap_or_default();
    let searched = spec.space.clone().unwrap_or_default().parameters;
    print::lines(&summary(&study));
    print::lines(&format!("\n{}", parameters(&searched)));
    if !trials.is_empty() {
        print::lines(&format!("\n{}", table::trials(&trials, &searched, print::width())));
    }
    Ok(())
}

/// A study in some ten lines.
fn summary(study: &Study) -> String {
    use proto::v1::objective::Kind;
    let spec = study.spec.clone().unwrap_or_default();
    let counts = study.counts.unwrap_or_default();
    let objective = match spec.objective.as_ref().and_then(|objective| objective.kind.as_ref()) {
        Some(Kind::Whetstone(w)) => {
            let images = |n: u32| match n {
                0 => "all".to_owned(),
                n => grouped(n.into()),
            };
            let held_out = match w.validation_images {
                0 => String::new(),
                n => format!(", {} of them for validation", grouped(n.into())),
            };
            format!(
                "{} on {} ({} training{held_out}, {} test images)",
                w.metric,
                w.dataset,
                images(w.train_images),
                images(w.test_images)
            )
        }
        Some(Kind::External(e)) => {
            let labels: Vec<String> =
                e.labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
            format!("external, {}", labels.join(", "))
        }
        None => "?".to_owned(),
    };
    let points = match study.space_size.parse::<u128>() {
        Ok(size) => format!("{} points", grouped(size)),
        Err(_) if study.space_size.is_empty() => "infinitely many points".to_owned(),
        Err(_) => format!("{} points", study.space_size),
    };
    let mut pairs = vec![
        ("study", spec.name.clone()),
        ("state", words::study_state(study).to_owned()),
        (
            "objective",
            format!("{} {objective}{}", words::direction(spec.direction()), words::also(&spec)),
        ),
        ("algorithm", format!("{}, seed {}", words::algorithm(spec.algorithm()), spec.seed)),
        ("space", points),
        (
            "trials",
            format!(
                "{} of {} tried{}, {} running, {} queued, {} failed, {} cancelled",
                counts.completed + counts.pruned,
                spec.max_trials,
                match counts.pruned {
                    0 => String::new(),
                    n => format!(" ({n} of them stopped early)"),
                },
                counts.running,
                counts.queued,
                counts.failed,
                counts.cancelled
            ),
        ),
        ("created", format!("{} UTC", words::instant(study.created_at.as_ref()))),
    ];
    if !spec.constraints.is_empty() {
        let bounds: Vec<String> = spec.constraints.iter().map(words::constraint).collect();
        pairs.insert(3, ("constraints", bounds.join(", ")));
    }
    if spec.priority != 0 {
        pairs.push(("priority", spec.priority.to_string()));
    }
    if spec.checkpoint_epochs > 0 {
        let every = words::count(spec.checkpoint_epochs, "epoch");
        pairs.push(("checkpoints", format!("every {every}")));
    }
    if let Some(by) = &spec.early_stopping {
        let rule = words::stopping_rule(by.rule()).replace('_', " ");
        pairs.push(("stops trials", format!("by {rule}, on {}", by.metric)));
    }
    if study.imported > 0 {
        pairs.push(("imported", words::count(study.imported, "result")));
    }
    if study.finished_at.is_some() {
        let at = words::instant(study.finished_at.as_ref());
        pairs.push(("ended", format!("{at} UTC: {}", words::end_reason(study))));
    }
    if let Some(best) = &study.best {
        let mut text = format!("{} in trial {}", table::optional(best.value), best.number);
        if let Some(test) = best.measurements.get(table::TEST) {
            text += &format!("; on the test images {}", table::short(*test, 4));
        }
        pairs.push((if spec.also.is_empty() { "best" } else { "best value" }, text));
    } else if !spec.constraints.is_empty() && counts.completed > 0 {
        pairs.push(("best", "no result keeps the constraints yet".to_owned()));
    }
    if !spec.also.is_empty() {
        pairs.push(("trade-offs", format!("`strop study pareto {}`", spec.name)));
    }
    if let Some(prospect) = &study.prospect {
        pairs.push(("outlook", outlook(prospect, &spec)));
    }
    table::pairs(&pairs)
}

/// What further trials may gain, as advice.
fn outlook(prospect: &Prospect, spec: &StudySpec) -> String {
    use proto::v1::objective::Kind;
    let objective = spec.objective.as_ref().and_then(|objective| objective.kind.as_ref());
    let amount = |x: f64| match objective {
        // Rounded up: it is to stay below.
        Some(Kind::Whetstone(_)) => format!("{} %", (x * 1e4).ceil() / 1e2),
        _ => table::short(x, 4),
    };
    if prospect.trials == 0 {
        return "every point has been tried".to_owned();
    }
    let limit = match spec.stop_when_gain_below {
        0.0 => String::new(),
        limit => format!("; it ends below {}", amount(limit)),
    };
    format!(
        "another {} would gain less than {}; any number, with 90 % probability, less than {} (after \
         {}){limit}",
        words::count(prospect.trials, "training"),
        amount(prospect.gain),
        amount(prospect.regret_bound),
        words::count(prospect.horizon, "result"),
    )
}

async fn best(options: &Options, coordinator: &mut Coordinator, name: &str) -> Result<(), Failure> {
    let study = coordinator.study(name).await?;
    let Some(best) = &study.best else {
        let spec = study.spec.clone().unwrap_or_default();
        let what = match study.counts.is_some_and(|counts| counts.completed > 0) {
            true if !spec.constraints.is_empty() => "result that keeps its constraints",
            _ => "result",
        };
        return Err(Failure::NotFound(format!("the study `{name}` has no {what} yet")));
    };
    match options.json {
        true => print::json(&json::trial(best)),
        false => {
            let parameters = study.spec.clone().unwrap_or_default().space.unwrap_or_default();
            print::lines(&crate::trial::described(best, &parameters.parameters));
            if study.spec.as_ref().is_some_and(|spec| !spec.also.is_empty()) {
                options.hint(format!(
                    "the best value alone; `strop study pareto {name}` shows what it costs"
                ));
            }
        }
    }
    Ok(())
}

fn steered(options: &Options, deed: &str, study: &Study) -> Result<(), Failure> {
    let name = study.spec.as_ref().map_or("", |spec| &spec.name);
    match options.json {
        true => print::json(&json::study(study)),
        false => print::lines(&format!("{deed} `{name}`")),
    }
    Ok(())
}

/// What is searched, one hyperparameter a row.
fn parameters(parameters: &[Parameter]) -> String {
    let header = [("hyperparameter", Side::Left), ("only if", Side::Left), ("values", Side::Left)];
    let header = header.map(|(text, side)| (text.to_owned(), side));
    let rows = parameters.iter().map(|parameter| {
        let condition = parameter.condition.as_ref().map(|condition| {
            let values: Vec<String> = condition.values.iter().map(value::text).collect();
            format!("{} = {}", condition.parameter, values.join(" or "))
        });
        vec![parameter.name.clone(), condition.unwrap_or_default(), value::domain(parameter)]
    });
    let mut rows: Vec<Vec<String>> = rows.collect();
    let mut header = header.to_vec();
    if rows.iter().all(|row| row[1].is_empty()) {
        header.remove(1);
        rows.iter_mut().for_each(|row| {
            row.remove(1);
        });
    }
    table::table(&header, rows, print::width())
}

/// A whole number with commas between its thousands.
pub fn grouped(n: u128) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(256), "256");
        assert_eq!(grouped(398_131_200), "398,131,200");
        assert_eq!(grouped(1_000), "1,000");
    }
}
