//! Results to zero mean and unit variance, and back.

/// The way between the objective's units and standardised ones: `value = offset + scale · z`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standard {
    pub(crate) offset: f64,
    pub(crate) scale: f64,
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
pub(crate) fn standardise(values: &[f64]) -> (Vec<f64>, Standard) {
    let floor = tail_floor(values);
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
