//! `strop demo`: everything on one machine, one small study, and what the search gained.

mod report;

use std::time::Instant;

use clap::Args;
use proto::v1::StudySpec;

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::options::Options;
use crate::print;
use crate::signals::Signals;
use crate::study_file::{self, Overrides};
use crate::up::{Crew, LOOK_EVERY, Plan, Workers};
use crate::watch::{self, Picture, Updates, View};

/// The study that is shown.
const STUDY: &str = include_str!("../../studies/digits.toml");

/// `strop demo`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    workers: Workers,

    /// Leave the coordinator and the workers running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// Runs the study; an error if it does not complete.
pub async fn run(options: &Options, arguments: Arguments) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let mut view = watch::view(options);
    let mut crew = crew(options, &arguments.workers).await?;
    let shown = show(options, crew.as_mut(), &mut *view, &mut signals).await;
    let done = match (shown, &mut crew) {
        (Ok(url), Some(crew)) if arguments.keep => {
            options.hint(format!("{url} still serves; Ctrl-C ends it"));
            tended(crew, &mut *view, &mut signals).await
        }
        (shown, _) => shown.map(|_| ()),
    };
    view.close();
    match crew {
        Some(crew) => {
            let drained = crew.drain(&mut signals).await;
            done.and(drained)
        }
        None => done,
    }
}

/// A crew of our own, unless somebody serves already: the coordinator that was named, or one that
/// has this data directory.
async fn crew(options: &Options, workers: &Workers) -> Result<Option<Crew>, Failure> {
    if options.coordinator.is_some() {
        return Ok(None);
    }
    if let Some(url) = options.url_in_data_dir()
        && Coordinator::connect(&url).await.is_ok()
    {
        return Ok(None);
    }
    let plan = Plan {
        data_dir: options.data_dir.clone(),
        // Any free port: nobody else needs to guess it, and the usual one may be taken.
        listen: "127.0.0.1:0".to_owned(),
        insecure_bind: false,
        workers: workers.clone(),
        until_idle: false,
    };
    Ok(Some(Crew::new(plan)?))
}

/// Runs the study from creation to report; where it ran.
async fn show(
    options: &Options,
    mut crew: Option<&mut Crew>,
    view: &mut dyn View,
    signals: &mut Signals,
) -> Result<String, Failure> {
    let url = match &mut crew {
        None => {
            let url = options.url();
            view.note(&format!("the coordinator at {url} and its workers do the work"));
            url
        }
        Some(crew) => {
            let data_dir = options.data_dir.display();
            view.note(&format!("starting a database, a coordinator and workers in `{data_dir}`"));
            tokio::select! {
                begun = crew.begin() => begun?,
                () = signals.next() => return Err(Failure::Interrupted),
            }
        }
    };
    let mut coordinator = Coordinator::connect(&url).await?;
    let begun = Instant::now();
    let name = create(&mut coordinator).await?;
    let mut updates = Updates::of(coordinator.clone(), &name);
    let mut picture = Picture::default();
    loop {
        tokio::select! {
            update = updates.next() => match update {
                Some(update) => {
                    let ended = picture.add(update?);
                    view.show(&picture, &ended);
                }
                None => break,
            },
            tended = async {
                match &mut crew {
                    Some(crew) => tended_once(crew, view).await,
                    None => std::future::pending().await,
                }
            } => tended?,
            () = signals.next() => return Err(Failure::Interrupted),
        }
    }
    let wall = begun.elapsed();
    view.close();
    watch::verdict(picture.study())?;

    let study = coordinator.study(&name).await?;
    let trials = coordinator.trials(&name).await?;
    let report = report::Report::of(&study, &trials, wall);
    match options.json {
        true => print::json(&report.json()),
        false => {
            let data_dir = options.data_dir_argument();
            print::lines(&report.text(print::width(), &data_dir));
        }
    }
    Ok(url)
}

/// Creates the study under the first name that is free: digits, digits-2, digits-3 …
async fn create(coordinator: &mut Coordinator) -> Result<String, Failure> {
    let spec = study_file::parse(STUDY, "digits.toml", &Overrides::default())?;
    let studies = coordinator.studies().await?;
    let is_taken = |name: &str| {
        studies.iter().any(|study| study.spec.as_ref().is_some_and(|spec| spec.name == name))
    };
    let mut number = 1;
    loop {
        let name = match number {
            1 => spec.name.clone(),
            n => format!("{}-{n}", spec.name),
        };
        number += 1;
        if is_taken(&name) {
            continue;
        }
        match coordinator.create(StudySpec { name: name.clone(), ..spec.clone() }).await {
            Ok(_) => return Ok(name),
            // Somebody was faster with this one.
            Err(Failure::Conflict(_)) if number < 1_000 => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// Looks after the crew until a signal comes.
async fn tended(
    crew: &mut Crew,
    view: &mut dyn View,
    signals: &mut Signals,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            done = tended_once(crew, view) => done?,
            () = signals.next() => return Ok(()),
        }
    }
}

/// Looks after the crew once, after a while.
async fn tended_once(crew: &mut Crew, view: &mut dyn View) -> Result<(), Failure> {
    tokio::time::sleep(LOOK_EVERY).await;
    for notice in crew.look()? {
        view.note(&notice);
    }
    match crew.is_done() {
        true => Err(Failure::Other(anyhow::anyhow!(
            "the coordinator or the workers have ended before the study; see their logs"
        ))),
        false => Ok(()),
    }
}
