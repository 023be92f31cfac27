//! Several objectives at once: which results no other one beats, and how much they reach together.
//!
//! Larger is better in every coordinate. A point *dominates* another if it is nowhere smaller and
//! somewhere larger; what nothing dominates is the *front*. The *hypervolume* of a set over a
//! reference point is the volume of everything between the reference and the set: the one number
//! that rises whenever the front moves on, in whichever direction.
//!
//! Reference: E. Zitzler & L. Thiele, "Multiobjective optimization using evolutionary algorithms",
//! PPSN V, 1998.

mod partition;
mod reference;

pub use partition::Partition;
pub use reference::reference;

/// Most objectives: above four the volumes cost more than they tell.
pub const OBJECTIVES_MAX: usize = 4;

/// Whether `a` is nowhere smaller than `b` and somewhere larger.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut pairs = a.iter().zip(b);
    pairs.clone().all(|(a, b)| a >= b) && pairs.any(|(a, b)| a > b)
}

/// The places of the points that no other dominates, rising. Of equal points all are named.
pub fn front(points: &[Vec<f64>]) -> Vec<usize> {
    // From the best first coordinate on, so that whatever dominates a point stands before it, and
    // a point that is dominated is dominated by one that was kept.
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| compare(&points[b], &points[a]));
    let mut kept: Vec<usize> = Vec::new();
    for place in order {
        if !kept.iter().any(|&other| dominates(&points[other], &points[place])) {
            kept.push(place);
        }
    }
    kept.sort_unstable();
    kept
}

/// Lexicographic.
fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    let mut orders = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
    orders.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

/// The volume that `points` dominate above `reference`, exact; kept finite.
///
/// Points that do not exceed the reference in every coordinate add nothing. With `n` points on the
/// front and `m` coordinates it takes of the order of `nᵐ⁻¹` steps, `n log n` for two.
///
/// By slicing: sorted along the last coordinate, each slab between neighbours has the cross-section
/// of the points above it, one coordinate fewer. Every term is positive, so nothing cancels.
/// Reference: L. While, P. Hingston, L. Barone & S. Huband, "A faster algorithm for calculating
/// hypervolume", IEEE Transactions on Evolutionary Computation 10(1), 2006 (HSO).
///
/// # Panics
///
/// If a point and the reference differ in length, or are empty.
pub fn hypervolume(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    assert!(!reference.is_empty(), "there is at least one objective");
    let above = points.iter().map(|point| {
        assert_eq!(point.len(), reference.len(), "one number for each objective");
        let excess = point.iter().zip(reference).map(|(x, low)| (x - low).min(f64::MAX));
        excess.collect::<Vec<f64>>()
    });
    let above: Vec<Vec<f64>> = above.filter(|excess| excess.iter().all(|x| *x > 0.0)).collect();
    slices(above.iter().map(Vec::as_slice).collect(), reference.len()).min(f64::MAX)
}

/// Volume of the union of the boxes from zero to each row, in the first `width` coordinates.
fn slices(mut rows: Vec<&[f64]>, width: usize) -> f64 {
    let Some(last) = width.checked_sub(1).filter(|last| *last > 0) else {
        return rows.iter().map(|row| row[0]).fold(0.0, f64::max);
    };
    rows.sort_by(|a, b| b[last].total_cmp(&a[last]));
    let mut above: Vec<&[f64]> = Vec::new();
    let (mut volume, mut section) = (0.0, 0.0f64);
    for (place, &row) in rows.iter().enumerate() {
        let is_covered = |other: &&[f64]| row[..last].iter().zip(*other).all(|(x, y)| x <= y);
        if !above.iter().any(is_covered) {
            if last == 1 {
                (above, section) = (vec![row], row[0]);
            } else {
                above.retain(|other| !other[..last].iter().zip(row).all(|(x, y)| x <= y));
                above.push(row);
                section = slices(above.clone(), last);
            }
        }
        let below = rows.get(place + 1).map_or(0.0, |next| next[last]);
        if row[last] > below {
            volume += section * (row[last] - below);
        }
    }
    volume
}

/// The places of at most `count` points that keep as much hypervolume as a greedy choice can, in
/// the order of choice: each adds most to those before it. Points that add nothing are left out.
///
/// At least 1 − 1/e of the best choice's volume (A. Guerreiro, C. Fonseca & L. Paquete, "Greedy
/// hypervolume subset selection in low dimensions", Evolutionary Computation 24(3), 2016).
pub fn greedy(points: &[Vec<f64>], reference: &[f64], count: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..points.len()).collect();
    let (mut chosen, mut rows, mut volume) = (Vec::new(), Vec::new(), 0.0);
    while chosen.len() < count {
        let mut best: Option<(usize, f64)> = None;
        for (at, &place) in left.iter().enumerate() {
            rows.push(points[place].clone());
            let reached = hypervolume(&rows, reference);
            rows.pop();
            if reached > best.map_or(volume, |(_, most)| most) {
                best = Some((at, reached));
            }
        }
        let Some((at, reached)) = best else { break };
        let place = left.remove(at);
        rows.push(points[place].clone());
        chosen.push(place);
        volume = reached;
    }
    chosen
}
