//! Hyper-parameters drawn from what is believed of them, beside the most credible ones.
//!
//! Few results say little of a length scale, and the most credible ones are then one guess among many: a search
//! that trusts them can take the wrong parameters for those that matter, and stay in a basin. An improvement that
//! is averaged over several draws asks where many of the guesses promise something (decision 0020).

use super::Posterior;
use super::cholesky::Factor;
use super::fit::{self, hyper_parameters, log_likelihood};
use super::kernel::{Columns, HyperParameters, Metric};
use super::prior;
use crate::space::UnitPoint;
use crate::stream::{Purpose, Stream};

/// Draws that an improvement is averaged over.
const DRAWS: usize = 5;
/// Steps of the chain before the first draw, from the most credible hyper-parameters.
const STEPS_BEFORE: usize = 10;
/// Steps of the chain from one draw to the next.
const STEPS_BETWEEN: usize = 5;
/// A bracket that was shrunk so often is a point. What lies there is kept.
const SHRINKS_MAX: usize = 40;
/// Up to so many results hyper-parameters are drawn: a draw costs some thirty times n³/3, and the more
/// results there are the less draws differ.
const RESULTS_DRAWN_MAX: usize = 50;

impl Posterior {
    /// The posterior of the same results under each of some drawn hyper-parameters; none where that
    /// brings nothing: with switches among the parameters (measured, decision 0020) or many results.
    ///
    /// A function of the posterior alone, bit for bit, also after a way through storage. For a posterior in
    /// which nothing is [believed](Posterior::believe) yet.
    pub(crate) fn alternatives(&self) -> Vec<Posterior> {
        let has_switches = (0..self.metric.dimensions()).any(|k| self.metric.is_switch(k));
        if has_switches || self.points.len() > RESULTS_DRAWN_MAX {
            return Vec::new();
        }
        let told = self.factor.multiply(&self.alpha);
        let sought = self.factor.multiply(&self.sought);
        // Failed points count in predictions, but nothing is learned from them.
        let observed = (0..self.observed_rows).map(|row| UnitPoint(self.points.point(row)));
        let observed: Vec<UnitPoint> = observed.collect();
        let observed = Columns::of(&observed, self.metric.dimensions());
        let targets = &sought[..self.observed_rows];
        let mut stream = Stream::new(self.seed, self.points.len() as u64, Purpose::Draws);
        let drawn = sample(&self.metric, &observed, targets, &self.hyper, &mut stream);
        drawn.into_iter().filter_map(|hyper| self.under(hyper, &told, &sought)).collect()
    }

    /// The posterior of the same standardised results under other hyper-parameters.
    fn under(&self, hyper: HyperParameters, told: &[f64], sought: &[f64]) -> Option<Posterior> {
        let covariance = fit::covariance(&self.metric, &self.points, &hyper);
        let factor = Factor::new(&covariance).ok()?;
        let (alpha, sought) = (factor.solve(told), factor.solve(sought));
        Some(Posterior { hyper, factor, alpha, sought, ..self.clone() })
    }
}

/// [`DRAWS`] hyper-parameters from their posterior distribution given `n` standardised `targets` at `points`.
///
/// The prior is normal in θ, so a chain needs nothing tuned: each step draws an ellipse through the current θ
/// and one of the prior, and a point on it that is likely enough. Beyond the prior's box a hyper-parameter
/// counts as at its wall.
///
/// Reference: I. Murray, R. Adams & D. MacKay, "Elliptical slice sampling", AISTATS 2010, figure 2 —
/// <https://arxiv.org/abs/1001.0175>.
fn sample(
    metric: &Metric,
    points: &Columns,
    targets: &[f64],
    from: &HyperParameters,
    stream: &mut Stream,
) -> Vec<HyperParameters> {
    let (means, deviations) = prior::beliefs(metric.reaches());
    let (low, high) = prior::bounds(metric.dimensions());
    let walls: Vec<(f64, f64)> = low.into_iter().zip(high).collect();
    let within = |offsets: &[f64]| -> HyperParameters {
        let logs = offsets.iter().zip(&means).map(|(offset, mean)| offset + mean);
        let theta = logs.zip(&walls).map(|(log, &(low, high))| log.clamp(low, high));
        hyper_parameters(&theta.collect::<Vec<f64>>())
    };
    let likelihood = |hyper: &HyperParameters| {
        log_likelihood(metric, points, targets, hyper).unwrap_or(f64::NEG_INFINITY)
    };
    let logs = from.length_scales.iter().chain([&from.noise_variance, &from.signal_variance]);
    let mut offsets: Vec<f64> = logs.zip(&means).map(|(value, mean)| value.ln() - mean).collect();
    let mut current = likelihood(from);
    let mut draws = Vec::with_capacity(DRAWS);
    for step in 1..=STEPS_BEFORE + STEPS_BETWEEN * (DRAWS - 1) {
        let other: Vec<f64> = deviations.iter().map(|d| d * stream.normal()).collect();
        let needed = current + (1.0 - stream.uniform()).ln();
        let mut angle = stream.uniform() * std::f64::consts::TAU;
        let (mut from, mut to) = (angle - std::f64::consts::TAU, angle);
        for _ in 0..SHRINKS_MAX {
            let (sin, cos) = angle.sin_cos();
            let tried: Vec<f64> =
                offsets.iter().zip(&other).map(|(here, there)| here * cos + there * sin).collect();
            let found = likelihood(&within(&tried));
            if found > needed {
                (offsets, current) = (tried, found);
                break;
            }
            if angle < 0.0 {
                from = angle;
            } else {
                to = angle;
            }
            angle = from + stream.uniform() * (to - from);
        }
        if step >= STEPS_BEFORE && (step - STEPS_BEFORE).is_multiple_of(STEPS_BETWEEN) {
            draws.push(within(&offsets));
        }
    }
    draws
}

#[cfg(test)]
mod tests {
    use super::super::fit::log_posterior;
    use super::*;
    use crate::acquisition::improvement_sought;
    use crate::history::{History, Observation};
    use crate::space::{Domain, Parameter, Scale, Space};
    use crate::suggest::{Options, suggest};

    fn space(domains: impl IntoIterator<Item = Domain>) -> Space {
        let parameters = domains.into_iter().enumerate().map(|(i, domain)| Parameter {
            name: format!("x{i}"),
            domain,
            condition: None,
            default: None,
        });
        Space::new(parameters.collect()).unwrap()
    }

    fn float() -> Domain {
        Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear }
    }

    /// Results of a function of the first number, at `n` points.
    fn observed(n: usize, dimensions: usize) -> Vec<Observation> {
        let mut stream = Stream::new(3, 0, Purpose::Uniform);
        (0..n)
            .map(|_| {
                let point = UnitPoint((0..dimensions).map(|_| stream.uniform()).collect());
                Observation { value: (5.0 * point.0[0]).sin(), point }
            })
            .collect()
    }

    fn logs(hyper: &HyperParameters) -> [f64; 3] {
        [hyper.length_scales[0].ln(), hyper.noise_variance.ln(), hyper.signal_variance.ln()]
    }

    #[test]
    fn draws_have_the_mean_and_the_deviation_of_the_posterior_that_a_grid_gives() {
        let metric = Metric::of(&space([float()]));
        let points = [0.1, 0.35, 0.5, 0.9].map(|x| UnitPoint(vec![x]));
        let points = Columns::of(&points, 1);
        let targets = [-1.2, 0.9, 1.1, -0.8];
        // Means and squares over a grid of ten deviations of the prior, cut at the box as the draws are.
        let (means, deviations) = prior::beliefs(metric.reaches());
        let (low, high) = prior::bounds(1);
        let steps = 40;
        let (mut mass, mut first, mut second) = (0.0, [0.0; 3], [0.0; 3]);
        for cell in 0..steps * steps * steps {
            let places = [cell / (steps * steps), cell / steps % steps, cell % steps];
            let mut weight = 0.0;
            let theta: Vec<f64> = (0..3)
                .map(|k| {
                    let z = (places[k] as f64 + 0.5) / steps as f64 * 10.0 - 5.0;
                    weight -= 0.5 * z * z;
                    (means[k] + deviations[k] * z).clamp(low[k], high[k])
                })
                .collect();
            let hyper = hyper_parameters(&theta);
            weight += log_likelihood(&metric, &points, &targets, &hyper).unwrap();
            mass += weight.exp();
            for (k, log) in theta.into_iter().enumerate() {
                first[k] += weight.exp() * log;
                second[k] += weight.exp() * log * log;
            }
        }
        // Long chains, each from the last draw of the one before; the first has to forget its start.
        let mut drawn = Vec::new();
        for seed in 0..200 {
            let mut from = hyper_parameters(&prior::mode(metric.reaches()));
            for number in 0..20 {
                let mut stream = Stream::new(seed, number, Purpose::Draws);
                let hypers = sample(&metric, &points, &targets, &from, &mut stream);
                assert_eq!(hypers.len(), DRAWS);
                from = hypers[DRAWS - 1].clone();
                drawn.extend(hypers.iter().filter(|_| number > 1).map(logs));
            }
        }
        // Far from the prior's 0, so that chains which ignore the results are told.
        assert!(first[0] / mass < -0.7);
        for k in 0..3 {
            let mean = first[k] / mass;
            let deviation = (second[k] / mass - mean * mean).sqrt();
            let n = drawn.len() as f64;
            let found = drawn.iter().map(|logs| logs[k]).sum::<f64>() / n;
            let spread = drawn.iter().map(|logs| (logs[k] - found).powi(2)).sum::<f64>() / n;
            let error = (found - mean).abs() / deviation;
            assert!(error < 0.05, "mean {k} is {found}, not {mean}");
            let ratio = spread.sqrt() / deviation;
            assert!((ratio - 1.0).abs() < 0.05, "deviation {k} is {ratio} times {deviation}");
        }
    }

    #[test]
    fn the_likelihood_is_the_posterior_without_the_prior() {
        let metric = Metric::of(&space([float(), float()]));
        let observed = observed(9, 2);
        let points = Columns::of(observed.iter().map(|o| &o.point), 2);
        let targets: Vec<f64> = observed.iter().map(|o| o.value).collect();
        let theta = [-0.7, 0.4, -3.0, 0.2];
        let whole = log_posterior(&metric, &points, &targets, &theta).unwrap().0;
        let prior = prior::log_density(metric.reaches(), &theta, &mut [0.0; 4]);
        let alone = log_likelihood(&metric, &points, &targets, &hyper_parameters(&theta)).unwrap();
        assert!((whole - prior - alone).abs() < 1e-10);
    }

    #[test]
    fn alternatives_differ_know_the_same_results_and_survive_storage_to_the_bit() {
        let space = space([float(), float()]);
        let observed = observed(12, 2);
        let failed = [UnitPoint(vec![0.9, 0.9])];
        let posterior = Posterior::fit(&space, &observed, &failed, 8).unwrap();
        let alternatives = posterior.alternatives();
        assert_eq!(alternatives.len(), DRAWS);
        let points: Vec<UnitPoint> = observed.iter().map(|o| o.point.clone()).collect();
        for (i, one) in alternatives.iter().enumerate() {
            assert!(alternatives[..i].iter().all(|other| other.hyper != one.hyper));
            let predicted = one.predict(&points).mean;
            for (mean, observation) in predicted.iter().zip(&observed) {
                assert!((mean - observation.value).abs() < 0.5, "{mean}, {observation:?}");
            }
        }
        let parts = posterior.parts();
        let back = Posterior::from_parts(&space, &observed, &failed, parts).unwrap();
        for (one, other) in alternatives.iter().zip(back.alternatives()) {
            assert_eq!(one.hyper, other.hyper);
            assert_eq!(one.sought, other.sought);
        }
    }

    #[test]
    fn with_switches_or_many_results_there_are_none() {
        let with = |domain: Domain, results: usize| {
            let space = space([float(), domain]);
            let mut observed = observed(results, 2);
            for observation in &mut observed {
                observation.point = space.canonical(&observation.point);
            }
            Posterior::fit(&space, &observed, &[], 1).unwrap().alternatives().len()
        };
        let three = Domain::Ordinal { values: vec![1.0, 2.0, 3.0] };
        assert_eq!(with(three, 10), DRAWS);
        assert_eq!(with(Domain::Bool, 10), 0);
        assert_eq!(with(Domain::Ordinal { values: vec![1.0, 2.0] }, 10), 0);
        assert_eq!(with(float(), RESULTS_DRAWN_MAX), DRAWS);
        assert_eq!(with(float(), RESULTS_DRAWN_MAX + 1), 0);
    }

    #[test]
    fn a_suggestion_promises_most_on_average_over_the_alternatives() {
        let space = space([float(), float(), float()]);
        let history = History { observed: observed(10, 3), ..History::default() };
        let posterior = Posterior::fit(&space, &history.observed, &[], 4).unwrap();
        let alternatives = posterior.alternatives();
        let average = improvement_sought(&alternatives);
        let options = Options::default();
        for number in [10, 12, 14] {
            let chosen = suggest(&space, &options, &history, Some(&posterior), 4, number).unwrap();
            let best = average(std::slice::from_ref(&chosen.point))[0];
            let mut stream = Stream::new(9, u64::from(number), Purpose::Uniform);
            let others: Vec<UnitPoint> = (0..20_000)
                .map(|_| UnitPoint((0..3).map(|_| stream.uniform()).collect()))
                .collect();
            let scores = average(&others);
            let over = scores.into_iter().fold(f64::NEG_INFINITY, f64::max);
            assert!(best > over, "{best} at {number}, where a random point has {over}");
        }
    }
}
