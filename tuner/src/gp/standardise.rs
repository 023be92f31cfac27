//! Results to zero mean and unit variance, and back.

/// The way between the objective's units and standardised ones: `value = offset + scale · z`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standard {
    pub(crate) offset: f64,
    pub(crate) scale: f64,
}

/// What becomes of results far below the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// They are pulled in.
    Raised,
    /// They stay where they are.
    Kept,
}

/// How many spreads below the median a result still counts at its own value: in a normal sample
/// that is almost four deviations, which none of hundreds reaches.
const TAIL_SPREADS: f64 = 3.0;

/// Deviations below this share of the largest magnitude are rounding, not signal.
const CONSTANT: f64 = 1e-12;

/// Standardises `values` after pulling in the bad tail. All must be finite, and at least one.
///
/// Collapsed trainings lie far below the rest and, left alone, would set the scale: the differences
/// that are worth learning would vanish beside them. They are raised to three spreads below the
/// median, where the spread is the larger of upper-tenth − median and median − lower quarter. If
/// more than a quarter collapsed, they are no tail and stay where they are.
pub(crate) fn standardise(values: &[f64], tail: Tail) -> (Vec<f64>, Standard) {
    let floor = match tail {
        Tail::Raised => tail_floor(values),
        Tail::Kept => f64::NEG_INFINITY,
    };
    let raised: Vec<f64> = values.iter().map(|value| value.max(floor)).collect();
    let largest = raised.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return (vec![0.0; values.len()], Standard { offset: 0.0, scale: 1.0 });
    }
    // Within [−1, 1] nothing overflows, not even with results of 1e308.
    let scaled: Vec<f64> = raised.iter().map(|value| value / largest).collect();
    let n = scaled.len() as f64;
    let mean = scaled.iter().sum::<f64>() / n;
    let variance = scaled.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    let deviation = variance.sqrt();
    if deviation <= CONSTANT {
        return (vec![0.0; values.len()], Standard { offset: mean * largest, scale: largest });
    }
    let z = scaled.iter().map(|value| (value - mean) / deviation).collect();
    let scale = (deviation * largest).max(f64::MIN_POSITIVE);
    (z, Standard { offset: mean * largest, scale })
}

/// Below which values are pulled in; minus infinity if there is no spread to measure by.
fn tail_floor(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = quantile(&sorted, 0.5);
    let spread = (quantile(&sorted, 0.9) - median).max(median - quantile(&sorted, 0.25));
    if spread > 0.0 { median - TAIL_SPREADS * spread } else { f64::NEG_INFINITY }
}

/// The quantile of sorted values, linear between neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = place - place.floor();
    // Weighted and not stepped, because the step between two huge neighbours may overflow.
    sorted[below] * (1.0 - share) + sorted[above] * share
}

impl Standard {
    /// A standardised mean in the objective's units; kept finite.
    pub(crate) fn value(&self, z: f64) -> f64 {
        (self.offset + self.scale * z).clamp(f64::MIN, f64::MAX)
    }

    /// A standardised deviation in the objective's units; kept finite.
    pub(crate) fn deviation(&self, deviation: f64) -> f64 {
        (self.scale * deviation).min(f64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standardise(values: &[f64]) -> (Vec<f64>, Standard) {
        super::standardise(values, Tail::Raised)
    }

    #[test]
    fn standardised_results_have_zero_mean_and_unit_variance_and_come_back() {
        let values = [0.1, 0.4, 0.35, 0.8, 0.62];
        let (z, standard) = standardise(&values);
        assert!(z.iter().sum::<f64>().abs() < 1e-12);
        assert!((z.iter().map(|z| z * z).sum::<f64>() / 5.0 - 1.0).abs() < 1e-12);
        for (z, value) in z.iter().zip(values) {
            assert!((standard.value(*z) - value).abs() < 1e-12);
        }
    }

    #[test]
    fn a_collapsed_training_does_not_set_the_scale() {
        let healthy = [0.70, 0.72, 0.71, 0.74, 0.73, 0.69, 0.75, 0.72];
        let (_, alone) = standardise(&healthy);
        for collapsed in [0.01, -1e6, -1e308] {
            let mut values = healthy.to_vec();
            values.push(collapsed);
            let (z, standard) = standardise(&values);
            assert!(standard.scale < 3.0 * alone.scale, "{collapsed} gives {standard:?}");
            let last = z[8];
            assert!(z[..8].iter().all(|&other| other > last), "and is still the worst");
        }
    }

    #[test]
    fn collapses_that_are_no_longer_the_exception_are_left_alone() {
        let values = [0.01, 0.01, 0.01, 0.5, 0.52, 0.55, 0.51];
        let (z, standard) = standardise(&values);
        assert!((standard.value(z[0]) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn equal_results_stand_at_zero_and_huge_ones_stay_finite() {
        assert_eq!(standardise(&[0.1; 7]).0, vec![0.0; 7]);
        assert_eq!(standardise(&[0.0; 3]).0, vec![0.0; 3]);
        assert_eq!(standardise(&[5e-324]).0, vec![0.0]);
        let (z, standard) = standardise(&[1e308, -1e308, 1.7e308, -1.7e308]);
        assert!(z.iter().all(|z| z.abs() < 2.0), "{z:?}");
        assert!(standard.value(1e9).is_finite());
        assert!(standard.deviation(1e9).is_finite());
    }
}
