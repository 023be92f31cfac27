//! A reference point, where a person gave none.

/// Share of the range that the reference lies below the worst.
const SHARE: f64 = 0.1;

/// A reference point from the data: in every objective a tenth of the range of all `points` below
/// the worst of them. Where they span nothing, the range is `unit`.
///
/// Of all points and not of the front alone: a front that is known in one place only would put its
/// reference close by, and whatever lies beyond its ends would count for nothing. On a problem of
/// two dimensions whose front is a line, with a first point in its middle, the front's own nadir
/// found less of it in 20 results than random points did; this finds all of it.
///
/// Reference: H. Ishibuchi, R. Imada, Y. Setoguchi & Y. Nojima, "How to specify a reference point
/// in hypervolume calculation for fair performance comparison", Evolutionary Computation 26(3),
/// 2018, on what its place decides.
///
/// # Panics
///
/// If there is no point, or they differ in length.
pub fn reference(points: &[Vec<f64>], unit: f64) -> Vec<f64> {
    let below = |k: usize| {
        let column = points.iter().map(|row| row[k]);
        let low = column.clone().fold(f64::INFINITY, f64::min);
        let high = column.fold(f64::NEG_INFINITY, f64::max);
        low - SHARE * if high > low { high - low } else { unit }
    };
    (0..points[0].len()).map(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_a_tenth_of_the_range_below_the_worst_whatever_the_front() {
        let points = vec![vec![1.0, 2.0], vec![0.0, 2.0], vec![0.5, -3.0]];
        let reference_point = reference(&points, 1.0);
        assert!((reference_point[0] + 0.1).abs() < 1e-15);
        assert!((reference_point[1] + 3.5).abs() < 1e-15);
        assert_eq!(reference(&[vec![4.0, 5.0]], 2.0), vec![3.8, 4.8]);
    }
}
