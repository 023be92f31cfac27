//! Convolutions against the CPU's.

use crate::numbers::{assert_near, between, draws, flat, normal};
use crate::processor::Processor;
use candle_core::{Device, Tensor, Var};
use kernels::convolution::Convolution;
use whetstone::ops::conv2d::conv2d_same;
use whetstone::ops::cuda::convolution::{Batch, backward, forward};
use whetstone::ops::cuda::machine::Buffer;

/// Sums of up to 11 · 11 · 5 or 3 · 9 · 9 products in another order, in `f32`.
const TOLERANCE: f32 = 2e-6;

fn compare(batch: Batch, case: u64) {
    let mut draws = draws(case);
    let Convolution { images, height, width, channels, side, features, stride } = batch.sizes;
    let [rows, columns] = batch.sizes.output();
    let x = normal(&mut draws, images * height * width * channels);
    let w = normal(&mut draws, side * side * channels * features);
    let dy = normal(&mut draws, images * rows * columns * features);

    let x_var = Var::from_slice(&x, (images, height, width, channels), &Device::Cpu).unwrap();
    let w_var = Var::from_slice(&w, (side, side, channels, features), &Device::Cpu).unwrap();
    let dy_tensor = Tensor::from_slice(&dy, (images, rows, columns, features), &Device::Cpu);
    let expected = conv2d_same(&x_var, &w_var, stride).unwrap();
    let gradients = expected.mul(&dy_tensor.unwrap()).unwrap().sum_all().unwrap();
    let gradients = gradients.backward().unwrap();

    let m = Processor::new(case);
    let [x_in, w_in, dy_in] = [&x, &w, &dy].map(|values| Buffer::of(&m, values).unwrap());
    let mut y = Buffer::<_, f32>::blank(&m, dy.len()).unwrap();
    forward(&m, &batch, x_in.read(), w_in.read(), y.write()).unwrap();
    assert_near(&y.to_vec(&m).unwrap(), &flat(&expected), TOLERANCE, &format!("y of {batch:?}"));

    for want_dx in [true, false] {
        let mut dx = Buffer::<_, f32>::blank(&m, x.len()).unwrap();
        let mut dw = Buffer::<_, f32>::blank(&m, w.len()).unwrap();
        let dx_out = want_dx.then(|| dx.write());
        backward(&m, &batch, x_in.read(), w_in.read(), dy_in.read(), dx_out, dw.write()).unwrap();
        let expected = flat(gradients.get(&w_var).unwrap());
        assert_near(&dw.to_vec(&m).unwrap(), &expected, TOLERANCE, &format!("dw of {batch:?}"));
        let dx = dx.to_vec(&m).unwrap();
        if want_dx {
            let expected = flat(gradients.get(&x_var).unwrap());
            assert_near(&dx, &expected, TOLERANCE, &format!("dx of {batch:?}"));
        } else {
            assert!(dx.iter().all(|dx| dx.is_nan()), "dx of {batch:?} was written unasked");
        }
    }
}

#[test]
fn convolutions_agree_with_the_cpu() {
    for case in 0..60 {
        let mut draws = draws(1000 + case);
        let sizes = Convolution {
            images: between(&mut draws, 1, 3),
            height: between(&mut draws, 1, 9),
            width: between(&mut draws, 1, 9),
            channels: between(&mut draws, 1, 5),
            side: between(&mut draws, 1, 11),
            stride: between(&mut draws, 1, 3),
            features: between(&mut draws, 1, 6),
        };
        // Room for one image, for two, and for all: in pieces the same comes out.
        let windows: usize = sizes.output().iter().product();
        for room in [1, 2 * windows * sizes.side.pow(2) * sizes.channels, 1 << 20] {
            compare(Batch { sizes, room }, case);
        }
    }
}

#[test]
fn dense_layers_agree_with_the_cpu() {
    for (rows, inputs, outputs) in [(1, 1, 1), (7, 33, 10), (128, 5, 3)] {
        compare(Batch { sizes: Convolution::dense(rows, inputs, outputs), room: 9 }, 5);
    }
}
