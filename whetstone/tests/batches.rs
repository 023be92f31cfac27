//! Epochs cut into batches.

use serde_json::Value;
use whetstone::data::{batches_per_epoch, shuffled};

#[test]
fn an_epoch_has_as_many_batches_as_expected() {
    let text = include_str!("fixtures/whetstone.json");
    let fixtures: Value = serde_json::from_str(text).unwrap();
    for case in fixtures["batches_per_epoch"].as_array().unwrap() {
        let [n, batch, batches, last] = ["n", "batch", "batches", "last"]
            .map(|field| usize::try_from(case[field].as_u64().unwrap()).unwrap());
        assert_eq!(batches_per_epoch(n, batch), batches);
        let order = shuffled(n, 1, 0);
        assert_eq!(order.chunks(batch).len(), batches);
        assert_eq!(order.chunks(batch).next_back().unwrap().len(), last);
    }
}

#[test]
fn every_epoch_visits_every_image_once_in_an_order_of_its_own() {
    let sorted = |mut order: Vec<usize>| {
        order.sort_unstable();
        order
    };
    let all: Vec<usize> = (0..100).collect();
    assert_ne!(shuffled(100, 5, 0), all);
    assert_ne!(shuffled(100, 5, 0), shuffled(100, 5, 1));
    assert_ne!(shuffled(100, 5, 0), shuffled(100, 6, 0));
    assert_eq!(shuffled(100, 5, 1), shuffled(100, 5, 1));
    assert_eq!(sorted(shuffled(100, 5, 0)), all);
}
