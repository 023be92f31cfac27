//! Log expected hypervolume improvement: what several objectives together can be expected to gain.

use crate::normal::{log_h, log_h_band};
use crate::pareto::Partition;

/// A [`Partition`] made ready for many candidates: along each objective the levels at which boxes
/// begin or end, each once, and the boxes by the places of their levels.
#[derive(Clone, Debug)]
pub struct Gain {
    levels: Vec<Vec<f64>>,
    /// For each box and objective where it begins, and where it ends unless it never does.
    boxes: Vec<Vec<(usize, Option<usize>)>>,
}

impl Gain {
    /// Over the undominated region of a front.
    pub fn over(partition: &Partition) -> Gain {
        let objectives = partition.boxes().next().map_or(0, |(low, _)| low.len());
        let levels: Vec<Vec<f64>> = (0..objectives)
            .map(|k| {
                let ends = partition.boxes().flat_map(|(low, high)| [low[k], high[k]]);
                let mut levels: Vec<f64> = ends.filter(|level| level.is_finite()).collect();
                levels.sort_by(f64::total_cmp);
                levels.dedup();
                levels
            })
            .collect();
        let place = |k: usize, level: f64| levels[k].binary_search_by(|at| at.total_cmp(&level));
        let ends = |(low, high): (&[f64], &[f64])| {
            let begin = |k: usize| place(k, low[k]).expect("every finite end is a level");
            (0..objectives).map(|k| (begin(k), place(k, high[k]).ok())).collect()
        };
        let boxes = partition.boxes().map(ends).collect();
        Gain { levels, boxes }
    }

    /// `log E[volume that the candidate adds to what the front dominates above the reference]`,
    /// with independent objectives `fₖ ~ N(meanₖ, sdₖ²)`; `mean` and `sd` have one number an
    /// objective, in the units of the partition, `sd` strictly positive.
    ///
    /// A box from `l` to `u` is filled up to `min(fₖ, uₖ) − lₖ` along each objective, so with
    /// `hₖ(c) = E[max(fₖ − c, 0)]`
    ///
    /// ```text
    /// EHVI = Σ over boxes  Π over objectives  hₖ(lₖ) − hₖ(uₖ)
    /// ```
    ///
    /// Every factor is positive, and factors and sum are kept as logarithms throughout: EHVI is
    /// zero to a double wherever one objective is some forty deviations below the reference, and
    /// a search among zeros is a walk in the dark.
    ///
    /// References: S. Daulton, M. Balandat & E. Bakshy, "Differentiable expected hypervolume
    /// improvement for parallel multi-objective Bayesian optimization", NeurIPS 2020 (the sum,
    /// section 3) — <https://arxiv.org/abs/2006.05078>; S. Ament et al., "Unexpected Improvements
    /// to Expected Improvement for Bayesian Optimization", NeurIPS 2023 (why in logarithms, section
    /// 4.3) — <https://arxiv.org/abs/2310.20708>.
    pub fn log_expected(&self, mean: &[f64], sd: &[f64]) -> f64 {
        let distance = |k: usize, level: f64| (mean[k] - level) / sd[k];
        let logs: Vec<Vec<f64>> = (0..self.levels.len())
            .map(|k| self.levels[k].iter().map(|level| log_h(distance(k, *level))).collect())
            .collect();
        let side = |k: usize, (begin, end): (usize, Option<usize>)| {
            let Some(end) = end else { return logs[k][begin] };
            let (low, high) = (self.levels[k][begin], self.levels[k][end]);
            log_h_band(logs[k][begin], logs[k][end], distance(k, low), (high - low) / sd[k])
        };
        let volumes: Vec<f64> = self
            .boxes
            .iter()
            .map(|ends| ends.iter().enumerate().map(|(k, &ends)| side(k, ends)).sum())
            .collect();
        log_sum(&volumes) + sd.iter().map(|sd| sd.ln()).sum::<f64>()
    }
}

/// `log Σ exp(xᵢ)`; minus infinity for nothing.
fn log_sum(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln()
}
