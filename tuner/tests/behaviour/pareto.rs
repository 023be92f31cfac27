//! Fronts, volumes and expected volumes, each against another way to the same number.

use proptest::prelude::*;
use tuner::acquisition::hypervolume::Gain;
use tuner::normal::{cdf, pdf};
use tuner::pareto::{Partition, dominates, front, greedy, hypervolume};

/// A generator good enough for Monte Carlo, and nothing else: SplitMix64.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn points(&mut self, n: usize, m: usize) -> Vec<Vec<f64>> {
        (0..n).map(|_| (0..m).map(|_| self.uniform()).collect()).collect()
    }
}

fn with(points: &[Vec<f64>], point: &[f64]) -> Vec<Vec<f64>> {
    points.iter().cloned().chain([point.to_vec()]).collect()
}

#[test]
fn the_front_is_what_nothing_dominates() {
    let points = [[1.0, 4.0], [2.0, 2.0], [2.0, 3.0], [4.0, 1.0], [2.0, 3.0], [0.0, 4.0]];
    let points: Vec<Vec<f64>> = points.map(|point| point.to_vec()).to_vec();
    assert_eq!(front(&points), [0, 2, 3, 4], "equals stand beside each other");
    assert!(dominates(&points[0], &points[5]) && !dominates(&points[2], &points[4]));
    for m in 1..=4 {
        let points = Draws(m as u64).points(60, m);
        let plain = (0..60).filter(|&i| !points.iter().any(|other| dominates(other, &points[i])));
        assert_eq!(front(&points), plain.collect::<Vec<_>>());
    }
}

#[test]
fn volumes_agree_with_boxes_counted_by_hand() {
    assert_eq!(hypervolume(&[vec![3.0]], &[1.0]), 2.0);
    let stairs = [vec![1.0, 3.0], vec![2.0, 2.0], vec![3.0, 1.0]];
    assert_eq!(hypervolume(&stairs, &[0.0, 0.0]), 6.0);
    assert_eq!(hypervolume(&stairs, &[1.0, 0.0]), 3.0);
    // Three unit-thick slabs that meet in a corner: 2·2·1 each, less the overlaps.
    let slabs = [vec![2.0, 2.0, 1.0], vec![2.0, 1.0, 2.0], vec![1.0, 2.0, 2.0]];
    assert_eq!(hypervolume(&slabs, &[0.0; 3]), 7.0);
    let four = [vec![1.0, 2.0, 1.0, 2.0], vec![2.0, 1.0, 2.0, 1.0]];
    assert_eq!(hypervolume(&four, &[0.0; 4]), 7.0);
    assert_eq!(hypervolume(&[], &[0.0, 0.0]), 0.0);
    assert_eq!(hypervolume(&stairs, &[3.0, 3.0]), 0.0);
    assert_eq!(hypervolume(&[vec![1e308, 1e308]], &[-1e308, 0.0]), f64::MAX);
}

#[test]
fn volumes_agree_with_monte_carlo() {
    for m in 2..=4 {
        let mut draws = Draws(40 + m as u64);
        let points = draws.points(25, m);
        let volume = hypervolume(&points, &vec![0.1; m]);
        let samples = 200_000;
        let hits = (0..samples)
            .filter(|_| {
                let at: Vec<f64> = (0..m).map(|_| 0.1 + 0.9 * draws.uniform()).collect();
                points.iter().any(|point| point.iter().zip(&at).all(|(x, a)| x >= a))
            })
            .count();
        let found = 0.9f64.powi(m as i32) * hits as f64 / f64::from(samples);
        assert!((volume - found).abs() < 0.005, "{m} objectives: {volume}, {found}");
    }
}

#[test]
fn the_boxes_are_apart_and_are_all_that_is_left() {
    for m in 1..=4 {
        let mut draws = Draws(70 + m as u64);
        // Coarse coordinates, so that there are ties everywhere.
        for grain in [4.0, 1e9] {
            let rough = |x: f64| (x * grain).round() / grain;
            let points = draws.points(12, m);
            let points: Vec<Vec<f64>> =
                points.iter().map(|p| p.iter().map(|&x| rough(x)).collect()).collect();
            let reference = vec![0.2; m];
            let partition = Partition::of(&points, &reference);
            for _ in 0..3_000 {
                let at: Vec<f64> = (0..m).map(|_| 0.2 + draws.uniform()).collect();
                let holds = |(low, high): &(&[f64], &[f64])| {
                    (0..m).all(|k| low[k] <= at[k] && at[k] < high[k])
                };
                let holding = partition.boxes().filter(holds).count();
                let dominated = points
                    .iter()
                    .any(|p| p.iter().all(|x| *x > 0.2) && (0..m).all(|k| at[k] < p[k]));
                assert_eq!(holding, usize::from(!dominated), "{at:?} of {m}");
            }
        }
    }
}

#[test]
fn two_and_three_objectives_need_few_boxes() {
    for n in [1, 2, 10, 40] {
        let mut draws = Draws(n as u64);
        let two: Vec<Vec<f64>> = (0..n).map(|i| vec![i as f64, -(i as f64)]).collect();
        assert_eq!(Partition::of(&two, &[-100.0; 2]).boxes().count(), n + 1);
        let sphere: Vec<Vec<f64>> = (0..n)
            .map(|_| {
                let row: Vec<f64> = (0..3).map(|_| draws.normal().abs()).collect();
                let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.iter().map(|x| x / norm).collect()
            })
            .collect();
        let boxes = Partition::of(&sphere, &[0.0; 3]).boxes().count();
        assert!(boxes <= 2 * n + 1, "{boxes} boxes of {n} points");
    }
}

#[test]
fn a_greedy_choice_begins_with_the_largest_and_leaves_out_what_adds_nothing() {
    let points = [[1.0, 3.0], [2.0, 2.5], [3.0, 1.0], [0.5, 0.5]].map(|p| p.to_vec());
    assert_eq!(greedy(&points, &[0.0, 0.0], 2), [1, 2]);
    assert_eq!(greedy(&points, &[0.0, 0.0], 9), [1, 2, 0]);
}

fn log_expected(points: &[Vec<f64>], reference: &[f64], mean: &[f64], sd: &[f64]) -> f64 {
    Gain::over(&Partition::of(points, reference)).log_expected(mean, sd)
}

/// Expected improvement of N(mean, sd²) over `best`.
fn improvement(mean: f64, sd: f64, best: f64) -> f64 {
    let z = (mean - best) / sd;
    sd * (pdf(z) + z * cdf(z))
}

#[test]
fn with_one_objective_the_expected_volume_is_the_expected_improvement() {
    for (mean, sd) in [(0.3, 0.2), (-2.0, 0.5), (4.0, 0.1)] {
        let log = log_expected(&[vec![0.5], vec![0.1]], &[-1.0], &[mean], &[sd]);
        assert!((log - improvement(mean, sd, 0.5).ln()).abs() < 1e-12);
    }
}

#[test]
fn with_an_empty_front_the_expected_volume_is_a_product_and_with_one_point_a_difference() {
    let (mean, sd) = ([0.4, -0.3, 1.1], [0.5, 0.2, 1.5]);
    let over = |levels: &[f64]| -> f64 {
        (0..levels.len()).map(|k| improvement(mean[k], sd[k], levels[k])).product()
    };
    for m in 2..=3 {
        let reference = &[-0.5, -0.4, 0.2][..m];
        let empty = log_expected(&[], reference, &mean[..m], &sd[..m]);
        assert!((empty - over(reference).ln()).abs() < 1e-12);
        // All that lies above the reference, less what lies in the one box that is taken.
        let point = &[0.3, 0.1, 0.9][..m];
        let taken: f64 = (0..m)
            .map(|k| {
                improvement(mean[k], sd[k], reference[k]) - improvement(mean[k], sd[k], point[k])
            })
            .product();
        let one = log_expected(&[point.to_vec()], reference, &mean[..m], &sd[..m]);
        assert!((one - (over(reference) - taken).ln()).abs() < 1e-11, "{m}");
    }
}

#[test]
fn the_expected_volume_agrees_with_monte_carlo() {
    for m in 2..=4 {
        let mut draws = Draws(90 + m as u64);
        let points = draws.points(9, m);
        let reference = vec![0.05; m];
        let (mean, sd) = ([0.6, 0.5, 0.7, 0.4], [0.3, 0.2, 0.4, 0.5]);
        let before = hypervolume(&points, &reference);
        let samples = 40_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..samples {
            let drawn: Vec<f64> = (0..m).map(|k| mean[k] + sd[k] * draws.normal()).collect();
            let gain = hypervolume(&with(&points, &drawn), &reference) - before;
            sum += gain;
            squares += gain * gain;
        }
        let found = sum / f64::from(samples);
        let error = ((squares / f64::from(samples) - found * found) / f64::from(samples)).sqrt();
        let expected = log_expected(&points, &reference, &mean[..m], &sd[..m]).exp();
        assert!((expected - found).abs() < 4.0 * error, "{m}: {expected}, {found} ± {error}");
    }
}

#[derive(serde::Deserialize)]
struct Row {
    reference: Vec<f64>,
    front: Vec<Vec<f64>>,
    mean: Vec<f64>,
    sd: Vec<f64>,
    log_ehvi: f64,
}

#[test]
fn the_logarithm_agrees_with_sixty_digits_of_a_grid_s_cells() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../fixtures/log_ehvi.json")).unwrap();
    assert_eq!(rows.len(), 54);
    for row in rows {
        let found = log_expected(&row.front, &row.reference, &row.mean, &row.sd);
        let error = (found - row.log_ehvi).abs() / row.log_ehvi.abs().max(1.0);
        assert!(error < 1e-12, "{found} is not {} at {:?} ± {:?}", row.log_ehvi, row.mean, row.sd);
    }
}

#[test]
fn far_below_the_reference_the_logarithm_still_tells_better_from_worse() {
    let points = [vec![0.0, 1.0], vec![1.0, 0.0]];
    let at = |mean: f64| log_expected(&points, &[-1.0, -1.0], &[mean, 0.5], &[0.01, 0.01]);
    let mut last = f64::NEG_INFINITY;
    for mean in [-1e6, -1e3, -50.0, -3.0, -1.5, -1.0, -0.5, 0.0, 0.5, 2.0, 1e6] {
        let log = at(mean);
        assert!(log.is_finite() && log > last, "{log} at {mean}");
        last = log;
    }
}

/// Points of up to four objectives on a coarse grid, so that ties are common.
fn some_points() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<f64>)> {
    (1usize..=4).prop_flat_map(|m| {
        let coordinate = (-4i32..8).prop_map(|x| f64::from(x) / 4.0);
        let point = prop::collection::vec(coordinate, m);
        (prop::collection::vec(point.clone(), 0..10), point)
    })
}

proptest! {
    #[test]
    fn what_a_point_adds_is_the_volume_after_less_the_volume_before((points, new) in some_points()) {
        let reference = vec![0.0; new.len()];
        let before = hypervolume(&points, &reference);
        let after = hypervolume(&with(&points, &new), &reference);
        let gain = Partition::of(&points, &reference).improvement(&new);
        prop_assert!((gain - (after - before)).abs() < 1e-9, "{} is not {}", gain, after - before);
        prop_assert!(after >= before);
    }

    #[test]
    fn only_the_front_counts_and_its_order_does_not((points, new) in some_points()) {
        let reference = vec![-0.5; new.len()];
        let volume = hypervolume(&points, &reference);
        let only: Vec<Vec<f64>> = front(&points).into_iter().rev().map(|i| points[i].clone()).collect();
        prop_assert!((hypervolume(&only, &reference) - volume).abs() < 1e-9);
        let (mean, sd) = (new.clone(), vec![0.3; new.len()]);
        let (all, few) =
            (log_expected(&points, &reference, &mean, &sd), log_expected(&only, &reference, &mean, &sd));
        prop_assert!((all - few).abs() < 1e-9, "{} is not {}", all, few);
    }

    #[test]
    fn units_and_origins_do_not_matter((points, new) in some_points(), scale in 0.01f64..50.0, shift in -3.0f64..3.0) {
        let m = new.len();
        let moved = |row: &Vec<f64>| row.iter().map(|x| scale * x + shift).collect::<Vec<f64>>();
        let log = log_expected(&points, &vec![0.0; m], &new, &vec![0.4; m]);
        let there: Vec<Vec<f64>> = points.iter().map(moved).collect();
        let scaled = log_expected(&there, &vec![shift; m], &moved(&new), &vec![0.4 * scale; m]);
        prop_assert!((scaled - log - m as f64 * scale.ln()).abs() < 1e-7, "{} {}", scaled, log);
    }

    #[test]
    fn more_on_the_front_leaves_less_to_gain_and_a_larger_mean_more((points, new) in some_points()) {
        let reference = vec![-1.25; new.len()];
        let sd = vec![0.5; new.len()];
        let log = log_expected(&points, &reference, &new, &sd);
        prop_assert!(log_expected(&with(&points, &new), &reference, &new, &sd) <= log + 1e-9);
        for k in 0..new.len() {
            let mut better = new.clone();
            better[k] += 0.1;
            prop_assert!(log_expected(&points, &reference, &better, &sd) > log);
        }
    }
}
