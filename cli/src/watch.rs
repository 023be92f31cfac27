//! Watching a study until it ends: a stream that survives restarts of the coordinator, the picture
//! that it adds up to, and views that show it.

mod bars;
mod lines;
mod picture;

use std::time::{Duration, Instant};

use proto::v1::{Study, StudyState, WatchStudyResponse};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::options::Options;
use crate::{json, print, words};

pub use picture::Picture;

/// How long a coordinator may be away before watching is given up: a restart replays a log.
const AWAY_MAX: Duration = Duration::from_secs(120);
/// Between two attempts to find it again.
const KNOCK_EVERY: Duration = Duration::from_millis(500);
/// Updates that wait for a slow terminal.
const WAITING_MAX: usize = 64;

/// What shows a study as it changes.
pub trait View {
    /// The picture has changed; these trials have just ended.
    fn show(&mut self, picture: &Picture, ended: &[u32]);
    /// Something to know that is not about the study.
    fn note(&mut self, text: &str);
    /// Takes away what was only for the time being.
    fn close(&mut self);
}

/// The view that suits the options and standard output.
pub fn view(options: &Options) -> Box<dyn View> {
    match (options.json, options.quiet) {
        (true, _) => Box::new(JsonLines),
        (false, true) => Box::new(Nothing),
        (false, false) if print::is_terminal() => Box::new(bars::Bars::new()),
        (false, false) => Box::new(lines::Lines::new()),
    }
}

/// Watches a study and shows it; an error if it ends without completing.
pub async fn until_end(
    options: &Options,
    coordinator: Coordinator,
    name: &str,
) -> Result<(), Failure> {
    let mut view = view(options);
    let mut updates = Updates::of(coordinator, name);
    let mut picture = Picture::default();
    let ended = loop {
        match updates.next().await {
            Some(Ok(update)) => {
                let ended = picture.add(update);
                view.show(&picture, &ended);
            }
            Some(Err(failure)) => break Err(failure),
            None => break Ok(()),
        }
    };
    view.close();
    ended?;
    if options.json {
        print::json(&serde_json::json!({ "study": json::study(picture.study()) }));
    }
    verdict(picture.study())
}

/// How a command ends that waited for a study's end.
pub fn verdict(study: &Study) -> Result<(), Failure> {
    let name = study.spec.as_ref().map_or_else(String::new, |spec| spec.name.clone());
    match study.state() {
        StudyState::Completed => Ok(()),
        StudyState::Cancelled => Err(Failure::Cancelled(name)),
        StudyState::Unspecified | StudyState::Active | StudyState::Paused => {
            Err(Failure::Other(anyhow::anyhow!("watching `{name}` ended before the study did")))
        }
    }
}

/// The updates of one study, until it ends. Dropping this ends the watch.
pub struct Updates {
    updates: mpsc::Receiver<Result<WatchStudyResponse, Failure>>,
    task: JoinHandle<()>,
}

impl Updates {
    /// Begins to watch.
    pub fn of(coordinator: Coordinator, name: &str) -> Self {
        let (sender, updates) = mpsc::channel(WAITING_MAX);
        let task = tokio::spawn(follow(coordinator, name.to_owned(), sender));
        Self { updates, task }
    }

    /// The next update; `None` after the last. May be dropped while it waits; nothing is lost.
    pub async fn next(&mut self) -> Option<Result<WatchStudyResponse, Failure>> {
        self.updates.recv().await
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes on what the coordinator says, and asks again when it was away. Every stream begins with
/// the whole, so nothing is missed in between.
async fn follow(
    mut coordinator: Coordinator,
    name: String,
    updates: mpsc::Sender<Result<WatchStudyResponse, Failure>>,
) {
    let mut heard = Instant::now();
    loop {
        let away = match coordinator.watch(&name).await {
            Err(failure) => failure,
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(update)) => {
                        heard = Instant::now();
                        let is_last = update.study.as_ref().is_some_and(words::has_ended);
                        // A receiver that is gone wants no more.
                        if updates.send(Ok(update)).await.is_err() || is_last {
                            return;
                        }
                    }
                    // A coordinator that drains ends its streams in good order.
                    Ok(None) => {
                        break coordinator
                            .failure(tonic::Status::unavailable("the coordinator went away"));
                    }
                    Err(status) => break coordinator.failure(status),
                }
            },
        };
        let is_passing = matches!(away, Failure::Unreachable { .. });
        if !is_passing || heard.elapsed() > AWAY_MAX {
            // Nobody left to hear it is as good as told.
            let _ = updates.send(Err(away)).await;
            return;
        }
        tokio::time::sleep(KNOCK_EVERY).await;
    }
}

/// One JSON document for every trial that ends.
struct JsonLines;

impl View for JsonLines {
    fn show(&mut self, picture: &Picture, ended: &[u32]) {
        for trial in ended.iter().filter_map(|number| picture.trial(*number)) {
            print::lines(&serde_json::json!({ "trial": json::trial(trial) }).to_string());
        }
    }

    fn note(&mut self, _text: &str) {}

    fn close(&mut self) {}
}

/// Only the exit code.
struct Nothing;

impl View for Nothing {
    fn show(&mut self, _picture: &Picture, _ended: &[u32]) {}

    fn note(&mut self, _text: &str) {}

    fn close(&mut self) {}
}
