//! Trainings beside each other on one device.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use whetstone::device::{Choice, name, open};

use crate::network::{NETWORKS, Sizes};
use crate::part::{Part, prepare};
use crate::{Arguments, BATCH};

/// Steps of a slot before it is timed.
const WARM_UP: usize = 20;
/// How long it is timed.
const TIMED: Duration = Duration::from_secs(2);

/// Prints steps a second, of all slots together, for each number of them.
pub fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    println!(
        "{}, batch {BATCH}: steps a second, all slots together",
        name(&open(arguments.device)?)
    );
    print!("{:<8}", "slots");
    arguments.slots.iter().for_each(|slots| print!(" {slots:>8}"));
    println!();
    for (network, sizes) in NETWORKS {
        if arguments.network.as_deref().is_some_and(|wanted| wanted != network) {
            continue;
        }
        print!("{network:<8}");
        for &slots in &arguments.slots {
            print!(" {:>8.0}", together(&sizes, arguments.device, slots)?);
        }
        println!();
    }
    Ok(())
}

/// Steps a second of so many slots together.
fn together(sizes: &Sizes, choice: Choice, slots: usize) -> anyhow::Result<f64> {
    let ready = Barrier::new(slots);
    let rates = std::thread::scope(|scope| {
        let slots: Vec<_> =
            (0..slots).map(|_| scope.spawn(|| alone(sizes, choice, &ready))).collect();
        slots.into_iter().map(|slot| slot.join().expect("a slot panicked")).collect::<Vec<_>>()
    });
    rates.into_iter().sum()
}

/// Steps a second of one slot, timed while the others are.
fn alone(sizes: &Sizes, choice: Choice, ready: &Barrier) -> anyhow::Result<f64> {
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started");
    let device = open(choice).expect("it could be opened before");
    pool.install(|| {
        let warm = || -> anyhow::Result<_> {
            let mut run = prepare(sizes, Part::Step, BATCH, &device)?;
            (0..WARM_UP).try_for_each(|_| run())?;
            device.synchronize().context("what was queued on the GPU failed")?;
            Ok(run)
        };
        let warmed = warm();
        // Also if it failed, because the others wait for everybody.
        ready.wait();
        let mut run = warmed?;
        let (began, mut steps) = (Instant::now(), 0);
        while began.elapsed() < TIMED {
            run()?;
            steps += 1;
        }
        device.synchronize().context("what was queued on the GPU failed")?;
        Ok(f64::from(steps) / began.elapsed().as_secs_f64())
    })
}
