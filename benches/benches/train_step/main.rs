//! A training step, whole and by layers, beside PyTorch's in the same run.
//!
//!     cargo bench -p benches --bench train_step -- [--network a] [--threads 1] [--level avx2]
//!
//! PyTorch's side needs a Python that has it: `STROP_BENCH_PYTHON=…/bin/python`; without one only
//! Strop is measured. Both compute one part in turn, round by round; what is compared is the medians
//! of the processor time of either process. FLOP are counted as if padding were multiplied, as a
//! textbook convolution does; Strop leaves it out.

mod network;
mod part;
mod peak;
mod torch;

use std::time::Duration;

use benches::median;
use clap::Parser;
use kernels::level::{Level, limit};
use network::{NETWORKS, Sizes};
use part::{Part, prepare};
use rustix::time::{ClockId, clock_gettime};
use torch::Torch;

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
    /// Only this part: step, conv1, norm1, … dense.
    #[arg(long)]
    part: Option<String>,
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
    let mut torch = Torch::start(arguments.threads)?;
    let peak = peak::gflops(Level::best());
    println!(
        "{:?}, {} thread(s), batch {BATCH}; one core multiplies and adds {peak:.0} GFLOP/s; {}",
        Level::best(),
        arguments.threads,
        torch.as_ref().map_or("no PyTorch".into(), |torch| format!("PyTorch {}", torch.version)),
    );
    println!(
        "{:<8} {:>10} {:>10} {:>7} {:>9} {:>7}",
        "", "Strop ms", "PyTorch ms", "ratio", "GFLOP/s", "peak"
    );
    for (name, sizes) in NETWORKS {
        if arguments.network.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        for part in Part::all()
            .filter(|part| arguments.part.as_ref().is_none_or(|wanted| *wanted == part.to_string()))
        {
            let measured = measure(&pool, &sizes, part, &mut torch, arguments.rounds)?;
            let flop = part.flop(&sizes, BATCH);
            print_row(&format!("{name} {part}"), &measured, flop, peak);
        }
    }
    Ok(())
}

/// Milliseconds of processor time of either side, medians.
struct Measured {
    strop: f64,
    torch: Option<f64>,
}

fn measure(
    pool: &rayon::ThreadPool,
    sizes: &Sizes,
    part: Part,
    torch: &mut Option<Torch>,
    rounds: usize,
) -> anyhow::Result<Measured> {
    // Both are prepared, and run once, before anything is timed.
    let mut run = pool.install(|| prepare(sizes, part, BATCH))?;
    pool.install(&mut run)?;
    if let Some(torch) = torch {
        torch.run(sizes, part, BATCH)?;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let before = processor_time();
        pool.install(&mut run)?;
        ours.push((processor_time() - before).as_secs_f64() * 1e3);
        if let Some(torch) = torch {
            theirs.push(torch.run(sizes, part, BATCH)?);
        }
    }
    Ok(Measured { strop: median(ours), torch: (!theirs.is_empty()).then(|| median(theirs)) })
}

fn print_row(name: &str, measured: &Measured, flop: Option<f64>, peak: f64) {
    let Measured { strop, torch } = measured;
    print!("{name:<8} {strop:>10.2}");
    match torch {
        Some(torch) => print!(" {torch:>10.2} {:>7.2}", torch / strop),
        None => print!(" {:>10} {:>7}", "", ""),
    }
    if let Some(flop) = flop {
        let rate = flop / strop / 1e6;
        print!(" {rate:>9.0} {:>6.0} %", 100.0 * rate / peak);
    }
    println!();
}

/// Of all threads of this process so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
