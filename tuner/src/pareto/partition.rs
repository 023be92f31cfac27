//! Where an improvement can still be: the region above a reference that no point dominates, cut
//! into boxes.

use super::{OBJECTIVES_MAX, compare};

/// Numbers of one corner; those beyond the objectives are unused.
type Corner = [f64; OBJECTIVES_MAX];

/// The region above the reference that a set of points leaves undominated, as disjoint boxes.
///
/// The volume that a new point adds is then a sum of products over the boxes, and so is its
/// expectation when the point's coordinates are independent.
///
/// Boxes are found in a sweep from the best last coordinate down. What is open holds the
/// undominated region of the coordinates before it; a point closes the boxes it reaches into and
/// opens what it leaves of them. Boxes that differ in one coordinate and touch there become one.
/// With `n` points two objectives give `n + 1` boxes, three at most `2 n + 1`.
///
/// References: I. Couckuyt, D. Deschrijver & T. Dhaene, "Fast calculation of multiobjective
/// probability of improvement and expected improvement criteria", Journal of Global Optimization
/// 60, 2014 (such boxes for the expectation); K. Yang, M. Emmerich, A. Deutz & T. Bäck, "Efficient
/// computation of expected hypervolume improvement using box decomposition algorithms", Journal of
/// Global Optimization 75, 2019 (the sweep and the count for three).
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    objectives: usize,
    boxes: Vec<(Corner, Corner)>,
}

impl Partition {
    /// Cuts up what `points` leave above `reference`.
    ///
    /// # Panics
    ///
    /// If a point and the reference differ in length, or have none or more than
    /// [`OBJECTIVES_MAX`] numbers.
    pub fn of(points: &[Vec<f64>], reference: &[f64]) -> Partition {
        let objectives = reference.len();
        assert!((1..=OBJECTIVES_MAX).contains(&objectives), "there are 1 to 4 objectives");
        let last = objectives - 1;
        let mut rows: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        rows.iter().for_each(|row| assert_eq!(row.len(), objectives, "one number an objective"));
        rows.retain(|row| row.iter().zip(reference).all(|(x, low)| x > low));
        rows.sort_by(|a, b| b[last].total_cmp(&a[last]).then_with(|| compare(b, a)));

        let mut low = [0.0; OBJECTIVES_MAX];
        low[..objectives].copy_from_slice(reference);
        let mut open = vec![(low, [f64::INFINITY; OBJECTIVES_MAX])];
        let mut closed = Vec::new();
        for row in rows {
            let reaches = |(low, _): &(Corner, Corner)| (0..last).all(|axis| low[axis] < row[axis]);
            let (reached, untouched) = open.into_iter().partition::<Vec<_>, _>(reaches);
            open = untouched;
            let mut left = Vec::new();
            for (low, high) in reached {
                if high[last] > row[last] {
                    let mut above = low;
                    above[last] = row[last];
                    closed.push((above, high));
                }
                let (mut low, mut high) = (low, high);
                high[last] = row[last];
                for axis in 0..last {
                    if high[axis] > row[axis] {
                        let beside = std::mem::replace(&mut low[axis], row[axis]);
                        left.push((low, high));
                        (low[axis], high[axis]) = (beside, row[axis]);
                    }
                }
            }
            join(&mut left, objectives);
            open.append(&mut left);
        }
        closed.append(&mut open);
        Partition { objectives, boxes: closed }
    }

    /// Lower and upper corner of each box; an upper one may be infinite.
    pub fn boxes(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        let m = self.objectives;
        self.boxes.iter().map(move |(low, high)| (&low[..m], &high[..m]))
    }

    /// The volume that a point would add.
    ///
    /// # Panics
    ///
    /// If the point does not have one number an objective.
    pub fn improvement(&self, point: &[f64]) -> f64 {
        assert_eq!(point.len(), self.objectives, "one number an objective");
        let within = |(low, high): (&[f64], &[f64])| -> f64 {
            let sides = point.iter().zip(low.iter().zip(high));
            sides.map(|(x, (low, high))| (x.min(*high) - low).max(0.0)).product()
        };
        self.boxes().map(within).sum()
    }
}

/// Makes one of two boxes wherever they touch and agree in all axes but one.
fn join(boxes: &mut Vec<(Corner, Corner)>, objectives: usize) {
    let mut i = 0;
    while i < boxes.len() {
        let touches = |j: usize| {
            let ((low, high), (other_low, other_high)) = (boxes[i], boxes[j]);
            let mut differ =
                (0..objectives).filter(|&k| low[k] != other_low[k] || high[k] != other_high[k]);
            match (differ.next(), differ.next()) {
                (Some(axis), None) => {
                    high[axis] == other_low[axis] || other_high[axis] == low[axis]
                }
                _ => false,
            }
        };
        match (0..boxes.len()).find(|&j| j != i && touches(j)) {
            None => i += 1,
            Some(j) => {
                let (low, high) = boxes[j];
                for axis in 0..objectives {
                    boxes[i].0[axis] = boxes[i].0[axis].min(low[axis]);
                    boxes[i].1[axis] = boxes[i].1[axis].max(high[axis]);
                }
                boxes.swap_remove(j);
                // What has grown may touch one that it did not before.
                i = 0;
            }
        }
    }
}
