//! A crowd of light workers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use proto::v1::{HeartbeatRequest, Lease, worker_service_client::WorkerServiceClient};
use tokio::sync::Barrier;
use tonic::{Code, transport::Channel};
use uuid::Uuid;

use crate::service::{self, Service};

/// Workers that share a connection.
const PACK: usize = 20;
/// How often a worker beats.
const BEAT: Duration = Duration::from_secs(15);
/// How long a call for work may be held.
const WAIT: Duration = Duration::from_secs(5);

/// What became of one worker.
struct Fate {
    /// From its call to a lease, or to the word when to come back.
    asked: f64,
    served: bool,
    /// Calls that were shed with RESOURCE_EXHAUSTED or UNAVAILABLE, and made again.
    shed: u32,
    beats: Vec<f64>,
    lost: u32,
}

pub async fn run(service: &Service, workers: usize, length: Duration) -> Result<()> {
    let trials = u32::try_from(workers / 2)?;
    service::create(service.connect().await?, service::study("herd", trials)).await?;
    let mut channels = Vec::new();
    for _ in 0..workers.div_ceil(PACK) {
        channels.push(service.connect().await?);
    }
    let start = Arc::new(Barrier::new(workers + 1));
    let crowd: Vec<_> = (0..workers)
        .map(|i| {
            tokio::spawn(worker(channels[i / PACK].clone(), i, workers, length, start.clone()))
        })
        .collect();
    let cpu = service.cpu_seconds()?;
    start.wait().await;
    let begun = Instant::now();
    let mut fates = Vec::new();
    for fate in crowd {
        fates.push(fate.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (service.cpu_seconds()? - cpu) / seconds;
    let mut asked: Vec<f64> = fates.iter().map(|fate| fate.asked).collect();
    let mut beats: Vec<f64> = fates.iter().flat_map(|fate| fate.beats.iter().copied()).collect();
    asked.sort_by(f64::total_cmp);
    beats.sort_by(f64::total_cmp);
    let served = fates.iter().filter(|fate| fate.served).count();
    let shed: u32 = fates.iter().map(|fate| fate.shed).sum();
    let lost: u32 = fates.iter().map(|fate| fate.lost).sum();
    let at = |sorted: &[f64], share: f64| sorted[(share * (sorted.len() - 1) as f64) as usize];
    println!("| workers | {workers} on {} connections |", channels.len());
    println!("|---|---|");
    println!("| got a trial | {served} of {trials} |");
    println!("| calls shed and made again | {shed} |");
    println!(
        "| first answer, p50 / p99 / last | {:.2} / {:.2} / {:.2} s |",
        at(&asked, 0.5),
        at(&asked, 0.99),
        at(&asked, 1.0)
    );
    println!("| heartbeats | {} in {seconds:.0} s |", beats.len());
    if !beats.is_empty() {
        println!(
            "| heartbeat, p50 / p99 / worst | {:.1} / {:.1} / {:.0} ms |",
            1e3 * at(&beats, 0.5),
            1e3 * at(&beats, 0.99),
            1e3 * at(&beats, 1.0)
        );
    }
    println!("| leases lost | {lost} |");
    println!("| coordinator | {:.2} cores, peak {:.0} MiB |", cpu, service.peak_mib()?);
    Ok(())
}

async fn worker(
    channel: Channel,
    number: usize,
    workers: usize,
    length: Duration,
    start: Arc<Barrier>,
) -> Result<Fate> {
    let mut client = WorkerServiceClient::new(channel);
    let worker = Uuid::new_v4();
    start.wait().await;
    let begun = Instant::now();
    let end = begun + length;
    let mut fate = Fate { asked: 0.0, served: false, shed: 0, beats: Vec::new(), lost: 0 };
    let held = loop {
        // The first call is answered at once; who finds nothing then waits with the others.
        let wait = if fate.asked == 0.0 { Duration::ZERO } else { WAIT };
        match client.lease(service::call(worker, wait)).await {
            Ok(answer) => {
                if fate.asked == 0.0 {
                    fate.asked = begun.elapsed().as_secs_f64();
                }
                let answer = answer.into_inner();
                if let Some(lease) = answer.lease {
                    break Some(lease);
                }
                if Instant::now() >= end {
                    break None;
                }
                let pause = answer.retry_after.and_then(|pause| pause.try_into().ok());
                tokio::time::sleep(pause.unwrap_or(Duration::from_secs(1))).await;
            }
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) => {
                fate.shed += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(status) => return Err(status.into()),
        }
    };
    let Some(lease) = held else { return Ok(fate) };
    fate.served = true;
    // Spread over the interval, as workers that came at different times are.
    tokio::time::sleep(BEAT.mul_f64(number as f64 / workers as f64)).await;
    while Instant::now() < end {
        beat(&mut client, &lease, &mut fate).await?;
        tokio::time::sleep(BEAT).await;
    }
    Ok(fate)
}

async fn beat(
    client: &mut WorkerServiceClient<Channel>,
    lease: &Lease,
    fate: &mut Fate,
) -> Result<()> {
    let begun = Instant::now();
    let request = HeartbeatRequest { r#ref: lease.r#ref.clone(), progress: 0.5 };
    match client.heartbeat(request).await {
        Ok(_) => fate.beats.push(begun.elapsed().as_secs_f64()),
        Err(status) if status.code() == Code::Aborted => fate.lost += 1,
        Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) => {
            fate.shed += 1;
        }
        Err(status) => return Err(status.into()),
    }
    Ok(())
}
