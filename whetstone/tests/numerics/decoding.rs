//! Decoding and its loss against values worked out independently of this code.

use crate::fixture::{assert_close, fixtures, numbers};
use candle_core::{Device, Tensor, Var};
use std::sync::Arc;
use whetstone::seed::{Purpose, stream};
use whetstone::softmax_decode as decode;

fn key_of(case: &serde_json::Value) -> decode::Key {
    match case["key"].as_str() {
        // "blockdiag CxW ones": class c owns the c-th block of W / C neurons.
        Some(text) => {
            let sizes = text.split_whitespace().nth(1).unwrap();
            let (classes, width) = sizes.split_once('x').unwrap();
            let (classes, width): (usize, usize) =
                (classes.parse().unwrap(), width.parse().unwrap());
            let each = width / classes;
            let row = |class: usize| (0..width).map(|j| j / each == class).collect();
            decode::Key::from_rows(&(0..classes).map(row).collect::<Vec<_>>()).unwrap()
        }
        None => {
            let rows = case["key"].as_array().unwrap();
            let rows: Vec<Vec<bool>> = rows
                .iter()
                .map(|row| numbers(row).iter().map(|bit| *bit == 1.0).collect())
                .collect();
            decode::Key::from_rows(&rows).unwrap()
        }
    }
}

#[test]
fn votes_probabilities_loss_and_gradient_are_as_published() {
    for case in fixtures("softmax_decode")["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let (key, x) = (Arc::new(key_of(case)), numbers(&case["x"]));
        let label = case["target_class"].as_u64().unwrap() as u32;

        let mut votes = vec![0.0; key.classes()];
        decode::logits(&key, &x, &mut votes);
        assert_close(&votes, &numbers(&case["logits"]), 1e-9, name);
        decode::softmax(&mut votes);
        assert_close(&votes, &numbers(&case["softmax"]), 1e-9, name);
        assert_eq!(Some(decode::predict(&key, &x) as u64), case["argmax_first"].as_u64(), "{name}");

        let x = Var::from_slice(&x, (1, x.len()), &Device::Cpu).unwrap();
        let loss = decode::clipped_cross_entropy(&x, &key, &[label]).unwrap();
        let expected = case["loss"].as_f64().unwrap();
        assert!((loss.to_scalar::<f64>().unwrap() - expected).abs() < 1e-9, "{name}");
        let gradient = loss.backward().unwrap().remove(&x).unwrap();
        let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        assert_close(&gradient, &numbers(&case["dloss_dx"]), 1e-9, name);

        // Where nothing is clipped the stable form is the same; where it is, it still learns.
        let stable = decode::cross_entropy(&x, &key, &[label]).unwrap();
        let clipped = case["prob_clipped_zero_grad"].as_bool().unwrap();
        let gradient = stable.backward().unwrap().remove(&x).unwrap();
        let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        if clipped {
            assert!(gradient.iter().any(|g| g.abs() > 1.0), "{name}");
        } else {
            assert!((stable.to_scalar::<f64>().unwrap() - expected).abs() < 1e-9, "{name}");
            assert_close(&gradient, &numbers(&case["dloss_dx"]), 1e-9, name);
        }
    }
}

#[test]
fn the_loss_of_a_perfect_output_is_the_published_floor() {
    for row in fixtures("softmax_decode")["loss_floor_disjoint_equal_n"].as_array().unwrap() {
        let classes = row["classes"].as_u64().unwrap() as usize;
        let n = row["n_hot"].as_u64().unwrap() as usize;
        let rows: Vec<Vec<bool>> =
            (0..classes).map(|c| (0..classes * n).map(|j| j / n == c).collect()).collect();
        let key = Arc::new(decode::Key::from_rows(&rows).unwrap());
        let perfect: Vec<f64> = key.encode(3).iter().map(|bit| f64::from(*bit)).collect();
        let mut p = vec![0.0; classes];
        decode::logits(&key, &perfect, &mut p);
        decode::softmax(&mut p);
        assert!((p[3] - row["best_case_prob"].as_f64().unwrap()).abs() < 1e-9);
        let x = Tensor::from_vec(perfect, (1, classes * n), &Device::Cpu).unwrap();
        let loss = decode::clipped_cross_entropy(&x, &key, &[3]).unwrap();
        let floor = row["loss_floor"].as_f64().unwrap();
        assert!((loss.to_scalar::<f64>().unwrap() - floor).abs() < 1e-9, "{classes} × {n}");
        let worst = row["worst_case_true_class_prob_when_another_class_fully_fires"].as_f64();
        assert!((p_of_label_when_another_fires(&key) - worst.unwrap()).abs() < 1e-9);
    }
}

fn p_of_label_when_another_fires(key: &decode::Key) -> f64 {
    let mut p = vec![0.0; key.classes()];
    decode::logits(key, &key.encode(1), &mut p);
    decode::softmax(&mut p);
    p[0]
}

#[test]
fn codes_and_their_decoding_are_as_published() {
    let group = fixtures("softmax_decode");
    for case in group["decode_from_key"].as_array().unwrap() {
        let class = numbers(&case["one_hot"]).iter().position(|bit| *bit == 1.0).unwrap();
        assert_eq!(decode::predict(&key_of(case), &numbers(&case["x"])), class);
    }
    for case in group["encode_with_key"].as_array().unwrap() {
        let class = numbers(&case["one_hot"]).iter().position(|bit| *bit == 1.0).unwrap();
        let code: Vec<f64> = key_of(case).encode(class).into_iter().map(f64::from).collect();
        assert_eq!(code, numbers(&case["code"]));
    }
}

#[test]
fn generated_keys_have_the_published_ones_and_unused_columns() {
    let group = fixtures("softmax_decode");
    let unused = |key: &decode::Key| {
        let mut used = vec![0; key.width()];
        for class in 0..key.classes() {
            key.neurons(class).iter().for_each(|neuron| used[*neuron] += 1);
        }
        (used.iter().filter(|n| **n == 0).count(), used.into_iter().max().unwrap())
    };
    for row in group["key_properties"].as_array().unwrap() {
        let (classes, width) = (
            row["num_classes"].as_u64().unwrap() as usize,
            row["width"].as_u64().unwrap() as usize,
        );
        let ones = row["ones_per_row"].as_u64().unwrap() as usize;
        let mut rng = stream(7, Purpose::Key, 0);
        let disjoint = decode::Key::disjoint(classes, width, &mut rng);
        let overlapping = decode::Key::overlapping(classes, width, &mut rng);
        if ones == 0 {
            let narrow = decode::KeyError::TooNarrow { classes, width };
            assert_eq!((disjoint, overlapping), (Err(narrow.clone()), Err(narrow)));
            continue;
        }
        let (disjoint, overlapping) = (disjoint.unwrap(), overlapping.unwrap());
        for class in 0..classes {
            for key in [&disjoint, &overlapping] {
                assert_eq!(key.neurons(class).len(), ones);
                assert!(key.neurons(class).is_sorted_by(|a, b| a < b), "a neuron drawn twice");
            }
        }
        let expected = row["disjoint_unused_columns"].as_u64().unwrap() as usize;
        assert_eq!(unused(&disjoint), (expected, 1));
    }
    for row in group["expected_unused_columns_overlapping"].as_array().unwrap() {
        let (classes, width) = (
            row["num_classes"].as_u64().unwrap() as usize,
            row["width"].as_u64().unwrap() as usize,
        );
        let draws = 200;
        let total: usize = (0..draws)
            .map(|seed| {
                let mut rng = stream(seed, Purpose::Key, 0);
                unused(&decode::Key::overlapping(classes, width, &mut rng).unwrap()).0
            })
            .sum();
        let (mean, expected) =
            (total as f64 / draws as f64, row["expected_unused"].as_f64().unwrap());
        // The spread of one key is below √width / 2; five standard errors of the mean.
        let tolerance = 5.0 * (width as f64).sqrt() / 2.0 / (draws as f64).sqrt();
        assert!((mean - expected).abs() < tolerance, "{mean} for {expected}");
    }
}
