//! A reference point, where a person gave none.

use super::front;

/// Smallest share of the front's range that the reference lies below its worst.
const SHARE_MIN: f64 = 0.1;

/// A reference point from the data: below the worst of the front in every objective, by 1/h of the
/// range that the front spans there, where h + 1 points would spread evenly along one edge of a
/// front of this size; never less than a tenth.
///
/// With few points on the front it lies far below, so that the ends of the front can still be
/// extended; with many it lies close, so that the ends do not outweigh the middle. Where the front
/// spans nothing, as with a single point, the range is that of all `points`, and its worst their
/// worst; where they span nothing either, the range is `unit`.
///
/// Reference: H. Ishibuchi, R. Imada, Y. Setoguchi & Y. Nojima, "How to specify a reference point
/// in hypervolume calculation for fair performance comparison", Evolutionary Computation 26(3),
/// 2018 (the rule 1 + 1/h for the normalised front).
///
/// # Panics
///
/// If there is no point, or they differ in length.
pub fn reference(points: &[Vec<f64>], unit: f64) -> Vec<f64> {
    let ends = |rows: &mut dyn Iterator<Item = &Vec<f64>>, k: usize| {
        rows.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), row| {
            (low.min(row[k]), high.max(row[k]))
        })
    };
    let front = front(points);
    let objectives = points[0].len();
    let share = (1.0 / divisions(front.len(), objectives) as f64).max(SHARE_MIN);
    let below = |k| {
        let (low, high) = ends(&mut front.iter().map(|&place| &points[place]), k);
        if high > low {
            return low - share * (high - low);
        }
        let (low, high) = ends(&mut points.iter(), k);
        low - SHARE_MIN * if high > low { high - low } else { unit }
    };
    (0..objectives).map(below).collect()
}

/// The most divisions h of an edge with which a grid on the front has at most `points` points:
/// (h + m − 1) over (m − 1) of them for m objectives. At least one.
fn divisions(points: usize, objectives: usize) -> usize {
    let on_grid = |h: usize| (1..objectives).fold(1, |count, i| count * (h + i) / i);
    (1..points).take_while(|&h| on_grid(h) <= points).last().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_on_the_front_has_as_many_divisions_as_its_points_allow() {
        assert_eq!([1, 2, 3, 11].map(|points| divisions(points, 2)), [1, 1, 2, 10]);
        // 3, 6, 10, 15 points for 1, 2, 3, 4 divisions of a triangle.
        assert_eq!([2, 3, 5, 6, 10, 14, 15].map(|n| divisions(n, 3)), [1, 1, 1, 2, 3, 3, 4]);
        assert_eq!([3, 4, 9, 10].map(|points| divisions(points, 4)), [1, 1, 1, 2]);
    }

    #[test]
    fn the_reference_moves_towards_the_front_as_the_front_fills_up() {
        let line = |n: usize| -> Vec<Vec<f64>> {
            (0..n).map(|i| i as f64 / (n - 1) as f64).map(|x| vec![x, 20.0 - 10.0 * x]).collect()
        };
        assert_eq!(reference(&line(2), 1.0), vec![-1.0, 0.0]);
        assert_eq!(reference(&line(3), 1.0), vec![-0.5, 5.0]);
        assert_eq!(reference(&line(40), 1.0), vec![-0.1, 9.0]);
    }

    #[test]
    fn one_point_alone_is_measured_by_what_it_dominates() {
        let points = vec![vec![1.0, 2.0], vec![0.0, 2.0], vec![0.5, -3.0]];
        let reference_point = reference(&points, 1.0);
        assert!((reference_point[0] + 0.1).abs() < 1e-15);
        assert!((reference_point[1] + 3.5).abs() < 1e-15);
        assert_eq!(reference(&[vec![4.0, 5.0]], 2.0), vec![3.8, 4.8]);
    }
}
