//! Convolutions and their gradients against sums written out.

use kernels::convolution::Convolution;
use kernels::level::Level;
use proptest::prelude::*;

/// Calls `f(image, output pixel, cell, input pixel)` for all that meet, by the definition: zeros
/// beyond the edge, half of what is missing before it, rounded down.
fn meetings(layer: &Convolution, mut f: impl FnMut(usize, [usize; 2], [usize; 2], [usize; 2])) {
    let [height, width] = layer.output();
    let before = |inputs: usize, outputs: usize| {
        ((outputs.max(1) - 1) * layer.stride + layer.side).saturating_sub(inputs) / 2
    };
    let margins = [before(layer.height, height), before(layer.width, width)];
    for image in 0..layer.images {
        for (oy, ox) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for (ky, kx) in (0..layer.side).flat_map(|y| (0..layer.side).map(move |x| (y, x))) {
                let iy = (oy * layer.stride + ky).checked_sub(margins[0]);
                let ix = (ox * layer.stride + kx).checked_sub(margins[1]);
                if let (Some(iy), Some(ix)) = (iy, ix)
                    && iy < layer.height
                    && ix < layer.width
                {
                    f(image, [oy, ox], [ky, kx], [iy, ix]);
                }
            }
        }
    }
}

/// The three passes, number by number.
fn plain(layer: &Convolution, x: &[f64], w: &[f64], dy: &[f64]) -> [Vec<f64>; 3] {
    let Convolution { height, width, channels, features, side, .. } = *layer;
    let [out_height, out_width] = layer.output();
    let [mut y, mut dx, mut dw] = [vec![0.; dy.len()], vec![0.; x.len()], vec![0.; w.len()]];
    meetings(layer, |image, [oy, ox], [ky, kx], [iy, ix]| {
        for c in 0..channels {
            for f in 0..features {
                let at_y = ((image * out_height + oy) * out_width + ox) * features + f;
                let at_x = ((image * height + iy) * width + ix) * channels + c;
                let at_w = ((ky * side + kx) * channels + c) * features + f;
                y[at_y] += x[at_x] * w[at_w];
                dx[at_x] += dy[at_y] * w[at_w];
                dw[at_w] += dy[at_y] * x[at_x];
            }
        }
    });
    [y, dx, dw]
}

/// Small whole numbers, so that sums are exact in any order and in `f32` too.
fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 33) % 9) as f64 - 4.0
        })
        .collect()
}

fn check(layer: Convolution, seed: u64) {
    let [x, w, y] = layer.lens();
    let (x, w, dy) = (numbers(x, seed), numbers(w, seed + 1), numbers(y, seed + 2));
    let expected = plain(&layer, &x, &w, &dy);
    for level in Level::available() {
        // What lay in the results before must not matter.
        let mut found = expected.each_ref().map(|values| vec![f64::NAN; values.len()]);
        layer.forward_at(level, &x, &w, &mut found[0]);
        layer.input_gradient_at(level, &w, &dy, &mut found[1]);
        layer.weight_gradient_at(level, &x, &dy, &mut found[2]);
        assert_eq!(found, expected, "{layer:?} {level:?}");

        let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let (x, w, dy) = (single(&x), single(&w), single(&dy));
        let mut found = expected.each_ref().map(|values| vec![f32::NAN; values.len()]);
        layer.forward_at(level, &x, &w, &mut found[0]);
        layer.input_gradient_at(level, &w, &dy, &mut found[1]);
        layer.weight_gradient_at(level, &x, &dy, &mut found[2]);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(*found, single(expected), "{layer:?} {level:?} in f32");
        }
    }
}

proptest! {
    // An interpreter that looks for undefined behaviour has time for few.
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 6 } else { 200 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_convolution_is_the_plain_sum(
        images in 0usize..(if cfg!(miri) { 2 } else { 4 }),
        height in 1usize..(if cfg!(miri) { 4 } else { 12 }),
        width in 1usize..(if cfg!(miri) { 9 } else { 35 }),
        channels in 1usize..(if cfg!(miri) { 12 } else { 40 }),
        features in 1usize..(if cfg!(miri) { 12 } else { 40 }),
        side in 1usize..=(if cfg!(miri) { 4 } else { 11 }),
        stride in 1usize..=3,
        seed in any::<u32>(),
    ) {
        check(Convolution { images, height, width, channels, features, side, stride }, seed.into());
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under an interpreter")]
fn many_channels_are_summed_in_blocks() {
    for (channels, side, width) in [(2500, 1, 3), (700, 5, 2), (3000, 3, 1)] {
        let (height, features, stride) = (2, 3, 1);
        check(Convolution { images: 2, height, width, channels, features, side, stride }, 5);
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under an interpreter")]
fn a_dense_layer_is_a_product_of_matrices() {
    for rows in [1, 13, 128, 300] {
        check(Convolution::dense(rows, 37, 45), 9);
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under an interpreter")]
fn the_result_does_not_depend_on_the_threads() {
    let layer = Convolution {
        images: 37,
        height: 9,
        width: 9,
        channels: 5,
        features: 40,
        side: 5,
        stride: 1,
    };
    let [x, w, y] = layer.lens();
    let real = |len, seed| numbers(len, seed).iter().map(|v| (v * 0.37) as f32).collect::<Vec<_>>();
    let (x, w, dy) = (real(x, 1), real(w, 2), real(y, 3));
    let results = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut results = layer.lens().map(|len| vec![0f32; len]);
        let [dx, dw, y] = &mut results;
        pool.install(|| {
            layer.forward(&x, &w, y);
            layer.input_gradient(&w, &dy, dx);
            layer.weight_gradient(&x, &dy, dw);
        });
        results
    });
    assert_eq!(results[0], results[1]);
}
