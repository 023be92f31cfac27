//! The posterior of an average of the function over many points.

use super::kernel::{Columns, Distances};
use super::{Posterior, VARIANCE_FLOOR};
use crate::space::UnitPoint;

impl Posterior {
    /// Mean and deviation of the average of the latent function over canonical points, objective
    /// units. The deviation is that of the average, in which the errors at different points
    /// partly cancel: never more than the largest at one of them.
    ///
    /// ```text
    /// mean = k̄ᵀ α        deviation² = k̄̄ − k̄ᵀ A⁻¹ k̄
    /// ```
    ///
    /// where k̄ averages the covariances with the results over the points, and k̄̄ those among the
    /// points over all their pairs.
    ///
    /// Reference: J. Oakley & A. O'Hagan, "Probabilistic sensitivity analysis of complex models: a
    /// Bayesian approach", JRSS B 66(3), 2004, section 2.
    ///
    /// # Panics
    ///
    /// If there is no point.
    pub(crate) fn average(&self, points: &[UnitPoint]) -> (f64, f64) {
        assert!(!points.is_empty(), "an average is one of something");
        let m = points.len() as f64;
        let weights = self.hyper.weights();
        let cross = self.cross(&weights, points);
        let mut mean_cross = faer::Mat::zeros(self.points.len(), 1);
        for row in 0..self.points.len() {
            let sum: f64 = (0..points.len()).map(|column| cross[(row, column)]).sum();
            mean_cross[(row, 0)] = sum / m;
        }
        let covariances = mean_cross.col_as_slice(0);
        let mean: f64 = covariances.iter().zip(&self.alpha).map(|(k, alpha)| k * alpha).sum();

        let among = Columns::of(points, self.metric.dimensions());
        let mut distances = Distances::default();
        let variance = self.metric.variance(self.hyper.signal_variance);
        let mut pairs = 0.0;
        for (i, point) in points.iter().enumerate() {
            distances.measure(&self.metric, &weights, &among, i, &point.0);
            pairs += 0.5 * variance + distances.covariances(&self.hyper).sum::<f64>();
        }
        let prior = 2.0 * pairs / (m * m);
        self.factor.half_solve(mean_cross.as_mut());
        let explained: f64 = mean_cross.col_as_slice(0).iter().map(|v| v * v).sum();
        let deviation = (prior - explained).max(VARIANCE_FLOOR).sqrt();
        (self.standard.value(mean), self.standard.deviation(deviation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Observation;
    use crate::space::{Domain, Parameter, Scale, Space};
    use crate::stream::{Purpose, Stream};

    fn posterior() -> (Space, Posterior) {
        let parameter = |name: &str| Parameter {
            name: name.to_owned(),
            domain: Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear },
            condition: None,
            default: None,
        };
        let space = Space::new(vec![parameter("a"), parameter("b")]).unwrap();
        let observed: Vec<Observation> = (0..7)
            .map(|i| {
                let point = UnitPoint(vec![f64::from(i) / 6.0, (f64::from(i) * 0.618).fract()]);
                Observation { value: 40.0 + 9.0 * (5.0 * point.0[0]).sin() + point.0[1], point }
            })
            .collect();
        let posterior = Posterior::fit(&space, &observed, &[], 2).unwrap();
        (space, posterior)
    }

    #[test]
    fn the_average_over_one_point_is_its_prediction() {
        let (_, posterior) = posterior();
        let points = [UnitPoint(vec![0.3, 0.9])];
        let (mean, deviation) = posterior.average(&points);
        let predicted = posterior.predict(&points);
        assert!((mean - predicted.mean[0]).abs() < 1e-10);
        assert!((deviation - predicted.deviation[0]).abs() < 1e-10);
    }

    #[test]
    fn the_average_over_many_points_varies_as_averages_of_drawn_functions_do() {
        let (space, posterior) = posterior();
        let points: Vec<UnitPoint> =
            (0..40).map(|i| UnitPoint(vec![0.8, f64::from(i) / 39.0])).collect();
        let (mean, deviation) = posterior.average(&points);
        let drawn: Vec<f64> = (0..3000)
            .map(|number| {
                let path = posterior.path(&space, &mut Stream::new(5, number, Purpose::Path));
                let sum: f64 = path.at(&space, &points).iter().sum();
                posterior.standard.value(sum / points.len() as f64)
            })
            .collect();
        let n = drawn.len() as f64;
        let average = drawn.iter().sum::<f64>() / n;
        let spread = (drawn.iter().map(|v| (v - average).powi(2)).sum::<f64>() / n).sqrt();
        assert!((average - mean).abs() < 5.0 * deviation / n.sqrt(), "{average} is not {mean}");
        assert!((spread / deviation - 1.0).abs() < 0.07, "{spread} is not {deviation}");
        let largest = posterior.predict(&points).deviation.into_iter().fold(0.0, f64::max);
        assert!(deviation < largest);
    }
}
