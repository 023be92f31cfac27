//! `strop-worker`: command line, device, slots, drain.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use proto::v1;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;
use whetstone::device::Choice;
use worker::client::Client;
use worker::config::{Config, LogFormat};
use worker::datasets::Datasets;
use worker::device::Device;
use worker::drain::Drain;
use worker::evaluation::Evaluate;
use worker::outbox::Outbox;
use worker::slot::{Ended, Slot, SlotError};
use worker::spool::Spool;
use worker::trial;

fn main() -> ExitCode {
    let config = Config::parse();
    whetstone::memory::keep_freed();
    start_logs(config.log_format);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "the worker cannot wait for anything");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(config));
    // Evaluations that nobody waits for any longer, after a second signal, end with the process.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let worker_id = Uuid::new_v4();
    let jitter_seed = worker_id.as_u64_pair().0;
    let drain = Drain::new();
    drain_on_signals(&drain).context("the worker cannot listen for signals")?;

    // Before anything is asked for: a worker without its GPU must say so at once.
    let devices = devices(&config)?;
    let client = Client::connect_when_needed(config.coordinator.endpoint());
    let spool = Spool::open(&config.spool_folder(), &config.coordinator)?;
    let outbox = Outbox { client: client.clone(), spool, drain: drain.clone(), jitter_seed };
    let datasets = Arc::new(Datasets::new(config.data_folder.clone()));
    info!(
        %worker_id,
        coordinator = %config.coordinator,
        slots = config.slots,
        threads = config.threads,
        device = %config.device,
        "worker begins"
    );
    outbox.send_left_over().await?;

    let mut slots = JoinSet::new();
    for (number, device) in (0..).zip(devices) {
        let slot = Slot {
            coordinator: config.coordinator.clone(),
            client: client.clone(),
            worker_id: worker_id.to_string(),
            number,
            capabilities: capabilities(&config, &device),
            evaluate: whetstone_training(device, datasets.clone()),
            outbox: outbox.clone(),
            drain: drain.clone(),
            until_idle: config.until_idle,
            jitter_seed: jitter_seed.wrapping_add(number.into()),
        };
        slots.spawn(async move { slot.run().await });
    }
    end_of(slots, &drain).await
}

/// A device for each slot.
fn devices(config: &Config) -> anyhow::Result<Vec<Device>> {
    if config.tf32 && config.device == Choice::Cpu {
        anyhow::bail!("--tf32 is about GPUs: add --device cuda, or leave it out");
    }
    whetstone::device::allow_tf32(config.tf32);
    let open = |slot| Device::open(config.device, config.threads as usize, slot);
    Ok((0..config.slots).map(open).collect::<Result<_, _>>()?)
}

/// Waits for every slot. One that cannot go on takes the others with it, gently.
async fn end_of(mut slots: JoinSet<Result<Ended, SlotError>>, drain: &Drain) -> anyhow::Result<()> {
    let mut first_error = None;
    let mut ended_by = Ended::Drained;
    while let Some(slot) = slots.join_next().await {
        let ended = slot.context("a slot broke").and_then(|ended| ended.map_err(Into::into));
        match ended {
            Ok(ended) => ended_by = ended,
            Err(error) if first_error.is_none() => {
                drain.begin();
                first_error = Some(error);
            }
            Err(_) => {}
        }
    }
    if let (None, Some(v1::Drain { reason, is_unfit })) = (&first_error, drain.ordered()) {
        // An error, so that whoever watches over this process hears of a machine that is no good.
        if *is_unfit {
            anyhow::bail!("the coordinator sends this worker away: {reason}");
        }
        info!(reason, "worker ends: the coordinator sends it away");
        return Ok(());
    }
    match (first_error, ended_by) {
        (Some(error), _) => return Err(error),
        (None, Ended::Idle) => info!("worker ends: nothing is left to do"),
        (None, Ended::Drained) => info!("worker ends: it was told to"),
    }
    Ok(())
}

fn whetstone_training(device: Device, datasets: Arc<Datasets>) -> Arc<Evaluate> {
    Arc::new(move |lease, progress, checkpoints, halt| {
        device.compute(|computes| {
            trial::evaluate(lease, &datasets, computes, progress, checkpoints, halt)
        })
    })
}

fn capabilities(config: &Config, device: &Device) -> v1::Capabilities {
    v1::Capabilities {
        objectives: config.objectives.iter().map(|kind| kind.name().to_owned()).collect(),
        studies: config.studies.clone(),
        label: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        device: device.name(),
    }
}

/// Goes one step further at each SIGTERM and SIGINT.
fn drain_on_signals(drain: &Drain) -> std::io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let drain = drain.clone();
        // Ends with the runtime: it has nothing to finish.
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                info!("told to go");
                drain.advance();
            }
        });
    }
    Ok(())
}

fn start_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that cannot be written, as when the disk of the logs is full, would else be told by
        // another to standard error, and that one's failure by a panic.
        .log_internal_errors(false)
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().init(),
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// One log line with the place; the message alone reaches the coordinator.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let message = panic.payload_as_str();
    error!(place, message, "a thread panicked");
}
