//! Convolutions against fixtures, finite differences and candle's own.

use crate::finite::{assert_gradients, scattered_var};
use crate::fixture::{assert_close, fixtures, flat, numbers, tensor};
use candle_core::DType;
use whetstone::ops::conv2d::{conv2d_same, linear};

#[test]
fn convolutions_are_as_published() {
    let group = fixtures("conv2d_same");
    let x = tensor(&group["x_nhwc"]);
    for case in group["cases"].as_array().unwrap() {
        let y = conv2d_same(&x, &tensor(&case["kernel_hwio"]), 1).unwrap();
        let y = y.broadcast_add(&tensor(&case["bias"])).unwrap();
        assert_close(&flat(&y), &numbers(&case["y_nhwc"]), 1e-9, "convolution");
    }
}

#[test]
fn convolutions_agree_with_candles_and_so_do_their_gradients() {
    // 33×31 at 5 channels and side 7 needs more than one chunk of patches.
    for [images, height, width, channels, features, side] in
        [[2, 5, 4, 3, 2, 3], [3, 33, 31, 5, 4, 7], [1, 1, 1, 2, 3, 5], [4, 6, 6, 2, 5, 1]]
    {
        let x = scattered_var(&[images, height, width, channels], 0.1);
        let w = scattered_var(&[side, side, channels, features], 0.2);
        let weight = scattered_var(&[images, height, width, features], 0.3).detach();
        let ours = conv2d_same(&x, &w, 1).unwrap();
        let theirs = x
            .permute((0, 3, 1, 2))
            .unwrap()
            .conv2d(&w.permute((3, 2, 0, 1)).unwrap().contiguous().unwrap(), side / 2, 1, 1, 1)
            .unwrap()
            .permute((0, 2, 3, 1))
            .unwrap();
        assert_close(&flat(&ours), &flat(&theirs), 1e-11, "forward");
        let gradients = |y: &candle_core::Tensor| {
            let gradients = y.mul(&weight).unwrap().sum_all().unwrap().backward().unwrap();
            [&x, &w].map(|variable| flat(gradients.get(variable).unwrap()))
        };
        let (ours, theirs) = (gradients(&ours), gradients(&theirs));
        assert_close(&ours[0], &theirs[0], 1e-10, "gradient by the images");
        assert_close(&ours[1], &theirs[1], 1e-10, "gradient by the kernel");
    }
}

#[test]
fn gradients_of_convolutions_agree_with_finite_differences() {
    for [images, height, width, channels, features, side] in
        [[2, 3, 5, 2, 3, 3], [1, 2, 2, 1, 2, 5], [2, 1, 4, 3, 1, 1]]
    {
        let x = scattered_var(&[images, height, width, channels], 1.1);
        let w = scattered_var(&[side, side, channels, features], 1.2);
        assert_gradients(&[&x, &w], 1e-7, || {
            conv2d_same(&x, &w, 1).unwrap().sqr().unwrap().sum_all().unwrap()
        });
    }
}

#[test]
fn a_dense_layer_is_a_product_of_matrices() {
    let (x, w) = (scattered_var(&[7, 5], 0.4), scattered_var(&[5, 3], 0.5));
    let (ours, theirs) = (linear(&x, &w).unwrap(), x.matmul(&w).unwrap());
    assert_close(&flat(&ours), &flat(&theirs), 1e-13, "product");
    assert_gradients(&[&x, &w], 1e-7, || linear(&x, &w).unwrap().sqr().unwrap().sum_all().unwrap());
}

#[test]
fn an_f32_convolution_is_the_f64_one_rounded() {
    let x = scattered_var(&[3, 9, 9, 8], 0.6);
    let w = scattered_var(&[3, 3, 8, 16], 0.7);
    let exact = conv2d_same(&x, &w, 1).unwrap();
    let rounded =
        conv2d_same(&x.to_dtype(DType::F32).unwrap(), &w.to_dtype(DType::F32).unwrap(), 1).unwrap();
    assert_close(&flat(&rounded), &flat(&exact), 1e-5, "f32");
}

#[test]
fn an_oblong_kernel_and_unequal_channels_are_refused() {
    let x = scattered_var(&[1, 4, 4, 2], 0.0);
    let oblong = conv2d_same(&x, &scattered_var(&[2, 3, 2, 1], 0.0), 1).unwrap_err();
    assert!(oblong.to_string().contains("square"), "{oblong}");
    let still = conv2d_same(&x, &scattered_var(&[3, 3, 2, 1], 0.0), 0).unwrap_err();
    assert!(still.to_string().contains("stride"), "{still}");
    let channels = conv2d_same(&x, &scattered_var(&[3, 3, 3, 1], 0.0), 1).unwrap_err();
    assert!(channels.to_string().contains("2 channels"), "{channels}");
}
