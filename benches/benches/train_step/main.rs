//! A training step, whole and by layers, beside PyTorch's in the same run.
//!
//!     cargo bench -p benches --bench train_step -- [--network a] [--threads 1] [--level avx2]
//!
//! PyTorch's side needs a Python that has it: `STROP_BENCH_PYTHON=…/bin/python`; without one only
//! Strop is measured. Both compute one part in turn, round by round; what is compared is the medians
//! of the processor time of either process. FLOP are counted as if padding were multiplied, as a
//! textbook convolution does; Strop leaves it out, and so can pass the processor's peak.
//!
//! 2026-11-23, AMD EPYC (Zen 4, AVX-512), one thread, batch 128, PyTorch 2.4.1, medians of 5 rounds, on
//! a machine that did other work besides; one core multiplies and adds 115 GFLOP/s:
//!
//! |        | Strop ms | PyTorch ms | ratio | share of peak |
//! |--------|---------:|-----------:|------:|--------------:|
//! | a conv1 / norm1 | 8.5 / 13.7 | 32.5 / 68.5 | 3.8 / 5.0 | 12 % |
//! | a conv2 / norm2 | 26.1 / 5.0 | 30.6 / 28.1 | 1.2 / 5.6 | 92 % |
//! | a conv3 / norm3 | 48.1 / 4.2 | 59.0 / 30.1 | 1.2 / 7.1 | 100 % |
//! | a dense | 6.3 | 6.1 | 1.0 | 62 % |
//! | **a step** | **117** | **271** | **2.3** | 66 % |
//! | b conv1 / norm1 | 47.5 / 40.0 | 116 / 463 | 2.4 / 12 | 46 % |
//! | b conv2 / norm2 | 491 / 9.4 | 496 / 52.1 | 1.0 / 5.5 | 109 % |
//! | b conv3 / norm3 | 88.2 / 3.6 | 97.1 / 25.3 | 1.1 / 7.0 | 109 % |
//! | b dense | 6.5 | 7.2 | 1.1 | 61 % |
//! | **b step** | **702** | **1,379** | **2.0** | 94 % |
//! | c conv1 / norm1 | 25.1 / 27.0 | 48.1 / 318 | 1.9 / 12 | 31 % |
//! | c conv2 / norm2 | 675 / 25.0 | 748 / 326 | 1.1 / 13 | 103 % |
//! | c conv3 / norm3 | 1,156 / 10.6 | 1,353 / 70.6 | 1.2 / 6.7 | 121 % |
//! | c dense | 49.5 | 44.6 | 0.9 | 56 % |
//! | **c step** | **1,954** | **2,882** | **1.5** | 109 % |
//!
//! With `--level avx2`: a 133 (ratio 1.9), b 882 (1.3), c 2,467 (1.1), PyTorch still with AVX-512. The
//! largest memory of a process that steps network c is 242 MiB.
//! PyTorch's conv1 of network a takes 5 ms in some processes and 26 in others: not the arithmetic, but memory that its
//! allocator gives back and asks for again.
//!
//!     cargo bench -p benches --features cuda --bench train_step -- --device cuda [--tf32]
//!
//! with the environment of `deploy/cuda-build.sh` runs either side on a GPU, and times it by the clock until the
//! GPU is done. 2026-11-26, H100 80 GB, driver 580, PyTorch 2.11 (CUDA 13.0), f32 without TF32, medians of
//! 40 rounds, ms and ratio:
//!
//! |       | a: Strop / PyTorch | b | c |
//! |-------|--------------------|---|---|
//! | conv1 | 0.22 / 0.42 (1.9) | 0.33 / 0.58 (1.8) | 0.27 / 0.40 (1.4) |
//! | norm1 | 0.32 / 0.86 (2.7) | 0.49 / 1.02 (2.1) | 0.41 / 0.85 (2.1) |
//! | conv2 | 0.37 / 0.55 (1.5) | 2.66 / 2.39 (0.9) | 2.54 / 1.91 (0.8) |
//! | norm2 | 0.31 / 0.91 (2.9) | 0.29 / 0.80 (2.7) | 0.40 / 0.70 (1.7) |
//! | conv3 | 0.38 / 0.71 (1.9) | 0.55 / 0.75 (1.4) | 4.12 / 3.95 (1.0) |
//! | norm3 | 0.30 / 0.75 (2.5) | 0.29 / 0.84 (2.9) | 0.30 / 0.63 (2.1) |
//! | dense | 0.21 / 0.46 (2.2) | 0.21 / 0.49 (2.4) | 0.27 / 0.45 (1.6) |
//! | **step** | **1.61 / 4.62 (2.9)** | **4.58 / 5.86 (1.3)** | **7.92 / 7.67 (1.0)** |
//! | step, TF32 | 1.55 / 4.22 (2.7) | 3.13 / 4.60 (1.5) | 3.92 / 5.07 (1.3) |
//!
//! Small networks wait for launches, of which Strop needs fewer. Wide convolutions write their patches to
//! memory, which PyTorch's do not. A third of a step went, before, into events that order several streams and
//! into memory that the driver gave back at every wait (`whetstone/src/ops/cuda/device.rs`): in one run, in turn,
//! steps took 2.53, 7.28 and 10.53 ms with both, and 1.65, 4.37 and 7.82 without.
//!
//!     cargo bench -p benches --features cuda --bench train_step -- --device cuda --slots 1,2,4
//!
//! has so many trainings at once on one device. Steps a second, all together, on the same machine: a 660, 692,
//! 737 with 1, 2, 4 slots; b 236, 245, 269; c 132, 134, 141. With the events a had 582, 331 and 313.

mod network;
mod part;
mod peak;
mod slots;
mod torch;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use benches::median;
use candle_core::Device;
use clap::Parser;
use kernels::level::{Level, limit};
use network::{NETWORKS, Sizes};
use part::{Part, Run, prepare};
use rustix::time::{ClockId, clock_gettime};
use torch::Torch;
use whetstone::device::{Choice, allow_tf32, name, open};

/// Images in a batch.
const BATCH: usize = 128;

#[derive(Parser)]
struct Arguments {
    /// Only this network: a, b or c.
    #[arg(long)]
    network: Option<String>,
    /// Threads of either side.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Strop's vector instructions: portable, avx2 or avx512. Default: the best there are.
    #[arg(long)]
    level: Option<String>,
    /// Times that each part is run by either side.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// What computes, for either side: cpu, cuda, or cuda:1. GPUs want a build with `--features cuda`.
    #[arg(long, default_value_t)]
    device: Choice,
    /// Let either side's matrix products round their factors to 10 bits after the point, on a GPU.
    #[arg(long)]
    tf32: bool,
    /// Only this part: step, conv1, norm1, … dense.
    #[arg(long)]
    part: Option<String>,
    /// So many trainings on the device at once, each on a thread and a stream of its own, as a worker's slots:
    /// how many steps all of them make in a second. Several numbers, to compare: 1,2,4.
    #[arg(long, value_delimiter = ',')]
    slots: Vec<usize>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    kernels::memory::keep_freed();
    let arguments = Arguments::parse();
    if let Some(level) = &arguments.level {
        limit(match level.as_str() {
            "portable" => Level::Portable,
            "avx2" => Level::Avx2,
            "avx512" => Level::Avx512,
            other => anyhow::bail!("there is no level `{other}`; write portable, avx2 or avx512"),
        });
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build()?;
    allow_tf32(arguments.tf32);
    if !arguments.slots.is_empty() {
        return slots::compare(&arguments);
    }
    let device = open(arguments.device)?;
    let torch = Torch::start(arguments.threads, arguments.device, arguments.tf32)?;
    // Of a GPU it is not known.
    let peak = device.is_cpu().then(|| peak::gflops(Level::best()));
    let with = match peak {
        Some(peak) => {
            format!("{:?}, one core multiplies and adds {peak:.0} GFLOP/s", Level::best())
        }
        None => name(&device),
    };
    println!(
        "{with}, {} thread(s), batch {BATCH}; {}",
        arguments.threads,
        torch.as_ref().map_or("no PyTorch".into(), |torch| format!("PyTorch {}", torch.version)),
    );
    println!(
        "{:<8} {:>10} {:>10} {:>7} {:>9} {:>7}",
        "",
        "Strop ms",
        "PyTorch ms",
        "ratio",
        "GFLOP/s",
        if peak.is_some() { "peak" } else { "" }
    );
    let mut sides = Sides { pool, device, torch };
    for (name, sizes) in NETWORKS {
        if arguments.network.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        for part in Part::all()
            .filter(|part| arguments.part.as_ref().is_none_or(|wanted| *wanted == part.to_string()))
        {
            let measured = sides.measure(&sizes, part, arguments.rounds)?;
            let flop = part.flop(&sizes, BATCH);
            print_row(&format!("{name} {part}"), &measured, flop, peak);
        }
    }
    Ok(())
}

/// Milliseconds of either side, medians.
struct Measured {
    strop: f64,
    torch: Option<f64>,
}

/// Strop's threads and device, and PyTorch if it is there.
struct Sides {
    pool: rayon::ThreadPool,
    device: Device,
    torch: Option<Torch>,
}

impl Sides {
    /// Both in turn, after each has run once.
    fn measure(&mut self, sizes: &Sizes, part: Part, rounds: usize) -> anyhow::Result<Measured> {
        let Sides { pool, device, torch } = self;
        let mut run = pool.install(|| prepare(sizes, part, BATCH, device))?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let strop = pool.install(|| clocked(device, &mut run))?;
            let torch = torch.as_mut().map(|torch| torch.run(sizes, part, BATCH)).transpose()?;
            if round > 0 {
                ours.push(strop);
                theirs.extend(torch);
            }
        }
        let torch = (!theirs.is_empty()).then(|| median(theirs));
        Ok(Measured { strop: median(ours), torch })
    }
}

/// Runs a part once; milliseconds of the processor, or on a GPU of the clock, until it is done.
fn clocked(device: &Device, run: &mut Run) -> anyhow::Result<f64> {
    let took = if device.is_cpu() {
        let before = processor_time();
        run()?;
        processor_time() - before
    } else {
        let before = Instant::now();
        run()?;
        device.synchronize().context("what was queued on the GPU failed")?;
        before.elapsed()
    };
    Ok(took.as_secs_f64() * 1e3)
}

fn print_row(name: &str, measured: &Measured, flop: Option<f64>, peak: Option<f64>) {
    let Measured { strop, torch } = measured;
    print!("{name:<8} {strop:>10.2}");
    match torch {
        Some(torch) => print!(" {torch:>10.2} {:>7.2}", torch / strop),
        None => print!(" {:>10} {:>7}", "", ""),
    }
    if let Some(flop) = flop {
        let rate = flop / strop / 1e6;
        print!(" {rate:>9.0}");
        if let Some(peak) = peak {
            print!(" {:>6.0} %", 100.0 * rate / peak);
        }
    }
    println!();
}

/// Of all threads of this process so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
