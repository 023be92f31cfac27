//! Loss, its gradient and hits against the CPU's.

use crate::numbers::{assert_near, between, draws, flat, normal, tied};
use crate::processor::Processor;
use candle_core::{Device, Var};
use std::sync::Arc;
use whetstone::ops::cuda::decode::{Batch, gradient, hits, loss};
use whetstone::ops::cuda::machine::Buffer;
use whetstone::softmax_decode::{Key, clipped_cross_entropy, correct, cross_entropy};

/// Everything is summed in `f64`, in the same order but for the mean over the images.
const TOLERANCE: f32 = 1e-6;

fn key(case: u64) -> Arc<Key> {
    let mut draws = draws(4000 + case);
    let classes = between(&mut draws, 2, 12);
    // Up to 7 neurons a class, some of nobody.
    let width = classes * between(&mut draws, 1, 7) + between(&mut draws, 0, classes - 1);
    let key = match case % 2 {
        0 => Key::disjoint(classes, width, &mut draws),
        _ => Key::overlapping(classes, width, &mut draws),
    };
    Arc::new(key.unwrap())
}

#[test]
fn losses_gradients_and_hits_agree_with_the_cpu() {
    for case in 0..40 {
        let key = key(case);
        let mut draws = draws(5000 + case);
        // From one image to more than are folded at once.
        let images = if case % 5 == 0 { 70 } else { between(&mut draws, 1, 9) };
        let labels: Vec<u32> =
            (0..images).map(|_| draws.below(key.classes() as u64) as u32).collect();
        let len = images * key.width();
        let x = if case % 3 == 0 { normal(&mut draws, len) } else { tied(&mut draws, len) };
        let var = Var::from_slice(&x, (images, key.width()), &Device::Cpu).unwrap();

        let m = Processor::new(case);
        let x_in = Buffer::of(&m, &x).unwrap();
        for clipped in [false, true] {
            let what = format!("{images} images, {key:?}, clipped: {clipped}");
            let expected = match clipped {
                false => cross_entropy(&var, &key, &labels).unwrap(),
                true => clipped_cross_entropy(&var, &key, &labels).unwrap(),
            };
            let batch = Batch { key: &key, labels: &labels, x: x_in.read(), clipped };
            let mut mean = Buffer::<_, f32>::blank(&m, 1).unwrap();
            loss(&m, &batch, mean.write()).unwrap();
            assert_near(&mean.to_vec(&m).unwrap(), &flat(&expected), TOLERANCE, &what);

            let gradients = expected.affine(0.3, 0.0).unwrap().backward().unwrap();
            let dy = Buffer::of(&m, &[0.3f32]).unwrap();
            let mut dx = Buffer::<_, f32>::blank(&m, len).unwrap();
            gradient(&m, &batch, dy.read(), dx.write()).unwrap();
            let expected = flat(gradients.get(&var).unwrap());
            assert_near(&dx.to_vec(&m).unwrap(), &expected, TOLERANCE, &what);
            assert_eq!(hits(&m, &batch).unwrap(), correct(&key, &x, &labels), "{what}");
        }
    }
}

#[test]
fn a_loss_that_is_no_number_stays_visible() {
    let key = Key::from_rows(&[vec![true, false], vec![false, true]]).unwrap();
    let m = Processor::new(1);
    let x = Buffer::of(&m, &[0.5, f32::NAN]).unwrap();
    let batch = Batch { key: &key, labels: &[0], x: x.read(), clipped: false };
    let mut mean = Buffer::<_, f32>::blank(&m, 1).unwrap();
    loss(&m, &batch, mean.write()).unwrap();
    assert!(mean.to_vec(&m).unwrap()[0].is_nan());
}
