//! Times each pass of each layer of three networks, one thread:
//! `cargo run --release -p kernels --example layers [portable|avx2|avx512]`.

use kernels::convolution::Convolution;
use kernels::level::Level;
use std::time::Instant;

fn main() {
    let level = match std::env::args().nth(1).as_deref() {
        Some("portable") => Level::Portable,
        Some("avx2") => Level::Avx2,
        Some("avx512") => Level::Avx512,
        _ => Level::best(),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    pool.install(|| networks(level));
}

fn networks(level: Level) {
    for (name, side, channels, layers, dense) in [
        ("a", 28, 1, [(32, 3), (64, 3), (256, 3)], 256),
        ("b", 28, 1, [(128, 7), (128, 5), (256, 3)], 256),
        ("c", 32, 3, [(64, 3), (256, 5), (512, 5)], 512),
    ] {
        let (mut at, mut inputs) = (side, channels);
        let mut all = [0.0; 2];
        for (features, kernel) in layers {
            let layer = Convolution {
                images: 128,
                height: at,
                width: at,
                channels: inputs,
                features,
                side: kernel,
                stride: 1,
            };
            time(level, name, layer, inputs == channels, &mut all);
            (at, inputs) = (at / 2, features);
        }
        time(level, name, Convolution::dense(128, at * at * inputs, dense), false, &mut all);
        println!("{name}: {:.1} ms, {:.1} GFLOP/s", all[0] * 1e3, all[1] / all[0] / 1e9);
    }
}

fn time(level: Level, name: &str, layer: Convolution, first: bool, all: &mut [f64; 2]) {
    let [x, w, y] = layer.lens();
    let numbers = |len: usize| -> Vec<f32> { (0..len).map(|i| (i % 17) as f32 - 8.0).collect() };
    let (x, w, mut y) = (numbers(x), numbers(w), numbers(y));
    let (mut dx, mut dw) = (numbers(x.len()), numbers(w.len()));
    let flops = 2.0 * (layer.lens()[2] * layer.side * layer.side * layer.channels) as f64;
    let passes = [
        fastest(|| layer.forward_at(level, &x, &w, &mut y)),
        if first { 0.0 } else { fastest(|| layer.input_gradient_at(level, &w, &y, &mut dx)) },
        fastest(|| layer.weight_gradient_at(level, &x, &y, &mut dw)),
    ];
    print!("{name} {}² {} → {} k{}:", layer.height, layer.channels, layer.features, layer.side);
    for (pass, seconds) in ["forward", "dx", "dw"].iter().zip(passes) {
        if seconds > 0.0 {
            print!("  {pass} {:.2} ms {:.0} GFLOP/s", seconds * 1e3, flops / seconds / 1e9);
            all[0] += seconds;
            all[1] += flops;
        }
    }
    println!();
}

fn fastest(mut f: impl FnMut()) -> f64 {
    f();
    let runs = (0..7).map(|_| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64()
    });
    runs.fold(f64::INFINITY, f64::min)
}
