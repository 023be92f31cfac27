//! Results as the search sees them: bent, so that heights near the best count less than depths below it.

/// What the best itself lies below the zero of the power, in deviations: without it the curve would be
/// flat there.
const OFFSET: f64 = 0.1;

/// Standardised results `z`, larger is better, as `−(max z − z + 0.1)^power`, and again to zero mean and
/// unit variance.
///
/// A Gaussian process believes in functions that are round everywhere. Objectives that are a power of
/// something simple have a cone at their optimum and are flat far from it, and a search crowds its
/// results near the best, so that what it learned first, far below, weighs little. The power turns a
/// cone round again and keeps the depths apart. The order of results stays as it is, so a point that
/// promises the largest improvement of the one promises much of the other. Measured on 17
/// problems in `docs/SEARCH.md`, with a few other powers and curves.
///
/// The idea that outputs are bent first, with a curve learned from results: E. Snelson, C. Rasmussen & Z.
/// Ghahramani, "Warped Gaussian Processes", NeurIPS 2003. Of so few results this one is not learned.
pub(crate) fn bent(z: &[f64], power: f64) -> Vec<f64> {
    let best = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bent: Vec<f64> = z.iter().map(|z| -(best - z + OFFSET).powf(power)).collect();
    let n = bent.len() as f64;
    let mean = bent.iter().sum::<f64>() / n;
    let deviation = (bent.iter().map(|b| (b - mean) * (b - mean)).sum::<f64>() / n).sqrt();
    // Equal results were standardised to zeros, which is what they stay.
    if deviation > 0.0 { bent.iter().map(|b| (b - mean) / deviation).collect() } else { z.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::super::Posterior;
    use super::*;
    use crate::history::Observation;
    use crate::space::{Domain, Scale, Space, UnitPoint};

    #[test]
    fn a_cone_becomes_rounder_and_the_order_stays() {
        let cone: Vec<f64> = (0..21).map(|i| -f64::from(i) / 6.0).collect();
        let bent = bent(&cone, 1.5);
        assert!(bent.windows(2).all(|pair| pair[0] > pair[1]));
        let steps: Vec<f64> = bent.windows(2).map(|pair| pair[0] - pair[1]).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "ever steeper from the top");
        // 1.5 √(x + 0.1) is the slope: at the foot against the top, half a step in.
        let expected = ((20.0 / 6.0f64 + 0.1).powf(1.5) - (19.0 / 6.0f64 + 0.1).powf(1.5))
            / ((1.0 / 6.0f64 + 0.1).powf(1.5) - 0.1f64.powf(1.5));
        assert!((steps[19] / steps[0] - expected).abs() < 1e-12);
    }

    #[test]
    fn bent_results_have_zero_mean_and_unit_variance_and_equal_ones_stay_equal() {
        let bent_ones = bent(&[0.3, -1.2, 2.0, 0.1, -0.4], 1.5);
        assert!(bent_ones.iter().sum::<f64>().abs() < 1e-12);
        assert!((bent_ones.iter().map(|b| b * b).sum::<f64>() / 5.0 - 1.0).abs() < 1e-12);
        assert_eq!(bent(&[0.0; 4], 1.5), vec![0.0; 4]);
        assert_eq!(bent(&[0.0], 1.5), vec![0.0]);
    }

    #[test]
    fn the_search_believes_in_the_bent_results_and_the_posterior_in_those_told() {
        let float = || Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear };
        let bending = |z: &[f64]| bent(z, 1.5);
        believed([float(), Domain::Bool], bending);
        believed([float(), float()], <[f64]>::to_vec);
    }

    /// Checks both weights of a process over two parameters; `seen` are results as a search sees them.
    fn believed(domains: [Domain; 2], seen: impl Fn(&[f64]) -> Vec<f64>) {
        let space = Space::of_domains(domains);
        let points: Vec<UnitPoint> =
            (0..9).map(|i| UnitPoint(vec![f64::from(i) / 8.0, f64::from(i % 2)])).collect();
        let value = |x: &UnitPoint| 7.0 - 4.0 * (x.0[0] - 0.3).abs();
        let observed: Vec<Observation> =
            points.iter().map(|x| Observation { value: value(x), point: x.clone() }).collect();
        let posterior = Posterior::fit(&space, &observed, &[], 1).unwrap();
        // (K + noise) w = y, so at its own points a process with weights w has the mean y − noise w.
        let z: Vec<f64> = points.iter().map(|x| posterior.standardise(value(x))).collect();
        let noise = posterior.hyper.noise_variance;
        let (told, _) = posterior.standardised(&points);
        let (sought, _) = posterior.sought(&points);
        for (i, seen) in seen(&z).into_iter().enumerate() {
            assert!((told[i] + noise * posterior.alpha[i] - z[i]).abs() < 1e-9);
            assert!((sought[i] + noise * posterior.sought[i] - seen).abs() < 1e-9);
        }
    }
}
