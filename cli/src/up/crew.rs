//! A coordinator and its workers on this machine: started in order, kept up, ended in order.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::time::sleep;

use super::program::{Change, Kept, Program, described, find};
use super::{LOOK_EVERY, Workers};
use crate::client::Coordinator;
use crate::exit::Failure;
use crate::signals::Signals;

/// How long a worker may take to give its trial back: the time of a batch, and some.
const WORKERS_END_WITHIN: Duration = Duration::from_secs(30);
/// How long the coordinator may take: it closes the database, which writes a checkpoint.
const COORDINATOR_ENDS_WITHIN: Duration = Duration::from_secs(90);
/// Between two looks at who is still there.
const WAIT_EVERY: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Folder of the database, the logs and the coordinator's address.
    pub data_dir: PathBuf,
    /// Where the coordinator listens.
    pub listen: String,
    /// Whether it may listen where others can reach it.
    pub insecure_bind: bool,
    /// How many workers, and what they compute with.
    pub workers: Workers,
    /// Whether the workers end once every study has.
    pub until_idle: bool,
}

/// The programs of a plan. Dropping it asks them to end; [`drain`](Self::drain) also waits.
#[derive(Debug)]
pub struct Crew {
    plan: Plan,
    coordinator_program: PathBuf,
    worker_program: PathBuf,
    coordinator: Option<Kept>,
    workers: Vec<Kept>,
    workers_ended: usize,
    is_done: bool,
}

impl Crew {
    /// Finds the programs and makes the data directory; runs nothing yet.
    pub fn new(plan: Plan) -> Result<Self, Failure> {
        let coordinator_program = find("strop-coordinator")?;
        let worker_program = find("strop-worker")?;
        let folder = plan.data_dir.display();
        std::fs::create_dir_all(&plan.data_dir)
            .with_context(|| format!("could not create the data directory `{folder}`"))?;
        Ok(Self {
            plan,
            coordinator_program,
            worker_program,
            coordinator: None,
            workers: Vec::new(),
            workers_ended: 0,
            is_done: false,
        })
    }

    /// Starts the coordinator, waits until it serves, starts the workers; where it serves.
    ///
    /// May be dropped while it waits: what was started is in the crew.
    pub async fn begin(&mut self) -> Result<String, Failure> {
        let url_file = self.plan.data_dir.join("coordinator.url");
        if let Some(url) = read_url(&url_file) {
            if Coordinator::connect(&url).await.is_ok() {
                return Err(Failure::Conflict(format!(
                    "a coordinator already serves `{}` at {url}: use it, or end it first",
                    self.plan.data_dir.display()
                )));
            }
            // Left by one that was killed. The new one writes it again once it serves.
            let _ = std::fs::remove_file(&url_file);
        }
        let program = self.coordinator_program(&self.plan.listen);
        let coordinator = self.coordinator.insert(Kept::start(program)?);
        let url = loop {
            match coordinator.look()? {
                // Once it has served, it is started again; before that, there is no point.
                Change::Died(status, _) => return Err(coordinator.ended(status)),
                Change::Ended => return Err(coordinator.ended(Default::default())),
                Change::None | Change::Started => {}
            }
            if let Some(url) = read_url(&url_file)
                && Coordinator::connect(&url).await.is_ok()
            {
                break url;
            }
            sleep(WAIT_EVERY).await;
        };
        // If it was any free port, it must be the same one again, where the workers look.
        if let Some(address) = url.strip_prefix("http://") {
            let program = self.coordinator_program(address);
            if let Some(coordinator) = &mut self.coordinator {
                coordinator.program = program;
            }
        }
        for number in 1..=self.plan.workers.workers {
            self.workers.push(Kept::start(self.worker_program(number, &url))?);
        }
        Ok(url)
    }

    /// Looks after everybody; what is worth telling.
    ///
    /// # Errors
    ///
    /// If one of the programs finds its configuration wrong.
    pub fn look(&mut self) -> Result<Vec<String>, Failure> {
        let mut notices = Vec::new();
        if let Some(coordinator) = &mut self.coordinator
            && look(coordinator, &mut notices)?
        {
            self.is_done = true;
        }
        for worker in &mut self.workers {
            if look(worker, &mut notices)? {
                self.workers_ended += 1;
            }
        }
        if !self.workers.is_empty() && self.workers_ended == self.workers.len() {
            self.is_done = true;
        }
        Ok(notices)
    }

    /// Whether the coordinator or every worker has ended by itself, so that nothing more happens.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Ends the workers, which give their trials back, then the coordinator, and waits for each.
    /// A signal in the meantime ends everything at once.
    ///
    /// # Errors
    ///
    /// [`Failure::Interrupted`] if there was such a signal.
    pub async fn drain(mut self, signals: &mut Signals) -> Result<(), Failure> {
        let workers = std::mem::take(&mut self.workers);
        let coordinator: Vec<Kept> = self.coordinator.take().into_iter().collect();
        let mut done = end(workers, WORKERS_END_WITHIN, signals).await;
        let patience = match done {
            Ok(()) => COORDINATOR_ENDS_WITHIN,
            // Time to let go of the database in good order, which spares its next start a replay.
            Err(_) => LOOK_EVERY * 8,
        };
        done = done.and(end(coordinator, patience, signals).await);
        done
    }

    fn coordinator_program(&self, listen: &str) -> Program {
        let mut arguments = vec!["serve".into(), "--data-dir".into()];
        arguments.push(self.plan.data_dir.clone().into());
        arguments.extend(["--listen".into(), listen.into()]);
        if self.plan.insecure_bind {
            arguments.push("--insecure-bind".into());
        }
        Program {
            name: "the coordinator".to_owned(),
            path: self.coordinator_program.clone(),
            arguments,
            log: self.plan.data_dir.join("coordinator.log"),
        }
    }

    fn worker_program(&self, number: u32, url: &str) -> Program {
        let data_dir = &self.plan.data_dir;
        let Workers { threads, data_folder, .. } = &self.plan.workers;
        let mut arguments = vec!["--coordinator".into(), url.into()];
        arguments.extend(["--threads".into(), threads.to_string().into()]);
        // Of its own, and in the same place the next time: results may wait there.
        let spool = data_dir.join("spool").join(format!("worker-{number}"));
        arguments.extend(["--spool".into(), spool.into()]);
        if let Some(folder) = data_folder {
            arguments.extend(["--data-folder".into(), folder.into()]);
        }
        if self.plan.until_idle {
            arguments.push("--until-idle".into());
        }
        Program {
            name: format!("worker {number}"),
            path: self.worker_program.clone(),
            arguments,
            log: data_dir.join(format!("worker-{number}.log")),
        }
    }
}

/// Looks after one program; whether it has just ended by itself and in good order.
fn look(kept: &mut Kept, notices: &mut Vec<String>) -> Result<bool, Failure> {
    let change = kept.look()?;
    let name = &kept.program.name;
    match change {
        Change::None => {}
        Change::Started => notices.push(format!("{name} runs again")),
        Change::Died(status, wait) => notices.push(format!(
            "{name} died ({}), starting it again in {}; see `{}`",
            described(status),
            crate::words::span(wait),
            kept.program.log.display()
        )),
        Change::Ended => {
            notices.push(format!("{name} has ended"));
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asks programs to end and waits; kills those that take too long, or all at a signal.
async fn end(
    mut programs: Vec<Kept>,
    patience: Duration,
    signals: &mut Signals,
) -> Result<(), Failure> {
    for kept in &mut programs {
        kept.end(Signal::TERM);
    }
    let begun = Instant::now();
    while programs.iter_mut().any(Kept::is_running) {
        let interrupted = tokio::select! {
            () = signals.next() => true,
            () = sleep(WAIT_EVERY) => false,
        };
        if interrupted || begun.elapsed() > patience {
            for kept in &mut programs {
                kept.end(Signal::KILL);
            }
            if interrupted {
                return Err(Failure::Interrupted);
            }
        }
    }
    Ok(())
}

fn read_url(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let url = text.trim();
    // Written in one go or not at all; but a line that is whole ends.
    (text.ends_with('\n') || url.starts_with("http")).then(|| url.to_owned())
}
